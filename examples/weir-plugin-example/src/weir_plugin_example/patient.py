"""A retry policy: a little more patience after each failure."""

from __future__ import annotations

from reconciler.model.ids import fraction
from reconciler.model.retry import Failure, Settings


class Patient:
    """Waits `step` seconds more after each failure in a row, and is in no hurry when access was denied."""

    def __init__(self, settings: Settings) -> None:
        unknown = sorted(set(settings) - {"step"})
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]}; there is: step")
        self._step = float(settings.get("step", "1"))

    def delay(self, failure: Failure) -> float | None:
        if "denied" in failure.error.lower():
            return None
        return self._step * (failure.attempt + fraction("patient", failure.seed, failure.attempt))
