"""What the faults happen to: a stack, three replicas of Weir, and a stateful exactly-once job with its rows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from kazoo.client import KazooClient

from integration.local.config import LocalConfig
from integration.local.errors import LocalStackError
from integration.local.partition import Partitions, unavailable
from integration.local.stack import LocalStack
from reconciler.app.demo import report
from reconciler.app.demo.harness import Installation, JobView, Spec
from reconciler.app.demo.rows import Feeder, Sink, compare
from reconciler.app.demo.scenario import spec
from reconciler.app.demo.story import DemoFailed, Ready, T, poll
from reconciler.model.status import LeaderInfo, Status
from reconciler.ports import StoreError
from tests.chaos import evidence
from tests.chaos.evidence import Evidence
from tests.judged import user

JOB = "chaos"
WAIT_S = 180.0
SETTINGS: dict[str, dict[str, Any]] = {
    # As long as the default: Flink gives its leadership up when ZooKeeper is out of reach for longer.
    "flink": {"zookeeper_session_timeout_s": 10.0},
    # An agent that is only started again is back within this time, and its tasks are left alone.
    "jobs": {"lost_grace_s": 8.0},
    "log": {"format": "json"},
}


class Replicas(Installation):
    """An installation whose replicas can be cut off, each by itself."""

    def __init__(self, stack: LocalStack, directory: Path, cuts: Partitions | None, settings: dict[str, Any]) -> None:
        self._cuts = cuts
        super().__init__(stack, directory, settings=settings)

    def command(self, replica: str) -> list[str]:
        command = super().command(replica)
        return command if self._cuts is None else self._cuts.argv(replica, command)


class Ground:
    """A context manager: everything runs inside, and nothing is left after it."""

    def __init__(self, directory: Path, settings: dict[str, Any] | None = None) -> None:
        self.directory = directory
        config = LocalConfig(
            state_dir=directory / "stack", zookeepers=3, masters=2, agents=3, port_base=None, owner_pid=os.getpid()
        )
        self.stack = LocalStack(config)
        self.cuts = Partitions()
        self.uncuttable = unavailable()
        """Why there are no partitions on this machine; None when there are."""
        self.feeder = Feeder(directory / "data")
        self.sink = Sink(self.feeder.output)
        self.wanted: Spec = spec(self.feeder)
        self._settings = {**SETTINGS, **(settings or {})}
        self._open = ExitStack()

    def __enter__(self) -> Ground:
        with ExitStack() as opening:
            cuts = opening.enter_context(self.cuts) if self.uncuttable is None else None
            opening.callback(self.stack.down)
            self.stack.up()
            self.weir = opening.enter_context(Replicas(self.stack, self.directory, cuts, self._settings))
            self.job = JobView(self.weir, JOB)
            self.users: KazooClient = opening.enter_context(user(self.stack.zk))
            opening.callback(self.feeder.finish)
            self.weir.start()
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def begin(self) -> None:
        """Declare the job, and wait until it is stable."""
        self.until("a replica leads", self.weir.leader)
        self.feeder.start()
        self.put()
        self.until("the job runs", lambda: self.job.running(1))
        self.until("the job is STABLE", lambda: self.lifecycle() == "STABLE")
        self.progresses()

    def complete(self) -> None:
        """Every row that was fed is in the sink, once."""
        self.feeder.finish()
        self.until("every row is in the sink", lambda: self.sink.rows() >= self.feeder.evens)
        found = compare(self.feeder.input, self.feeder.output)
        if not found.complete or not found.committed:
            raise AssertionError(f"input and sink differ: {found}")

    def put(self, **top: Any) -> None:
        """Write the spec, with these fields from now on."""
        self.wanted = {**self.wanted, **top}
        self.weir.put(JOB, self.wanted)

    def write(self, **top: Any) -> None:
        """`put` without a client process: at once."""
        self.wanted = {**self.wanted, **top}
        self.users.set(f"{self.weir.root}/jobs/{JOB}", json.dumps(self.wanted).encode())

    @property
    def parallelism(self) -> int:
        """What the spec wants."""
        return int(self.wanted["job"]["parallelism"])

    # looking

    def until(self, what: str, ready: Ready[T], timeout: float = WAIT_S, every: float = 0.1) -> T:
        """Poll; what is raised says what was waited for, and what the job says."""
        try:
            return poll(what, ready, timeout, every, tick=self._check)
        except DemoFailed as failed:
            raise DemoFailed(f"{failed}; {self.job.why()}") from None

    def _check(self) -> None:
        if self.feeder.error is not None:
            raise self.feeder.error

    def lifecycle(self) -> str:
        status = self.job.status()
        return status.lifecycle if status else ""

    def leader(self) -> LeaderInfo:
        return self.until("a replica leads", self.weir.leader)

    def status(self) -> Status:
        return self.until("the job has a status", self.job.status)

    def other_leader(self, old: LeaderInfo) -> LeaderInfo:
        """The next epoch's leader, once it acts: it has told of the job in the status."""

        def acting() -> LeaderInfo | None:
            leader, status = self.weir.leader(), self.job.status()
            acts = leader is not None and status is not None and leader.epoch > old.epoch
            return leader if acts and status.leader_epoch == leader.epoch else None  # type: ignore[union-attr]

        return self.until("another leader acts", acting)

    def progresses(self) -> None:
        """Rows that are fed from now on arrive."""
        wanted = self.feeder.evens + 1
        self.until(f"{wanted} rows are in the sink", lambda: self.sink.rows() >= wanted)

    def settle(self, generation: int | None = None) -> None:
        """Everything that was there at the beginning is there again, the job is stable, and rows arrive."""
        for service in self.stack.status():
            if service.kind == "extra" and service.name not in self.weir.replicas:
                continue  # a test's own
            if service.state == "paused":
                self.stack.resume(service.name)
            elif service.state in ("killed", "stopped", "exited"):
                self.stack.start(service.name)
        agents = set(self.stack.layout.agents)
        self.until("every agent is registered", lambda: self.weir.active_agents() == agents)
        self.until("the framework is connected", self.weir.framework_active)
        self.until("every replica contends", self.all_contend)
        self.until("the job runs as it is wanted", lambda: self._runs(generation))
        self.until("the job is STABLE", lambda: self.lifecycle() == "STABLE")
        self.progresses()

    def _runs(self, generation: int | None) -> bool:
        status = self.job.running(generation)
        return status is not None and max(found for _, found in self.job.vertices(status)) == self.parallelism

    def all_contend(self) -> bool:
        """Whether every replica leads or waits for its turn."""
        try:
            return len(self.weir.contenders()) == len(self.weir.replicas)
        except Exception:  # kazoo's own, while ZooKeeper is away
            return False

    def evidence(self) -> Evidence:
        """What Flink and Mesos have recorded up to now."""
        return evidence.read(self.stack.state_dir / "agents", JOB)

    @contextmanager
    def unharmed(self) -> Iterator[Evidence]:
        """Nothing of the job is started or restarted meanwhile, and rows arrive at the end."""
        before = self.evidence()
        yield before
        self.settle()
        found = self.evidence().since(before)
        if found != Evidence(frozenset(), frozenset()):
            raise AssertionError(f"unneeded: {found}")

    def report(self) -> str:
        """What a person needs when something did not come."""
        try:
            return "\n".join([*report.lines(self.weir, JOB), str(self.evidence())])
        except (StoreError, LocalStackError, OSError) as error:
            return f"no report: {error}"

    # which processes and ports

    def zookeeper_ports(self) -> list[int]:
        return [self.stack.layout.zk_port(n) for n in range(1, self.stack.config.zookeepers + 1)]

    def mesos_ports(self) -> list[int]:
        return [self.stack.layout.master_address(n)[1] for n in range(1, self.stack.config.masters + 1)]

    def standby(self) -> str:
        """A replica that does not lead."""
        leader = self.leader().replica
        return next(name for name in self.weir.replicas if name != leader)


def elapsed(since: float) -> str:
    return f"{time.monotonic() - since:.1f} s"
