"""One installation of Weir on the session's stack, with every Flink version; jobs that tests put into it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integration.local.packages import find_java
from integration.local.stack import LocalStack
from reconciler.app.demo import report
from reconciler.app.demo.harness import Installation, JobView, Spec
from reconciler.app.demo.rows import JOB_FILE, REPOSITORY, Feeder, Sink, compare
from reconciler.app.demo.story import DemoFailed, poll
from reconciler.model.record import Lifecycle, Record
from reconciler.model.status import Status
from tests.integration.jobs.receiver import Receiver
from tests.integration.programs import compiled
from tests.integration.tls import Authority, elected

WAIT_S = 180.0
EXAMPLES = REPOSITORY / "examples"
PACKED = "2.2.1"
"""As a spec's flinkVersion: the distribution that comes as a tarball."""
NEVER = "2.2.9"
"""As a spec's flinkVersion: a tarball that a task waits for without end."""
ZOOKEEPER_PASSWORD = "the-operators-own"
SERIES = ("2.2", "1.20", "2.3")

Fields = Mapping[str, Any]


@dataclass
class Job:
    """A job on the installation, its input and its output."""

    installation: Installation
    name: str
    feeder: Feeder
    wanted: Spec
    view: JobView = field(init=False)
    sink: Sink = field(init=False)

    def __post_init__(self) -> None:
        self.view = JobView(self.installation, self.name)
        self.sink = Sink(self.feeder.output)

    @property
    def mood(self) -> Path:
        return self.feeder.input.parent / "mood"

    def behave(self, how: str) -> None:
        """From the next row on (Faulty.java)."""
        self.mood.with_suffix(".new").write_text(how, encoding="utf-8")
        self.mood.with_suffix(".new").rename(self.mood)

    def put(self, section: str = "", **fields: object) -> None:
        """Apply the spec, with these fields of a section (or of the top) changed from now on."""
        target = self.wanted.setdefault(section, {}) if section else self.wanted
        target.update(fields)
        self.installation.put(self.name, self.wanted)

    def until(self, what: str, ready: Callable[[], Any], timeout: float = WAIT_S) -> Any:
        def refused() -> None:
            self.installation.check()
            status = self.view.status()
            if status is not None and (not status.accepted or status.lifecycle == "BLOCKED"):
                raise DemoFailed(f"{self.name}: {status.error or status.why}")

        return poll(f"{self.name}: {what}", ready, timeout, tick=refused)

    def runs(self, generation: int, parallelism: int | None = None) -> Status:
        def look() -> Status | None:
            status = self.view.running(generation)
            if status is None or (parallelism and max(n for _, n in self.view.vertices(status)) != parallelism):
                return None
            return status

        found: Status = self.until(f"generation {generation} runs", look)
        return found

    def runs_anew(self, than: Status) -> Status:
        """It runs, in whatever generation comes after this one."""

        def look() -> Status | None:
            status = self.view.running()
            return status if status is not None and status.generation > than.generation else None

        found: Status = self.until(f"a generation after {than.generation} runs", look)
        return found

    def record(self) -> Record:
        found = self.installation.record(self.name)
        assert found is not None
        return found

    def progresses(self) -> None:
        """Rows that are fed from now on arrive."""
        wanted = self.feeder.evens + 1
        self.until(f"{wanted} rows are in the sink", lambda: self.sink.rows() >= wanted)

    def has_a_checkpoint(self) -> None:
        """Weir knows of a checkpoint of this generation; before that, `last-state` stops it with a savepoint."""

        def known() -> bool:
            generation = self.record().generation
            return generation is not None and generation.checkpointed

        self.until("Weir has seen a checkpoint", known)

    def complete(self) -> None:
        """Every row that was fed is in the sink, once."""
        self.feeder.finish()
        self.until("every row is in the sink", lambda: self.sink.rows() >= self.feeder.evens)
        found = compare(self.feeder.input, self.feeder.output)
        assert found.complete, found
        assert found.committed > 0

    def lifecycle(self, wanted: Lifecycle) -> None:
        def reached() -> bool:
            record = self.installation.record(self.name)
            return record is not None and record.lifecycle is wanted

        self.until(f"it is {wanted.value}", reached)

    def delete(self) -> None:
        """Delete it as its spec says, and wait until nothing is left."""
        self.installation.delete(self.name)
        self.lifecycle(Lifecycle.DELETED)

    def tasks(self) -> set[str]:
        return {task for task in self.installation.live_tasks() if task.startswith(f"{self.name}.")}

    def sandboxes(self, generation: int) -> list[Path]:
        """Of the tasks of one generation of this very job; the stack may have run others of its name."""
        ours = f"{self.name}.{self.record().uid}.{generation}."
        return [path for path in self.view.sandboxes() if path.parts[-3].startswith(ours)]

    def told(self, code: str) -> int:
        """How often its history has this reason code."""
        events = self.installation.store.load_events(self.name)
        return sum(event.count for event in events if event.code == code)

    def say(self) -> None:
        print("\n".join(report.lines(self.installation, self.name)))


@dataclass
class World:
    """The installation and what is needed to make jobs for it."""

    installation: Installation
    directory: Path
    receiver: Receiver | None = None
    """Where its webhook posts, if it has one."""
    authority: Authority | None = None
    """What the replica trusts: it speaks TLS with the master, and with JobManagers that do."""
    jobs: list[Job] = field(default_factory=list)

    def job(self, name: str, job: Fields, **top: Any) -> Job:
        """A job that is not applied yet. Its input is fed from now on."""
        feeder = Feeder(self.directory / name, batch=10)
        feeder.start()
        cluster = {
            "flinkVersion": "2.2",
            "jobManager": {"cpus": 0.3, "memory": "704m"},
            "taskManager": {"cpus": 0.3, "memory": "1g", "slots": 1},
        }
        wanted: Spec = {
            **({} if top.get("kind") == "SessionJob" else cluster),
            "health": {"stableAfter": "1s"},
            **top,
            "flinkConfiguration": {"execution.checkpointing.interval": "1s", **top.get("flinkConfiguration", {})},
            "job": {"parallelism": 1, **job},
        }
        made = Job(self.installation, name, feeder, wanted)
        self.jobs.append(made)
        return made

    def session(self, name: str, **top: Any) -> Job:
        """A session that is not applied yet; it has no input of its own."""
        made = self.job(name, {}, kind="Session", **top)
        made.feeder.finish()
        del made.wanted["job"]
        return made

    def even_ids(self, name: str, **top: Any) -> Job:
        """The demo's job."""
        made = self.job(name, {"type": "python", "uri": JOB_FILE.as_uri()}, **top)
        made.wanted["job"]["args"] = ["--input", str(made.feeder.input), "--output", str(made.feeder.output)]
        return made

    def jar_evens(self, name: str, **top: Any) -> Job:
        """The example in Java, which starts in half the time."""
        jar = self.jar(EXAMPLES / "jar" / "EvenIds.java", self.installation.flink.home)
        made = self.job(name, {"type": "jar", "uri": jar.as_uri()}, **top)
        made.wanted["job"]["args"] = ["--input", str(made.feeder.input), "--output", str(made.feeder.output)]
        return made

    def faulty(self, name: str, *more: str, **top: Any) -> Job:
        """A job that behaves as the file `mood` of its directory says; see Faulty.java."""
        jar = self.jar(Path(__file__).parent / "Faulty.java", self.installation.flink.home)
        made = self.job(name, {"type": "jar", "uri": jar.as_uri()}, **top)
        io = ["--input", str(made.feeder.input), "--output", str(made.feeder.output)]
        made.wanted["job"]["args"] = [*io, "--mood", str(made.mood), *more]
        return made

    @contextmanager
    def running(self, job: Job) -> Iterator[Job]:
        """The job, applied and seen to make progress; gone afterwards."""
        job.put()
        try:
            job.runs(1)
            job.progresses()
            yield job
        finally:
            self.remove(job)

    def remove(self, *jobs: Job) -> None:
        """End what tests left of these, in whatever state; says all that is known about them before.

        The next tests need the room, also after one that failed. Jobs of a session come before it.
        """
        for job in jobs:
            job.feeder.finish()
            job.say()
        for job in jobs:
            if not self.installation.exists(f"{self.installation.root}/jobs/{job.name}"):
                continue
            if job.wanted.get("kind") != "Session":
                job.put(onDelete="cancel")
            self.installation.delete(job.name)
            poll(f"the tasks of {job.name} have ended", lambda job=job: not job.tasks(), WAIT_S)

    def jar(self, source: Path, flink_home: Path) -> Path:
        """A JAR of one class, compiled against the distribution's own libraries."""
        return compiled(source, flink_home, self.directory)


def distributions(stack: LocalStack, directory: Path, receiver: Receiver) -> Mapping[str, Mapping[str, Any]]:
    """Sections of the operator's configuration, one for each version; installs what is missing.

    2.2 is there a second time, packed: what the fetcher puts into a sandbox is all that its tasks have.
    """
    java = find_java()
    found = {}
    for series in SERIES:
        flink = stack.flink[series]
        found[f'flink.distributions."{series}"'] = {
            "version": flink.version,
            "home": str(flink.home),
            "python": str(flink.python),
            "java": java.path if java else "java",
        }
    packed = directory / f"flink-{PACKED}.tar"
    flink = stack.flink["2.2"]
    renamed = f"--transform=s,^,flink-{PACKED}/,"
    subprocess.run(["tar", "-chf", str(packed), "-C", str(flink.home), renamed, "lib"], check=True)
    found[f'flink.distributions."{PACKED}"'] = {
        "version": flink.version,
        "tarball": packed.as_uri(),
        "home": f"flink-{PACKED}",
        "java": java.path if java else "java",
    }
    found[f'flink.distributions."{NEVER}"'] = {
        "version": NEVER,
        "tarball": f"{receiver.url}/flink-{NEVER}.tar",
        "home": f"flink-{NEVER}",
    }
    return found


@pytest.fixture(scope="package")
def receiver() -> Iterator[Receiver]:
    """Where the installation sends its events."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="package")
def world(stack: LocalStack, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One replica that leads: failover is tested elsewhere."""
    directory = tmp_path_factory.mktemp("jobs")
    credentials = directory / "zookeeper-auth"
    credentials.write_text(f"digest weir:{ZOOKEEPER_PASSWORD}\n", encoding="utf-8")
    credentials.chmod(0o600)
    authority = Authority(directory)
    certificate = dict(zip(("cert_file", "key_file"), authority.issue("weir"), strict=True))
    secure = {"ca_file": authority.ca_file, **certificate}
    settings = {
        **distributions(stack, directory, receiver),
        # Servers of a job that wants TLS.
        "flink.rest": secure,
        # What the operator owns is its own; the tests are users like any other.
        "zookeeper": {"auth_file": str(credentials), "acl_users": ["world:anyone"]},
        "notifications.webhook": {"url": f"{receiver.url}/events"},
    }
    leader = stack.leader()
    assert leader is not None
    with (
        elected(stack.zk, "/mesos-of-jobs", leader.address, authority) as (master, _),
        Installation(
            stack,
            directory,
            root="/weir-jobs",
            replicas=1,
            prefix="jobs-replica",
            settings={**settings, "mesos": {"master": master, **secure}},
        ) as installation,
    ):
        made = World(installation, directory, receiver, authority)
        try:
            installation.start()
            poll("a replica leads", installation.leader, WAIT_S, tick=installation.check)
            yield made
        finally:
            made.remove(*made.jobs)
            poll("its tasks have ended", lambda: not installation.live_tasks(), WAIT_S)
            installation.stop()


@pytest.fixture
def made(world: World) -> Iterator[World]:
    """The installation; what a test made is gone after it."""
    before = len(world.jobs)
    try:
        yield world
    finally:
        world.remove(*world.jobs[before:])
