"""Stored times after a change of leader: the clocks of two hosts differ, and one may have been wrong (fault 59).

Within one leadership the clock never goes back. Between two, a time that was "now" for the old leader
may lie ahead for the new one, and everything that waits for "so long after" would wait that much longer.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from operator import is_
from typing import Any

_PLANNED = frozenset({"not_before", "next_at"})
"""Times that may lie ahead; each stands beside the time at which it was planned."""


def not_ahead(value: Any, now: float) -> Any:
    """`value` (a record, or a part of one) with no past time later than `now`; every float of a record is a time.

    What needs no change is returned as it is, so that a new leader does not copy every record it reads.
    """
    if isinstance(value, float):
        return value if value <= now else now
    if isinstance(value, tuple):
        items = tuple([not_ahead(item, now) for item in value])
        return value if all(map(is_, items, value)) else items
    names = _field_names(type(value))  # type: ignore[arg-type]  # mypy takes no class for Hashable
    if not names:
        return value
    old = [(name, getattr(value, name)) for name in names]
    past = [time for name, time in old if isinstance(time, float) and name not in _PLANNED]
    ahead = max(0.0, max(past, default=now) - now)
    changes = {}
    for name, before in old:
        if name in _PLANNED:
            after = before - ahead if ahead else before
        else:
            after = not_ahead(before, now)
        if after is not before:
            changes[name] = after
    return replace(value, **changes) if changes else value


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    """Fields of a dataclass; none of anything else."""
    return tuple(entry.name for entry in fields(kind)) if is_dataclass(kind) else ()
