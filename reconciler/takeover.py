"""Taking over: what a new leader does before it acts, and how it learns what became of every task.

    epoch bumped (election) -> read framework id and records -> subscribe, which displaces the old
      leader's stream -> persist the framework id -> read the desired tree -> ask Mesos about all
      tasks, then about each that it said nothing of until it does -> act, job by job       (S5, S6)

Reconciliation is implicit first and from time to time: one call that also brings up tasks which no
record names. What it leaves open is asked explicitly, with agent ids, repeated with truncated
exponential back-off until each task is answered for (Mesos docs, "Task Reconciliation").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import structlog

from reconciler.calls import MesosCalls
from reconciler.clocks import not_ahead
from reconciler.jobs import JobEntry, fenced
from reconciler.model import ids
from reconciler.model.events import (
    Disconnected,
    Event,
    FrameworkIdSaved,
    RecordsLoaded,
    StoredRecord,
    Subscribed,
    TaskUpdate,
    UnreadableRecord,
)
from reconciler.ports import Cluster, EventSink, Fence, Fenced, Store, StoreError
from reconciler.timers import Timers

log = structlog.get_logger("weir.takeover")

IMPLICIT_EVERY_S = 900.0
LOOK_S = 0.5
"""The explicit questions begin when so long brought no answer to the implicit one."""
ASK_FIRST_S = 1.0
ASK_LONGEST_S = 15.0
UNKNOWN_GRACE_S = 10.0


class TakeOver:
    """Where a new leader is on the way to acting."""

    def __init__(
        self,
        store: Store,
        cluster: Cluster,
        calls: MesosCalls,
        fence: Fence,
        timers: Timers,
        submit: Callable[[str, Callable[[], Event | None]], None],
        sink: EventSink,
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._calls = calls
        self._fence = fence
        self._timers = timers
        self._submit = submit
        self._sink = sink
        self._framework_id: str | None = None
        self._ask_after = ASK_FIRST_S
        self.records_loaded = False
        self.registered = False
        self.acting = False
        self.since = 0.0
        """When this leader began to act (its clock)."""
        self._waiting: set[str] = set()
        """Jobs of which Mesos has not answered for every task."""
        self._left = 0
        """How many tasks were not answered for when it was last looked at."""
        self.away_since: float | None = None
        """Since when no master has had us subscribed, while one was looked for (the leader's clock)."""

    def start(self) -> None:
        self._submit("store", partial(_load, self._store))

    def handle(
        self, event: RecordsLoaded | FrameworkIdSaved | Subscribed | Disconnected, jobs: dict[str, JobEntry], now: float
    ) -> str | None:
        """Go one step on; a sentence when this replica must not lead."""
        match event:
            case RecordsLoaded(records=None):
                log.warning("takeover.records_unreadable", error=event.error)
                self._timers.set("takeover", now + 1.0)
            case RecordsLoaded():
                return self._on_records(event, jobs, now)
            case Subscribed():
                return self._on_subscribed(event, jobs, now)
            case FrameworkIdSaved(error=None):
                self.registered = True
            case FrameworkIdSaved():
                return f"the framework id could not be persisted: {event.error}"
            case Disconnected():
                self.away_since = now if self.away_since is None else self.away_since
                log.warning("mesos.disconnected", why=event.why)
        return None

    def _on_records(self, event: RecordsLoaded, jobs: dict[str, JobEntry], now: float) -> str | None:
        assert event.records is not None
        placed = 0
        for name, stored in event.records.items():
            entry = jobs.setdefault(name, JobEntry(name))
            if isinstance(stored, UnreadableRecord):
                entry.quarantined = stored.error
                log.error("record.quarantined", job=name, error=stored.error)
                continue
            assert isinstance(stored, StoredRecord)
            entry.adopt(not_ahead(stored.record, now), stored.version)
            placed += sum(task.placed for task in stored.record.tasks)
        if event.framework_id is None and placed:
            return (
                f"records name {placed} placed tasks but the framework id is missing: registering as a new framework "
                "would orphan them; restore /framework from a backup"
            )
        self.records_loaded = True
        self._framework_id = event.framework_id
        self.away_since = now
        self._cluster.start(event.framework_id, self._sink)
        return None

    def _on_subscribed(self, event: Subscribed, jobs: Mapping[str, JobEntry], now: float) -> str | None:
        log.info("mesos.subscribed", framework_id=event.framework_id, master=event.master)
        self.away_since = None
        if self._framework_id is None:
            self._framework_id = event.framework_id
            self._submit("store", partial(_save_id, self._store, self._fence, event.framework_id))
        elif self._framework_id != event.framework_id:
            return f"the master knows us as {event.framework_id}, but {self._framework_id} is persisted"
        else:
            self.registered = True
        if self.acting:
            self._calls.reconcile(_placed(jobs.values()))
            self._timers.set("implicit", now)
        return None

    def begin(self, jobs: Mapping[str, JobEntry], now: float) -> None:
        """Everything is loaded and registered: from here on each job acts once Mesos has answered for it."""
        self.acting = True
        self.since = now
        for entry in jobs.values():
            entry.unanswered = {task.task_id for task in entry.record.tasks if task.task_id} if entry.record else set()
            entry.status_at = now  # soon there is more to say than that Mesos is being asked
        self._waiting = {entry.name for entry in jobs.values() if entry.unanswered}
        self._left = sum(len(entry.unanswered) for entry in jobs.values())
        self.ask_implicitly(now)
        self._timers.set("ask", now + LOOK_S)
        log.info("takeover.acting", epoch=self._fence.epoch, jobs=len(jobs))
        if not self._waiting:
            log.info("takeover.complete", epoch=self._fence.epoch)

    def answered(self, entry: JobEntry) -> None:
        """Mesos has said something about a task of this job; when nothing is missing any more the view is full."""
        if entry.name in self._waiting and not entry.unanswered:
            self._waiting.discard(entry.name)
            if not self._waiting:
                log.info("takeover.complete", epoch=self._fence.epoch)

    def ask_unanswered(self, jobs: Mapping[str, JobEntry], now: float) -> None:
        """Silence is not loss: ask again, more and more rarely, until each task is answered for (fault 26)."""
        left = [(task, agent) for task, agent in _placed(jobs.values()) if _owner_waits(jobs, task)]
        if not left:
            return
        before, self._left = self._left, len(left)
        if self._left < before and now - self.since < ASK_LONGEST_S:
            self._timers.set("ask", now + LOOK_S)  # answers are still coming in
            return
        self._calls.reconcile(left)
        self._ask_after = min(self._ask_after * 2, ASK_LONGEST_S)
        self._timers.set("ask", now + self._ask_after)

    def ask_implicitly(self, now: float) -> None:
        self._calls.reconcile_implicitly()
        self._timers.set("implicit", now + IMPLICIT_EVERY_S)

    def ask_about_all(self, jobs: Mapping[str, JobEntry]) -> None:
        """Nobody knows which calls were made: let Mesos say what runs."""
        self._calls.reconcile(_placed(jobs.values()))

    def ask_about_agent(self, jobs: Mapping[str, JobEntry], agent_id: str) -> None:
        """The master removed an agent, and says only once what became of its tasks."""
        self._calls.reconcile([(task, agent) for task, agent in _placed(jobs.values()) if agent == agent_id])

    def ask_about(self, entry: JobEntry) -> None:
        """A launch that may not have been sent: let Mesos say."""
        self._calls.reconcile(_placed([entry]))

    def unknown_task(self, update: TaskUpdate, entry: JobEntry | None) -> None:
        """A task that no record names. Killed only if that is proved to be right; else left alone (fault 28)."""
        if update.state.dead:
            self._calls.acknowledge(update)
            return
        name = ids.parse_task_id(update.task_id)
        record = entry.record if entry is not None else None
        if name is None or record is None or not update.state.alive:
            log.warning("task.unknown", task_id=update.task_id, state=update.state.value)
            return
        assert entry is not None
        buried = any(stone.uid == name.uid for stone in record.tombstones)
        older = name.generation < record.current_number or fenced(record, name.generation)
        if buried or (name.uid == record.uid and older):
            if entry.paused:
                return  # an implicit reconciliation brings it up again

            log.warning("task.unknown_killed", task_id=update.task_id, buried=buried)
            self._calls.kill(update.task_id, update.agent_id, UNKNOWN_GRACE_S)
            self._calls.acknowledge(update)
        elif name.uid == record.uid and (
            name.generation >= record.next_generation or name.attempt >= record.next_attempt
        ):
            entry.newer_task = update.task_id
        else:
            log.warning("task.unknown", task_id=update.task_id, state=update.state.value)


def _placed(entries: object) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for entry in entries:  # type: ignore[attr-defined]
        if entry.record is not None:
            tasks, unsent = entry.record.tasks, entry.unsent
            found.extend((task.task_id, task.agent_id) for task in tasks if task.task_id and task.task_id not in unsent)
    return found


def _owner_waits(jobs: Mapping[str, JobEntry], task_id: str) -> bool:
    name = ids.parse_task_id(task_id)
    entry = jobs.get(name.job) if name is not None else None
    return entry is not None and task_id in entry.unanswered


def _load(store: Store) -> Event:
    try:
        store.sync()
        return RecordsLoaded(store.load_framework_id(), store.load_records(), operator=store.load_operator())
    except StoreError as error:
        return RecordsLoaded(None, None, str(error))


def _save_id(store: Store, fence: Fence, framework_id: str) -> Event:
    try:
        store.save_framework_id(fence, framework_id)
    except Fenced as error:
        return FrameworkIdSaved(f"fenced: {error}")
    except StoreError as error:
        return FrameworkIdSaved(str(error))
    return FrameworkIdSaved()
