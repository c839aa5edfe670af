"""A job's life in memory: decide, persist, observe, decide again. No ports, no clock."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from plugins.restart.exponential_delay import ExponentialDelay
from reconciler.decide import decide
from reconciler.model.control import Asked, RawRequest, parse_request
from reconciler.model.decision import Decision, Desired, EmitEvent, FindRestorePoint, WakeAt
from reconciler.model.observation import (
    LIVING,
    FlinkObservation,
    JobState,
    Observation,
    Operation,
    RestoreView,
    TaskObservation,
    TaskState,
)
from reconciler.model.policy import Policy
from reconciler.model.record import Answer, Generation, Lifecycle, Record, Role, SpecRef, Task, TaskPhase
from reconciler.model.spec import JobSpec

POLICY = Policy(storage="file:///srv/weir", restart_strategies={"exponential-delay": ExponentialDelay()})
UNSURE = "file:///storage-is-away"
"""Nobody can say whether it is there."""
MINIMAL: dict[str, Any] = {
    "flinkVersion": "2.2",
    "flinkConfiguration": {"execution.checkpointing.interval": "2s"},
    "job": {"type": "python", "uri": "file:///srv/job.py"},
}


def spec(**changes: Any) -> JobSpec:
    """A small valid spec; keyword arguments are merged in by section, `job={"parallelism": 2}`."""
    document = json.loads(json.dumps(MINIMAL))
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            document[key].update(value)
        else:
            document[key] = value
    return JobSpec.model_validate_json(json.dumps(document))


class Scenario:
    """One job. Each `step` also checks what must hold for every decision."""

    def __init__(self, desired: JobSpec | None = None, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.now = 1_000_000.0
        self.desired = Desired("orders", present=True, ref=SpecRef(100, 0), spec=desired or spec())
        self.record: Record | None = None
        self.tasks: dict[str, TaskObservation] = {}
        self.flink: FlinkObservation | None = None
        self.unreachable_since: float | None = None
        self.restore: RestoreView | None = None
        self.cleaned: frozenset[str] = frozenset()
        self.complete = True
        self.since = 0.0
        self.unregistered: dict[str, float] = {}
        self.events: list[str] = []
        self.asked: Asked | None = None
        self.asked_count = 0
        self.all_paused: str | None = None
        self.newer_task: str | None = None
        self.absent: tuple[str, ...] = ()
        """Paths that storage does not have."""

    # What the world says

    def edit(self, changed: JobSpec) -> None:
        assert self.desired.ref is not None
        ref = SpecRef(self.desired.ref.czxid, self.desired.ref.version + 1)
        self.desired = Desired("orders", present=True, ref=ref, spec=changed)

    def ask(self, action: str, id_: str | None = None, by: str = "ann", **args: Any) -> Decision:
        """A person writes a request; it is answered and removed with the decision that is returned."""
        self.asked_count += 1
        document = {"action": action, "args": args, "by": by} | ({"id": id_} if id_ else {})
        raw = RawRequest("orders", SpecRef(500 + self.asked_count, 0), json.dumps(document).encode())
        self.asked = parse_request(raw)
        decision = self.step()
        for look in effects(decision, FindRestorePoint):
            if look.generation == LIVING:
                self.restore = RestoreView(
                    LIVING, look.paths[0] != UNSURE, look.job_id, asked=look.paths, missing=self.absent
                )
                return self.step()
        return decision

    def answer_of(self) -> Answer:
        """The answer to the latest request."""
        assert self.record is not None
        return self.record.answers[-1]

    def remove(self) -> None:
        self.desired = Desired("orders", present=False)

    def mesos(self, task: Task, state: TaskState, reason: str | None = None) -> None:
        assert task.task_id is not None
        self.tasks[task.task_id] = TaskObservation(state, self.now, task.agent_id, reason)

    def answer(self, state: JobState | None, **more: Any) -> None:
        """The JobManager of the current generation says this."""
        running = more.pop("vertices_running", state is JobState.RUNNING)
        self.unreachable_since = None
        if state is not None:
            more.setdefault("task_managers", frozenset(task.task_id for task in self.of(Role.TASK_MANAGER)))
        self.flink = FlinkObservation(
            self.now, True, self.generation.job_id if state else None, state, vertices_running=running, **more
        )
        missing = {task.task_id for task in self.of(Role.TASK_MANAGER)} - self.flink.task_managers
        self.unregistered = {name: self.unregistered.get(name, self.now) for name in missing if name}

    def silent(self) -> None:
        self.flink = None
        self.unreachable_since = self.now

    def found(self, **more: Any) -> None:
        self.restore = RestoreView(self.generation.number, answered=True, **more)

    # What the operator does

    def observation(self) -> Observation:
        return Observation(
            since=self.since,
            complete=self.complete,
            tasks=self.tasks,
            flink=self.flink,
            unreachable_since=self.unreachable_since,
            restore=self.restore,
            cleaned=self.cleaned,
            unregistered_since=self.unregistered,
            newer_task=self.newer_task,
        )

    def step(self) -> Decision:
        """Decide and persist; deciding again at once must change nothing and ask for the same (L2)."""
        before = self.record
        desired = replace(self.desired, asked=self.asked, paused=self.all_paused)
        decision = decide(desired, before, self.observation(), self.now, self.policy)
        assert decision == decide(desired, before, self.observation(), self.now, self.policy)
        self.record = decision.record
        if decision.answered:
            self.asked = None
        self.events += [effect.code for effect in decision.effects if isinstance(effect, EmitEvent)]
        if not any(type(effect).__name__ == "FindRestorePoint" for effect in decision.effects):
            self.restore = None
        if self.record is not None:
            check_record(before, self.record)
            known = {task.task_id for task in self.record.tasks}
            self.tasks = {task_id: seen for task_id, seen in self.tasks.items() if task_id in known}
            if before is not None and before.generation != self.record.generation and started(before, self.record):
                self.flink = None
        return decision

    def settle(self, rounds: int = 10) -> Decision:
        """Step until nothing changes any more (L1: that happens within few rounds)."""
        for _ in range(rounds):
            before = self.record
            decision = self.step()
            if self.record == before:
                return decision
        raise AssertionError(f"not settled after {rounds} rounds: {self.record}")

    def place(self) -> None:
        """Every wanted task gets an agent and ports."""
        assert self.record is not None
        tasks = []
        for number, task in enumerate(self.record.tasks):
            if task.phase is TaskPhase.WANTED:
                name = self.record.task_name(task)
                agent = f"agent-{number % 2 + 1}"
                task = replace(
                    task, phase=TaskPhase.PLACED, task_id=name, agent_id=agent, hostname=agent,
                    address="127.0.0.1", ports=(31000 + number * 3, 31001, 31002), placed_at=self.now,
                )  # fmt: skip
            tasks.append(task)
        self.record = replace(self.record, tasks=tuple(tasks))

    def run_tasks(self) -> None:
        assert self.record is not None
        for task in self.record.tasks:
            if task.placed and task.kill_since is None:
                self.mesos(task, TaskState.RUNNING)

    def bring_up(self) -> None:
        """From nothing to STABLE, with a first checkpoint."""
        self.settle()
        self.place()
        self.run_tasks()
        self.answer(JobState.RUNNING, completed_checkpoints=1, latest_checkpoint_id=1, latest_checkpoint_path="chk-1")
        self.settle()
        self.now += 31
        self.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=9, latest_checkpoint_path="chk-9")
        self.settle()
        assert self.record is not None
        assert self.record.lifecycle is Lifecycle.STABLE

    def bury_killed(self) -> None:
        """Every task that is being killed dies."""
        assert self.record is not None
        for task in self.record.tasks:
            if task.kill_since is not None:
                self.mesos(task, TaskState.KILLED)

    def stopped(self, path: str = "file:///srv/sp-1") -> None:
        """The stop-with-savepoint that the record waits for succeeds."""
        trigger = self.generation.ending.trigger_id if self.generation.ending else None
        assert trigger is not None
        done = Operation_completed(path)
        self.answer(JobState.FINISHED, latest_checkpoint_id=10, operations={trigger: done})

    @property
    def generation(self) -> Generation:
        assert self.record is not None
        assert self.record.generation is not None
        return self.record.generation

    @property
    def restored_from(self) -> str | None:
        """The path of what the current generation starts from."""
        return self.generation.restore.path if self.generation.restore is not None else None

    @property
    def blocked(self) -> str | None:
        assert self.record is not None
        return self.record.blocked

    @property
    def trigger(self) -> str:
        """The trigger id of the stop with a savepoint that ends the current generation."""
        ending = self.generation.ending
        assert ending is not None
        assert ending.trigger_id is not None
        return ending.trigger_id

    def lose_state(self) -> None:
        """Its JobManager dies, and with it everything that was stored is gone: RESTORE_BLOCKED."""
        self.mesos(self.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
        for _ in range(2):
            self.settle()
            self.found(ha_metadata=False)
            self.settle()
            self.bury_killed()
        assert self.blocked == "RESTORE_BLOCKED"

    def of(self, role: Role, number: int | None = None) -> list[Task]:
        assert self.record is not None
        wanted = number if number is not None else self.generation.number
        return [task for task in self.record.tasks if task.role is role and task.generation == wanted]


def Operation_completed(path: str) -> Operation:  # noqa: N802
    from reconciler.model.observation import OperationState

    return Operation(OperationState.COMPLETED, path)


def effects(decision: Decision, kind: type) -> list[Any]:
    return [effect for effect in decision.effects if isinstance(effect, kind)]


def acting(decision: Decision) -> list[Any]:
    """Effects that touch the world."""
    return [effect for effect in decision.effects if not isinstance(effect, EmitEvent | WakeAt)]


def started(before: Record, after: Record) -> bool:
    """True when `after` has a generation that `before` had not."""
    number = before.generation.number if before.generation is not None else None
    return after.generation is not None and after.generation.number != number


def check_record(before: Record | None, after: Record) -> None:
    """What must hold from any record to the next, whatever was observed."""
    names = [after.task_name(task) for task in after.tasks]
    assert len(names) == len(set(names)), "a task id is used twice"
    if before is None or before.uid != after.uid:
        return
    assert after.next_attempt >= before.next_attempt
    assert after.next_generation >= before.next_generation
    old = {before.task_name(task) for task in before.tasks}
    for task in after.tasks:
        if after.task_name(task) not in old:
            assert task.attempt >= before.next_attempt, "an attempt number is used again"
    if before.generation is not None and started(before, after) and not before.generation.spec.is_session:
        old_generation = before.generation
        alive = [
            task for task in after.tasks if task.generation == old_generation.number and task.role is Role.JOB_MANAGER
        ]
        retired = {item.number: item for item in after.retired}
        ended = old_generation.number in retired and retired[old_generation.number].terminal is not None
        forced = any(force.generation >= old_generation.number for force in after.fenced)
        assert ended or not alive or forced, "S1: the next generation starts while the old JobManager may live"
