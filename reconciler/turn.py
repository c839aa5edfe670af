"""The working state of one call of `decide`: the record as it becomes, and what was decided so far.

A Turn lives for one call only; what leaves it is an immutable Decision.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.model.decision import Decision, Desired, Effect, EmitEvent, WakeAt
from reconciler.model.observation import FlinkObservation, Observation, TaskObservation
from reconciler.model.policy import Policy
from reconciler.model.reasons import Reason
from reconciler.model.record import Ending, Generation, Record, Role, Task
from reconciler.model.spec import JobSpec


class Turn:
    """One decision in the making."""

    def __init__(self, desired: Desired, record: Record, seen: Observation, now: float, policy: Policy) -> None:
        self.desired = desired
        self.record = record
        self.seen = seen
        self.now = now
        self.policy = policy
        self.why = ""
        self.moving = False
        self.answered = False
        """True once the request in `desired.asked` is answered."""
        self._effects: dict[str, Effect] = {}
        self._wake: float | None = None

    # Reading

    @property
    def spec(self) -> JobSpec:
        """The last valid desired state; a record is only ever made from one."""
        assert self.record.spec is not None
        return self.record.spec

    @property
    def target(self) -> JobSpec:
        """What a generation is to run: the desired state, or the last stable one while that is rolled back.

        A spec that failed is not tried again until somebody changes it.
        """
        record = self.record
        instead = record.rollback_to or record.stable_spec
        if record.rolled_back is None or instead is None or record.rolled_back != record.spec:
            return self.spec
        return instead

    @property
    def paused(self) -> str | None:
        """Why nothing may be done, or None: a person paused this job or all of them."""
        mine = self.record.paused
        if mine is None:
            return self.desired.paused
        by, reason = f" by {mine.by}" if mine.by else "", f": {mine.reason}" if mine.reason else ""
        return f"paused{by}{reason}; it is observed and nothing is done. To go on: weir unpause {self.record.name}"

    @property
    def generation(self) -> Generation:
        assert self.record.generation is not None
        return self.record.generation

    @property
    def ending(self) -> Ending:
        assert self.generation.ending is not None
        return self.generation.ending

    @property
    def deletion_wanted(self) -> bool:
        """True when the node is gone, or was recreated, so that this life of the name ends (fault 51)."""
        desired = self.desired
        recreated = desired.ref is not None and desired.ref.czxid != self.record.seen.czxid
        return not desired.present or (recreated and not desired.adopt)

    def flink(self) -> FlinkObservation | None:
        """The last answer of this generation's JobManager, if it is one that may be acted on."""
        flink = self.seen.flink
        if flink is None or not flink.reachable or flink.job_id not in (None, self.generation.job_id):
            return None
        return flink if self.now - flink.at <= self.policy.flink_stale_s else None

    def task_seen(self, task: Task) -> TaskObservation | None:
        return self.seen.tasks.get(task.task_id) if task.task_id else None

    def tasks(self, role: Role | None = None) -> list[Task]:
        """Tasks of the current generation."""
        return [
            task
            for task in self.record.tasks
            if task.generation == self.generation.number and (role is None or task.role is role)
        ]

    def leaves(self, task: Task) -> bool:
        """True for a task on an agent that is to be empty."""
        return task.agent_id in self.seen.draining or task.hostname in self.seen.draining

    def waited_since(self, stored: float) -> float:
        """From when a patience counts: nobody waited while nobody operated."""
        return max(stored, self.seen.since, self.record.unpaused_at)

    def may_disrupt(self) -> bool:
        """False while too many jobs are being interrupted already; says so (S7)."""
        if self.seen.held_back is not None:
            self.wait(self.seen.held_back)
        return self.seen.held_back is None

    # Changing

    def update(self, **changes: Any) -> None:
        self.record = replace(self.record, **changes)

    def update_generation(self, **changes: Any) -> None:
        self.update(generation=replace(self.generation, **changes))

    def update_ending(self, **changes: Any) -> None:
        self.update_generation(ending=replace(self.ending, **changes))

    def replace_task(self, old: Task, new: Task | None) -> None:
        """Swap one task of the record, or remove it."""
        tasks = [new if task is old else task for task in self.record.tasks]
        self.update(tasks=tuple(task for task in tasks if task is not None))

    def kill(self, task: Task, why: str) -> None:
        """Decide that a task has to go. A task that was never placed just goes."""
        if task.kill_since is not None:
            return
        self.replace_task(task, replace(task, kill_since=self.now, kill_why=why) if task.placed else None)

    def block(self, code: Reason, why: str) -> None:
        """Stop acting until a person or a new spec changes something."""
        if (self.record.blocked, self.record.blocked_why) != (code, why):
            self.update(blocked=code.value, blocked_why=why)
            self.event(code, why, warning=True)
        self.wait(why)

    def unblock(self) -> None:
        if self.record.blocked is not None:
            self.update(blocked=None, blocked_why="")

    def emit(self, effect: Effect) -> None:
        self._effects.setdefault(effect.key, effect)

    def event(self, code: Reason, message: str, warning: bool = False) -> None:
        """Only ever beside a change of the record: deciding again must not tell it again."""
        self.emit(EmitEvent(code, message, warning))

    def wait(self, why: str) -> None:
        """Say what the job waits for; the first reason given is the deepest one."""
        self.why = self.why or why

    def wake(self, at: float) -> None:
        if at > self.now and (self._wake is None or at < self._wake):
            self._wake = at

    def decision(self) -> Decision:
        effects = [*self._effects.values()]
        if self._wake is not None:
            effects.append(WakeAt(self._wake))
        return Decision(self.record, tuple(effects), self.why, self.answered, moving=self.moving)

    def at_rest(self) -> Decision:
        """Only what is told; whatever else was decided is decided again when it may be done."""
        told = tuple(effect for effect in self._effects.values() if isinstance(effect, EmitEvent))
        return Decision(self.record, told, self.why, self.answered, paused=True)
