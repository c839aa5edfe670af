"""Stored times after a change of leader: the clocks of two hosts differ, and one may have been wrong (fault 59).

Within one leadership the clock never goes back. Between two, a time that was "now" for the old leader
may lie ahead for the new one, and everything that waits for "so long after" would wait that much longer.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

LONGEST_WAIT_S = 300.0
"""No retry is ever planned further ahead than this."""
_PLANNED = frozenset({"not_before", "next_at"})


def not_ahead(value: Any, now: float, slack: float = 0.0) -> Any:
    """`value` (a record, or a part of one) with no time later than `now`; every float of a record is a time."""
    if isinstance(value, float):
        return min(value, now + slack)
    if isinstance(value, tuple):
        return tuple(not_ahead(item, now) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {}
    for entry in fields(value):
        old = getattr(value, entry.name)
        new = not_ahead(old, now, LONGEST_WAIT_S if entry.name in _PLANNED else 0.0)
        if new != old:
            changes[entry.name] = new
    return replace(value, **changes) if changes else value
