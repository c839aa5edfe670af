"""The observer of a replica: counts what the loop does, and keeps the newest view of the leader.

`handled` and `decided` run on the loop's thread and only count and copy. Everything else may be
called from any thread: a reader takes the current view, which never changes.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from reconciler.app.monitoring.collector import JobCollector
from reconciler.app.monitoring.instruments import Instruments
from reconciler.app.monitoring.reconciled import reconciled, trouble_since
from reconciler.model import events as ev
from reconciler.model.decision import Decision, EmitEvent, WakeAt
from reconciler.model.record import Record, SnapshotKind
from reconciler.model.resources import Offer
from reconciler.view import LeaderView

log = structlog.get_logger("weir.monitor")

VIEW_EVERY_S = 0.5
SHARE = 100
"""A view may cost one part in this many of the loop's time, however many jobs there are: of 1,000 there is one every
`VIEW_EVERY_S`, of 10,000, at 50 ms each, one every 5 s."""
TICK_FRESH_S = 15.0
OFFERS_KEPT = 2000
DECLINED_KEPT = 50
SHORT_REFUSE_S = 60.0
"""A decline for longer than this means that nothing is wanted, not that the offer does not fit."""
CODES_KEPT = 100
"""Reason codes are few and documented; more than this would be a mistake, and is one series."""


@dataclass(frozen=True, slots=True)
class Declined:
    """An offer that was not used."""

    at: float
    """Epoch seconds of this host."""
    offer: Offer
    refuse_s: float
    why: str
    count: int = 1
    """How often an offer of this agent was declined for this reason."""


@dataclass(frozen=True, slots=True)
class Published:
    """What other threads read: a view, and what this replica has worked out about it."""

    view: LeaderView
    taken_at: float
    """Monotonic seconds of this process."""
    unreconciled_since: dict[str, float]
    """By job that is not as desired, in the leader's clock."""
    mesos: bool = False
    """Whether a Mesos master is subscribed with."""
    master: str | None = None
    """The leading Mesos master, `host:port`."""
    number: int = 0
    """Grows with every view."""


class Monitor:
    """One for a replica's life; leaderships come and go."""

    def __init__(self, instruments: Instruments | None = None) -> None:
        self.instruments = instruments or Instruments()
        self.published: Published | None = None
        """None while this replica does not lead."""
        self.last_tick: float | None = None
        """When the loop last took an event, monotonic seconds; None while this replica does not lead."""
        self.declined: OrderedDict[tuple[str, str], Declined] = OrderedDict()
        """By agent and reason: the latest, newest last."""
        self._offers: OrderedDict[str, Offer] = OrderedDict()
        self._view_at = float("-inf")
        self._view_every = VIEW_EVERY_S
        self._decided = 0
        self._effects: dict[str, frozenset[str]] = {}
        self._codes: set[str] = set()
        self._records: dict[str, Record] = {}
        self._mistakes = 0
        self._mesos = False
        self._numbers = 0
        self._master: Callable[[], str | None] = lambda: None
        self.instruments.registry.register(JobCollector(lambda: self.published))

    # On the loop's thread

    def begin(self, epoch: int, master: Callable[[], str | None] = lambda: None) -> None:
        """This replica was elected."""
        self._master = master
        self._view_at, self._view_every = float("-inf"), VIEW_EVERY_S
        self._decided, self._mistakes, self._mesos = 0, 0, False
        self._effects, self._records = {}, {}
        self._offers.clear()
        self.declined.clear()
        self.last_tick = time.monotonic()
        self.instruments.leader.set(1)
        self.instruments.epoch.set(epoch)
        self.instruments.leaderships.inc()

    def end(self) -> None:
        """This replica leads no more."""
        self.last_tick = None
        for gauge in (self.instruments.leader, self.instruments.epoch, self.instruments.acting, self.instruments.mesos):
            gauge.set(0)
        self.published = None

    def handled(self, event: ev.Event, seconds: float, view: Callable[[], LeaderView]) -> None:
        try:
            self._handled(event, seconds, view)
        except Exception:
            log.exception("monitor.mistake", event_kind=type(event).__name__)

    def decided(self, job: str, decision: Decision) -> None:
        try:
            self._on_decision(job, decision)
        except Exception:
            log.exception("monitor.mistake", job=job)

    def _handled(self, event: ev.Event, seconds: float, view: Callable[[], LeaderView]) -> None:
        self.last_tick = time.monotonic()
        self.instruments.events.labels(_snake(type(event).__name__)).inc()
        self.instruments.turns.observe(seconds)
        if self._decided:
            self.instruments.reconcile_seconds.observe(seconds)
            self._decided = 0
        self._count(event)
        if self.last_tick >= self._view_at + self._view_every:
            taken = view()
            self._take(taken)
            cost = time.monotonic() - self.last_tick
            self._view_at, self._view_every = self.last_tick, max(VIEW_EVERY_S, SHARE * cost)

    def _count(self, event: ev.Event) -> None:
        match event:
            case ev.OffersReceived():
                self.instruments.offers_received.inc(len(event.offers))
                self._offers.update((offer.id, offer) for offer in event.offers)
                while len(self._offers) > OFFERS_KEPT:
                    self._offers.popitem(last=False)
            case ev.OfferRescinded():
                self.instruments.offers_rescinded.inc()
            case ev.TaskUpdate():
                self.instruments.task_updates.labels(event.state.value.removeprefix("TASK_").lower()).inc()
            case ev.Subscribed():
                self._mesos = True
                self.instruments.mesos.set(1)
            case ev.Disconnected():
                self._mesos = False
                self.instruments.mesos.set(0)
                self.instruments.mesos_disconnections.inc()
            case _:
                pass

    def _on_decision(self, job: str, decision: Decision) -> None:
        self._decided += 1
        effects = [effect for effect in decision.effects if not isinstance(effect, WakeAt)]
        waits = len(effects) < len(decision.effects) or bool(decision.wanted())
        self.instruments.reconciles.labels("acts" if effects else "waits" if waits else "settled").inc()
        # A decision that is computed again asks for the same: only what is new was decided.
        before = self._effects.get(job, frozenset())
        if effects and decision.record is not None:
            self._effects[job] = frozenset(effect.key for effect in effects)
        else:
            self._effects.pop(job, None)
        for effect in effects:
            if effect.key in before:
                continue
            if isinstance(effect, EmitEvent):
                self._on_code(effect.code)
            else:
                self.instruments.decisions.labels(_snake(type(effect).__name__)).inc()

    def _on_code(self, code: str) -> None:
        if code == "RESTORE_BLOCKED":
            self.instruments.restores_blocked.inc()
        if code not in self._codes and len(self._codes) >= CODES_KEPT:
            code = "OTHER"
        self._codes.add(code)
        self.instruments.job_events.labels(code).inc()

    def _take(self, view: LeaderView) -> None:
        self.instruments.acting.set(view.acting and view.may_act)
        if view.mistakes > self._mistakes:
            self.instruments.mistakes.inc(view.mistakes - self._mistakes)
        self._mistakes = view.mistakes
        known = self.published.unreconciled_since if self.published is not None else {}
        since = {
            name: known.get(name) or trouble_since(job, view.at)
            for name, job in view.jobs.items()
            if not reconciled(job)
        }
        records = {name: job.record for name, job in view.jobs.items() if job.record is not None}
        self._time_savepoints(records)
        self._records = records
        self._numbers += 1
        self.published = Published(view, time.monotonic(), since, self._mesos, self._master(), self._numbers)

    def _time_savepoints(self, records: dict[str, Record]) -> None:
        for name, record in records.items():
            before = self._records.get(name)
            if before is None or before.snapshots == record.snapshots:
                continue
            asked = dict(_asked(before))
            known = {snapshot.path for snapshot in before.snapshots}
            for snapshot in record.snapshots:
                if snapshot.kind is not SnapshotKind.SAVEPOINT or snapshot.path in known:
                    continue
                since = asked.get(snapshot.trigger_id or "")
                if since is not None:
                    self.instruments.savepoint_seconds.observe(max(snapshot.time - since, 0.0))

    # On any thread

    def offers_used(self, offer_ids: Sequence[str], tasks: int) -> None:
        """Mesos was asked to launch tasks from these."""
        self.instruments.tasks_launched.inc(tasks)
        for offer_id in offer_ids:
            self._offers.pop(offer_id, None)
            self.instruments.offers_used.inc()

    def offers_declined(self, offer_ids: Sequence[str], refuse_s: float) -> None:
        """Mesos was told that these are not needed."""
        why = "no job waits for an offer"
        if refuse_s < SHORT_REFUSE_S:
            waiting = self.published.view.jobs.values() if self.published is not None else ()
            found = [f"{job.name}: {job.waiting}" for job in waiting if job.waiting]
            why = "; ".join(found[:3]) or "no task that waits could be placed on it"
        if refuse_s == 0:
            why = "given back: the launch that it was for is not released"
        for offer_id in offer_ids:
            offer = self._offers.pop(offer_id, None)
            if offer is not None:  # or it was used or declined before, and this repeats what may have been lost
                self.instruments.offers_declined.inc()
                before = self.declined.pop((offer.agent_id, why), None)
                count = before.count + 1 if before is not None else 1
                self.declined[offer.agent_id, why] = Declined(time.time(), offer, refuse_s, why, count)
        while len(self.declined) > DECLINED_KEPT:
            self.declined.popitem(last=False)

    def tick_age(self) -> float | None:
        """Seconds since the loop last took an event; None while this replica does not lead."""
        last = self.last_tick
        return None if last is None else time.monotonic() - last

    def current(self) -> Published | None:
        """The newest view, its time moved on to now."""
        published = self.published
        if published is None:
            return None
        now = published.view.at + (time.monotonic() - published.taken_at)
        return replace(published, view=replace(published.view, at=now), taken_at=time.monotonic())


def _asked(record: Record) -> Iterable[tuple[str, float]]:
    """Trigger ids under way, each with when it was decided."""
    if record.savepoint is not None:
        yield record.savepoint.trigger_id, record.savepoint.since
    ending = record.generation.ending if record.generation is not None else None
    if ending is not None and ending.trigger_id is not None:
        yield ending.trigger_id, ending.since


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
