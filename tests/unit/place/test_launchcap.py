"""The cap on relaunches (S7, fault 33)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconciler.launchcap import BURST, PER_S, LaunchCap
from reconciler.model.record import Restarts, Role, Task
from reconciler.model.resources import Assignment, TaskRequest
from reconciler.restarts import is_relaunch
from tests.unit.place.worlds import request


def assigned(wanted: TaskRequest) -> Assignment:
    return Assignment(wanted, "a1", "a1", "10.0.0.1", ("o1",), ())


def relaunches(count: int) -> list[TaskRequest]:
    return [request(0, job=f"job-{number:03}", relaunch=True) for number in range(count)]


def test_f33_five_hundred_relaunches_take_their_time() -> None:
    cap, waiting, now, launched = LaunchCap(), relaunches(500), 1000.0, []
    while waiting:
        admitted = cap.admit(waiting, now)
        cap.spend([assigned(each) for each in admitted.requests])
        launched += [now] * len(admitted.requests)
        waiting = list(admitted.held)
        now = min(admitted.wake.values(), default=now)

    assert launched.count(1000.0) == BURST
    assert (500 - BURST) / PER_S - 1 <= now - 1000.0 <= (500 - BURST) / PER_S + 1


def test_new_jobs_and_upgrades_are_not_capped() -> None:
    cap = LaunchCap(burst=1)

    assert cap.admit([replace(each, relaunch=False) for each in relaunches(50)], 0.0).held == ()


def test_what_finds_no_offer_takes_no_token() -> None:
    cap = LaunchCap(burst=2)

    for second in range(10):
        assert len(cap.admit(relaunches(2), float(second)).requests) == 2


def test_each_job_is_woken_when_it_is_its_turn() -> None:
    cap = LaunchCap(burst=1, per_s=2.0)
    first = cap.admit(relaunches(4), 100.0)
    cap.spend([assigned(each) for each in first.requests])

    held = cap.admit(first.held, 100.0)

    assert held.requests == ()
    assert held.wake == {"job-001": 100.5, "job-002": 101.0, "job-003": 101.5}
    assert "3 of them wait" in held.why


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(-3600, 3600))))
def test_no_second_sees_more_than_the_bucket_holds(steps: list[tuple[int, float]]) -> None:
    """Whatever the clock does: never more than the burst at once, and never a debt."""
    cap, now = LaunchCap(burst=10, per_s=1.0), 0.0
    for count, passed in steps:
        now += passed
        admitted = cap.admit(relaunches(count), now)
        assert len(admitted.requests) <= 10
        cap.spend([assigned(each) for each in admitted.requests])
        if passed <= 0:
            again = cap.admit(relaunches(20), now)
            assert len(again.requests) + len(admitted.requests) <= 10


def test_what_is_a_relaunch() -> None:
    def wanted(at: float) -> Task:
        return Task(Role.TASK_MANAGER, 1, 0, 7, wanted_at=at)

    failed = Restarts(total=1, attempt=1, last_failure_at=100.0, next_at=130.0, recent=(100.0,), delay=30.0)

    assert is_relaunch(failed, wanted(100.0))
    assert is_relaunch(failed, wanted(150.0))
    assert not is_relaunch(failed, wanted(99.0))
    assert not is_relaunch(failed, wanted(500.0))
    assert not is_relaunch(Restarts(), wanted(0.0))
    again = Restarts(total=2, attempt=2, last_failure_at=150.0, next_at=210.0, recent=(100.0, 150.0), delay=60.0)
    assert is_relaunch(again, wanted(101.0)), "it waits for the cap while the next task fails"
    merged = Restarts(total=2, attempt=1, last_failure_at=110.0, next_at=130.0, recent=(100.0,), delay=30.0)
    assert is_relaunch(merged, wanted(101.0)), "the second failure fell into the back-off of the first"
