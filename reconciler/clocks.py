"""Stored times after a change of leader: the clocks of two hosts differ, and one may have been wrong (fault 59).

Within one leadership the clock never goes back. Between two, a time that was "now" for the old leader
may lie ahead for the new one, and everything that waits for "so long after" would wait that much longer.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

_PLANNED = frozenset({"not_before", "next_at"})
"""Times that may lie ahead; each stands beside the time at which it was planned."""


def not_ahead(value: Any, now: float) -> Any:
    """`value` (a record, or a part of one) with no past time later than `now`; every float of a record is a time."""
    if isinstance(value, float):
        return min(value, now)
    if isinstance(value, tuple):
        return tuple(not_ahead(item, now) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    old = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    past = [time for name, time in old.items() if isinstance(time, float) and name not in _PLANNED]
    ahead = max(0.0, max(past, default=now) - now)
    changes = {}
    for name, before in old.items():
        after = before - ahead if name in _PLANNED else not_ahead(before, now)
        if after != before:
            changes[name] = after
    return replace(value, **changes) if changes else value
