"""One measured figure, its floor, and how they are shown and stored."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured. The machine is shared, so the ratio to a floor of the same run says more than the median."""

    name: str
    unit: str
    median: float
    p99: float | None
    floor: float | None
    """What the systems below cost by themselves, in the same unit; None where a goal is absolute."""
    ratio: float | None
    goal: str
    """In words, as in docs/performance.md."""
    met: bool
    samples: int
    floor_name: str = ""


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that `share` (0 to 1) of all samples do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def figure(
    name: str,
    unit: str,
    samples: Sequence[float],
    goal: str,
    met: Callable[[float, float | None], bool],
    floor: Sequence[float] = (),
    floor_name: str = "",
) -> Figure:
    """Sum samples up. `met` is asked with the median and with the ratio of medians (None without a floor)."""
    median = statistics.median(samples)
    base = statistics.median(floor) if floor else None
    ratio = median / base if base else None
    p99 = percentile(samples, 0.99) if len(samples) >= 20 else None
    return Figure(name, unit, median, p99, base, ratio, goal, met(median, ratio), len(samples), floor_name)


def timed(call: Callable[[], object], repetitions: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Seconds of each of several calls; with `time.process_time` as the clock those of a core, whoever else uses it."""
    found = []
    for _ in range(repetitions):
        began = clock()
        call()
        found.append(clock() - began)
    return found


def store(figures: Sequence[Figure], path: Path) -> None:
    """Write the results as JSON: a list of figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(one) for one in figures], indent=2) + "\n")


def shown(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
