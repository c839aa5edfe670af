"""`exponential-delay`: each failure in a row waits longer, up to a bound, with jitter.

The parameters and their meaning are those of Flink's restart strategy of the same name (Flink docs,
"Task Failure Recovery"); the budget is reset after `resetAfter` without a failure.
"""

from __future__ import annotations

from plugins.restart.jitter import jittered
from reconciler.model.record import Restarts
from reconciler.model.spec import Restart


class ExponentialDelay:
    """Never gives up: `initialBackoff * multiplier^(attempt-1)`, at most `maxBackoff`, ± `jitter`."""

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        del now
        # Bounded before the power is taken: 2.0 ** 5000 overflows.
        exponent = min(max(restarts.attempt - 1, 0), 64)
        wait = min(config.initial_backoff * min(config.multiplier**exponent, 1e9), config.max_backoff)
        return jittered(wait, config, restarts, seed)
