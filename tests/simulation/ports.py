"""The ports as one simulated replica sees them: the shipped fakes, watched, traced and made to fail.

Nothing is decided here. Each call that really reached the other side is told to the monitor, which
knows what must have been persisted before it (S4), and which leader may still make it (S5, S6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from integration.mesos.errors import AcceptUnclear
from integration.mesos.fake import FakeCluster
from reconciler.model.decision import FindRestorePoint
from reconciler.model.events import StoredRecord, TaskUpdate, UnreadableRecord
from reconciler.model.observation import FlinkObservation, RestoreView
from reconciler.model.resources import TaskInfo
from reconciler.ports import (
    EventSink,
    Fence,
    FlinkTarget,
    FlinkUnreachable,
    JobChange,
    JobSubmission,
    OperatorChange,
    PortError,
    Trigger,
)
from state.memory import OPERATOR, MemoryStore

if TYPE_CHECKING:
    from tests.simulation.replica import Leadership, Replica
    from tests.simulation.world import World


class SimStore(MemoryStore):
    """The shipped in-memory store; the monitor is told what was really written."""

    def __init__(self, world: World, replica: Replica) -> None:
        super().__init__(session=replica.session)
        self._world = world
        self._who = replica.name

    def commit(self, fence: Fence, change: JobChange) -> int:
        before = self.tree.records.get(change.name)
        try:
            version = super().commit(fence, change)
        except PortError as error:
            # The answer may have been lost after the write: what is there now tells.
            after = self.tree.records.get(change.name)
            if after is not before:
                self._world.monitor.committed(self._who, fence, change, after)
            self._world.sim.say(self._who, f"commit {change.name}: {type(error).__name__} {error}")
            raise
        self._world.monitor.committed(self._who, fence, change, self.tree.records.get(change.name))
        return version

    def commit_operator(self, fence: Fence, change: OperatorChange) -> int:
        before = self.tree.operator.get(OPERATOR)
        try:
            return super().commit_operator(fence, change)
        finally:
            if self.tree.operator.get(OPERATOR) is not before:
                self._world.monitor.operator_committed(self._who, fence, change)

    def save_framework_id(self, fence: Fence, framework_id: str) -> None:
        super().save_framework_id(fence, framework_id)
        self._world.monitor.fenced_write(self._who, fence, "the framework id")

    def load_records(self) -> Mapping[str, StoredRecord | UnreadableRecord]:
        self._world.sim.say(self._who, "reads all records")
        return super().load_records()


class SimCluster:
    """The shipped fake scheduler; told to the monitor is what reached the master."""

    def __init__(self, world: World, leadership: Leadership, inner: FakeCluster) -> None:
        self._world = world
        self._leadership = leadership
        self.inner = inner

    def start(self, framework_id: str | None, sink: EventSink) -> None:
        self.inner.start(framework_id, sink)
        self._world.poke()

    def stop(self) -> None:
        self.inner.stop()

    def accept(self, offer_ids: Sequence[str], tasks: Sequence[TaskInfo]) -> None:
        reached = self._count()
        try:
            self.inner.accept(offer_ids, tasks)
        except AcceptUnclear:
            if self._count() > reached:
                self._world.monitor.launched(self._leadership, tasks)
            raise
        finally:
            self._say("ACCEPT", self._count() > reached, " ".join(task.task_id for task in tasks))
        if self._count() > reached:
            self._world.monitor.launched(self._leadership, tasks)

    def kill(self, task_id: str, agent_id: str | None, grace_s: float) -> None:
        reached = self._count()
        try:
            self.inner.kill(task_id, agent_id, grace_s)
        finally:
            self._say("KILL", self._count() > reached, task_id)
            if self._count() > reached:
                self._world.monitor.killed(self._leadership, task_id)

    def acknowledge(self, update: TaskUpdate) -> None:
        reached = self._count()
        try:
            self.inner.acknowledge(update)
        finally:
            if self._count() > reached:
                self._world.monitor.acknowledged(self._leadership, update)
                self._world.poke()

    def decline(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        self.inner.decline(offer_ids, refuse_seconds)
        self._say("DECLINE", True, f"{len(offer_ids)} offers for {refuse_seconds:g} s")

    def accept_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        self.inner.accept_inverse(offer_ids, refuse_seconds)

    def decline_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        self.inner.decline_inverse(offer_ids, refuse_seconds)

    def suppress(self) -> None:
        self.inner.suppress()
        self._say("SUPPRESS", True, "")

    def revive(self) -> None:
        self.inner.revive()
        self._say("REVIVE", True, "")

    def reconcile(self, tasks: Sequence[tuple[str, str | None]]) -> None:
        self.inner.reconcile(tasks)
        self._say("RECONCILE", True, " ".join(task for task, _ in tasks) or "(all)")

    def _count(self) -> int:
        return len(self._world.mesos.calls)

    def _say(self, call: str, reached: bool, what: str) -> None:
        if reached:
            self._world.poke()
        if self._world.sim.trace is not None:
            self._world.sim.say(self._leadership.replica.name, f"{call} {what}{'' if reached else ' (not sent)'}")


class SimFlink:
    """The shipped fake of Flink behind a network that is slow, silent, or loses answers."""

    def __init__(self, world: World, leadership: Leadership) -> None:
        self._world = world
        self._leadership = leadership

    def observe(self, target: FlinkTarget, triggers: Sequence[Trigger], now: float) -> FlinkObservation:
        flink = self._world.flink
        flink.advance(self._world.sim.now)
        if self._world.rest_is_lost():
            return FlinkObservation(now, reachable=False, error="the read timed out")
        # The leader's clock may be off from the world's.
        return replace(flink.observe(target, triggers, flink.now), at=now)

    def stop_with_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None:
        self._change("stop", trigger.trigger_id, target, lambda: self._world.flink.stop_with_savepoint(target, trigger))

    def trigger_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None:
        self._change(
            "savepoint", trigger.trigger_id, target, lambda: self._world.flink.trigger_savepoint(target, trigger)
        )

    def cancel(self, target: FlinkTarget) -> None:
        self._change("cancel", target.job_id, target, lambda: self._world.flink.cancel(target))

    def observe_session(self, target: FlinkTarget, now: float) -> FlinkObservation:
        flink = self._world.flink
        flink.advance(self._world.sim.now)
        if self._world.rest_is_lost():
            return FlinkObservation(now, reachable=False, error="the read timed out")
        return replace(flink.observe_session(target, flink.now), at=now)

    def submit(self, target: FlinkTarget, submission: JobSubmission) -> None:
        self._change("submit", target.job_id, target, lambda: self._world.flink.submit(target, submission))

    def forbid(self, job_id: str, cluster_id: str, version: str) -> None:
        self._world.flink.advance(self._world.sim.now)
        self._world.sim.say(self._leadership.replica.name, f"forbid {job_id[:8]} at {cluster_id}")
        self._world.flink.forbid(job_id, cluster_id, version)

    def find_restore_point(self, what: FindRestorePoint) -> RestoreView:
        flink = self._world.flink
        flink.advance(self._world.sim.now)
        view = flink.find_restore_point(what)
        if self._world.sim.trace is not None:
            self._world.sim.say(self._leadership.replica.name, f"restore point of generation {what.generation}: {view}")
        return view

    def discard(self, path: str) -> None:
        flink = self._world.flink
        flink.advance(self._world.sim.now)
        before = len(flink.calls)
        flink.discard(path)
        if len(flink.calls) > before:
            self._world.monitor.discarded(self._leadership, path)

    def clean_up(self, job_id: str, cluster_id: str) -> None:
        flink = self._world.flink
        flink.advance(self._world.sim.now)
        flink.clean_up(job_id, cluster_id)
        self._world.monitor.cleaned(self._leadership, cluster_id)

    def __getattr__(self, name: str) -> object:
        """Calls that the port has gained since: straight to the fake."""
        return getattr(self._world.flink, name)

    def _change(self, kind: str, key: str, target: FlinkTarget, call: object) -> None:
        world = self._world
        world.flink.advance(world.sim.now)
        if world.rest_is_lost():
            raise FlinkUnreachable(f"{target.url}: connection refused")
        before = len(world.flink.calls)
        call()  # type: ignore[operator]
        if len(world.flink.calls) > before:
            world.monitor.flink_called(self._leadership, kind, key, target)
        if world.rest_is_lost():
            raise FlinkUnreachable(f"{target.url}: the answer was lost")
