"""Always the same wait."""

from __future__ import annotations

from plugins.retry.settings import Shared
from reconciler.model.retry import Failure, Settings


class Fixed:
    """`delay`."""

    def __init__(self, settings: Settings) -> None:
        self._shared = Shared(settings, {"delay": "3s"})
        self._delay = self._shared.seconds("delay")

    def delay(self, failure: Failure) -> float | None:
        return self._shared.jittered(self._delay, failure) if self._shared.soon(failure) else None
