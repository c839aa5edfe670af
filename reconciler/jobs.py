"""What the leader holds in memory about each job. Rebuilt from nothing by every new leader (fault 4)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace

from reconciler.model import ids
from reconciler.model.control import Asked
from reconciler.model.decision import Desired, Effect
from reconciler.model.events import EffectDone, FlinkAnswered, ParsedSpec, RawSpec, TaskUpdate
from reconciler.model.observation import (
    FlinkObservation,
    Observation,
    Refusal,
    RestoreView,
    SessionJob,
    SessionView,
    TaskObservation,
)
from reconciler.model.record import Lifecycle, Record, Role, SpecRef, Task
from reconciler.model.resources import PORTS, Sibling, TaskInfo, TaskRequest
from reconciler.model.status import JobEvent, Status
from reconciler.restarts import is_relaunch, recently_failed

RESTART_SAMPLES = 256
_SETTLED = (Lifecycle.STABLE, Lifecycle.ROLLED_BACK, Lifecycle.FINISHED, Lifecycle.BLOCKED, Lifecycle.FAILED)


@dataclass(slots=True)
class Launch:
    """One ACCEPT in the making: released when every job that has a task in it is persisted or given up."""

    agent_id: str
    offer_ids: tuple[str, ...]
    waiting_for: set[str] = field(default_factory=set)
    infos: list[TaskInfo] = field(default_factory=list)


@dataclass(slots=True)
class Pending:
    """A commit that is on its way; what it releases when it is known to be applied."""

    token: int
    record: Record | None
    effects: Sequence[Effect]
    acknowledge: Sequence[TaskUpdate]
    launches: Sequence[tuple[Launch, TaskInfo]]
    status: Status | None
    events: Sequence[JobEvent] = ()
    record_written: bool = True
    asked: Asked | None = None
    """The request that is answered and removed with it."""


@dataclass(slots=True)
class JobEntry:
    """One job: desired state as parsed, record as persisted, and what was observed."""

    name: str
    raw: RawSpec | None = None
    parsed: ParsedSpec | None = None
    gone: bool = False
    held: str | None = None
    """Why the job counts as there although its node is missing (S7)."""
    recreated: int = 0
    """czxid of a node with which another life of the name begins; this one ends, whatever becomes of the tree."""
    vanished: int | None = None
    """Czxid of the node whose loss is, or was, held."""
    mark: str | None = None
    """What a person names to confirm the loss."""
    asked: Asked | None = None
    """The request that waits to be answered."""
    answered: SpecRef | None = None
    """The request that was answered last; a read that began before that brings it up again."""
    all_paused: str | None = None
    """Why nothing may be done for any job."""
    draining: frozenset[str] = frozenset()
    """Ids and hostnames of agents that are to be empty."""
    may_move: bool = False
    moving: bool = False
    adopted: int | None = None
    """czxid of a node that stands for the job of the record although it is a new one."""
    record: Record | None = None
    version: int | None = None
    quarantined: str | None = None
    stale: bool = False
    """The record's znode may differ from `record`: nothing is decided before it is read again."""
    tasks: dict[str, TaskObservation] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    flink: FlinkObservation | None = None
    unreachable_since: float | None = None
    restore: RestoreView | None = None
    cleaned: set[str] = field(default_factory=set)
    waiting: str | None = None
    capped: frozenset[str] = frozenset()
    """Tasks that wait for their turn after a mass failure, not for offers."""
    disposed: set[str] = field(default_factory=set)
    rescale_refused: str | None = None
    flink_restarts: tuple[tuple[float, int], ...] = ()
    unregistered: dict[str, float] = field(default_factory=dict)
    newer_task: str | None = None
    """A live task of this job that its record cannot know: the record was restored from an old backup."""
    sessions: dict[str, SessionView] = field(default_factory=dict)
    session_jobs: tuple[SessionJob, ...] = ()
    submit_refused: Refusal | None = None
    forbidden: set[str] = field(default_factory=set)
    upcoming: FlinkObservation | None = None
    opened: set[str] = field(default_factory=set)
    pending: Pending | None = None
    launches: Sequence[tuple[Launch, TaskInfo]] = ()
    """What the last commit released; an ACCEPT that has tasks of other jobs in it waits for their commits too."""
    acknowledge: list[TaskUpdate] = field(default_factory=list)
    status: Status | None = None
    status_at: float = float("-inf")
    polling: set[int] = field(default_factory=set)
    """Generations whose JobManager is being asked."""
    idle: bool = False
    """The last look at it found nothing to do: nothing to write, and no effect, which would be repeated."""
    unclear: int = 0
    """Writes in a row of which nobody knew whether they were applied."""

    @property
    def unsent(self) -> frozenset[str]:
        """Tasks that are persisted as placed and whose ACCEPT is not on its way yet.

        A call about one of them would overtake its launch: Mesos would answer that there is no such task, which is
        a death, and then start it (S1).
        """
        return frozenset(info.task_id for launch, info in self.launches if launch.waiting_for)

    def busy(self) -> bool:
        """True while a commit is in flight, or a launch waits; launches that are sent are forgotten."""
        if self.launches and not self.unsent:
            self.launches = ()
        return self.pending is not None or bool(self.launches)

    @property
    def paused(self) -> bool:
        return self.all_paused is not None or (self.record is not None and self.record.paused is not None)

    @property
    def life(self) -> Record | None:
        """The record as persisted; a new job's while it is on its way, because it may be applied already."""
        return self.pending.record if self.record is None and self.pending is not None else self.record

    @property
    def live(self) -> bool:
        """True for a job that was accepted and is not deleted."""
        return self.life is not None and self.life.lifecycle is not Lifecycle.DELETED

    def desired(self) -> Desired:
        return replace(self._desired(), asked=self.asked, paused=self.all_paused)

    def _desired(self) -> Desired:
        if self.gone:
            return Desired(self.name, present=False)
        if self.held is not None or self.parsed is None:
            confirm = f", or say that it is a delete: weir confirm {self.mark}" if self.mark else ""
            held = f"{self.held}{confirm}" if self.held is not None else None
            return Desired(self.name, present=True, ref=self.record.seen if self.record else None, held=held)
        spec, error = self.parsed.spec, self.parsed.error
        if spec is not None and self._another_kind(spec.is_session):
            # What a session is to its jobs, and what a job is to its state, ends with a delete only.
            spec, error = None, f"kind: a session cannot become a job nor a job a session; delete {self.name} first"
        return Desired(
            self.name,
            present=True,
            ref=self.parsed.ref,
            spec=spec,
            error=error,
            adopt=self.adopted == self.parsed.ref.czxid,
        )

    def _another_kind(self, is_session: bool) -> bool:
        record = self.record
        if record is None or record.spec is None or record.lifecycle in (Lifecycle.DELETING, Lifecycle.DELETED):
            return False
        same_life = self.parsed is not None and self.parsed.ref.czxid in (record.seen.czxid, self.adopted)
        return same_life and record.spec.is_session != is_session

    def observation(self, since: float = 0.0, referenced: frozenset[str] | None = None) -> Observation:
        return Observation(
            referenced=referenced,
            since=since,
            complete=not self.unanswered,
            tasks=self.tasks,
            flink=self.flink,
            unreachable_since=self.unreachable_since,
            restore=self.restore,
            cleaned=frozenset(self.cleaned),
            waiting=self.waiting,
            disposed=frozenset(self.disposed),
            rescale_refused=self.rescale_refused,
            flink_restarts=self.flink_restarts,
            newer_task=self.newer_task,
            unregistered_since=self.unregistered,
            sessions=self.sessions,
            session_jobs=self.session_jobs,
            submit_refused=self.submit_refused,
            forbidden=frozenset(self.forbidden),
            upcoming=self.upcoming,
            opened=frozenset(self.opened),
            draining=self.draining,
            may_move=self.may_move,
            moving=self.moving,
        )

    def adopt(self, record: Record | None, version: int | None) -> None:
        """This is what is persisted now; observations of tasks that it no longer names are dropped."""
        before = self.record.generation.job_id if self.record and self.record.generation else None
        next_before = self.record.upcoming.number if self.record and self.record.upcoming else None
        self.record, self.version, self.stale = record, version, False
        known = {task.task_id for task in record.tasks if task.task_id} if record else set()
        self.tasks = {task_id: seen for task_id, seen in self.tasks.items() if task_id in known}
        self.unanswered &= known
        self.disposed &= set(record.disposing) if record else set()
        if self.newer_task is not None and (record is None or knows(record, self.newer_task)):
            self.newer_task = None
        job_id = record.generation.job_id if record and record.generation else None
        self.forbidden &= {job_id} if job_id else set()
        self.cleaned &= {job_id, *(old.job_id for old in record.retired)} if record else set()
        if before != job_id:
            self.submit_refused = None
        self.opened &= {job_id} if job_id else set()
        if next_before != (record.upcoming.number if record and record.upcoming else None):
            self.upcoming = None
        if self.flink is not None and self.flink.job_id != job_id:
            self.forget_flink()
            self.rescale_refused, self.flink_restarts = None, ()

    def forget_flink(self) -> None:
        """No JobManager runs: what the last one said is not about the next."""
        self.flink, self.unreachable_since, self.unregistered = None, None, {}

    def note_update(self, update: TaskUpdate, now: float) -> None:
        """A status of one of this job's tasks. An equal state keeps its time; a death is final (fault 21)."""
        self.unanswered.discard(update.task_id)
        before = self.tasks.get(update.task_id)
        if before is not None and (before.state.dead or before.state is update.state):
            return
        self.tasks[update.task_id] = TaskObservation(update.state, now, update.agent_id, update.reason, update.message)

    def note_flink(self, event: FlinkAnswered) -> bool:
        """An answer of the JobManager; False when it is about another generation."""
        generation = self.record.generation if self.record else None
        seen = event.observation
        upcoming = self.record.upcoming if self.record else None
        if upcoming is not None and upcoming.number == event.generation:
            self.upcoming = seen
            return True
        if generation is None or generation.number != event.generation:
            return False
        if seen.reachable:
            self.unreachable_since = None
            self._note_registered(seen)
            self.flink = seen
            self._sample_restarts(seen)
        elif self.unreachable_since is None:
            self.unreachable_since = seen.at
        return True

    def note_effect(self, event: EffectDone) -> bool:
        """What an ended call proves by itself; False when only looking again can tell."""
        kind, _, rest = event.key.partition("/")
        if kind == "cleanup" and event.error is None:
            self.cleaned.add(rest)
        elif kind in ("dispose", "discard") and (event.error is None or event.refused):
            self.disposed.add(rest)
        elif kind == "rescale" and event.refused:
            self.rescale_refused = event.error
        elif kind == "submit" and event.refused:
            self.submit_refused = Refusal(int(rest.rpartition("/")[2]), event.error or "no reason given")
        elif kind == "forbid" and event.error is None:
            self.forbidden.add(rest)
        elif kind == "gate" and event.error is None:
            self.opened.add(rest)
        else:
            return False
        return True

    def _note_registered(self, seen: FlinkObservation) -> None:
        """Since when this JobManager has not named a TaskManager; another one, also an elected standby, starts anew."""
        generation = self.record.generation if self.record else None
        says = seen.job_state is not None or (generation is not None and generation.spec.is_session)
        same = self.flink is not None and self.flink.leader_url == seen.leader_url and says
        before = self.unregistered if same else {}
        self.unregistered = {
            task.task_id: before.get(task.task_id, seen.at)
            for task in (self.record.tasks if self.record else ())
            if task.role is Role.TASK_MANAGER and task.task_id and task.task_id not in seen.task_managers
        }

    def _sample_restarts(self, seen: FlinkObservation) -> None:
        """Keep (time, count) where the count changed; a count that fell is another JobManager's.

        0 after that says nothing: Flink has not collected the metric (yet), or the answer had no details.
        """
        samples = self.flink_restarts
        if samples and seen.flink_restarts < samples[-1][1]:
            if seen.flink_restarts == 0:
                return
            samples = ((seen.at, 0),)
        if not samples or seen.flink_restarts != samples[-1][1]:
            self.flink_restarts = (*samples, (seen.at, seen.flink_restarts))[-RESTART_SAMPLES:]

    def has_task(self, task_id: str) -> bool:
        return self.record is not None and any(task.task_id == task_id for task in self.record.tasks)

    def has_unplaced(self) -> bool:
        """True when the persisted record has tasks to place, now or after a back-off."""
        return self.record is not None and any(not task.placed for task in self.record.tasks)

    def settled(self) -> bool:
        """True when nothing is going on, so that looking rarely is enough.

        A change that waits for an answer of the JobManager, as a rescale in place does, is something going on.
        """
        record = self.record
        if record is None or record.lifecycle not in _SETTLED:
            return False
        if record.lifecycle is Lifecycle.STABLE and record.generation is not None:
            return record.generation.spec == record.spec
        return True

    def rests(self) -> bool:
        """True when the next look would find nothing to do either, unless an event or a timer causes one.

        While agents are drained jobs take turns in moving, and what makes room is an event about another job.
        """
        calm = self.idle and not (self.stale or self.unanswered or self.draining or self.has_unplaced())
        return calm and self.pending is None and self.settled()


def wants(entry: JobEntry, now: float) -> bool:
    """True when the record has tasks to place, and their back-off is over; also the one that is being persisted.

    Nothing is placed before that is done, but offers can be asked for meanwhile.
    """
    records = (entry.record, entry.pending.record if entry.pending is not None else None)
    return not entry.paused and any(
        not task.placed and task.not_before <= now for record in records if record is not None for task in record.tasks
    )


def knows(record: Record, task_id: str) -> bool:
    """True when the record explains a task of this name: as its own, an older one's, or one of a fenced generation."""
    name = ids.parse_task_id(task_id)
    if name is None or name.uid != record.uid or any(task.task_id == task_id for task in record.tasks):
        return True
    return fenced(record, name.generation) or (
        name.generation < record.next_generation and name.attempt < record.next_attempt
    )


def fenced(record: Record, generation: int) -> bool:
    """True when a person declared this generation, or a later one, dead."""
    return any(generation <= force.generation for force in record.fenced)


def unplaced(entries: Iterable[JobEntry], dirty: Container[str], now: float) -> tuple[frozenset[str], bool]:
    """Tasks that did not fit into the offers at hand; and whether there are others that were not matched yet."""
    unfit: set[str] = set()
    undecided = False
    for entry in entries:
        if entry.pending is not None or entry.unanswered or entry.name in dirty or entry.record is None:
            undecided = True
            continue
        wanted = [task for task in entry.record.tasks if not task.placed and task.not_before <= now]
        unfit |= {entry.record.task_name(task) for task in wanted} - entry.capped
    return frozenset(unfit), undecided


def requests(record: Record | None, now: float) -> list[TaskRequest]:
    """What the record's wanted tasks need, those whose back-off is over; JobManagers first."""
    if record is None:
        return []
    avoid = recently_failed(record.restarts, now)
    wanted = [task for task in record.tasks if not task.placed and task.not_before <= now]
    found = []
    for task in sorted(wanted, key=lambda task: (task.generation, task.role is Role.TASK_MANAGER, task.index)):
        generation = record.generation_of(task)
        if generation is None:
            continue
        spec = generation.spec
        process = spec.job_manager if task.role is Role.JOB_MANAGER else spec.task_manager
        found.append(
            TaskRequest(
                job=record.name,
                task_name=record.task_name(task),
                role=task.role,
                cpus=process.cpus,
                mem_mb=float(process.memory),
                disk_mb=float(process.disk or 0),
                gpus=float(spec.task_manager.gpus) if task.role is Role.TASK_MANAGER else 0.0,
                ports=PORTS[task.role],
                constraints=tuple(tuple(constraint) for constraint in spec.placement.constraints),
                strategy=spec.placement.strategy,
                siblings=_siblings(record, task),
                avoid=avoid,
                mesos_role=spec.placement.role,
                options=spec.placement.options,
                relaunch=is_relaunch(record.restarts, task),
            )
        )
    return found


def _siblings(record: Record, wanted: Task) -> tuple[Sibling, ...]:
    """Placed tasks of the same generation, less what `wanted` stands in for and what is being killed.

    Constraints are about where a job settles: an attempt that is on its way out must not keep its own
    replacement from being placed.
    """
    return tuple(
        Sibling(task.role, task.agent_id, task.hostname, {each.name: each.value for each in task.attributes})
        for task in record.tasks
        if task.agent_id is not None
        and task.hostname is not None
        and task.generation == wanted.generation
        and task.kill_since is None
        and (task.role, task.index) != (wanted.role, wanted.index)
    )


def same_status(before: Status | None, after: Status) -> bool:
    """True when only the time differs."""
    return before is not None and before.model_copy(update={"time": after.time}) == after
