"""Where all jobs are to be looked at, what happens meanwhile is not kept waiting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import pytest

from reconciler.jobs import JobEntry
from reconciler.loop import RESYNC_S
from reconciler.model.events import TaskUpdate, Tick
from reconciler.model.observation import TaskState
from reconciler.model.turns import in_turn
from reconciler.slices import RESTING_PER_S, SLICE, Slices
from tests.bench.fleet import Fleet

MANY = 3 * SLICE
SHARE = int(RESYNC_S * RESTING_PER_S)


class Looked:
    """Told by the loop of each job that it has decided about."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def decided(self, job: str, _: object) -> None:
        self.jobs.append(job)

    def handled(self, *_: object) -> None:
        """Nothing is made of it."""

    def since(self) -> list[str]:
        found, self.jobs = self.jobs, []
        return found


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet(MANY)


@pytest.fixture
def looked(fleet: Fleet) -> Iterator[Looked]:
    observer = Looked()
    before = fleet.loop._parts
    fleet.loop._parts = replace(before, observer=observer)
    yield observer
    fleet.loop._parts = before


def names(count: int, prefix: str = "job") -> list[str]:
    return [f"{prefix}-{number:05d}" for number in range(count)]


def test_few_are_looked_at_at_once() -> None:
    slices = Slices(RESYNC_S)
    slices.mark(names(SLICE))
    assert slices.take() == names(SLICE)
    assert not slices.more


def test_many_are_looked_at_in_slices_and_each_once() -> None:
    slices = Slices(RESYNC_S)
    slices.mark(names(2 * SLICE + 1))
    taken = [slices.take() for _ in range(3)]
    assert [len(each) for each in taken] == [SLICE, SLICE, 1]
    assert sorted(chain.from_iterable(taken)) == names(2 * SLICE + 1)
    assert not slices.more


def test_what_an_event_is_about_does_not_wait_for_its_slice() -> None:
    slices = Slices(RESYNC_S)
    slices.mark(names(3 * SLICE))
    last = names(3 * SLICE)[-1]
    slices.add(last)
    assert last in slices.take()
    assert last not in slices.take() + slices.take()


def test_a_job_that_waits_for_its_slice_counts_as_not_looked_at() -> None:
    slices = Slices(RESYNC_S)
    slices.mark(names(2 * SLICE))
    last = names(2 * SLICE)[-1]
    slices.take()
    assert last in slices
    slices.take()
    assert last not in slices


def test_names_in_turn_begin_again_after_the_last_one() -> None:
    assert in_turn(["c", "a", "d", "b"], "", 3) == ["a", "b", "c"]
    assert in_turn(["c", "a", "d", "b"], "c", 3) == ["d", "a", "b"]
    assert in_turn(["a", "b"], "b", 5) == ["a", "b"]
    assert in_turn([], "b", 5) == []


def test_a_resync_looks_at_jobs_where_something_goes_on_and_at_a_part_of_those_at_rest() -> None:
    jobs: dict[str, JobEntry] = {name: Resting(name) for name in names(SHARE + 50)}
    jobs |= {name: JobEntry(name) for name in names(20, "busy")}
    slices = Slices(RESYNC_S)
    rounds = []
    for _ in range(2):
        slices.resync(jobs)
        taken = []
        while slices.more or not taken:
            taken += slices.take()
        rounds.append(taken)
    for taken in rounds:
        assert len(taken) == SHARE + 20
        assert set(names(20, "busy")) <= set(taken)
    assert set(rounds[0]) | set(rounds[1]) == jobs.keys()


class Resting(JobEntry):
    """A job at which nothing goes on."""

    def rests(self) -> bool:
        return True


def test_jobs_that_are_stable_rest(fleet: Fleet) -> None:
    assert all(entry.rests() for entry in fleet.loop.jobs.values())


def test_a_resync_takes_events_between_its_slices(fleet: Fleet, looked: Looked) -> None:
    entry = fleet.loop.jobs["orders"]
    assert entry.record is not None
    task = entry.record.tasks[1]
    assert task.task_id is not None
    fleet.loop._on_timer("resync")

    fleet.loop.handle(TaskUpdate(task.task_id, TaskState.RUNNING, task.agent_id))

    found = looked.since()
    assert "orders" in found
    assert len(found) <= SLICE + 1
    assert fleet.next_slice_is_due()
    fleet.drain()
    while fleet.next_slice_is_due():
        fleet.handle(Tick())
    assert set(found) | set(looked.since()) == fleet.loop.jobs.keys()


def test_a_job_whose_task_died_does_not_rest(fleet: Fleet) -> None:
    entry = fleet.loop.jobs["job-00001"]
    assert entry.record is not None
    task = next(task for task in entry.record.tasks if task.task_id)
    assert task.task_id is not None
    fleet.handle(TaskUpdate(task.task_id, TaskState.FAILED, task.agent_id))
    assert not entry.rests()
