"""What the operator itself costs: the shipped loop, decide and place, with no server in between.

In CPU time, which does not depend on who else uses the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from plugins.placement.spread import Spread
from reconciler.decide import decide
from reconciler.model.events import DesiredChanged, Event, FlinkAnswered, TaskUpdate, Tick
from reconciler.model.observation import TaskState
from reconciler.model.record import Record, Role
from reconciler.model.resources import Offer, TaskRequest
from reconciler.place import place
from tests.bench.figures import Figure, figure, timed
from tests.bench.fleet import Fleet

MANY, FEW = 10_000, 100


def decisions() -> Iterator[Figure]:
    """One `decide` of a job at rest, as the loop asks it for at every poll."""
    fleet = Fleet(1)
    entry = fleet.loop.jobs["orders"]
    arguments = (entry.desired(), entry.record, entry.observation(), fleet.world.now, fleet.policy)

    def thousand() -> None:
        for _ in range(1000):
            decide(*arguments)

    rates = [1000 / seconds for seconds in timed(thousand, 30, time.process_time)]
    yield figure("one decide", "decisions/s", rates, ">= 30,000/s on one core", lambda median, _: median >= 30_000)


def matching() -> Iterator[Figure]:
    """500 waiting tasks of 125 jobs against the offers of 2,000 agents."""
    offers = [
        Offer(
            f"o{number}", f"a{number}", f"host-{number:04d}", f"10.0.{number // 250}.{number % 250}",
            cpus=4.0 + number % 13, mem_mb=8192.0 + 512 * (number % 7), ports=((31000, 31999),),
            attributes={"rack": f"r{number % 40}"},
        )
        for number in range(2000)
    ]  # fmt: skip
    requests = [
        TaskRequest(f"job-{number // 4:03d}", f"job-{number // 4:03d}.x.1.tm.{number % 4}.1", Role.TASK_MANAGER, 1.0,
                    1024.0, ports=2)
        for number in range(500)
    ]  # fmt: skip
    strategies = {"spread": Spread()}
    outcome = place(requests, offers, strategies)
    assert len(outcome.assignments) == 500, outcome.waiting
    seconds = timed(lambda: place(requests, offers, strategies), 20, time.process_time)
    milliseconds = [one * 1000 for one in seconds]
    yield figure("matching 500 tasks, 2,000 agents", "ms", milliseconds, "<= 100 ms", lambda median, _: median <= 100.0)


def growth() -> Iterator[Figure]:
    """One event, with 10,000 jobs and with 100."""
    few, many = Fleet(FEW), Fleet(MANY)
    for name, event in _events().items():
        floor = [seconds * 1e6 for seconds in _handled(few, event)]
        samples = [seconds * 1e6 for seconds in _handled(many, event)]
        yield figure(
            f"cost of {name}, 10,000 jobs", "us", samples, "<= 1.3 x that of 100 jobs",
            lambda _, ratio: ratio is not None and ratio <= 1.3, floor, "the same with 100 jobs",
        )  # fmt: skip


def _events() -> dict[str, Callable[[Fleet, int], Event]]:
    """What a leader is told, about one job among many."""

    def update(fleet: Fleet, number: int) -> Event:
        task = _record(fleet).tasks[0]
        assert task.task_id is not None
        return TaskUpdate(task.task_id, TaskState.RUNNING, task.agent_id)

    def answer(fleet: Fleet, number: int) -> Event:
        entry, generation = fleet.loop.jobs["orders"], _record(fleet).generation
        assert entry.flink is not None
        assert generation is not None
        return FlinkAnswered("orders", generation.number, replace(entry.flink, at=fleet.world.now))

    def edit(fleet: Fleet, number: int) -> Event:
        fleet.world.apply(taskManager={"replicas": 2}, restart={"maxBackoff": f"{60 + number}s"})
        return DesiredChanged()

    def tick(fleet: Fleet, number: int) -> Event:
        return Tick()

    return {"a task update": update, "an answer of Flink": answer, "an edited spec": edit, "a tick": tick}


def _record(fleet: Fleet) -> Record:
    record = fleet.loop.jobs["orders"].record
    assert record is not None
    return record


def _handled(fleet: Fleet, event: Callable[[Fleet, int], Event], repetitions: int = 200) -> list[float]:
    found = []
    for number in range(repetitions):
        told = event(fleet, number)
        began = time.process_time()
        fleet.handle(told)
        found.append(time.process_time() - began)
    return found
