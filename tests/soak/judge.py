"""Does it grow? A line through the samples after the warm-up, and a bound on its slope. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PER = 1000
"""Cycles that bounds are about."""
LEAST = 8
"""Samples after the warm-up; with fewer there is no line to speak of."""
SURE = 3.0
"""Standard errors. A slope fails when it is over its bound even less so many of them: noise is not a leak."""

Series = Sequence[tuple[float, Mapping[str, float]]]
"""Cycles done by then, and what was measured."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What is measured, and by how much it may grow in 1,000 cycles."""

    name: str
    unit: str
    most: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    bound: Bound
    first: float
    last: float
    growth: float
    """Per 1,000 cycles, by the fitted line."""
    error: float
    """One standard error of that."""

    @property
    def ok(self) -> bool:
        return self.growth - SURE * self.error <= self.bound.most

    def sentence(self) -> str:
        bound = self.bound
        return (
            f"{bound.name} grows by {self.growth:.3g} ± {self.error:.2g} {bound.unit} per {PER:,} cycles; "
            f"at most {bound.most:g} is allowed"
        )


class TooShort(Exception):
    """The run says nothing about growth: one sentence."""


def judge(samples: Series, bounds: Sequence[Bound], warm_up: float) -> list[Finding]:
    """A finding for each bound, from the samples after `warm_up` cycles. Raises TooShort."""
    after = [(cycles, values) for cycles, values in samples if cycles >= warm_up]
    if len(after) < LEAST or after[-1][0] == after[0][0]:
        raise TooShort(
            f"{len(after)} samples after the warm-up of {warm_up:.0f} cycles, {LEAST} are needed; "
            "give it more time: MINUTES="
        )
    cycles = [at for at, _ in after]
    found = []
    for bound in bounds:
        values = [measured[bound.name] for _, measured in after]
        slope, error = fit(cycles, values)
        found.append(Finding(bound, values[0], values[-1], slope * PER, error * PER))
    return found


def fit(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Slope of the line of least squares, and its standard error."""
    count = len(xs)
    mean_x, mean_y = math.fsum(xs) / count, math.fsum(ys) / count
    spread = math.fsum((x - mean_x) ** 2 for x in xs)
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    rest = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    return slope, math.sqrt(rest / (count - 2) / spread)
