"""Which jobs are looked at next: those that an event was about at once, all others a slice at a time.

A look at ten thousand jobs takes seconds. Where all of them are to be looked at (a take-over, a resync, a pause
of everything), events are taken between one slice and the next, and what they are about does not wait.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

from reconciler.jobs import JobEntry
from reconciler.model.turns import in_turn

SLICE = 100
"""Jobs; a look at so many takes about 20 ms."""
RESTING_PER_S = 20.0
"""Jobs at rest that a resync looks at, for each second since the last one: all of them up to 600. Only a lost event can
make that necessary, and answers of Flink cause a look anyway; 10,000 every 30 s would take a fifteenth of a core."""


class Slices:
    """Names of jobs, each once."""

    def __init__(self, every_s: float, size: int = SLICE) -> None:
        self._size = size
        self._now: set[str] = set()
        self._later: dict[str, None] = {}
        self._share = int(RESTING_PER_S * every_s)
        self._last = ""

    def __contains__(self, name: object) -> bool:
        return name in self._now or name in self._later

    def add(self, name: str) -> None:
        self._now.add(name)

    def mark(self, names: Collection[str]) -> None:
        """Few are looked at with this event; many in slices, in the order that is given, a set by name."""
        if len(names) <= self._size:
            self._now.update(names)
        else:
            self._later.update(dict.fromkeys(sorted(names) if isinstance(names, set) else names))

    def resync(self, jobs: Mapping[str, JobEntry]) -> None:
        """Every job at which something is going on, and those at rest in turn."""
        resting = {name for name, entry in jobs.items() if entry.rests()}
        turn = in_turn(resting, self._last, self._share)
        self._last = turn[-1] if turn else ""
        self.mark([*(name for name in jobs if name not in resting), *turn])

    def take(self) -> list[str]:
        """What is to be looked at now, by name."""
        names, self._now = self._now, set()
        names.update(islice(self._later, self._size))
        for name in names:
            self._later.pop(name, None)
        return sorted(names)

    @property
    def more(self) -> bool:
        """True while there is another slice."""
        return bool(self._later)
