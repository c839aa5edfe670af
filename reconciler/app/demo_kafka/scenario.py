"""The story: a job between two topics loses its TaskManager, is upgraded through a savepoint, and misses no row.

Rows are produced all the time. What is compared at the end are whole topics, read as Kafka hands them out to
`read_committed` consumers, after the job is gone: nothing can be added any more, and no transaction may be open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from integration.local.kafka import MAX_TRANSACTION_TIMEOUT_MS, KafkaBroker
from reconciler.app.demo import faults
from reconciler.app.demo.harness import Installation, JobView, Spec
from reconciler.app.demo.rows import REPOSITORY
from reconciler.app.demo.scenario import RECOVERY_S, SHORT_S, START_S
from reconciler.app.demo.story import DemoFailed, Story
from reconciler.app.demo_kafka.rows import Comparison, compare
from reconciler.app.demo_kafka.topics import Feeder, Sink, Topics
from reconciler.model.status import Status

JOB = "kafka-even-ids"
JOB_FILE = REPOSITORY / "examples" / "kafka_even_ids.py"
INPUT, OUTPUT, GROUP = "input_topic", "output_topic", "test_group"
PARTITIONS = 2
TRANSACTION_TIMEOUT_MS = 600_000
"""Longer than a checkpoint interval and a restart together, and not longer than what the broker allows."""
assert TRANSACTION_TIMEOUT_MS <= MAX_TRANSACTION_TIMEOUT_MS

_LIVE = ("TASK_RUNNING", "TASK_STARTING", "TASK_STAGING", "TASK_KILLING")


def spec(bootstrap: str, connector: Path, *, parallelism: int = 1, restart_nonce: int = 0, job: str = JOB) -> Spec:
    """The desired state. What is left out has a default."""
    return {
        "flinkVersion": "2.2",
        "flinkConfiguration": {
            "execution.checkpointing.interval": "1s",
            # Every process of the job loads the connector from here, as it does Flink itself.
            "pipeline.classpaths": connector.as_uri(),
        },
        "job": {
            "type": "python",
            "uri": JOB_FILE.as_uri(),
            "args": [
                *("--bootstrap-servers", bootstrap),
                *("--input-topic", INPUT, "--output-topic", OUTPUT, "--group", GROUP),
                *("--transactional-id-prefix", job, "--transaction-timeout-ms", str(TRANSACTION_TIMEOUT_MS)),
            ],
            "parallelism": parallelism,
            "upgradeMode": "savepoint",
        },
        "taskManager": {"cpus": 0.5, "slots": 1},
        "health": {"stableAfter": "2s"},
        "restartNonce": restart_nonce,
    }


@dataclass
class Outcome:
    """The numbers of the last line, and how often rows were written in vain."""

    comparison: Comparison
    aborted: int
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.comparison.complete and self.comparison.committed > 0

    def line(self) -> str:
        found = self.comparison
        duplicated = found.duplicated + found.unexpected
        return f"{found.rows} in, {found.committed} out, {found.missing} lost, {duplicated} duplicated"


class Scenario:
    """One run of the story on an installation whose replicas run, with a broker that has no topics yet."""

    def __init__(
        self, installation: Installation, broker: KafkaBroker, connector: Path, story: Story, job: str = JOB
    ) -> None:
        self.installation = installation
        self.story = story
        self.job = JobView(installation, job)
        self._bootstrap = broker.bootstrap
        self._connector = connector
        self.topics = Topics(broker.bootstrap)
        self.feeder = Feeder(self.topics, INPUT, PARTITIONS)
        self._sink: Sink | None = None
        self._faults: list[str] = []
        story.guard = self._guard
        story.why = self.job.why

    def run(self) -> Outcome:
        """Everything from the topics to the comparison. Raises DemoFailed."""
        try:
            self.prepare()
            self.declare()
            self.kill_task_manager()
            self.upgrade()
            self.finish()
            self.delete()
            return self.compare()
        finally:
            self.feeder.stop()
            if self._sink is not None:
                self._sink.close()

    def _guard(self) -> None:
        self.installation.check()
        self.feeder.check()

    # the beginning

    def prepare(self) -> None:
        """Topics with rows in them before there is a job: it is to start at the earliest offset."""
        with self.story.step("Topics are created, a feeder begins to produce") as step:
            self.topics.create((INPUT, OUTPUT), PARTITIONS)
            self._sink = Sink(self.topics, OUTPUT)
            self.feeder.start()
            self.story.wait("the first rows are acknowledged", lambda: self.feeder.rows > 0, SHORT_S)
            step.result = f"{INPUT} and {OUTPUT}, {PARTITIONS} partitions each"

    def declare(self) -> None:
        """Desired state, written by `zkCli create`."""
        with self.story.step("The job is declared with ZooKeeper's own command line client") as step:
            leader = self.story.wait("a replica leads", self.installation.leader, SHORT_S)
            self.story.say(f"{leader.replica} leads (epoch {leader.epoch})")
            self._put("create", self._spec())
            status = self.story.wait("every vertex is RUNNING", lambda: self.job.running(1), START_S)
            self.story.say(f"Flink: {status.job_manager_url}")
            self._describe_tasks(status)
            self._progress("the first rows are in committed transactions", 1)
            self.story.wait("the job is STABLE", lambda: self._lifecycle("STABLE"), SHORT_S)
            step.result = f"generation {status.generation} at parallelism {status.parallelism}"

    # the middle

    def kill_task_manager(self) -> None:
        """SIGKILL to the JVM of the TaskManager, with a transaction open: it is aborted, its rows are written again."""
        with self.story.step("A TaskManager is killed") as step:
            victim, host = next(iter(self._tasks("tm").items()))
            fed, pids = self.feeder.evens, faults.kill_task(self.installation, victim)
            self.story.say(f"SIGKILL to process {pids[0]} of {victim} on {host}")
            self.story.wait("a new TaskManager runs in Mesos", lambda: self._replaced(victim), RECOVERY_S)
            status = self._runs_again(generation=1)
            self._progress("rows fed after the kill are in committed transactions", fed + 1)
            self._faults.append(victim)
            step.result = f"replaced by {next(iter(self._tasks('tm')))}, generation {status.generation} goes on"

    def upgrade(self) -> None:
        """Parallelism 1 to 2 and another nonce: stop with a savepoint, go on from it in a new generation."""
        with self.story.step("The job is upgraded to parallelism 2 through a savepoint") as step:
            fed = self.feeder.evens
            self._put("set", self._spec(parallelism=2, restart_nonce=1))
            status = self._runs_again(generation=2)
            self._verify_upgrade(status)
            self._progress("rows fed after the upgrade began are in committed transactions", fed + 1)
            step.result = f"generation 2 at parallelism {status.parallelism}"

    def _verify_upgrade(self, status: Status) -> None:
        restored = status.restored_from
        if restored is None or "/savepoint-" not in restored:
            raise DemoFailed(f"generation 2 started from {restored}, not from a savepoint")
        found = max(parallelism for _, parallelism in self.job.vertices(status))
        if status.parallelism != 2 or found != 2:
            raise DemoFailed(f"generation 2 runs at parallelism {found}, not at 2")
        self.story.say(f"restored from {restored}")
        self._describe_tasks(status)

    # the end

    def finish(self) -> None:
        """No more rows; everything that was fed gets through."""
        with self.story.step("The feeder finishes") as step:
            rows = self.feeder.finish()
            self._progress("every row with an even id is in a committed transaction", rows // 2)
            done = f"the offsets of {GROUP} are at the end of {INPUT}"
            self.story.wait(done, lambda: self.topics.lag(GROUP, INPUT) == 0, SHORT_S)
            step.result = f"{rows} rows were fed, {rows // 2} of them have an even id"

    def delete(self) -> None:
        """The znode is removed: the job ends with a savepoint and leaves nothing behind."""
        with self.story.step("The job is deleted") as step:
            self.story.quote(f"zkCli.sh delete {self.installation.root}/jobs/{self.job.name}")
            self.installation.delete(self.job.name)
            self.story.wait("no task is left in Mesos", lambda: not self._live(), RECOVERY_S)
            self.story.wait("no transaction is open", lambda: not self.topics.open_transactions(), SHORT_S)
            step.result = "no task is left, no transaction is open"

    def compare(self) -> Outcome:
        """Both topics from the beginning to the end, row by row."""
        with self.story.step("The topics are compared row by row, as read_committed consumers see them") as step:
            source, sink = self.topics.read(INPUT), self.topics.read(OUTPUT)
            if len(source) != self.feeder.rows:
                raise DemoFailed(f"{INPUT} has {len(source)} rows, and {self.feeder.rows} were acknowledged")
            written = len(self.topics.read(OUTPUT, committed=False))
            outcome = Outcome(compare(source, sink), written - len(sink), self._faults)
            self.story.say(str(outcome.comparison))
            self.story.say(f"{outcome.aborted} more rows are in aborted transactions, which no such consumer sees")
            step.result = outcome.line()
        return outcome

    # looking

    def _spec(self, *, parallelism: int = 1, restart_nonce: int = 0) -> Spec:
        return spec(
            self._bootstrap,
            self._connector,
            parallelism=parallelism,
            restart_nonce=restart_nonce,
            job=self.job.name,
        )

    def _put(self, verb: str, wanted: Spec) -> None:
        self.story.quote(f"zkCli.sh {verb} {self.installation.root}/jobs/{self.job.name} '{json.dumps(wanted)}'")
        self.installation.put(self.job.name, wanted)

    def _tasks(self, role: str) -> dict[str, str | None]:
        found = self.job.tasks(role)
        if not found:
            raise DemoFailed(f"the status lists no running task of role {role}")
        return found

    def _replaced(self, victim: str) -> bool:
        tasks, mesos = self.job.tasks("tm"), self.installation.mesos_tasks()
        return victim not in tasks and any(mesos.get(task) == "TASK_RUNNING" for task in tasks)

    def _live(self) -> list[str]:
        return [task for task, state in self.installation.mesos_tasks().items() if state in _LIVE]

    def _runs_again(self, generation: int) -> Status:
        return self.story.wait("every vertex is RUNNING", lambda: self.job.running(generation), RECOVERY_S)

    def _progress(self, what: str, rows: int) -> None:
        assert self._sink is not None
        sink = self._sink
        self.story.wait(f"{what} ({rows} or more)", lambda: sink.rows() >= rows, RECOVERY_S)

    def _lifecycle(self, name: str) -> bool:
        status = self.job.status()
        return status is not None and status.lifecycle == name

    def _describe_tasks(self, status: Status) -> None:
        for task in status.task_list:
            kind = "JobManager " if task.role == "jm" else "TaskManager"
            self.story.say(f"{kind} {task.id} on {task.hostname}: {task.state}")
