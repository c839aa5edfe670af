"""The virtual clock: one heap of things to do, done one at a time in order of their time.

Nothing in a run reads the real clock or real chance. Ties are broken by the order in which things
were planned, so a seed fixes everything that happens.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

START = 1_700_000_000.0
"""Virtual time at the beginning of every run, in seconds since the epoch."""
STORM_STEPS = 20_000


class Storm(Exception):
    """Something goes on without time passing: a timer that is always due, an effect without a pause."""


class Simulator:
    """Virtual time and what is planned."""

    def __init__(self) -> None:
        self.now = START
        self.steps = 0
        self.trace: list[str] | None = None
        """Lines for people; None: nobody reads them, so none are made."""
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = itertools.count()
        self._second, self._steps_before = START, 0

    @property
    def elapsed(self) -> float:
        return self.now - START

    def at(self, when: float, call: Callable[..., None], *args: Any) -> None:
        """Do this at `when`, or now if that has passed."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._numbers), call, args))

    def after(self, delay: float, call: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._heap, (self.now + delay, next(self._numbers), call, args))

    def run(self, until: float) -> None:
        """Do everything that is due up to `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, call, args = heapq.heappop(heap)
            self.steps += 1
            if self.now - self._second >= 1.0:
                self._second, self._steps_before = self.now, self.steps
            elif self.steps - self._steps_before > STORM_STEPS:
                raise Storm(f"more than {STORM_STEPS} steps in one virtual second")
            call(*args)
        self.now = max(self.now, until)

    def say(self, who: str, what: str) -> None:
        """One line of the trace. Callers check `trace` first where making the line costs something."""
        if self.trace is not None:
            self.trace.append(f"{self.elapsed:9.3f}  {who:<8}  {what}")
