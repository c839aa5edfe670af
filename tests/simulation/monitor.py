"""The invariants of `docs/concepts.md`, checked while things happen.

    S1  FakeFlink's own books: two generations of a job that have it at once, job ids used again
    S2  no start from less than the most that was ever written, unless somebody asked for that
    S3  only users change the desired tree
    S4  what a launch, kill, stop or acknowledgement relies on was persisted before
    S5  no write of a leader whose epoch is over
    S6  no launch or kill for a job before Mesos has answered for all of its tasks
    S7  a desired tree that vanished stops nothing, and a leader disrupts no more than the cap within its interval

L1 and L2 are about the end of a run: `tests.simulation.outcome`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from integration.flink.fake_cluster import FakeSnapshot, Restore
from reconciler.disruptions import disruptions
from reconciler.model import ids
from reconciler.model.events import Event, RecordsLoaded, TaskUpdate
from reconciler.model.record import Lifecycle, Record
from reconciler.model.resources import TaskInfo
from reconciler.ports import Fence, FlinkTarget, JobChange, OperatorChange
from state import codec
from state.memory import OPERATOR, Node

if TYPE_CHECKING:
    from tests.simulation.replica import Leadership
    from tests.simulation.world import World


decode_record = lru_cache(maxsize=512)(codec.decode_record)
"""Records are values, and the same bytes are looked at again and again."""


class Violation(BaseException):
    """An invariant was broken; the message names it. Not an Exception: the shipped code must not catch it."""


class Snapshots(dict[str, FakeSnapshot]):
    """Storage that remembers everything that was ever written, also when the file is gone since (S2)."""

    def __init__(self) -> None:
        super().__init__()
        self.ever: dict[str, FakeSnapshot] = {}

    def __setitem__(self, path: str, snapshot: FakeSnapshot) -> None:
        super().__setitem__(path, snapshot)
        self.ever[path] = snapshot


_CANCELS = ("CANCEL", "KILL")
"""A job of a session is cancelled where an application's JobManagers are killed."""


def order(snapshot: FakeSnapshot) -> tuple[int, int]:
    """File times and how far a job had come say nothing: a job that ran on after a failed stop went back first."""
    return snapshot.generation, snapshot.checkpoint_id


class Monitor:
    """Watches one run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[str] = []
        self.stop_at_first = False
        self.commits = 0
        self.effects = 0
        """Calls that changed something in Mesos or Flink."""
        self.started: Counter[tuple[str, int, str, int]] = Counter()
        """Processes that were started, by (job, generation, role, index) (L2)."""
        self.retried: Counter[tuple[str, int, str, int]] = Counter()
        """Those of them that were given up because nobody heard in time that they run: what follows is a retry (L2)."""
        self.asked: Counter[str] = Counter()
        """Stops, savepoints and cancels that reached a JobManager, by kind (L2)."""
        self.stateless: set[str] = set()
        """Uids whose state may be dropped: somebody asked for that, or the job came to its own end."""
        self.kept: dict[str, int] = {}
        """Which generation of which uid was left running by a delete with `onDelete: keep`."""
        self.forced: set[str] = set()
        """Uids of which somebody declared a generation dead: two of them at once are that person's doing."""
        self._disrupted: dict[int, dict[frozenset[str], float]] = {}
        """By epoch: which disruptions were decided when; what is begun again after it was given up is the same one."""
        self._history: dict[str, list[bytes]] = {}
        self._last: dict[str, Record] = {}
        self._launched: set[str] = set()
        self._restores = 0
        self._discarded: set[str] = set()

    def violation(self, invariant: str, what: str) -> None:
        line = f"{invariant}: {what}"
        self.world.sim.say("BROKEN", line)
        self.violations.append(line)
        if self.stop_at_first:
            raise Violation(line)

    # What a leader does

    def handling(self, leadership: Leadership, event: Event) -> None:
        if isinstance(event, RecordsLoaded):
            leadership.note_records(event)
        elif isinstance(event, TaskUpdate):
            name = ids.parse_task_id(event.task_id)
            if name is not None:
                leadership.unanswered.get(name.job, set()).discard(event.task_id)
            if self.world.sim.trace is not None:
                self.world.sim.say(leadership.replica.name, f"<- {event.task_id} {event.state} {event.reason or ''}")

    def committed(self, who: str, fence: Fence, change: JobChange, node: Node | None) -> None:
        self.commits += 1
        self.fenced_write(who, fence, f"the record of {change.name}")
        if not change.write_record:
            self.world.sim.say(who, f"status {change.name}: {change.status.why if change.status else ''}")
            return
        history = self._history.setdefault(change.name, [])
        before = self._last.get(change.name)
        if change.record is not None:
            if before is not None:
                self._note_kept(before, change.record)
                self._note_given_up(before, change.record)
                if change.answered is None and not self._confirmed(before):
                    self._check_cap(who, fence.epoch, before, change.record)
            self._last[change.name] = change.record
        if node is not None:
            history.append(node.data)
        if self.world.sim.trace is not None:
            self.world.sim.say(who, f"record {change.name}: {summary(change.record)}")
            for event in change.events:
                self.world.sim.say(who, f"event {change.name}: {event.code} {event.message}")
        record = change.record
        for stone in record.tombstones if record is not None else ():
            if stone.path in self._discarded:
                self.violation("S2", f"the tombstone of {change.name} points at {stone.path}, which was removed")
        deleting = record is not None and record.lifecycle in (Lifecycle.DELETING, Lifecycle.DELETED)
        if self.world.tree_is_away and deleting and record and record.uid in self.world.users.hidden_uids:
            self.violation("S7", f"{change.name} is deleted although the whole desired tree is away")

    def _note_given_up(self, before: Record, after: Record) -> None:
        known = {task.task_id for task in before.tasks if task.kill_since is not None}
        for task in after.tasks:
            late = task.kill_why is not None and task.kill_why.endswith("did not run within its launch time-out")
            if late and task.task_id not in known:
                self.retried[after.name, task.generation, task.role.value, task.index] += 1

    def _note_kept(self, before: Record, after: Record) -> None:
        """Deleted with `onDelete: keep`: the tasks are forgotten at once and go on running."""
        keep = after.spec is not None and after.spec.on_delete == "keep"
        forgotten = before.generation is not None and after.generation is None and not after.tasks
        if keep and forgotten and after.lifecycle in (Lifecycle.DELETING, Lifecycle.DELETED):
            self.kept[after.uid] = before.current_number

    def _confirmed(self, record: Record) -> bool:
        """A person said that the loss of this job is a delete."""
        node = self.world.tree.operator.get(OPERATOR)
        held = codec.decode_operator(node.data).held if node is not None else ()
        return any((job.name, job.czxid, job.confirmed) == (record.name, record.seen.czxid, True) for job in held)

    def _check_cap(self, who: str, epoch: int, before: Record, after: Record) -> None:
        """Decisions by their leader's own clock, since commits may come late."""
        found, policy = disruptions(before, after), self.world.policy
        at = decided_at(before, after) if found else None
        if at is None:
            return
        begun = self._disrupted.setdefault(epoch, {})
        if at - begun.get(found, float("-inf")) >= policy.disruption_interval_s:
            begun[found] = at
        recent = [names for names, time in begun.items() if at - policy.disruption_interval_s < time <= at]
        within = sum(min(len(names), policy.disruptions) for names in recent)
        if within > policy.disruptions:
            self.violation("S7", f"{who} began {within} disruptions, the last one of {after.name}: {sorted(found)}")

    def operator_committed(self, who: str, fence: Fence, change: OperatorChange) -> None:
        self.commits += 1
        self.fenced_write(who, fence, "the operator's record")
        for event in change.events:
            self.world.sim.say(who, f"event of all jobs: {event.code} {event.message}")

    def fenced_write(self, who: str, fence: Fence, what: str) -> None:
        if fence.epoch != self.world.tree.epoch:
            now = self.world.tree.epoch
            self.violation("S5", f"{who} wrote {what} in epoch {fence.epoch} while epoch {now} leads")

    def launched(self, leadership: Leadership, tasks: Sequence[TaskInfo]) -> None:
        for task in tasks:
            self.effects += 1
            name = ids.parse_task_id(task.task_id)
            assert name is not None
            if not self._persisted(name.job, f'"taskId":"{task.task_id}"'):
                self.violation("S4", f"{task.task_id} was launched before its placement was persisted")
            if task.task_id in self._launched:
                self.violation("L2", f"{task.task_id} was launched twice")
            self._launched.add(task.task_id)
            self._answered(leadership, name.job, f"launch of {task.task_id}")

    def killed(self, leadership: Leadership, task_id: str) -> None:
        self.effects += 1
        name = ids.parse_task_id(task_id)
        assert name is not None
        if name.uid in self.kept and name.generation >= self.kept[name.uid]:
            self.violation("S4", f"{task_id} was killed, but its job was deleted with onDelete: keep")
        record = self.record(name.job)
        if record is None:
            self.violation("S4", f"{task_id} was killed without a record")
            return
        if any(stone.uid == name.uid for stone in record.tombstones):
            return
        if name.uid == record.uid and not any(task.task_id == task_id for task in record.tasks):
            given_up = any(name.generation <= force.generation for force in record.fenced)
            older = name.generation < record.next_generation - 1 or given_up
            if not self._intended(name.job, task_id) and not older:
                self.violation("S4", f"{task_id} was killed, but nothing that was persisted says so")
            return
        if not self._intended(name.job, task_id):
            self.violation("S4", f"{task_id} was killed before the intent was persisted")
        self._answered(leadership, name.job, f"kill of {task_id}")

    def acknowledged(self, leadership: Leadership, update: TaskUpdate) -> None:
        """Only a death changes a record; it must be out of there before Mesos may forget it."""
        name = ids.parse_task_id(update.task_id)
        record = self.record(name.job) if name is not None else None
        if update.state.dead and record is not None and any(t.task_id == update.task_id for t in record.tasks):
            self.violation("ACK", f"the death of {update.task_id} was acknowledged before it was persisted")

    def flink_called(self, leadership: Leadership, kind: str, key: str, target: FlinkTarget) -> None:
        self.effects += 1
        self.asked[kind] += 1
        self.world.sim.say(leadership.replica.name, f"{kind} {key[:8]} at {target.cluster_id}")
        name = target.cluster_id.rsplit("-", 2)[0]
        if target.shared:
            name = next((job for job in self._history if self._persisted(job, f'"jobId":"{target.job_id}"')), name)
        if kind != "cancel" and not self._persisted(name, key):
            self.violation("S4", f"{kind} {key} of {target.cluster_id} was sent before its trigger was persisted")
        elif kind == "cancel" and not any(self._persisted(name, f'"mode":"{mode}"') for mode in _CANCELS):
            self.violation("S4", f"{target.cluster_id} was cancelled before the intent was persisted")

    def discarded(self, leadership: Leadership, path: str) -> None:
        """A savepoint was removed: its job was being deleted, the intent was persisted, and nobody points at it."""
        self.effects += 1
        self.asked["discard"] += 1
        self._discarded.add(path)
        self.world.sim.say(leadership.replica.name, f"discard {path}")
        owner = next((record for record in self._last.values() if f"/{record.uid}/" in path), None)
        if owner is None or path not in owner.disposing or owner.lifecycle is not Lifecycle.DELETING:
            self.violation("S4", f"{path} was removed before the intent was persisted")
        for record in self._last.values():
            if any(stone.path == path for stone in record.tombstones):
                self.violation("S2", f"{path} was removed, but the tombstone of {record.name} points at it")

    def cleaned(self, leadership: Leadership, cluster_id: str) -> None:
        self.world.sim.say(leadership.replica.name, f"clean up {cluster_id}")

    # What happens in the world

    def task_started(self, info: TaskInfo) -> None:
        name = ids.parse_task_id(info.task_id)
        assert name is not None
        self.started[name.job, name.generation, name.role, name.index] += 1

    def look(self) -> None:
        """What the world's own books say since the last look (S1, S2)."""
        flink = self.world.flink
        for line in flink.violations:
            if not any(uid in line for uid in self.forced):
                self.violation("S1", line)
        flink.violations.clear()
        snapshots = flink.snapshots
        assert isinstance(snapshots, Snapshots)
        for restore in flink.restores[self._restores :]:
            self.world.sim.say("flink", f"{restore.uid} generation {restore.generation} starts from {restore.path}")
            self._check_restore(restore, snapshots)
        self._restores = len(flink.restores)
        if self.world.users.tampered():
            self.violation("S3", "the desired tree holds something that no user wrote")

    def _check_restore(self, restore: Restore, snapshots: Snapshots) -> None:
        """Inside a generation Flink goes back to its latest checkpoint; the next one starts from the newest of all."""
        if restore.uid in self.stateless or restore.path in self.world.lost_paths:
            return  # what is lost Flink does not find, and starts nothing
        number = restore.generation
        known = [s for s in snapshots.ever.values() if s.uid == restore.uid]
        known = [s for s in known if s.generation < number or "/savepoint-" not in s.path]
        newest, used = max(known, key=order, default=None), snapshots.ever.get(restore.path or "")
        if newest is None or (used is not None and order(used) >= order(newest)):
            return
        self.violation(
            "S2",
            f"{restore.uid} generation {number} started from {restore.path or 'nothing'}, "
            f"but {newest.path} (checkpoint {newest.checkpoint_id}) was written",
        )

    # Reading back

    def record(self, name: str) -> Record | None:
        node = self.world.tree.records.get(name)
        return decode_record(node.data) if node is not None else None

    def _persisted(self, job: str, text: str) -> bool:
        """True when some version of the job's record that was written so far contains this."""
        wanted = text.encode()
        return any(wanted in data for data in reversed(self._history.get(job, [])))

    def _intended(self, job: str, task_id: str) -> bool:
        wanted = f'"taskId":"{task_id}"'.encode()
        for data in reversed(self._history.get(job, [])):
            if wanted in data:
                tasks = decode_record(data).tasks
                return any(task.task_id == task_id and task.kill_since is not None for task in tasks)
        return False

    def _answered(self, leadership: Leadership, job: str, what: str) -> None:
        if leadership.ended:
            return
        silent = leadership.unanswered.get(job)
        if silent:
            self.violation("S6", f"{what} although Mesos has not answered for {', '.join(sorted(silent))}")


def decided_at(before: Record, after: Record) -> float | None:
    """When a disruption was decided, as the record tells."""
    generation = after.generation
    assert before.generation is not None
    if generation is None or generation.number != before.generation.number:
        return after.history[-1].ended_at if after.history else None
    if generation.ending is not None:
        return generation.ending.since
    dying = {task.task_id for task in before.tasks if task.kill_since is not None}
    kills = [task.kill_since for task in after.tasks if task.kill_since and task.task_id not in dying]
    return max(kills, default=generation.scaling_since)


def summary(record: Record | None) -> str:
    """One line about a record, for the trace."""
    if record is None:
        return "(deleted)"
    generation = record.generation
    parts = [record.lifecycle.value]
    if record.blocked:
        parts.append(f"blocked={record.blocked}")
    if generation is not None:
        ending = generation.ending
        parts.append(f"gen={generation.number} terminal={generation.terminal}")
        if ending is not None:
            parts.append(f"ending={ending.reason.value}/{ending.mode.value} restore={ending.restore_known}")
    marks = []
    for task in record.tasks:
        state = "dying" if task.kill_since is not None else task.phase.value.lower()
        marks.append(f"{task.generation}.{task.role.value}{task.index}.{task.attempt}:{state}")
    return " ".join([*parts, *marks])
