"""Restart strategies, each by a table; and what holds for all of ours."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.restart.exponential_delay import ExponentialDelay
from plugins.restart.failure_rate import FailureRate
from plugins.restart.fixed_delay import FixedDelay
from plugins.restart.none import NoRestart
from reconciler.model.policy import RestartStrategy
from reconciler.model.record import Restarts
from reconciler.model.spec import Restart

OURS: list[RestartStrategy] = [ExponentialDelay(), FixedDelay(), FailureRate(), NoRestart()]
NOW = 10_000.0


def configured(**seconds: Any) -> Restart:
    """With durations in seconds, as strategies see them."""
    return Restart().model_copy(update=seconds)


def asked(strategy: RestartStrategy, attempt: int = 1, recent: tuple[float, ...] = (NOW,), **config: Any) -> Any:
    restarts = Restarts(attempt, attempt, NOW, recent=recent)
    return strategy.delay(configured(**({"jitter": 0.0} | config)), restarts, NOW, "0123456789/1")


@pytest.mark.parametrize(
    ("attempt", "wait"), [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (50, 60.0), (10**9, 60.0), (0, 1.0)]
)
def test_exponential_delay_doubles_up_to_its_bound(attempt: int, wait: float) -> None:
    assert asked(ExponentialDelay(), attempt) == wait


def test_exponential_delay_reads_its_settings() -> None:
    settings_ = {"initial_backoff": 0.5, "max_backoff": 4.0, "multiplier": 3.0}

    assert [asked(ExponentialDelay(), attempt, **settings_) for attempt in (1, 2, 3, 4)] == [0.5, 1.5, 4.0, 4.0]


@pytest.mark.parametrize(
    ("attempts", "attempt", "wait"), [(None, 1, 7.0), (None, 10**6, 7.0), (3, 3, 7.0), (3, 4, None), (0, 1, None)]
)
def test_fixed_delay_gives_up_after_its_attempts(attempts: int | None, attempt: int, wait: float | None) -> None:
    assert asked(FixedDelay(), attempt, attempts=attempts, delay=7.0) == wait


@pytest.mark.parametrize(
    ("recent", "wait"),
    [
        ((NOW,), 2.0),
        ((NOW - 20, NOW - 10, NOW), 2.0),
        ((NOW - 30, NOW - 20, NOW - 10, NOW), None),
        ((NOW - 61, NOW - 20, NOW - 10, NOW), 2.0),
        ((NOW - 60, NOW - 20, NOW - 10, NOW), None),
        ((NOW + 3600, NOW + 3601, NOW + 3602, NOW), 2.0),
    ],
    ids=["first", "at the bound", "above", "one is too old", "one is just young enough", "the clock was set back"],
)
def test_failure_rate_gives_up_when_failures_come_too_fast(recent: tuple[float, ...], wait: float | None) -> None:
    assert asked(FailureRate(), len(recent), recent, max_failures=3, interval=60.0, delay=2.0) == wait


def test_none_gives_up_at_once() -> None:
    assert asked(NoRestart()) is None


@settings(max_examples=300)
@given(
    st.sampled_from(OURS),
    st.integers(0, 10**9),
    st.lists(st.floats(0, 1e10), max_size=64),
    st.floats(0, 86400),
    st.floats(1, 100),
    st.floats(0, 1),
    st.text(max_size=20),
)
def test_every_delay_is_a_bounded_number_and_the_same_again(
    strategy: RestartStrategy,
    attempt: int,
    recent: list[float],
    delay: float,
    multiplier: float,
    jitter: float,
    seed: str,
) -> None:
    config = configured(
        initial_backoff=delay / 2, max_backoff=delay, delay=delay, multiplier=multiplier, jitter=jitter, max_failures=60
    )
    restarts = Restarts(attempt, attempt, NOW, recent=tuple(recent))

    wait = strategy.delay(config, restarts, NOW, seed)

    assert wait == strategy.delay(config, restarts, NOW, seed)
    if wait is not None:
        assert math.isfinite(wait)
        assert 0 <= wait <= delay * (1 + jitter) + 1e-6


@pytest.mark.parametrize("strategy", [ExponentialDelay(), FixedDelay(), FailureRate()])
def test_f33_five_hundred_jobs_do_not_come_back_at_once(strategy: RestartStrategy) -> None:
    config = configured(initial_backoff=10.0, delay=10.0, jitter=0.5)
    restarts = Restarts(1, 1, NOW, recent=(NOW,))

    waits = [strategy.delay(config, restarts, NOW, f"job-{number}/1") or 0.0 for number in range(500)]

    by_second = [sum(1 for wait in waits if second <= wait < second + 1) for second in range(5, 15)]
    assert all(25 <= count <= 80 for count in by_second), by_second
