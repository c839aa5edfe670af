"""Timers by key: setting a key again replaces its time, the earliest due comes first."""

from __future__ import annotations

import heapq

SPARE = 64


class Timers:
    """A heap with lazy removal, so that setting and cancelling cost O(log n) whatever n is.

    A key that fires soon, again and again, leaves the far time behind that it had before (a month for a
    deleted job): when half of the heap is such, it is built anew.
    """

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, key: str, at: float) -> None:
        """Fire `key` at `at`, instead of any time it had."""
        self._at[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._at) + SPARE:
            self._heap = [(at, key) for key, at in self._at.items()]
            heapq.heapify(self._heap)

    def __len__(self) -> int:
        """What is held in memory, kept or not."""
        return len(self._heap)

    def set_earlier(self, key: str, at: float) -> None:
        """Fire `key` at `at`, unless it fires before."""
        if at < self._at.get(key, float("inf")):
            self.set(key, at)

    def __contains__(self, key: str) -> bool:
        return key in self._at

    def cancel(self, key: str) -> None:
        self._at.pop(key, None)

    def due(self, now: float) -> list[str]:
        """Take the keys whose time has come, earliest first."""
        keys = []
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                keys.append(key)
        return keys

    def next_at(self) -> float | None:
        """When the next timer fires."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
