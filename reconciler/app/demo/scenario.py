"""The story: a job is declared, loses one thing after another, is upgraded on the way, and misses no row.

Every step verifies what it says with the real thing (Mesos' task list, Flink's vertices, committed files) before the
next one begins; a fault is counted once the job has got over it.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.app.demo import faults
from reconciler.app.demo.harness import Installation, JobView, Spec
from reconciler.app.demo.rows import CHECK_FILE, JOB_FILE, Comparison, Feeder, Sink, compare
from reconciler.app.demo.story import DemoFailed, Story, poll
from reconciler.model.record import Ending, EndMode, EndReason, Lifecycle
from reconciler.model.status import LeaderInfo, Status

JOB = "even-ids"
START_S, RECOVERY_S, SHORT_S = 180.0, 180.0, 60.0
"""Deadlines for a machine that is busy with other things too; see the narration for what it takes."""
CATCH_EVERY_S = 0.005
"""How often the record is read while the demo waits for the moment to kill the leader."""


def spec(feeder: Feeder, parallelism: int = 1, checkpoints: str = "1s") -> Spec:
    """The desired state. What is left out has a default."""
    return {
        "flinkVersion": "2.2",
        "flinkConfiguration": {"execution.checkpointing.interval": checkpoints},
        "job": {
            "type": "python",
            "uri": JOB_FILE.as_uri(),
            "args": ["--input", str(feeder.input), "--output", str(feeder.output)],
            "parallelism": parallelism,
            "upgradeMode": "savepoint",
        },
        "taskManager": {"cpus": 0.5, "slots": 1},
        "health": {"stableAfter": "2s"},
    }


@dataclass
class Outcome:
    """The numbers of the last line."""

    comparison: Comparison
    faults: int

    @property
    def ok(self) -> bool:
        return self.comparison.complete and self.comparison.committed > 0

    def line(self) -> str:
        found = self.comparison
        lost, twice = found.missing, found.duplicated + found.unexpected
        return (
            f"{found.rows} rows in, {found.committed} rows out, {lost} lost, {twice} duplicated, "
            f"{self.faults} faults survived"
        )


class Scenario:
    """One run of the story on an installation whose replicas run."""

    def __init__(self, installation: Installation, data: Path, story: Story, job: str = JOB) -> None:
        self.installation = installation
        self.stack = installation.stack
        self.story = story
        self.job = JobView(installation, job)
        self.feeder = Feeder(data)
        self.sink = Sink(self.feeder.output)
        self.faults = 0
        story.guard = self._guard
        story.why = self.job.why

    def run(self) -> Outcome:
        """Everything from the declaration to the comparison. Raises DemoFailed."""
        self.elect()
        self.declare()
        self.kill_task_manager()
        self.kill_host()
        self.upgrade()
        self.kill_master()
        return self.finish()

    def _guard(self) -> None:
        self.installation.check()
        if self.feeder.error is not None:
            raise DemoFailed(f"the feeder cannot write: {self.feeder.error}")

    # the beginning

    def elect(self) -> None:
        """One replica leads, and Mesos knows the framework."""
        with self.story.step(f"{len(self.installation.replicas)} replicas elect a leader") as step:
            leader = self.story.wait("a replica leads", self.installation.leader, SHORT_S)
            self.story.wait("Mesos has registered the framework", self.installation.framework_active, SHORT_S)
            step.result = f"{leader.replica} leads (epoch {leader.epoch})"

    def declare(self) -> None:
        """Desired state, written by `zkCli create`."""
        with self.story.step("The job is declared with ZooKeeper's own command line client") as step:
            self.feeder.start()
            wanted = spec(self.feeder)
            self.story.quote(f"zkCli.sh create {self.installation.root}/jobs/{self.job.name} '{json.dumps(wanted)}'")
            self.installation.put(self.job.name, wanted)
            status = self.story.wait("every vertex is RUNNING", lambda: self.job.running(1), START_S)
            self.story.say(f"Flink: {status.job_manager_url}")
            self._describe_tasks(status)
            self._progress("the first rows are in the sink", 1)
            self.story.wait("the job is STABLE", lambda: self._lifecycle("STABLE"), SHORT_S)
            step.result = f"generation {status.generation} at parallelism {status.parallelism}"

    # the faults

    def kill_task_manager(self) -> None:
        """SIGKILL to the JVM of a TaskManager; another one takes its place."""
        with self.story.step("A TaskManager is killed") as step:
            victim, host = next(iter(self._tasks("tm").items()))
            fed, pids = self.feeder.evens, faults.kill_task(self.installation, victim)
            killed = time.monotonic()
            self.story.say(f"SIGKILL to process {pids[0]} of {victim} on {host}")
            self.story.wait("a new TaskManager runs in Mesos", lambda: self._replaced("tm", victim), RECOVERY_S)
            self._runs_again(generation=1)
            step.result = f"replaced within its generation, all running again after {time.monotonic() - killed:.1f} s"
            self._progress("rows fed after the kill are in the sink", fed + 1)
            self.faults += 1

    def kill_host(self) -> None:
        """The host of the JobManager dies with everything on it: agent, executors, tasks."""
        with self.story.step("The host of the JobManager is killed") as step:
            victim, agent = next(iter(self._tasks("jm").items()))
            if agent is None:
                raise DemoFailed(f"the status does not say where {victim} runs")
            fed = self.feeder.evens
            self.stack.kill(faults.host_of(agent))
            killed = time.monotonic()
            self.story.say(f"SIGKILL to {faults.host_of(agent)}: {agent}, its executors and the processes of its tasks")
            self.story.wait("another JobManager runs in Mesos", lambda: self._replaced("jm", victim), RECOVERY_S)
            self._runs_again(generation=1)
            took, now_on = time.monotonic() - killed, next(iter(self._tasks("jm").values()))
            if now_on == agent:
                raise DemoFailed(f"the JobManager is said to run on {agent}, which is dead")
            self._progress("rows fed after the kill are in the sink", fed + 1)
            self.faults += 1
            self.stack.start(agent)
            self.story.wait(f"{agent} is back", lambda: agent in self.installation.active_agents(), RECOVERY_S)
            step.result = f"from {agent} to {now_on}, latest checkpoint, all running again after {took:.1f} s"

    def upgrade(self) -> None:
        """Parallelism 1 to 2 through a savepoint; the leader dies in the middle of it."""
        with self.story.step("An upgrade to parallelism 2 loses its leader half-way") as step:
            before = self._leader()
            fed = self.feeder.evens
            ending = self._kill_leader_while_stopping(before)
            after = self.story.wait("another replica leads", lambda: self._other_leader(before), RECOVERY_S)
            self.story.say(f"{after.replica} leads (epoch {after.epoch}) and goes on from the record")
            status = self._runs_again(generation=2)
            self._verify_upgrade(status, ending)
            self._progress("rows fed after the upgrade are in the sink", fed + 1)
            self.faults += 1
            self.stack.start(before.replica)
            self.story.wait(f"{before.replica} is back", self._all_contend, RECOVERY_S)
            step.result = f"{before.replica} died, {after.replica} finished it: generation 2, from the savepoint"

    def _kill_leader_while_stopping(self, leader: LeaderInfo) -> Ending:
        """SIGKILL as soon as the intent to stop is durable: nobody but the record knows of the upgrade then.

        Another checkpoint interval comes with the parallelism, because that alone need not take a new generation.
        """
        wanted = spec(self.feeder, parallelism=2, checkpoints="2s")
        self.story.quote(f"zkCli.sh set {self.installation.root}/jobs/{self.job.name} '{json.dumps(wanted)}'")
        client = _Background(lambda: self.installation.put(self.job.name, wanted))

        def strike() -> Ending | None:
            client.check()
            ending = self._stopping()
            if ending is not None:
                self.stack.kill(leader.replica)
            return ending

        ending = self.story.wait("the intent to stop is durable", strike, RECOVERY_S, CATCH_EVERY_S)
        self.story.say(f"the record says: {ending.reason} with a {ending.mode}, trigger {ending.trigger_id}")
        self.story.say(f"SIGKILL to {leader.replica}, which leads")
        client.join()
        record = self.installation.record(self.job.name)
        if record is None or record.generation is None or record.generation.number != 1:
            raise DemoFailed("the next generation began before the leader was killed: the moment was missed")
        return ending

    def _stopping(self) -> Ending | None:
        record = self.installation.record(self.job.name)
        ending = record.generation.ending if record and record.generation else None
        return ending if ending is not None and ending.trigger_id is not None else None

    def _verify_upgrade(self, status: Status, ending: Ending) -> None:
        if ending.reason is not EndReason.UPGRADE or ending.mode is not EndMode.SAVEPOINT:
            raise DemoFailed(f"the generation was ended by {ending.mode} for {ending.reason}, not by an upgrade")
        restored = status.restored_from
        if restored is None or ending.trigger_id is None or f"/{ending.trigger_id}/savepoint-" not in restored:
            raise DemoFailed(f"generation 2 started from {restored}, not from the savepoint in {ending.directory}")
        if status.parallelism != 2 or max(parallelism for _, parallelism in self.job.vertices(status)) != 2:
            raise DemoFailed(f"generation 2 runs at parallelism {status.parallelism}, not at 2")
        self.story.say(f"restored from {restored}")
        self._describe_tasks(status)

    def kill_master(self) -> None:
        """The leading Mesos master dies; tasks do not notice."""
        with self.story.step("The leading Mesos master is killed") as step:
            old = self.stack.leader()
            if old is None:
                raise DemoFailed("no Mesos master leads")
            tasks = self._tasks("jm") | self._tasks("tm")
            fed = self.feeder.evens
            self.stack.kill(old.name)
            self.story.say(f"SIGKILL to {old.name}")
            new = self.story.wait("another master leads", lambda: self._other_master(old.name), RECOVERY_S)
            self.story.wait("the framework is registered with it", self.installation.framework_active, RECOVERY_S)
            agents = set(self.stack.layout.agents)
            self.story.wait("so are the agents", lambda: agents <= self.installation.active_agents(), RECOVERY_S)
            self.story.wait("it knows the tasks", lambda: tasks.keys() <= self.installation.live_tasks(), RECOVERY_S)
            self._progress("rows fed after the kill are in the sink", fed + 1)
            self._runs_again(generation=2)
            if tasks != self._tasks("jm") | self._tasks("tm"):
                raise DemoFailed("tasks were replaced although only a master died")
            self.faults += 1
            self.stack.start(old.name)
            self.story.wait(
                f"{old.name} is back", lambda: all(master.up for master in self.stack.masters()), RECOVERY_S
            )
            step.result = f"{new} took over, every task went on"

    # the end

    def finish(self) -> Outcome:
        """No more rows; everything that was fed gets into the sink, once."""
        with self.story.step("The feeder finishes; input and sink are compared row by row") as step:
            rows = self.feeder.finish()
            self.story.say(f"{rows} rows were fed, {rows // 2} of them have an even id")
            self._progress("every one of them is in the sink", rows // 2)
            # A row that comes twice may come late: what is written now is committed with the next checkpoint.
            done = self.job.checkpoints() or 0
            self.story.wait("nothing follows with two more checkpoints", lambda: self._later(done + 2), RECOVERY_S)
            outcome = self._compare()
            step.result = outcome.line()
        return outcome

    def _compare(self) -> Outcome:
        outcome = Outcome(compare(self.feeder.input, self.feeder.output), self.faults)
        self.story.say(str(outcome.comparison))
        if not outcome.ok:
            again = f"{CHECK_FILE} --input {self.feeder.input} --output {self.feeder.output}"
            raise DemoFailed(f"input and sink differ: {outcome.comparison}; look again: python {again}")
        return outcome

    def _later(self, checkpoint: int) -> bool:
        completed = self.job.checkpoints()
        return completed is not None and completed >= checkpoint

    def delete(self) -> None:
        """The znode is removed: the job ends with a savepoint and leaves nothing behind."""
        with self.story.step("The job is deleted") as step:
            self.story.quote(f"zkCli.sh delete {self.installation.root}/jobs/{self.job.name}")
            self.installation.delete(self.job.name)
            self.story.wait("it has ended, and no task is left in Mesos", self._gone, RECOVERY_S)
            self._compare()
            step.result = "ended with a savepoint, no task is left"

    # looking

    def _tasks(self, role: str) -> dict[str, str | None]:
        found = self.job.tasks(role)
        if not found:
            raise DemoFailed(f"the status lists no running {'JobManager' if role == 'jm' else 'TaskManager'}")
        return found

    def _replaced(self, role: str, victim: str) -> bool:
        tasks, mesos = self.job.tasks(role), self.installation.mesos_tasks()
        return victim not in tasks and any(mesos.get(task) == "TASK_RUNNING" for task in tasks)

    def _gone(self) -> bool:
        record = self.installation.record(self.job.name)
        over = record is not None and record.lifecycle is Lifecycle.DELETED
        return over and self.installation.framework_active() and not self.installation.live_tasks()

    def _all_contend(self) -> bool:
        return len(self.installation.contenders()) == len(self.installation.replicas)

    def _runs_again(self, generation: int) -> Status:
        return self.story.wait("every vertex is RUNNING", lambda: self.job.running(generation), RECOVERY_S)

    def _progress(self, what: str, rows: int) -> None:
        self.story.wait(f"{what} ({rows} or more)", lambda: self.sink.rows() >= rows, RECOVERY_S)

    def _lifecycle(self, name: str) -> bool:
        status = self.job.status()
        return status is not None and status.lifecycle == name

    def _leader(self) -> LeaderInfo:
        return poll("a replica leads", self.installation.leader, SHORT_S)

    def _other_leader(self, old: LeaderInfo) -> LeaderInfo | None:
        leader = self.installation.leader()
        return leader if leader is not None and leader.epoch > old.epoch else None

    def _other_master(self, old: str) -> str | None:
        leader = self.stack.leader()
        return leader.name if leader is not None and leader.name != old else None

    def _describe_tasks(self, status: Status) -> None:
        for task in status.task_list:
            kind = "JobManager " if task.role == "jm" else "TaskManager"
            self.story.say(f"{kind} {task.id} on {task.hostname}: {task.state}")


class _Background:
    """A command that runs while something else is watched; its error comes up in `check` or `join`."""

    def __init__(self, run: Any) -> None:
        self._error: BaseException | None = None
        self._run = run
        self._thread = threading.Thread(target=self._call, name="demo-zkcli", daemon=True)
        self._thread.start()

    def _call(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        self._thread.join(SHORT_S)
        self.check()
