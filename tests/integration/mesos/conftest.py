"""A scheduler of the tests on the real Mesos of the local stack."""

from __future__ import annotations

import getpass
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from integration.mesos.config import MesosConfig
from integration.mesos.detector import MasterDetector, detector_for
from integration.mesos.driver import MesosCluster
from reconciler.model.events import Event, OffersReceived, Subscribed, TaskUpdate
from reconciler.model.observation import TaskState
from reconciler.model.resources import Offer, TaskInfo


class Scheduler:
    """Acknowledges every update while it waits."""

    def __init__(self, stack: Any, detector: MasterDetector, **config: Any) -> None:
        self.stack = stack
        settings = {"user": getpass.getuser(), "name": "integration", "refuse_namesake": False, **config}
        self.cluster = MesosCluster(MesosConfig(**settings), detector)
        self.events: list[Event] = []
        self._seen = 0
        self.cluster.start(None, self.events.append)
        self.framework_id = self.wait(lambda: self.of(Subscribed))[0].framework_id

    def of(self, kind: type[Any], since: int = 0) -> list[Any]:
        return [event for event in list(self.events)[since:] if isinstance(event, kind)]

    def mark(self) -> int:
        return len(self.events)

    def wait(self, what: Callable[[], Any], timeout: float = 60.0) -> Any:
        deadline = time.monotonic() + timeout
        while not (value := what()):
            if time.monotonic() > deadline:
                tails = {name: self.tail(name) for name in self.stack.layout.masters}
                pytest.fail(f"timed out\nevents: {self.events[-20:]}\nlogs: {tails}")
            time.sleep(0.02)
            self.acknowledge_new()
        return value

    def tail(self, name: str) -> str:
        return str(self.stack.logs(name).read_text(errors="replace")[-2000:])

    def acknowledge_new(self) -> None:
        events = list(self.events)
        new, self._seen = events[self._seen :], len(events)
        for event in new:
            if isinstance(event, TaskUpdate) and event.uuid is not None:
                with suppress(Exception):  # redelivered when it did not get through
                    self.cluster.acknowledge(event)

    def offer(self, agent: str | None = None) -> Offer:
        def fitting() -> list[Offer]:
            offers = [offer for event in self.of(OffersReceived) for offer in event.offers]
            return [o for o in offers if o.cpus >= 0.5 and (agent is None or o.agent_id == agent)]

        return self.wait(fitting)[0]

    def run(self) -> TaskInfo:
        offer = self.offer()
        name = f"integration-{uuid.uuid4().hex[:10]}"
        task = TaskInfo(name, name, offer.agent_id, 0.1, 32.0, ("sleep", "600"), kill_grace_s=1.0)
        self.cluster.accept([offer.id], [task])
        self.state(task, TaskState.RUNNING)
        return task

    def state(self, task: TaskInfo, *states: TaskState, since: int = 0, timeout: float = 60.0) -> TaskUpdate:
        def found() -> list[TaskUpdate]:
            return [u for u in self.of(TaskUpdate, since) if u.task_id == task.task_id and u.state in states]

        return self.wait(found, timeout)[0]

    def hostname(self, task: TaskInfo) -> str:
        offers = [offer for event in self.of(OffersReceived) for offer in event.offers]
        return str(next(o.hostname for o in offers if o.agent_id == task.agent_id))

    def teardown(self) -> None:
        """By hand, as an operator does: nothing in the adapter can."""
        data = urllib.parse.urlencode({"frameworkId": self.framework_id}).encode()
        leader = self.wait(self.stack.leader)
        urllib.request.urlopen(f"{leader.url}/master/teardown", data, timeout=10).close()


@pytest.fixture
def scheduler_on(stack: Any) -> Iterator[Callable[..., Scheduler]]:
    """Starts schedulers on the stack; `scheduler_on("host:port,…")` or, without, through zk://."""
    made: list[Scheduler] = []

    def start(master: str | None = None, **config: Any) -> Scheduler:
        detector = detector_for(master or stack.master_url, by_name=config.get("tls") is not None)
        made.append(Scheduler(stack, detector, **config))
        return made[-1]

    yield start
    for scheduler in made:
        scheduler.cluster.stop()
        with suppress(OSError):
            scheduler.teardown()
