"""Does an agent meet a constraint, given where the job's other tasks of the same role are? Pure.

Operators mean what they mean in Marathon (Marathon docs, "Constraints"), counted per job and role: a
JobManager and a TaskManager of one job may share a host that is UNIQUE to each of them. Decided here
where Marathon leaves a choice:

- an agent without the attribute meets UNLIKE and nothing else;
- GROUP_BY without a number spreads over the values that hold a task already: a new value is always
  taken; GROUP_BY n takes no value a second time before n values have one;
- tasks that were placed before their attribute was asked for, and whose agent offers nothing now,
  are left out of account: running tasks stay where they are when a constraint is added.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

from reconciler.model.constraints import HOSTNAME, MAX_VALUE, Constraint, ConstraintError, Operator, parse
from reconciler.model.resources import Candidate, Sibling


class Check:
    """One constraint of one request, with what the siblings already use counted once."""

    def __init__(self, constraint: Constraint, siblings: Sequence[Sibling]) -> None:
        self.constraint = constraint
        values = (value_of(constraint.field, each.hostname, each.attributes) for each in siblings)
        self._used = Counter(value for value in values if value is not None)

    def __str__(self) -> str:
        return f"constraint {self.constraint}"

    def refusal(self, candidate: Candidate) -> str | None:
        """Why the agent may not be used, in a few words; None when it may."""
        constraint = self.constraint
        value = value_of(constraint.field, candidate.hostname, candidate.attributes)
        if value is None:
            return None if constraint.operator is Operator.UNLIKE else f"no {constraint.field}"
        match constraint.operator:
            case Operator.IS:
                return None if value == constraint.value else _named(constraint.field, value)
            case Operator.LIKE:
                return None if _matches(constraint.value or "", value) else _named(constraint.field, value)
            case Operator.UNLIKE:
                hit = len(value) > MAX_VALUE or _matches(constraint.value or "", value)
                return _named(constraint.field, value) if hit else None
            case Operator.CLUSTER:
                return self._cluster(value)
            case Operator.UNIQUE:
                return self._at_most(1, value)
            case Operator.MAX_PER:
                return self._at_most(constraint.number, value)
            case Operator.GROUP_BY:
                return self._group_by(value)

    def _cluster(self, value: str) -> str | None:
        wanted = self.constraint.value
        others = sorted(used for used in self._used if used != value)
        if wanted is not None and value != wanted:
            return _named(self.constraint.field, value)
        return f"{_named(self.constraint.field, value)}, others are on {_short(others[0])}" if others else None

    def _at_most(self, most: int, value: str) -> str | None:
        have = self._used[value]
        if have < most:
            return None
        where = "" if self.constraint.field == HOSTNAME else f" in {_short(value)}"
        return f"{have} placed{where} already"

    def _group_by(self, value: str) -> str | None:
        have = self._used[value]
        if have == 0:
            return None
        if len(self._used) < self.constraint.number:
            return f"{have} placed in {_short(value)}, {len(self._used)} of {self.constraint.number} groups used"
        fewest = min(self._used.values())
        return None if have == fewest else f"{have} placed in {_short(value)}, the smallest group has {fewest}"


def checks(raw: Sequence[Sequence[str]], siblings: Sequence[Sibling]) -> tuple[list[Check], str | None]:
    """The constraints of one request; or why they cannot be checked, and then nothing may be placed.

    Specs are checked before they are accepted, so a bad constraint comes from a record of another version.
    """
    found = []
    for each in raw:
        try:
            found.append(Check(_parsed(tuple(each)), siblings))
        except ConstraintError as error:
            return [], f"constraint {' '.join(each)[:100]} cannot be used: {error}"
    return found, None


def fields(raw: Sequence[Sequence[str]]) -> frozenset[str]:
    """The attributes that the constraints name: what has to be remembered of a placed task's agent."""
    return frozenset(each[0] for each in raw if each) - {HOSTNAME, f"@{HOSTNAME}"}


def value_of(field: str, hostname: str, attributes: Mapping[str, str]) -> str | None:
    """What an agent has for the field of a constraint."""
    return hostname if field == HOSTNAME else attributes.get(field)


@lru_cache(maxsize=1024)
def _parsed(raw: tuple[str, ...]) -> Constraint:
    return parse(raw)


@lru_cache(maxsize=8192)
def _matches(pattern: str, value: str) -> bool:
    # `parse` bounds the ways in which a pattern can match; the answer is kept because offers come back.
    return len(value) <= MAX_VALUE and re.fullmatch(pattern, value) is not None


def _named(field: str, value: str) -> str:
    return f"{field} is {_short(value)}"


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:39]}…"
