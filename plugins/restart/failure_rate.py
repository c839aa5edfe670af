"""`failure-rate`: a fixed delay, until failures come too fast.

As Flink's restart strategy of the same name (Flink docs, "Task Failure Recovery"): up to
`maxFailures` within `interval` are restarted, one more gives up. The defaults are wider than Flink's
(1 per minute), because a process takes longer to come back than a task inside a running JobManager.
"""

from __future__ import annotations

from plugins.restart.jitter import jittered
from reconciler.model.record import Restarts
from reconciler.model.spec import Restart


class FailureRate:
    """`delay`, ± `jitter`; gives up when more than `maxFailures` lie within `interval`."""

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        # A time in the future is from before the clock was set back: it says nothing about now.
        failures = sum(1 for at in restarts.recent if 0 <= now - at <= config.interval)
        if failures > config.max_failures:
            return None
        return jittered(config.delay, config, restarts, seed)
