"""`linear-delay`: each failure in a row waits one step longer, up to `restart.maxBackoff`."""

from __future__ import annotations

from reconciler.model.ids import fraction
from reconciler.model.record import Restarts
from reconciler.model.spec import Restart

DEFAULT_STEP_S = 10.0


class LinearDelay:
    """Never gives up. `restart.options.step` is in seconds; one that is no number raises, and Weir's default waits."""

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        del now
        step = float(config.options.get("step", DEFAULT_STEP_S))
        wait = min(step * restarts.attempt, config.max_backoff)
        return wait * (1.0 + config.jitter * (2.0 * fraction("jitter", seed) - 1.0))
