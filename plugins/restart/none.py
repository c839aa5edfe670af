"""`none`: a person decides after every failure. Flink has a restart strategy of the same name."""

from __future__ import annotations

from reconciler.model.record import Restarts
from reconciler.model.spec import Restart


class NoRestart:
    """Gives up at the first failure."""

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        del config, restarts, now, seed
        return None
