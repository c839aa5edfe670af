"""`fixed-delay`: the same delay after every failure, for a number of attempts.

As Flink's restart strategy of the same name (Flink docs, "Task Failure Recovery"), with two
differences: attempts are failures in a row, counted afresh after `resetAfter` without one, and the
delay has jitter.
"""

from __future__ import annotations

from plugins.restart.jitter import jittered
from reconciler.model.record import Restarts
from reconciler.model.spec import Restart


class FixedDelay:
    """`delay`, ± `jitter`; gives up after `attempts` failures in a row, or never when that is null."""

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        del now
        if config.attempts is not None and restarts.attempt > config.attempts:
            return None
        return jittered(config.delay, config, restarts, seed)
