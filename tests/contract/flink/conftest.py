"""Two worlds for one suite: `FakeFlink` on a virtual clock, and real JVMs started from the renderer.

The real half runs the rendered argv as subprocesses with the rendered environment only, as an agent
would, with the session's real ZooKeeper. The job is `examples/even_ids.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import pytest
from kazoo.client import KazooClient

from integration.flink.adapter import FlinkAdapter
from integration.flink.config import FlinkDistribution, FlinkSettings
from integration.flink.fake import FakeFlink, fake_renderer
from integration.flink.render import FlinkRenderer
from integration.local.stack import LocalStack
from reconciler.model import ids
from reconciler.model.decision import FindRestorePoint
from reconciler.model.observation import FlinkObservation, Operation
from reconciler.model.record import Generation, Record, Role, Snapshot, SnapshotKind, SpecRef, Task, TaskPhase
from reconciler.model.resources import PORTS, TaskInfo
from reconciler.model.spec import JobSpec
from reconciler.ports import Flink, FlinkTarget, Renderer, Trigger

EXAMPLE = Path(__file__).parents[3] / "examples" / "even_ids.py"


class Processes(Protocol):
    """Where rendered tasks run."""

    def start(self, info: TaskInfo) -> None: ...

    def kill(self, task_id: str) -> None:
        """As kill -9: it is dead when this returns."""
        ...

    def exited(self, task_id: str) -> int | None: ...


@dataclass
class Started:
    """A generation whose processes were started."""

    record: Record
    generation: Generation
    tasks: dict[str, Task]
    target: FlinkTarget

    def task_ids(self, role: Role) -> list[str]:
        return [task_id for task_id, task in self.tasks.items() if task.role is role]


class World:
    """A Flink, its processes, storage and clock."""

    def __init__(
        self,
        flink: Flink,
        renderer: Renderer,
        processes: Processes,
        storage: str,
        real: bool,
        series: str = "2.2",
    ) -> None:
        self.series = series
        self.flink = flink
        self.renderer = renderer
        self.processes = processes
        self.storage = storage
        self.real = real
        self.attempts = 0
        self.fake_now = 0.0
        self.jobs = 0
        self.flink_home = Path("/flink")
        self.silent_flink: Callable[[], Flink] = lambda: flink

    @property
    def bad_directory(self) -> str:
        return "file:///proc/weir"

    # jobs

    def new_job(self) -> Record:
        self.jobs += 1
        name = f"contract-{self.jobs}"
        return Record(name, ids.job_uid(name, self.jobs), SpecRef(self.jobs, 0))

    def generation(
        self,
        record: Record,
        number: int,
        restore: Snapshot | None = None,
        parallelism: int = 1,
        config: Mapping[str, str] = MappingProxyType({"restart-strategy.type": "none"}),
    ) -> Generation:
        spec = JobSpec.model_validate(
            {
                "flinkVersion": self.series,
                "flinkConfiguration": {"execution.checkpointing.interval": "1s", **config},
                "job": {
                    "type": "python",
                    "uri": EXAMPLE.as_uri(),
                    "args": ["--input", str(self.input(record)), "--output", str(self.input(record).with_name("out"))],
                    "parallelism": parallelism,
                },
                "taskManager": {"slots": 1},
            }
        )
        uid = record.uid
        return Generation(
            number, spec, ids.flink_job_id(uid, number), ids.cluster_id(record.name, uid, number), 0.0, restore
        )

    def input(self, record: Record) -> Path:
        return Path(self.storage.removeprefix("file://")) / record.uid / "in"

    def feed(self, record: Record, text: str) -> None:
        if self.real:
            directory = self.input(record)
            directory.mkdir(parents=True, exist_ok=True)
            staged = directory.parent / f"{time.monotonic_ns()}.json"
            staged.write_text(text, encoding="utf-8")
            staged.rename(directory / staged.name)

    # processes

    def start(self, record: Record, generation: Generation, task_managers: int = 1) -> Started:
        if self.real and not self.input(record).exists():
            self.feed(record, "".join(json.dumps({"id": i, "value": f"v{i}"}) + "\n" for i in range(10)))
        jm = self._task(record, generation, Role.JOB_MANAGER, 0)
        tasks = [jm, *(self._task(record, generation, Role.TASK_MANAGER, i) for i in range(task_managers))]
        target = FlinkTarget(
            self.series, f"http://{jm.address}:{jm.ports[0]}", generation.job_id, generation.cluster_id
        )
        started = Started(record, generation, {}, target)
        for task in tasks:
            self._launch(started, task)
        return started

    def replace_job_manager(self, started: Started) -> Started:
        """A new attempt of the JobManager, as the operator launches it inside a generation."""
        task = self._task(started.record, started.generation, Role.JOB_MANAGER, 0)
        again = replace(started, target=replace(started.target, url=f"http://{task.address}:{task.ports[0]}"))
        self._launch(again, task)
        return again

    def add_task_manager(self, started: Started) -> None:
        self._launch(started, self._task(started.record, started.generation, Role.TASK_MANAGER, 0))

    def kill(self, started: Started, *roles: Role) -> None:
        for role in roles or tuple(Role):
            for task_id in started.task_ids(role):
                self.processes.kill(task_id)
                del started.tasks[task_id]

    def _task(self, record: Record, generation: Generation, role: Role, index: int) -> Task:
        self.attempts += 1
        ports = (
            free_ports(PORTS[role]) if self.real else tuple(range(self.attempts * 10, self.attempts * 10 + PORTS[role]))
        )
        task = Task(
            role, generation.number, index, self.attempts, TaskPhase.PLACED,
            agent_id="agent", hostname="localhost", address="127.0.0.1", ports=ports,
        )  # fmt: skip
        return replace(task, task_id=record.task_name(task))

    def _launch(self, started: Started, task: Task) -> None:
        assert task.task_id is not None
        started.tasks[task.task_id] = task
        self.processes.start(self.renderer.render(started.record, started.generation, task))

    # looking

    def observe(self, started: Started, *triggers: Trigger) -> FlinkObservation:
        if not self.real:
            self.fake_now += 0.1
        return self.flink.observe(started.target, triggers, time.time() if self.real else self.fake_now)

    def until_result(self, started: Started, state: str) -> None:
        """Flink says that a job has ended a moment before its result is stored and its HA data is removed."""
        deadline = time.monotonic() + (60 if self.real else 2)
        while time.monotonic() < deadline:
            self.observe(started)
            view = self.flink.find_restore_point(self.question(started))
            if view.terminal == state and not view.ha_metadata:
                return
            if self.real:
                time.sleep(0.1)
        raise AssertionError(f"no result {state} in time; last seen: {view}")

    def until_restored(self, started: Started) -> FlinkObservation:
        """Running again, and Flink's statistics have caught up with what it was restored from."""
        return self.until(started, "restored", lambda seen: seen.vertices_running and seen.restored_from is not None)

    def until(
        self, started: Started, what: str, ready: Callable[[FlinkObservation], bool], *triggers: Trigger
    ) -> FlinkObservation:
        """Observe until `ready`; the deadline is generous because the machine may be busy."""
        deadline = time.monotonic() + (90 if self.real else 2)
        while time.monotonic() < deadline:
            seen = self.observe(started, *triggers)
            if ready(seen):
                return seen
            if self.real:
                time.sleep(0.1)
        raise AssertionError(f"not {what} in time; last seen: {seen}")

    def until_session(self, started: Started, ready: Callable[[FlinkObservation], bool]) -> FlinkObservation:
        """Look at its processes only, until `ready`."""
        deadline = time.monotonic() + (90 if self.real else 2)
        while time.monotonic() < deadline:
            self.observe(started)  # moves the time of the fake
            seen = self.flink.observe_session(started.target, self.fake_now if not self.real else time.time())
            if ready(seen):
                return seen
            if self.real:
                time.sleep(0.1)
        raise AssertionError(f"not so in time; last seen: {seen}")

    def until_running(self, started: Started, checkpoints: int = 1) -> FlinkObservation:
        return self.until(
            started, "running", lambda seen: seen.vertices_running and seen.completed_checkpoints >= checkpoints
        )

    def finish(self, started: Started, trigger: Trigger) -> Operation:
        """Poll an operation to its end."""

        def done(seen: FlinkObservation) -> bool:
            found = seen.operations.get(trigger.trigger_id)
            return found is not None and found.state != "IN_PROGRESS"

        return self.until(started, "operation done", done, trigger).operations[trigger.trigger_id]

    def until_exited(self, task_id: str) -> int:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            code = self.processes.exited(task_id)
            if code is not None:
                return code
            if self.real:
                time.sleep(0.1)
            else:
                self.fake_now += 0.5
                assert isinstance(self.flink, FakeFlink)
                self.flink.advance(self.fake_now)
        raise AssertionError(f"{task_id} did not exit")

    def trigger(self, started: Started, reason: str, number: int = 1, stop: bool = False) -> Trigger:
        record, generation = started.record, started.generation
        trigger_id = ids.trigger_id(record.uid, generation.number, reason, number)
        return Trigger(trigger_id, f"{self.storage}/savepoints/{record.uid}/{generation.number}/{trigger_id}", stop)

    def question(
        self, started: Started, trigger: Trigger | None = None, paths: tuple[str, ...] = ()
    ) -> FindRestorePoint:
        generation = started.generation
        return FindRestorePoint(
            generation.number,
            generation.job_id,
            generation.cluster_id,
            ids.checkpoint_dir(self.storage, started.record.uid, generation.number),
            (trigger.directory,) if trigger else (),
            paths,
        )

    def stopped(self, started: Started) -> tuple[Trigger, Operation]:
        """Stop with a savepoint; the job is FINISHED when this returns."""
        trigger = self.trigger(started, "stop", stop=True)
        self.flink.stop_with_savepoint(started.target, trigger)
        operation = self.finish(started, trigger)
        self.until(started, "terminal", lambda seen: seen.job_state is not None and seen.job_state.terminal)
        return trigger, operation

    def restored(self, record: Record, number: int, path: str, parallelism: int = 1) -> Started:
        generation = self.generation(record, number, self.savepoint(path, number - 1), parallelism)
        return self.start(record, generation, parallelism)

    def savepoint(self, path: str, generation: int) -> Snapshot:
        return Snapshot(SnapshotKind.SAVEPOINT, path, generation)


class FakeProcesses:
    def __init__(self, flink: FakeFlink) -> None:
        self.flink = flink
        self.codes: dict[str, int] = {}
        flink.on_exit = self.codes.__setitem__

    def start(self, info: TaskInfo) -> None:
        self.flink.task_started(info)

    def kill(self, task_id: str) -> None:
        self.flink.task_dead(task_id)

    def exited(self, task_id: str) -> int | None:
        return self.codes.get(task_id)


class RealProcesses:
    """Runs argv with nothing but its own environment, in a sandbox of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, info: TaskInfo) -> None:
        sandbox = self.directory / info.task_id
        sandbox.mkdir(parents=True)
        with (sandbox / "stdout").open("wb") as out, (sandbox / "stderr").open("wb") as err:
            self.running[info.task_id] = subprocess.Popen(
                info.argv,
                cwd=sandbox,
                env={**info.env, "MESOS_SANDBOX": str(sandbox)},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def kill(self, task_id: str) -> None:
        process = self.running.pop(task_id)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def exited(self, task_id: str) -> int | None:
        return self.running[task_id].poll()

    def close(self) -> None:
        for task_id in list(self.running):
            self.kill(task_id)


_NEXT_PORT = itertools.cycle(range(12000 + os.getpid() % 100 * 80, 20080))


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on, below the range from which the kernel takes those of connections."""
    found: list[int] = []
    while len(found) < count:
        port = next(_NEXT_PORT)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return tuple(found)


def fake_world() -> World:
    flink = FakeFlink()
    world = World(flink, fake_renderer(), FakeProcesses(flink), "file:///storage", real=False)

    def silent() -> Flink:
        other = FakeFlink()
        other.zookeeper_down = True
        return other

    world.silent_flink = silent
    return world


def real_world(stack: LocalStack, directory: Path, series: str = "2.2") -> Iterator[World]:
    distribution = stack.flink[series]
    # Every world counts its jobs from 1, so without a root of its own it would meet another's HA data.
    root = f"/flink-{directory.name}"
    storage = f"file://{directory}/storage"
    (directory / "storage").mkdir()
    zookeeper = KazooClient(stack.zk)
    zookeeper.start(15)
    settings = FlinkSettings(
        {series: FlinkDistribution(distribution.version, str(distribution.home), str(distribution.python))},
        storage,
        stack.zk,
        zookeeper_root=root,
        zookeeper_session_timeout_s=4.0,
        java_options=("-XX:TieredStopAtLevel=1",),
    )
    flink = FlinkAdapter(zookeeper, storage, zookeeper_root=root)
    processes = RealProcesses(directory / "sandboxes")
    world = World(flink, FlinkRenderer(settings), processes, storage, real=True, series=series)
    world.flink_home = distribution.home
    world.silent_flink = lambda: FlinkAdapter(KazooClient(stack.zk), storage)  # never started: it cannot answer
    try:
        yield world
    finally:
        processes.close()
        flink.close()
        zookeeper.stop()
        zookeeper.close()


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "fake":
        yield fake_world()
    else:
        yield from real_world(request.getfixturevalue("stack"), tmp_path_factory.mktemp("flink"))


@pytest.fixture(scope="module", params=["1.20", "2.3"])
def other_version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The real world of a version that the rest of the suite does not run on."""
    stack = request.getfixturevalue("stack")
    yield from real_world(stack, tmp_path_factory.mktemp(f"flink-{request.param}"), request.param)


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[Started]:
    """A job that runs and completes checkpoints; tests leave it running."""
    record = world.new_job()
    started = world.start(record, world.generation(record, 1))
    world.until_running(started)
    yield started
    world.kill(started)


@pytest.fixture(scope="module")
def real(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The real world alone, for what the fake has no notion of: rows."""
    yield from real_world(stack, tmp_path_factory.mktemp("rows"))
