"""A leader with thousands of STABLE jobs on the shipped fakes, without waiting for thousands of starts.

One job is brought to STABLE by the shipped loop; the others are copies of its record under their own
names and ids, with tasks that the fake Mesos knows, and a new leader takes all of them over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from integration.mesos.fake_state import FakeTask
from reconciler.model import ids
from reconciler.model.events import Event, Tick
from reconciler.model.observation import FlinkObservation, TaskState
from reconciler.model.record import Record, Role, SpecRef
from reconciler.model.resources import TaskInfo
from reconciler.ports import FlinkTarget, Trigger
from state.codec import encode_record
from tests.unit.loop.bench import Leader, World, started

AGENTS = 50


class SteadyFlink:
    """JobManagers that all answer what the first one answered, each with its own TaskManagers; nothing is sent."""

    def __init__(self, answer: FlinkObservation) -> None:
        self._answer = answer
        self.managers: dict[str, frozenset[str]] = {}
        """TaskManagers by job id."""

    def observe(self, target: FlinkTarget, triggers: Sequence[Trigger], now: float) -> FlinkObservation:
        mine = self.managers.get(target.job_id, self._answer.task_managers)
        return replace(
            self._answer, at=now, job_id=target.job_id, leader_url=target.url, task_managers=mine,
            busy_task_managers=mine,
        )  # fmt: skip

    def advance(self, now: float) -> None:
        """Time changes nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was called, although nothing is to be done")


class Fleet(Leader):
    """A leader of `jobs` jobs; `handle` runs one event and everything that follows from it."""

    def __init__(self, jobs: int) -> None:
        super().__init__(self.prepared(_world(jobs)))
        self.settle()
        while any(entry.flink is None for entry in self.loop.jobs.values()):
            self.pass_time(1.0)

    def prepared(self, world: World) -> World:
        """The world, just before its leader is elected."""
        return world

    def settle(self) -> None:
        while self.world.mesos.pending or self._events or self._calls or self.world.mesos.step():
            self.world.mesos.step()
            self.drain()

    def drain(self) -> None:
        """Run what waits in the queue and on the pool, and what that causes."""
        while self._events or self._calls:
            while self._calls:
                event = self._calls.popleft()[1]()
                if event is not None:
                    self._events.append(event)
            while self._events:
                self.loop.handle(self._events.popleft())

    def handle(self, event: Event) -> None:
        self.loop.handle(event)
        self.drain()

    def next_slice_is_due(self) -> bool:
        """True while there are jobs that the loop has put off until it has taken another event."""
        return self.loop._dirty.more

    def pass_time(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.mesos.advance(self.world.now)
        self._events.append(Tick())
        self.settle()


def _world(jobs: int) -> World:
    world = World(agents=0)
    for number in range(AGENTS):
        world.mesos.add_agent(f"a{number + 1}", cpus=1e6, mem_mb=1e9, ports=((31_000, 31_099),))
    first = started(world, taskManager={"replicas": 2})
    entry = first.loop.jobs["orders"]
    assert entry.record is not None
    assert entry.flink is not None
    framework = next(iter(world.mesos.frameworks))
    template, answer = entry.record, entry.flink
    first.die()
    flink = SteadyFlink(answer)
    for number in range(jobs - 1):
        _add(world, flink, framework, template, f"job-{number:05d}")
    world.flink = flink  # type: ignore[assignment]
    return world


def _add(world: World, flink: SteadyFlink, framework: str, template: Record, name: str) -> None:
    tree = world.tree
    assert tree.jobs is not None
    assert template.generation is not None
    tree.put(tree.jobs, name, tree.jobs["orders"].data)
    node = tree.jobs[name]
    uid = ids.job_uid(name, node.czxid)
    generation = replace(
        template.generation,
        job_id=ids.flink_job_id(uid, template.generation.number),
        cluster_id=ids.cluster_id(name, uid, template.generation.number),
    )
    record = replace(template, name=name, uid=uid, seen=SpecRef(node.czxid, node.version), generation=generation)
    tasks = []
    for task in template.tasks:
        task_id = record.task_name(replace(task, task_id=None))
        agent = world.mesos.agents[f"a{abs(node.czxid) % AGENTS + 1}"]
        tasks.append(replace(task, task_id=task_id, agent_id=agent.id, hostname=agent.hostname))
        info = TaskInfo(task_id, task_id, agent.id, 0.1, 32.0, ("sleep",))
        agent.tasks[task_id] = FakeTask(info, framework, TaskState.RUNNING, TaskState.RUNNING, launched=True)
    ids_of = (task.task_id for task in tasks if task.role is Role.TASK_MANAGER and task.task_id is not None)
    flink.managers[generation.job_id] = frozenset(ids_of)
    tree.put(tree.records, name, encode_record(replace(record, tasks=tuple(tasks))))
