"""Requests of people on their way to whoever answers them, and the operator's own record.

    `/weir/control/<name>` -> DesiredLoaded.control -> `take`
      -> a job's own: `JobEntry.asked` -> decide() -> answered in the job's commit
      -> all others (`_global`, names without a job, confirmations): decide_operator() -> `/weir/operator`

Both remove the request in the multi that persists its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import structlog

from reconciler import drains
from reconciler.clocks import not_ahead
from reconciler.decide_operator import decide_operator, mark_of, paused_by_all
from reconciler.jobs import JobEntry
from reconciler.model.control import GLOBAL, Action, Asked
from reconciler.model.events import Event, OperatorCommitted, StoredOperator
from reconciler.model.operator import Drain, OperatorRecord
from reconciler.model.record import SpecRef
from reconciler.model.status import JobEvent
from reconciler.ports import Fence, Fenced, OperatorChange, Store, StoreError
from reconciler.report import timestamp

log = structlog.get_logger("weir.control")

RETRY_S = 1.0
LOOK_EVERY_S = 2.0


class Control:
    """What waits to be answered, and what is persisted about all jobs."""

    def __init__(self, store: Store, fence: Fence, submit: Callable[[str, Callable[[], Event | None]], None]) -> None:
        self._store = store
        self._fence = fence
        self._submit = submit
        self._version: int | None = None
        self._asked: dict[str, Asked] = {}
        self._given: set[str] = set()
        """Jobs that have a request which waits."""
        self._answered: dict[str, SpecRef] = {}
        """By name, the node that was answered last: a read that began before its removal brings it up again."""
        self._pending: OperatorRecord | None = None
        self._sent: tuple[Asked, ...] = ()
        self._stale = False
        self._news = True
        """False once all that was read is dealt with: no other event costs a look at every job."""
        self._not_before = self._looked_at = float("-inf")
        self.windows: tuple[Drain, ...] = ()
        """Agents that are to be empty because Mesos says so."""
        self.record = OperatorRecord()
        self.problem: str | None = None
        """Why the operator's record cannot be read: everything stays as it is until it can."""

    @property
    def draining(self) -> frozenset[str]:
        """Ids and hostnames of agents that are to be empty."""
        return frozenset(drain.agent for drain in (*self.record.draining, *self.windows))

    @property
    def paused(self) -> str | None:
        """Why nothing may be done for any job, or None."""
        return self.problem or paused_by_all(self.record)

    def loaded(self, stored: StoredOperator | None, now: float) -> None:
        """What is persisted; at take-over, or after a write that nobody knows the outcome of."""
        self._stale = False
        self.problem = stored.error if stored is not None else None
        if self.problem is not None:
            log.error("operator.unreadable", error=self.problem)
            return
        self.record = not_ahead(stored.record, now) if stored is not None and stored.record else OperatorRecord()
        self._version = stored.version if stored is not None else None

    def confirmed(self, name: str, czxid: int) -> bool:
        """True when a person said that this job's loss is a delete."""
        return any((job.name, job.czxid, job.confirmed) == (name, czxid, True) for job in self.record.held)

    def confirmed_delete(self, entry: JobEntry) -> bool:
        """True for a job that vanished and that a person said is to be deleted."""
        record = entry.record
        return entry.gone and record is not None and self.confirmed(entry.name, record.seen.czxid)

    def holds(self, name: str, czxid: int) -> bool:
        """True when this loss is held, by this leader or one before."""
        return any((job.name, job.czxid) == (name, czxid) for job in self.record.held)

    def take(self, control: Mapping[str, Asked], jobs: Mapping[str, JobEntry]) -> set[str]:
        """Take over a reading of the requests; the names of the jobs that have a new one."""
        before = self._asked
        self._asked = {name: asked for name, asked in control.items() if self._answered.get(name) != asked.ref}
        self._news = self._news or bool(before or self._asked)
        touched = set()
        given, self._given = self._given, set(self._asked)
        for name in given | self._asked.keys():
            entry = jobs.get(name)
            if entry is None:
                continue
            asked = self._asked.get(name)
            if asked is not None and entry.answered == asked.ref:
                asked = None
                del self._asked[name]
            if entry.asked != asked:
                touched.add(name)
            entry.asked = asked
        return touched

    def apply(self, jobs: Mapping[str, JobEntry], changed: Collection[str] | None = None) -> set[str]:
        """Let the jobs know what is persisted about all of them; the names of those that it touches.

        `changed`: only these are new or other than before, and what is persisted is as it was.
        """
        paused, mark, draining = self.paused, mark_of(self.record.held), self.draining
        self._news = self._news or changed is None  # what is held is looked at
        touched = set()
        for name in jobs if changed is None else changed:
            entry = jobs[name]
            mine = mark if entry.held is not None and self.holds(name, entry.vanished or 0) else None
            confirmed = entry.held is not None and self.confirmed(name, entry.vanished or 0)
            if confirmed:
                entry.gone, entry.held, mine = True, None, None
            if confirmed or (entry.all_paused, entry.mark, entry.draining) != (paused, mine, draining):
                touched.add(name)
            entry.all_paused, entry.mark, entry.draining = paused, mine, draining
        return touched

    def work(self, jobs: Mapping[str, JobEntry], now: float) -> float | None:
        """Answer what no job answers, and note what is held, one write at a time; when to come back."""
        if self._pending is not None or self.problem is not None:
            return None
        open_drains = any(drain.emptied_at is None for drain in self.record.draining)
        again = now + LOOK_EVERY_S if open_drains else None
        if open_drains and now >= self._looked_at + LOOK_EVERY_S:
            self._news, self._looked_at = True, now
        if not self._news:
            return again
        if now < self._not_before:
            return self._not_before
        if self._stale:
            self._pending = self.record
            self._submit("store", partial(_reread, self._store, "read back"))
            return None
        asked = [(each, why) for each in self._asked.values() for mine, why in [_belongs(each, jobs)] if mine]
        held = {name: entry.vanished for name, entry in jobs.items() if entry.vanished is not None and entry.live}
        decision = decide_operator(self.record, held, asked, now, partial(drains.left, jobs))
        self._news = False
        if decision.record == self.record and not decision.answered:
            return again
        events = tuple(
            JobEvent(
                time=timestamp(now),
                code=told.code.value,
                message=told.message,
                warning=told.warning,
                epoch=self._fence.epoch,
            )
            for told in decision.events
        )
        for told in decision.events:
            log.info("operator.event", code=told.code.value, message=told.message)
        self._pending, self._sent = decision.record, decision.answered
        requests = tuple((each.name, each.ref.version) for each in decision.answered)
        change = OperatorChange(decision.record, self._version, events, requests)
        self._submit("store", partial(_commit, self._store, self._fence, change))
        return None

    def committed(self, event: OperatorCommitted, now: float) -> bool:
        """A write ended; True when it is known to be applied. Else requests have to be read again."""
        record, sent = self._pending, self._sent
        self._pending, self._sent, self._news = None, (), True
        if event.version is None or record is None:
            log.warning("operator.commit_unclear", error=event.error, reread=event.reread)
            self._not_before = now + RETRY_S
            self._asked.clear()
            self._stale = not event.reread
            if event.reread:
                self.loaded(event.stored, now)
            return False
        self.record, self._version = record, event.version
        for asked in sent:
            self._answered[asked.name] = asked.ref
            if self._asked.get(asked.name) == asked:
                del self._asked[asked.name]
        return True


def _belongs(asked: Asked, jobs: Mapping[str, JobEntry]) -> tuple[bool, str | None]:
    """Whether the operator answers it, and why the job that it names cannot."""
    if asked.name == GLOBAL:
        return True, None
    entry = jobs.get(asked.name)
    if entry is not None and entry.quarantined is not None:
        return True, f"its record cannot be read: {entry.quarantined}"
    if asked.request is not None and asked.request.action is Action.CONFIRM and entry is not None:
        return True, None
    if entry is not None and entry.live:
        return False, None
    if entry is not None and (
        entry.pending is not None or (entry.parsed is not None and entry.parsed.spec is not None)
    ):
        return False, None  # it is about to become a job
    return True, f'there is no job "{asked.name}"'


def _commit(store: Store, fence: Fence, change: OperatorChange) -> Event:
    try:
        return OperatorCommitted(store.commit_operator(fence, change))
    except Fenced as error:
        return OperatorCommitted(None, str(error), fenced=True)
    except StoreError as error:
        return _reread(store, f"{type(error).__name__}: {error}")


def _reread(store: Store, why: str) -> Event:
    try:
        stored = store.load_operator()
    except StoreError as error:
        return OperatorCommitted(None, f"{why}; reading back: {error}")
    return OperatorCommitted(None, why, reread=True, stored=stored)
