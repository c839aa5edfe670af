"""Placement constraints as Marathon has them: `[field, operator]` or `[field, operator, value]`.

This module knows what a constraint is and which ones are refused; whether an agent meets one is in
`reconciler.constraints`. Operators and their meaning are Marathon's (Marathon docs, "Constraints").

A pattern of LIKE and UNLIKE is matched on the loop's own thread, so one that may backtrack without
end is refused: a repeat inside a repeated group, and more than `MAX_WAYS` ways to match one name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.spec_errors import shown

HOSTNAME = "hostname"
MAX_PATTERN = 200
MAX_VALUE = 256
"""Characters of a host name or attribute that are compared with a pattern; a longer one matches nothing."""
MAX_WAYS = MAX_VALUE**3
MAX_NUMBER = 10_000
_MAX_FIELD = 128


class Operator(StrEnum):
    """What a constraint asks of the agent's value of its field."""

    UNIQUE = "UNIQUE"
    CLUSTER = "CLUSTER"
    GROUP_BY = "GROUP_BY"
    LIKE = "LIKE"
    UNLIKE = "UNLIKE"
    MAX_PER = "MAX_PER"
    IS = "IS"


_WANTS_VALUE = {
    Operator.LIKE: "a regular expression",
    Operator.UNLIKE: "a regular expression",
    Operator.MAX_PER: "the most tasks with the same value",
    Operator.IS: "the value that agents have to have",
}
_EXAMPLE = {
    Operator.UNIQUE: '["hostname", "UNIQUE"]',
    Operator.CLUSTER: '["rack", "CLUSTER"] or ["rack", "CLUSTER", "r1"]',
    Operator.GROUP_BY: '["rack", "GROUP_BY"] or ["rack", "GROUP_BY", "3"]',
    Operator.LIKE: '["rack", "LIKE", "r[1-3]"]',
    Operator.UNLIKE: '["rack", "UNLIKE", "r[7-9]"]',
    Operator.MAX_PER: '["rack", "MAX_PER", "2"]',
    Operator.IS: '["rack", "IS", "r1"]',
}


class ConstraintError(ValueError):
    """A constraint that is refused: what is wrong with it, and what to write instead."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Constraint:
    """One requirement on the agents of a job's tasks of one role."""

    field: str
    """`hostname`, or the name of an agent attribute."""
    operator: Operator
    value: str | None = None

    @property
    def number(self) -> int:
        """The value of GROUP_BY (0 without one) and of MAX_PER."""
        return int(self.value) if self.value is not None else 0

    def __str__(self) -> str:
        parts = [self.field, self.operator.value, *([self.value] if self.value is not None else [])]
        return " ".join(parts)


def parse(raw: Sequence[str]) -> Constraint:
    """The constraint that a spec writes as a list of strings. Raises `ConstraintError`."""
    if not 2 <= len(raw) <= 3:
        hint = f"write [field, operator] or [field, operator, value], such as {_EXAMPLE[Operator.UNIQUE]}"
        raise ConstraintError(f"{shown(list(raw))} has {len(raw)} entries, a constraint has two or three", hint)
    field = _field(raw[0])
    operator = _operator(raw[1])
    value = raw[2] if len(raw) == 3 else None
    if value == "" and operator in (Operator.UNIQUE, Operator.CLUSTER, Operator.GROUP_BY):
        value = None  # Marathon takes an empty value for none
    if operator is Operator.UNIQUE and value is not None:
        raise ConstraintError(f"UNIQUE takes no value, {shown(value)} was given", f"write {_EXAMPLE[operator]}")
    if operator in _WANTS_VALUE and not value:
        raise ConstraintError(f"{operator} needs a value: {_WANTS_VALUE[operator]}", f"write {_EXAMPLE[operator]}")
    if value is not None:
        _check_value(operator, value)
    return Constraint(field, operator, value)


def _field(name: str) -> str:
    if name in (HOSTNAME, f"@{HOSTNAME}"):
        return HOSTNAME
    if name.startswith("@"):
        near = "only @hostname is; regions and zones can be given to agents as attributes"
        raise ConstraintError(f"{shown(name)} is not known here", near)
    if not name.strip() or len(name) > _MAX_FIELD:
        raise ConstraintError(
            f"{shown(name)} is not the name of an attribute",
            f"write hostname, or an attribute of the agents of at most {_MAX_FIELD} characters",
        )
    return name


def _operator(name: str) -> Operator:
    try:
        return Operator(name)
    except ValueError:
        near = difflib.get_close_matches(name.upper().replace("-", "_").replace(" ", "_"), list(Operator), n=1)
        hint = f'did you mean "{near[0]}"?' if near else None
        raise ConstraintError(f"{shown(name)} is not one of: {', '.join(Operator)}", hint) from None


def _check_value(operator: Operator, value: str) -> None:
    if operator in (Operator.MAX_PER, Operator.GROUP_BY):
        if re.fullmatch(r"[0-9]{1,6}", value, re.ASCII) is None or not 1 <= int(value) <= MAX_NUMBER:
            what = f"{operator} takes a whole number from 1 to {MAX_NUMBER} in quotes, not {shown(value)}"
            raise ConstraintError(what, f"write {_EXAMPLE[operator]}")
    elif operator in (Operator.LIKE, Operator.UNLIKE):
        check_pattern(value)
    elif len(value) > MAX_VALUE:
        raise ConstraintError(f"the value of {operator} has {len(value)} characters, the most is {MAX_VALUE}")


# Patterns


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression, and what might not end. Raises `ConstraintError`."""
    if len(pattern) > MAX_PATTERN:
        raise ConstraintError(f"the pattern has {len(pattern)} characters, the most is {MAX_PATTERN}")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConstraintError(f"{shown(pattern)} is not a regular expression: {error}") from None
    ways = _Scanner(pattern).ways()
    if ways > MAX_WAYS:
        raise ConstraintError(
            f"{shown(pattern)} could try too many ways to match one name",
            "use at most three of * and +, or several constraints",
        )


_QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d+)\}|\{(\d*),(\d*)\})[?+]?")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_PLAIN_GROUP = "(?:"


@dataclass(slots=True)
class _Group:
    """An open group: how many branches it has, and whether something in it can repeat."""

    branches: int = 1
    repeats: bool = False


class _Scanner:
    """An upper bound of the ways in which a pattern can match: the product of its choices.

    That bounds backtracking only while no choice stands inside a repeat, which is why those are
    refused; look-arounds and back-references are refused because they do not follow the rule.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._ways = 1
        self._open = [_Group()]

    def ways(self) -> int:
        while self._at < len(self._pattern):
            closed = self._atom()
            found = _QUANTIFIER.match(self._pattern, self._at)
            if found is not None:
                self._quantifier(found, closed)
        return self._ways * self._open[0].branches

    def _atom(self) -> _Group | None:
        """Step over one character, class or parenthesis; the group that it closes."""
        pattern, char = self._pattern, self._pattern[self._at]
        if char == "\\":
            if re.match(r"\\[1-9]", pattern[self._at :]):
                raise ConstraintError("back-references are not supported in constraints")
            self._at += 2
        elif char == "[" and (found := _CLASS.match(pattern, self._at)) is not None:
            self._at = found.end()
        elif char == "(":
            self._enter()
        elif char == ")":
            self._at += 1
            group = self._open.pop()
            self._ways *= group.branches
            self._open[-1].repeats |= group.repeats or group.branches > 1
            return group
        else:
            if char == "|":
                self._open[-1].branches += 1
            self._at += 1
        return None

    def _enter(self) -> None:
        if self._pattern.startswith(_PLAIN_GROUP, self._at):
            self._at += len(_PLAIN_GROUP)
        elif self._pattern.startswith("(?", self._at):
            hint = 'write plain groups "(…)" or "(?:…)"; for both cases of a letter write "[rR]"'
            raise ConstraintError("only plain groups are supported in constraints", hint)
        else:
            self._at += 1
        self._open.append(_Group())

    def _quantifier(self, found: re.Match[str], group: _Group | None) -> None:
        self._at = found.end()
        low, high = _bounds(found)
        choices = high - low + 1
        if high > 1 and group is not None and (group.repeats or group.branches > 1):
            hint = "take the repeat or the alternatives out of the repeated group"
            raise ConstraintError(f"{shown(self._pattern)} repeats what repeats: it might never end", hint)
        if choices > 1:
            self._ways *= choices
            self._open[-1].repeats = True


def _bounds(found: re.Match[str]) -> tuple[int, int]:
    symbol = found[0][0]
    if symbol == "{":
        if found[1] is not None:
            return int(found[1]), int(found[1])
        low = int(found[2] or 0)
        return low, max(low, int(found[3])) if found[3] else max(low, MAX_VALUE)
    return (0, 1) if symbol == "?" else (0, MAX_VALUE - 1)
