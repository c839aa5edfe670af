"""Persisting decisions and releasing what waits for that: the write-ahead half of the loop (S4, S5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from reconciler.jobs import JobEntry, Launch, Pending, same_status
from reconciler.model.decision import Decision, EmitEvent
from reconciler.model.events import Committed, EffectDone, Event, StoredRecord, TaskUpdate, UnreadableRecord
from reconciler.model.record import AgentAttribute, Record, TaskPhase
from reconciler.model.resources import Assignment, TaskInfo
from reconciler.model.status import JobEvent, Status
from reconciler.ports import (
    Cluster,
    Fence,
    Fenced,
    JobChange,
    PortError,
    Renderer,
    Store,
    StoreError,
    ValueTooLarge,
)
from reconciler.report import timestamp

log = structlog.get_logger("weir.commit")

Submit = Callable[[str, Callable[[], Event | None]], None]


def take_settled(entry: JobEntry, record: Record | None) -> list[TaskUpdate]:
    """Updates that may be acknowledged once `record` is persisted: a death that is still in it has to wait."""
    open_tasks = {task.task_id for task in record.tasks} if record is not None else set()
    waiting = [update for update in entry.acknowledge if update.state.dead and update.task_id in open_tasks]
    settled = [update for update in entry.acknowledge if update not in waiting]
    entry.acknowledge = waiting
    return settled


class Committer:
    """Commits in flight, at most one per job."""

    def __init__(self, store: Store, renderer: Renderer, fence: Fence, submit: Submit) -> None:
        self._store = store
        self._renderer = renderer
        self._fence = fence
        self._submit = submit
        self._tokens = 0

    def commit(
        self, entry: JobEntry, decision: Decision, launches: list[tuple[Launch, Assignment]], status: Status, now: float
    ) -> None:
        """Persist a decision that changes the record, with the placements of its tasks."""
        record, infos = decision.record, []
        for launch, assignment in launches:
            assert record is not None
            record, info = self._placed(record, assignment, now)
            infos.append((launch, info))
        history = self._history(decision, record or entry.record, now)
        acknowledge = take_settled(entry, record)
        asked = entry.asked if decision.answered else None
        pending = Pending(self._token(), record, decision.effects, acknowledge, infos, status, history, asked=asked)
        answered = asked.ref.version if asked is not None else None
        self._send(entry, pending, JobChange(entry.name, record, entry.version, status, history, answered=answered))

    def commit_status(self, entry: JobEntry, status: Status) -> None:
        """Persist a status only; nothing waits for it."""
        pending = Pending(self._token(), entry.record, (), (), (), status, record_written=False)
        self._send(entry, pending, JobChange(entry.name, entry.record, entry.version, status, write_record=False))

    def leave_alone(self, entry: JobEntry, why: str, now: float) -> None:
        """Its tasks go on running and nothing is done for it; the next event or resync tries again (fault 12)."""
        said = Status(lifecycle="BLOCKED", why=why, error=why, leader_epoch=self._fence.epoch, time=timestamp(now))
        if entry.pending is None and not same_status(entry.status, said):
            self.commit_status(entry, said)

    def forget(self, entry: JobEntry) -> None:
        """Remove what was written about a name that never became, or no longer is, a job."""
        pending = Pending(self._token(), None, (), (), (), None)
        self._send(entry, pending, JobChange(entry.name, None, entry.version))

    def reread(self, entry: JobEntry) -> None:
        """Nobody knows what was written last: read it back before anything is decided (fault 9)."""
        entry.pending = Pending(self._token(), entry.record, (), (), (), None)
        self._submit("store", partial(_reread, self._store, entry.name, entry.pending.token, "read back"))

    def _send(self, entry: JobEntry, pending: Pending, change: JobChange) -> None:
        entry.pending = pending
        self._submit("store", partial(_commit, self._store, self._fence, change, pending.token))

    def _token(self) -> int:
        self._tokens += 1
        return self._tokens

    def _placed(self, record: Record, assignment: Assignment, now: float) -> tuple[Record, TaskInfo]:
        """The record with the task PLACED, and the launch that follows once that is persisted."""
        name = assignment.request.task_name
        wanted = next(task for task in record.tasks if not task.placed and record.task_name(task) == name)
        task = replace(
            wanted,
            phase=TaskPhase.PLACED,
            task_id=name,
            agent_id=assignment.agent_id,
            hostname=assignment.hostname,
            address=assignment.address,
            ports=assignment.ports,
            placed_at=now,
            attributes=tuple(AgentAttribute(name, value) for name, value in sorted(assignment.attributes.items())),
        )
        record = replace(record, tasks=tuple(task if old is wanted else old for old in record.tasks))
        generation = record.generation_of(task)
        assert generation is not None
        return record, self._renderer.render(record, generation, task)

    def _history(self, decision: Decision, record: Record | None, now: float) -> tuple[JobEvent, ...]:
        number = 0
        if record is not None:
            number = record.current_number
        return tuple(
            JobEvent(
                time=timestamp(now),
                code=effect.code.value,
                message=effect.message,
                warning=effect.warning,
                generation=number,
                epoch=self._fence.epoch,
            )
            for effect in decision.effects
            if isinstance(effect, EmitEvent)
        )


class Launcher:
    """ACCEPTs wait until every job that has a task in them is persisted or given up."""

    def __init__(self, cluster: Cluster, submit: Submit, decline: Callable[[Sequence[str], float], None]) -> None:
        self._cluster = cluster
        self._submit = submit
        self._decline = decline

    def settle(self, job: str, launches: Sequence[tuple[Launch, TaskInfo]], applied: bool) -> None:
        """The job's commit ended; `applied` says whether its tasks may be launched."""
        for launch, info in launches:
            if applied:
                launch.infos.append(info)
            launch.waiting_for.discard(job)
        for launch in {id(launch): launch for launch, _ in launches}.values():
            if not launch.waiting_for:
                self._send(job, launch)

    def abandon(self, job: str, launches: Sequence[Launch]) -> None:
        """The job has no part in these after all."""
        for launch in {id(launch): launch for launch in launches}.values():
            launch.waiting_for.discard(job)
            if not launch.waiting_for:
                self._send(job, launch)

    def _send(self, job: str, launch: Launch) -> None:
        if not launch.infos:
            self._decline(launch.offer_ids, 0.0)
            return
        tasks = tuple(launch.infos)
        log.info("task.launch_requested", agent_id=launch.agent_id, tasks=[task.task_id for task in tasks])
        self._submit("mesos", partial(_accept, self._cluster, job, launch.offer_ids, tasks))


def _accept(cluster: Cluster, job: str, offer_ids: Sequence[str], tasks: Sequence[TaskInfo]) -> Event:
    key = f"accept/{tasks[0].task_id}"
    try:
        cluster.accept(offer_ids, tasks)
    except PortError as error:
        return EffectDone(job, key, str(error))
    return EffectDone(job, key)


def _commit(store: Store, fence: Fence, change: JobChange, token: int) -> Event:
    try:
        return Committed(change.name, token, store.commit(fence, change))
    except Fenced as error:
        return Committed(change.name, token, None, str(error), fenced=True)
    except ValueTooLarge as error:
        return Committed(change.name, token, None, str(error), too_large=True)
    except StoreError as error:
        return _reread(store, change.name, token, f"{type(error).__name__}: {error}")


def _reread(store: Store, name: str, token: int, why: str) -> Event:
    try:
        stored = store.load_record(name)
    except StoreError as error:
        return Committed(name, token, None, f"{why}; reading back: {error}")
    if isinstance(stored, UnreadableRecord):
        return Committed(name, token, None, f"{why}; the record is unreadable: {stored.error}")
    assert stored is None or isinstance(stored, StoredRecord)
    return Committed(name, token, None, why, reread=True, stored=stored)
