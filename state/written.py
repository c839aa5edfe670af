"""What this process wrote last beside each record, so that a commit need not read it first.

Only the leader writes status and history, so it knows what is there: a commit is then one round trip, not two. It is a
guess like any other: the multi names the version of every node that it replaces, and a wrong guess is refused and read
again (S5).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KEPT = 512
"""Jobs; those that change are few at a time, and a history has up to 128 KiB."""


@dataclass(frozen=True, slots=True)
class Node:
    """Data and version of a znode."""

    data: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Beside:
    """Status and history of one job; None where there is no such node."""

    status: Node | None
    events: Node | None


class Written:
    """Bounded; used by the threads that commit."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._jobs: OrderedDict[str, Beside] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, job: str) -> Beside | None:
        """What is known; it is forgotten with that, because the write that follows may end in any way."""
        with self._lock:
            return self._jobs.pop(job, None)

    def keep(self, job: str, beside: Beside) -> None:
        """A multi was applied, and this is what stands there now."""
        with self._lock:
            self._jobs[job] = beside
            while len(self._jobs) > self._kept:
                self._jobs.popitem(last=False)


def node_of(found: tuple[bytes, Any] | None) -> Node | None:
    """From an answer of kazoo."""
    return Node(found[0], int(found[1].version)) if found is not None else None


def after(before: Node | None, data: bytes | None, results: Iterator[Any]) -> Node | None:
    """The node after a multi that wrote `data`, whose result is the next one; with None it was left as it was."""
    if data is None:
        return before
    result = next(results)
    return Node(data, 0 if isinstance(result, str) else int(result.version))
