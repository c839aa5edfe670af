"""Two worlds in which a scheduler lives: the fake Mesos with virtual time, and the real one of the local stack."""

from __future__ import annotations

import getpass
import json
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from integration.mesos.config import MesosConfig
from integration.mesos.detector import detector_for
from integration.mesos.driver import MesosCluster
from integration.mesos.fake import FakeCluster, FakeMesos
from reconciler.model.events import Event, OfferRescinded, OffersReceived, Subscribed, TaskUpdate
from reconciler.model.observation import TaskState
from reconciler.model.resources import Offer, TaskInfo
from reconciler.ports import Cluster

SLEEP = ("sleep", "600")
END = ("true",)


class Scheduler:
    """One scheduler of a test. Updates are acknowledged as they come while `acknowledging`."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self.world = world
        self.cluster = cluster
        self.events: list[Event] = []
        self.acknowledging = True
        self.framework_id = ""
        self._seen = 0
        self._spent: set[str] = set()

    def start(self, framework_id: str | None = None) -> str:
        count = len(self.of(Subscribed))
        self.cluster.start(framework_id, self.events.append)
        self.world.wait(lambda: len(self.of(Subscribed)) > count)
        self.framework_id = self.of(Subscribed)[-1].framework_id
        self.world.framework_ids.add(self.framework_id)
        return self.framework_id

    def stop(self) -> None:
        self.cluster.stop()
        self._spent.update(offer.id for offer in self.open_offers())

    def accept(self, offer_ids: list[str], tasks: list[TaskInfo]) -> None:
        self.cluster.accept(offer_ids, tasks)
        self._spent.update(offer_ids)

    def decline(self, refuse_seconds: float) -> None:
        """All offers that are open."""
        offer_ids = [offer.id for offer in self.open_offers()]
        self.cluster.decline(offer_ids, refuse_seconds)
        self._spent.update(offer_ids)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in list(self.events) if isinstance(event, kind)]

    def mark(self) -> int:
        """A moment, for `updates(task_id, since)` and `open_offers(since)`."""
        return len(self.events)

    def updates(self, task_id: str, since: int = 0) -> list[TaskUpdate]:
        return [e for e in list(self.events)[since:] if isinstance(e, TaskUpdate) and e.task_id == task_id]

    def open_offers(self, since: int = 0) -> list[Offer]:
        gone = {event.offer_id for event in self.of(OfferRescinded)} | self._spent
        events = list(self.events)[since:]
        return [o for e in events if isinstance(e, OffersReceived) for o in e.offers if o.id not in gone]

    def offer(self, since: int = 0) -> Offer:
        """An offer that holds some small tasks."""
        fits = lambda: [o for o in self.open_offers(since) if o.cpus >= 0.5 and o.mem_mb >= 256 and o.ports]  # noqa: E731
        return self.world.wait(fits)[0]

    def await_state(self, task_id: str, *states: TaskState, since: int = 0) -> TaskUpdate:
        def found() -> list[TaskUpdate]:
            return [u for u in self.updates(task_id, since) if u.state in states]

        return self.world.wait(found)[0]

    def launch(self, *argvs: tuple[str, ...]) -> list[TaskInfo]:
        """Tasks of one agent in one ACCEPT."""
        offer = self.offer()
        tasks = [self.world.task(offer.agent_id, argv) for argv in argvs]
        self.accept([offer.id], tasks)
        return tasks

    def run(self, argv: tuple[str, ...] = SLEEP) -> TaskInfo:
        (task,) = self.launch(argv)
        self.await_state(task.task_id, TaskState.RUNNING)
        return task

    def acknowledge_new(self) -> None:
        events = list(self.events)
        new, self._seen = events[self._seen :], len(events)
        for event in new:
            if isinstance(event, TaskUpdate) and event.uuid is not None:
                self.cluster.acknowledge(event)


class World:
    """Where schedulers live; `poll` lets a little time pass."""

    def __init__(self) -> None:
        self.schedulers: list[Scheduler] = []
        self.framework_ids: set[str] = set()

    def scheduler(self) -> Scheduler:
        self.schedulers.append(Scheduler(self, self.cluster()))
        return self.schedulers[-1]

    def cluster(self) -> Cluster:
        raise NotImplementedError

    def poll(self) -> None:
        raise NotImplementedError

    def clock(self) -> float:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def maintain(self, agent_id: str | None, starts_in: float = 0.0, duration_s: float = 0.0) -> float:
        """Schedule one maintenance window, or none (`agent_id` None); its start in epoch seconds."""
        raise NotImplementedError

    def pump(self) -> None:
        self.poll()
        for scheduler in self.schedulers:
            if scheduler.acknowledging:
                scheduler.acknowledge_new()

    def wait(self, what: Callable[[], Any], timeout: float = 60.0) -> Any:
        deadline = self.clock() + timeout
        while not (value := what()):
            assert self.clock() < deadline, f"timed out; events: {[s.events[-20:] for s in self.schedulers]}"
            self.pump()
        return value

    def let_pass(self, seconds: float) -> None:
        deadline = self.clock() + seconds
        while self.clock() < deadline:
            self.pump()

    def task(self, agent_id: str, argv: tuple[str, ...] = SLEEP, **extra: Any) -> TaskInfo:
        name = f"contract-{uuid.uuid4().hex[:10]}"
        values: dict[str, Any] = {
            "task_id": name, "name": name, "agent_id": agent_id, "cpus": 0.1, "mem_mb": 32.0, "argv": argv,
            "kill_grace_s": 1.0,
        }  # fmt: skip
        return TaskInfo(**(values | extra))


class FakeWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.mesos = FakeMesos(on_launch=self._launch)
        self.mesos.add_agent("a1")
        self.mesos.add_agent("a2")

    @staticmethod
    def _launch(task: TaskInfo, agent: Any) -> TaskState | None:
        return TaskState.FINISHED if task.argv == END else None

    def cluster(self) -> Cluster:
        return FakeCluster(self.mesos)

    def poll(self) -> None:
        self.mesos.advance(self.mesos.now + 0.25)

    def clock(self) -> float:
        return self.mesos.now

    def maintain(self, agent_id: str | None, starts_in: float = 0.0, duration_s: float = 0.0) -> float:
        for agent in self.mesos.agents.values():
            if agent.id == agent_id:
                self.mesos.schedule_maintenance(agent.id, self.mesos.now + starts_in, duration_s)
            elif agent.unavailable_from is not None:
                self.mesos.schedule_maintenance(agent.id, None)
        return self.mesos.now + starts_in

    def close(self) -> None:
        pass


class RealWorld(World):
    def __init__(self, stack: Any) -> None:
        super().__init__()
        self._stack = stack

    def cluster(self) -> Cluster:
        config = MesosConfig(user=getpass.getuser(), name="contract", refuse_namesake=False)
        return MesosCluster(config, detector_for(self._stack.master_url))

    def poll(self) -> None:
        time.sleep(0.02)

    def clock(self) -> float:
        return time.monotonic()

    def maintain(self, agent_id: str | None, starts_in: float = 0.0, duration_s: float = 0.0) -> float:
        leader = self._stack.leader()
        with urllib.request.urlopen(f"{leader.url}/master/slaves", timeout=10) as answer:
            agents = json.load(answer)["slaves"]
        start = time.time() + starts_in
        windows = []
        for agent in agents:
            if agent["id"] == agent_id:
                ip = agent["pid"].partition("@")[2].rpartition(":")[0]
                machine = {"hostname": agent["hostname"], "ip": ip}
                spans = {"start": start, "duration": duration_s}
                unavailability = {key: {"nanoseconds": int(value * 1e9)} for key, value in spans.items()}
                windows.append({"machine_ids": [machine], "unavailability": unavailability})
        request = urllib.request.Request(
            f"{leader.url}/maintenance/schedule", json.dumps({"windows": windows}).encode(), method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()
        return start

    def close(self) -> None:
        """Only here is a framework torn down, and by hand: nothing in the adapter can."""
        for scheduler in self.schedulers:
            scheduler.cluster.stop()
        leader = self._stack.leader()
        for framework_id in self.framework_ids:
            data = urllib.parse.urlencode({"frameworkId": framework_id}).encode()
            with suppress(OSError):
                urllib.request.urlopen(f"{leader.url}/master/teardown", data, timeout=10).close()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    it: World = FakeWorld() if request.param == "fake" else RealWorld(request.getfixturevalue("stack"))
    yield it
    it.close()
