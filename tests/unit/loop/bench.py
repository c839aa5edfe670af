"""A leader's Loop on the shipped fakes, driven by hand: calls run when a test says so.

`settle` runs everything that is waiting; `hold("store")` keeps a lane back, so that a test can look
at the moment in between.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from integration.flink.fake import FakeFlink, fake_renderer
from integration.mesos.fake import FakeCluster, FakeMesos
from plugins.placement.spread import Spread
from plugins.restart.exponential_delay import ExponentialDelay
from reconciler.app.admission import Admission
from reconciler.app.monitoring.measured import measured_cluster, measured_flink, measured_store
from reconciler.app.monitoring.monitor import Monitor
from reconciler.loop import Loop, Parts
from reconciler.model.events import Event, Tick
from reconciler.model.policy import Policy
from reconciler.model.record import Record
from reconciler.model.resources import TaskInfo
from reconciler.model.spec_parse import SpecLimits
from reconciler.model.status import LeaderInfo
from reconciler.ports import Fence, JobChange
from reconciler.view import view_of
from state.codec import decode_record
from state.memory import MemoryElection, MemorySession, MemoryStore, MemoryTree

START = 1_000_000.0
RENDERER = fake_renderer()
SPEC: dict[str, Any] = {
    "flinkVersion": "2.2",
    "flinkConfiguration": {"execution.checkpointing.interval": "2s"},
    "job": {"type": "python", "uri": "file:///srv/job.py"},
}


class World:
    """What outlives a leader: ZooKeeper, Mesos, Flink, and the users' session."""

    def __init__(self, agents: int = 2) -> None:
        self.now = START
        self.tree = MemoryTree()
        self.users = MemoryStore(self.tree)
        self.flink = FakeFlink(now=START)
        self.mesos = FakeMesos(
            now=START,
            on_launch=lambda info, agent: self.flink.task_started(info),
            on_end=lambda task_id, state: self.flink.task_dead(task_id),
        )
        for number in range(agents):
            self.mesos.add_agent(f"a{number + 1}")
        self.log: list[str] = []
        """Commits and calls to Mesos, in the order in which they took effect."""

    def apply(self, name: str = "orders", **changes: Any) -> None:
        self.users.put_job(name, json.dumps({**SPEC, **changes}).encode())

    def record(self, name: str = "orders") -> Record:
        return decode_record(self.tree.records[name].data)

    def running(self) -> list[str]:
        return sorted(self.mesos.running())


class LoggedStore(MemoryStore):
    """Writes down each commit of a record."""

    def __init__(self, world: World, session: MemorySession) -> None:
        super().__init__(session=session)
        self._log = world.log

    def commit(self, fence: Fence, change: JobChange) -> int:
        version = super().commit(fence, change)
        self._log.append(f"commit {change.name}" if change.write_record else f"status {change.name}")
        return version


class LoggedCluster(FakeCluster):
    """Writes down each launch and kill."""

    def accept(self, offer_ids: Any, tasks: Any) -> None:
        super().accept(offer_ids, tasks)
        self.log += [f"launch {task.task_id}" for task in tasks]

    def kill(self, task_id: str, agent_id: str | None, grace_s: float) -> None:
        super().kill(task_id, agent_id, grace_s)
        self.log.append(f"kill {task_id}")

    log: list[str]


class Leader:
    """One elected replica."""

    def __init__(
        self, world: World, monitor: Monitor | None = None, session: MemorySession | None = None, **settings: Any
    ) -> None:
        self.world = world
        self.monitor = monitor
        self.session = session or MemorySession(world.tree)
        lease = MemoryElection(session=self.session).acquire(LeaderInfo(replica="r", host="h", pid=1))
        assert lease is not None, "somebody leads already"
        self.lease = lease
        self.cluster = LoggedCluster(world.mesos)
        self.cluster.log = world.log
        self._events: deque[Event] = deque()
        self._calls: deque[tuple[str, Callable[[], Event | None]]] = deque()
        self._held: set[str] = set()
        self._held_commits: set[str] = set()
        limits = SpecLimits(
            flink_versions=frozenset({"2.2"}),
            restart_strategies=frozenset({"exponential-delay"}),
            placement_strategies=frozenset({"spread"}),
        )
        strategies = {"exponential-delay": ExponentialDelay()}
        self.policy = policy = Policy("file:///storage", restart_strategies=strategies, **settings)
        store = LoggedStore(world, self.session)
        parts = Parts(
            store, self.cluster, world.flink, RENDERER, self, self, policy, Admission(limits).parse,
            {"spread": Spread()},
        )  # fmt: skip
        if monitor is not None:
            parts = replace(
                parts,
                store=measured_store(store, monitor.instruments),
                cluster=measured_cluster(self.cluster, monitor.instruments, monitor),
                flink=measured_flink(world.flink, monitor.instruments),
                observer=monitor,
            )
            monitor.begin(lease.fence.epoch, lambda: "10.0.0.1:5050")
        self.loop = Loop(parts, lease, self._events.append)
        store.watch(self._events.append)
        self.loop.start()

    # What the loop is given

    def now(self) -> float:
        return self.world.now

    def submit(self, lane: str, call: Callable[[], Event | None]) -> None:
        self._calls.append((lane, call))

    # What a test does

    def hold(self, *lanes: str) -> None:
        """Calls of these lanes wait."""
        self._held = set(lanes)

    def hold_commits(self, *jobs: str) -> None:
        """Commits of these jobs wait."""
        self._held_commits = set(jobs)

    def _waits(self, lane: str, call: Any) -> bool:
        changes = [each.name for each in getattr(call, "args", ()) if isinstance(each, JobChange)]
        return lane in self._held or any(name in self._held_commits for name in changes)

    def settle(self) -> None:
        """Run what is waiting, until nothing is; no time passes."""
        for _ in range(500):
            self.world.mesos.step()
            ready = [entry for entry in self._calls if not self._waits(*entry)]
            self._calls = deque(entry for entry in self._calls if self._waits(*entry))
            for _, call in ready:
                event = call()
                if event is not None:
                    self._events.append(event)
            if not self._events and not ready and not self.world.mesos.pending:
                return
            while self._events and self.loop.stopped is None:
                event = self._events.popleft()
                self.loop.handle(event)
                if self.monitor is not None:
                    self.monitor.handled(event, 0.001, lambda: view_of(self.loop, self.now()))
            if self.loop.stopped is not None:
                return
        raise AssertionError("it does not settle")

    def let_pass(self, seconds: float) -> None:
        """Time passes in steps of half a second."""
        for _ in range(int(seconds * 2)):
            self.world.now += 0.5
            self.world.flink.advance(self.world.now)
            self.world.mesos.advance(self.world.now)
            self._events.append(Tick())
            self.settle()

    def die(self) -> None:
        """The process is gone, and so is its session."""
        self.session.expire()
        self.cluster.stop()
        self.world.tree.sessions.remove(self.session)


def started(world: World, **changes: Any) -> Leader:
    """A leader with one job, `orders`, that is STABLE."""
    world.apply(**changes)
    leader = Leader(world)
    leader.let_pass(60)
    assert world.record().lifecycle.value == "STABLE", world.record()
    world.log.clear()
    world.mesos.calls.clear()
    return leader


def foreign_task(world: World, task_id: str) -> None:
    """A task of our framework that no record of this tree names."""
    agent = world.mesos.agents["a2"]
    framework_id = next(iter(world.mesos.frameworks))
    from integration.mesos.fake_state import FakeTask
    from reconciler.model.observation import TaskState

    info = TaskInfo(task_id, task_id, agent.id, 0.1, 32.0, ("sleep", "1"))
    agent.tasks[task_id] = FakeTask(info, framework_id, TaskState.RUNNING, TaskState.RUNNING, launched=True)
