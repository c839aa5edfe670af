"""Settings that the policies of ours share, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from reconciler.model.ids import fraction
from reconciler.model.retry import Failure, Settings
from reconciler.model.units import parse_duration

SHARED: Mapping[str, str] = {"attempts": "", "jitter": "0.1", "retryable": "*"}


class Shared:
    """`attempts`: how many failures in a row are tried again soon; `jitter`: a share; `retryable`: errors, with `*`."""

    def __init__(self, settings: Settings, own: Mapping[str, str]) -> None:
        known = {**own, **SHARED}
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]}; there are: {', '.join(known)}")
        self._values = {**known, **settings}
        self._attempts = int(self.number("attempts", 1)) if self._values["attempts"] else None
        self._jitter = self.number("jitter", 0, 1)
        self._retryable = [part.strip() for part in self._values["retryable"].split(",") if part.strip()]

    def number(self, name: str, least: float, most: float = 1e6) -> float:
        try:
            value = float(self._values[name])
        except ValueError:
            raise ValueError(f'{name} is a number, not "{self._values[name]}"') from None
        if not least <= value <= most:
            raise ValueError(f"{name} is a number from {least:g} to {most:g}, not {value:g}")
        return value

    def seconds(self, name: str) -> float:
        try:
            return parse_duration(self._values[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def soon(self, failure: Failure) -> bool:
        """Whether trying again soon makes sense."""
        within = self._attempts is None or failure.attempt <= self._attempts
        return within and any(fnmatchcase(failure.error, pattern) for pattern in self._retryable)

    def jittered(self, seconds: float, failure: Failure) -> float:
        share = fraction("retry", failure.target, failure.call, failure.attempt, failure.seed)
        return seconds * (1 + self._jitter * share)
