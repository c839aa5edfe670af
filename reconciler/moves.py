"""Which jobs may leave drained agents now: a few at once, so that a drain interrupts little at any time.

Memory only. A new leader finds the moves that are under way in the records (a replacement beside the task that
it stands in for), and those jobs go on; which job is next may change.
"""

from __future__ import annotations

from reconciler.jobs import JobEntry

TURN_S = 90.0
"""A job that still waits, for an offer say, makes room for others after this long."""


class Moves:
    """So many jobs move at once."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._since: dict[str, float] = {}
        """Jobs that move, since when."""
        self._refused: set[str] = set()
        """Jobs that wait for their turn."""
        self._behind: dict[str, float] = {}
        """Jobs that had a turn and came no further, since when."""

    def look(self, entry: JobEntry, now: float) -> None:
        """Tell the job whether it may move, and whether it is one of those that do."""
        if not entry.draining:
            self._forget(entry.name)
            entry.may_move = entry.moving = False
            return
        entry.moving = entry.name in self._since
        entry.may_move = self._may(entry.name, now)

    def note(self, job: str, moving: bool, now: float) -> None:
        """What was decided: a job that moves holds its place, one that does not gives it up."""
        if moving:
            self._since.setdefault(job, now)
        else:
            self._since.pop(job, None)

    def _may(self, job: str, now: float) -> bool:
        since = self._since.get(job)
        if since is not None and now - since >= TURN_S and self._refused - {job}:
            del self._since[job]
            self._behind[job] = now
        if now - self._behind.get(job, float("-inf")) < TURN_S:
            return False
        self._behind.pop(job, None)
        may = job in self._since or len(self._since) < self._at_once
        if may:
            self._refused.discard(job)
        else:
            self._refused.add(job)
        return may

    def _forget(self, job: str) -> None:
        self._since.pop(job, None)
        self._behind.pop(job, None)
        self._refused.discard(job)
