"""Taking turns: what is done about a part of many, so that all of them have had it after a while."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


def in_turn(names: Iterable[str], last: str, count: int) -> list[str]:
    """Up to `count` names: those that come after `last` in their order, and from the first on again; none twice."""
    ordered = sorted(names)
    begin = bisect_right(ordered, last)
    return (ordered[begin:] + ordered[:begin])[: max(count, 0)]
