"""Needed or not: what Flink and Mesos recorded of a step, against the most that its faults may cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.evidence import Evidence
from tests.chaos.faults import Struck


@dataclass(frozen=True)
class Verdict:
    """Tasks launched and vertices started during a step, and how many of them nothing called for."""

    launched: int
    started: int
    unneeded: int
    why: str = ""


def judge(found: Evidence, struck: Iterable[Struck]) -> Verdict:
    """A task is unneeded if it is one more of its role than the faults took away or a new generation needs."""
    struck = list(struck)
    launched = Counter(item.name.role for item in found.launched)
    allowed: Counter[str] = sum((item.launches for item in struck), Counter())
    surplus = launched - allowed
    late = max(0, len(found.starts) - sum(item.starts for item in struck))
    unneeded = surplus.total() + late
    return Verdict(launched.total(), len(found.starts), unneeded, str(found) if unneeded else "")
