"""A series that leaks is found, one that only wavers is not."""

from __future__ import annotations

import random

import pytest

from tests.soak.ground import FULL
from tests.soak.judge import Bound, TooShort, fit, judge
from tests.soak.plot import render

MEMORY = Bound("memory", "MB", 10.0)


def series(
    per_cycle: float, noise: float, cycles: int = 300, warm: float = 0.0
) -> list[tuple[float, dict[str, float]]]:
    """A sample for each second cycle; `warm` is what is filled once, within the first 100."""
    chance = random.Random(1)
    return [
        (at, {"memory": 150.0 + warm * min(at, 100) / 100 + per_cycle * at + chance.gauss(0.0, noise)})
        for at in range(0, cycles, 2)
    ]


def test_a_leak_of_thirty_kilobytes_for_each_job_is_found() -> None:
    finding = judge(series(0.03, noise=1.0), [MEMORY], 100)[0]
    assert not finding.ok
    assert "memory grows by 3" in finding.sentence()
    assert "at most 10 is allowed" in finding.sentence()


def test_one_thread_left_behind_by_each_fiftieth_cycle_is_found() -> None:
    samples = [(at, {"threads": 20.0 + at // 50}) for at in range(0, 300, 2)]
    assert not judge(samples, [Bound("threads", "threads", 1.0)], 50)[0].ok


@pytest.mark.parametrize("noise", [0.0, 0.5, 3.0])
def test_noise_is_not_a_leak(noise: float) -> None:
    assert judge(series(0.0, noise), [MEMORY], 100)[0].ok


def test_what_is_filled_once_counts_as_warming_up() -> None:
    samples = series(0.0, 0.5, warm=40.0)
    assert judge(samples, [MEMORY], 100)[0].ok
    assert not judge(samples, [MEMORY], 0)[0].ok


def test_growth_within_the_bound_is_allowed() -> None:
    finding = judge(series(0.005, 0.1), [MEMORY], 100)[0]
    assert finding.ok
    assert finding.growth == pytest.approx(5.0, rel=0.2)


def test_a_run_without_samples_after_the_warm_up_says_so() -> None:
    with pytest.raises(TooShort, match="MINUTES="):
        judge(series(0.0, 0.0), [MEMORY], 295)


def test_the_line_is_that_of_least_squares() -> None:
    slope, error = fit([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0])
    assert slope == pytest.approx(2.0)
    assert error == pytest.approx(0.0)


def test_the_plot_shows_every_series_and_names_what_grows() -> None:
    samples = [(at, {bound.name: 10.0 + at for bound in FULL}) for at in range(50)]
    picture = render(samples, judge(samples, FULL, 10), 10, "a run")
    for bound in FULL:
        assert f"{bound.name} grows by 1e+03" in picture
