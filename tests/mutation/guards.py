"""The table of guards, `guards.toml`, as values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@dataclass(frozen=True)
class Guard:
    """One thing that keeps a fault harmless, and what the code looks like without it."""

    fault: int
    what: str
    file: str
    guard: str
    broken: str
    tests: tuple[str, ...]
    quick: bool = False
    stack: bool = False

    def __str__(self) -> str:
        return f"f{self.fault:02} {self.what}"


def load() -> list[Guard]:
    """Every guard, in the order of the table."""
    with (HERE / "guards.toml").open("rb") as file:
        entries = tomllib.load(file)["guard"]
    return [Guard(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def without(guard: Guard, source: str) -> str:
    """`source` with the guard taken out. ValueError unless it is there exactly once."""
    found = source.count(guard.guard)
    if found != 1:
        raise ValueError(f"{guard}: {guard.file} has its text {found} times, not once; correct guards.toml")
    return source.replace(guard.guard, guard.broken)
