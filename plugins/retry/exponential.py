"""Each failure in a row waits longer than the one before, up to a longest wait."""

from __future__ import annotations

from plugins.retry.settings import Shared
from reconciler.model.retry import Failure, Settings


class Exponential:
    """`initial`, `multiplier` and `max`."""

    def __init__(self, settings: Settings) -> None:
        self._shared = Shared(settings, {"initial": "1s", "multiplier": "2", "max": "30s"})
        self._initial, self._max = self._shared.seconds("initial"), self._shared.seconds("max")
        self._multiplier = self._shared.number("multiplier", 1, 100)

    def delay(self, failure: Failure) -> float | None:
        if not self._shared.soon(failure):
            return None
        step = self._initial * self._multiplier ** min(failure.attempt - 1, 64)
        return self._shared.jittered(min(self._max, step), failure)
