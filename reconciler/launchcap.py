"""A cap on relaunches: a token bucket, so that a mass failure does not become a mass launch (S7, fault 33).

Back-offs with jitter spread the relaunches of many jobs a little; when a rack with 500 tasks dies,
they are still due within one second, and 500 JVMs that start at once on what is left of the cluster
take that down too. Marathon bounds the same with its flags `--launch_tokens` (100) and
`--launch_token_refresh_interval` (30 s). Only relaunches count: a new job and an upgrade are what
somebody asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.model.resources import Assignment, TaskRequest

BURST = 100
PER_S = 5.0
_EPSILON = 1e-6
"""Time in floats never adds up to a whole token; without this a job would be woken again at once."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What may be placed now, and what has to wait for tokens."""

    requests: tuple[TaskRequest, ...]
    held: tuple[TaskRequest, ...]
    wake: Mapping[str, float]
    """By job with something held: when it is its turn, so that waiting jobs are not asked all the time."""

    @property
    def why(self) -> str:
        """The sentence for the jobs whose tasks are held."""
        return f"relaunches are capped after many failures; {len(self.held)} of them wait for their turn"


class LaunchCap:
    """The tokens of one leader. A new leader starts with a full bucket: one burst more, no memory needed."""

    def __init__(self, burst: int = BURST, per_s: float = PER_S) -> None:
        self._burst = float(burst)
        self._per_s = per_s
        self._tokens = float(burst)
        self._at: float | None = None

    def admit(self, requests: Sequence[TaskRequest], now: float) -> Admitted:
        """Hold the relaunches that there are no tokens for. Asking takes none: only what is placed does."""
        self._refill(now)
        whole = room = int(self._tokens + _EPSILON)
        admitted: list[TaskRequest] = []
        held: list[TaskRequest] = []
        for request in requests:
            if not request.relaunch:
                admitted.append(request)
            elif room > 0:
                room -= 1
                admitted.append(request)
            else:
                held.append(request)
        missing = 1.0 + whole - self._tokens
        wake: dict[str, float] = {}
        for turn, request in enumerate(held):
            wake.setdefault(request.job, now + (missing + turn) / self._per_s)
        return Admitted(tuple(admitted), tuple(held), wake)

    def spend(self, assignments: Sequence[Assignment]) -> None:
        """These are launched."""
        self._tokens -= sum(1 for assignment in assignments if assignment.request.relaunch)

    def _refill(self, now: float) -> None:
        # A clock that was set back adds nothing, and starts counting from there (fault 59).
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._tokens = min(self._burst, self._tokens + passed * self._per_s)
        self._at = now
