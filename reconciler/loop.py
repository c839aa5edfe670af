"""The loop: one thread owns all memory, takes one event at a time, and never blocks.

From a changed znode to an ACCEPT:

    DesiredChanged -> DesiredView.read (pool) -> DesiredLoaded -> the job is dirty
      -> Loop._work: decide() for each dirty job, Placer.match() for all that is wanted
      -> Committer.commit: one fenced multi of record, status and events (pool)        (S4, S5)
      -> Committed -> Releaser.release: Launcher -> ACCEPT, effects, acknowledgements

Decisions follow from state, never from the event that woke them, so an event that is lost or
repeated costs latency only; a periodic resync reads everything again. One commit per job is in
flight at a time; what arrives meanwhile marks the job dirty. A leader that may not act (SUSPENDED,
or past its own deadline) neither persists nor releases anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from reconciler import drains, sessions
from reconciler.calls import MesosCalls
from reconciler.committing import Committer, Launcher, take_settled
from reconciler.control import Control
from reconciler.decide import decide
from reconciler.desired import DesiredView
from reconciler.disruptions import DisruptionCap
from reconciler.effects import Effects
from reconciler.jobs import JobEntry, Launch, Pending, same_status, unplaced, wants
from reconciler.model import events as ev
from reconciler.model import ids
from reconciler.model.decision import Decision, FindRestorePoint, WakeAt
from reconciler.model.operator import Drain
from reconciler.model.resources import Assignment, Offer
from reconciler.moves import Moves
from reconciler.offers import OfferBook, OfferCalls
from reconciler.parts import Parts
from reconciler.placing import Placer
from reconciler.polling import Poller
from reconciler.ports import Lease
from reconciler.references import referenced
from reconciler.releasing import Releaser
from reconciler.report import job_manager_runs, status_of
from reconciler.slices import Slices
from reconciler.takeover import TakeOver
from reconciler.timers import Timers
from reconciler.windows import Windows

log = structlog.get_logger("weir.loop")

RESYNC_S = 30.0
STATUS_EVERY_S = 1.0
LEASE_EVERY_S = 0.5


class Loop:
    """One leader's life, for one epoch. A new epoch gets a new Loop with empty memory (fault 4)."""

    def __init__(self, parts: Parts, lease: Lease, sink: Callable[[ev.Event], None]) -> None:
        self._parts = parts
        self._lease = lease
        self.jobs: dict[str, JobEntry] = {}
        self.stopped: str | None = None
        self.halted = False
        """True when no other replica may take over either, before a person has looked."""
        self.mistakes = 0
        self._dirty = Slices(RESYNC_S, parts.slice_size)
        self._committing: set[str] = set()
        """Jobs that are dirty again while a commit of theirs is in flight."""
        self._unplaced: set[str] = set()
        """Jobs that had tasks to place when last looked at: no event costs a look at every job."""
        self._acted = True
        self._timers = Timers()
        submit = parts.runner.submit
        self._calls = MesosCalls(parts.cluster, submit)
        self._offers = OfferBook(OfferCalls(self._calls.decline, self._calls.suppress, self._calls.revive))
        self._effects = Effects(parts.cluster, parts.flink, parts.renderer, parts.policy, submit)
        self._control = Control(parts.store, lease.fence, submit)
        self._desired = DesiredView(parts.store, parts.parse, submit, self._control)
        self._takeover = TakeOver(parts.store, parts.cluster, self._calls, lease.fence, self._timers, submit, sink)
        self._committer = Committer(parts.store, parts.renderer, lease.fence, submit)
        self._launcher = Launcher(parts.cluster, submit, self._calls.decline)
        self._poller = Poller(parts.flink, parts.clock, self._timers, submit)
        self._cap = DisruptionCap(parts.policy.disruptions, parts.policy.disruption_interval_s)
        self._windows = Windows(parts.policy.maintenance_lead_s, self._calls.answer_inverse)
        self._moves = Moves(parts.policy.moves)
        self._placer = Placer(parts.placement, self._offers, self._timers, parts.policy.maintenance_lead_s)
        self._releaser = Releaser(
            parts, lease, self._timers, self._calls, self._committer, self._launcher, self._effects, self._poller,
            self._takeover,
        )  # fmt: skip
        self._handlers = self._dispatch()

    def start(self) -> None:
        """Begin the take-over; `TakeOver` says in which order it goes on."""
        now = self._now()
        self._takeover.start()
        self._timers.set("lease", now + LEASE_EVERY_S)
        self._timers.set("resync", now + RESYNC_S)

    def next_timer(self) -> float | None:
        """When the loop wants a Tick, in the clock's seconds."""
        return self._timers.next_at()

    @property
    def acting(self) -> bool:
        """True once the take-over is complete."""
        return self._takeover.acting

    @property
    def may_act(self) -> bool:
        return self._lease.may_act()

    @property
    def epoch(self) -> int:
        return self._lease.fence.epoch

    def drains(self) -> tuple[Drain, ...]:
        """Agents that a person, or a maintenance window of Mesos, wants to be empty."""
        return (*self._control.record.draining, *self._control.windows)

    def open_offers(self) -> tuple[tuple[Offer, float], ...]:
        return self._offers.since()

    # Events

    def handle(self, event: ev.Event) -> None:
        """Take one event: note what it says, then decide for whatever it touched."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        for key in self._timers.due(self._now()):
            self._on_timer(key)
        self._work()

    def _dispatch(self) -> Mapping[type, Callable[[Any], None]]:
        """What each event touches; an event that is not here (Tick) only lets time pass."""
        return {
            ev.TaskUpdate: self._on_update,
            ev.OffersReceived: self._on_offers,
            ev.InverseOffersReceived: self._on_inverse_offers,
            ev.InverseOfferRescinded: lambda event: self._windows.rescinded(event.offer_id),
            ev.OfferRescinded: lambda event: self._offers.rescind(event.offer_id),
            ev.AgentLost: self._on_agent_lost,
            ev.FlinkAnswered: self._on_flink,
            ev.RestoreFound: self._on_restore,
            ev.EffectDone: self._on_effect_done,
            ev.Committed: self._on_committed,
            ev.OperatorCommitted: self._on_operator_committed,
            ev.DesiredChanged: lambda _: self._read_desired(whole=False),
            ev.DesiredLoaded: self._on_desired,
            ev.RecordsLoaded: self._on_takeover,
            ev.FrameworkIdSaved: self._on_takeover,
            ev.Subscribed: self._on_takeover,
            ev.Disconnected: self._on_takeover,
            ev.FrameworkDisplaced: lambda _: self._stop("another scheduler subscribed with our framework id"),
            ev.FrameworkRemoved: lambda event: self._halt(f"the master has removed the framework: {event.why}"),
            ev.FrameworkNamesake: lambda event: self._halt(event.why),
            ev.Stop: lambda event: self._stop(event.why),
        }

    def _on_offers(self, event: ev.OffersReceived) -> None:
        now = self._now()
        self._offers.add(event.offers, now)
        self._windows.offered(event.offers, now)
        self._dirty.mark({entry.name for entry in self._wanting(now)})

    def _on_inverse_offers(self, event: ev.InverseOffersReceived) -> None:
        if self._takeover.acting:  # else nobody knows yet what is there; Mesos asks again
            self._windows.asked(event.offers, partial(drains.left, self.jobs), self._now())

    def _note_windows(self, now: float) -> None:
        """Maintenance begins, ends, or is called off."""
        self._windows.forget_silent(partial(drains.left, self.jobs), now)
        found = self._windows.drains(now)
        if found != self._control.windows:
            log.info("maintenance.windows", agents=[each.agent for each in found])
            self._control.windows = found
            self._dirty.mark(self._control.apply(self.jobs))
        due = self._windows.next_at(now)
        if due is not None:
            self._timers.set_earlier("windows", due)

    def _on_desired(self, event: ev.DesiredLoaded) -> None:
        touched = self._desired.take(event, self.jobs)
        if event.tree is not None:
            changed = None if event.tree.whole else touched
            touched |= self._control.take(event.control, self.jobs) | self._control.apply(self.jobs, changed)
        self._dirty.mark(touched)
        self._go_on()

    def _on_operator_committed(self, event: ev.OperatorCommitted) -> None:
        if event.fenced:
            self._stop(f"a newer leader exists: {event.error}")
        elif not self._control.committed(event, self._now()):
            self._read_desired()
        self._dirty.mark(self._control.apply(self.jobs))

    def _on_update(self, update: ev.TaskUpdate) -> None:
        name = ids.parse_task_id(update.task_id)
        entry = self.jobs.get(name.job) if name is not None else None
        if entry is not None and entry.quarantined is not None:
            return  # its record is unreadable: no kill, no acknowledgement (fault 12)
        if entry is None or not entry.has_task(update.task_id):
            self._takeover.unknown_task(update, entry)
        else:
            entry.note_update(update, self._now())
            self._takeover.answered(entry)
            if update.uuid is not None:
                entry.acknowledge.append(update)
            if entry.record is not None and not job_manager_runs(entry.record, entry.tasks):
                entry.forget_flink()
        if entry is not None:
            self._touch(entry)

    def _on_agent_lost(self, event: ev.AgentLost) -> None:
        log.info("agent.lost", agent_id=event.agent_id)
        self._takeover.ask_about_agent(self.jobs, event.agent_id)

    def _on_flink(self, event: ev.FlinkAnswered) -> None:
        entry = self.jobs.get(event.job)
        if entry is None:
            return
        entry.polling.discard(event.generation)
        answered = entry.flink is not None and entry.unreachable_since is None
        if entry.note_flink(event):
            self._dirty.add(entry.name)
            if answered != event.observation.reachable:
                self._touch(entry)
        self._poller.plan(entry)

    def _on_restore(self, event: ev.RestoreFound) -> None:
        self._effects.done(event.key, self._now(), None if event.view.answered else event.view.error or "no answer")
        if event.job in self.jobs:
            self.jobs[event.job].restore = event.view
            self._dirty.add(event.job)

    def _on_effect_done(self, event: ev.EffectDone) -> None:
        self._effects.done(event.key, self._now(), event.error)
        entry = self.jobs.get(event.job)
        if event.error is not None:
            log.warning("effect.failed", job=event.job, effect=event.key, error=event.error)
        if entry is None:
            return
        kind = event.key.partition("/")[0]
        if entry.note_effect(event):
            self._dirty.add(entry.name)
        elif kind == "accept" and event.error is not None:
            self._takeover.ask_about(entry)
        elif kind in ("stop", "savepoint", "cancel", "rescale", "submit"):
            self._poller.plan(entry)

    def _on_takeover(self, event: ev.RecordsLoaded | ev.FrameworkIdSaved | ev.Subscribed | ev.Disconnected) -> None:
        if isinstance(event, ev.Subscribed | ev.Disconnected):
            self._offers.clear()
        elif isinstance(event, ev.RecordsLoaded) and event.records is not None:
            self._control.loaded(event.operator, self._now())
        problem = self._takeover.handle(event, self.jobs, self._now())
        if problem is not None and isinstance(event, ev.FrameworkIdSaved):
            self._stop(problem)  # nothing was launched under this id: the next leader may try again
        elif problem is not None:
            self._halt(problem)
        if self._takeover.registered and not self._takeover.acting:
            self._read_desired()  # not before: what an agent could take is asked of the master
        self._go_on()

    def _go_on(self) -> None:
        """Act as soon as records and desired state are loaded and the framework is registered."""
        takeover = self._takeover
        if not takeover.acting and takeover.registered and takeover.records_loaded and self._desired.loaded:
            takeover.begin(self.jobs, self._now())
            self._cap.loaded((entry.record for entry in self.jobs.values()), self._now())
            # Where something is going on comes first.
            self._dirty.mark(sorted(self.jobs, key=lambda name: self.jobs[name].settled()))

    def _on_timer(self, key: str) -> None:
        now = self._now()
        kind, _, name = key.partition("/")
        entry = self.jobs.get(name)
        if kind == "job" and entry is not None:
            self._dirty.add(name)
        elif kind == "poll" and entry is not None and self._lease.may_act():
            self._poller.poll(entry)
        elif kind == "poll" and entry is not None:
            self._poller.plan(entry)
        elif kind == "lease":
            self._check_lease(now)
        elif kind == "resync":
            self._timers.set("resync", now + RESYNC_S)
            self._read_desired()
            for each in self.jobs.values():  # a person may have put the newer record back
                each.stale = each.stale or each.newer_task is not None
            self._dirty.resync(self.jobs)
        elif kind == "takeover":
            self._takeover.start()
        elif kind == "ask":
            self._takeover.ask_unanswered(self.jobs, now)
        elif kind == "implicit":
            self._takeover.ask_implicitly(now)

    def _check_lease(self, now: float) -> None:
        self._timers.set("lease", now + LEASE_EVERY_S)
        if self._lease.lost():
            self._stop("leadership is lost")
        away = self._takeover.away_since
        if away is not None and now - away >= self._parts.handover_s:
            self._stop(f"no Mesos master was reached for {now - away:.0f} s; another replica may reach one (fault 30)")
        may_act = self._lease.may_act()
        if may_act and not self._acted:
            log.info("lease.regained")
            self._takeover.ask_about_all(self.jobs)  # launches that were not released are not running
            self._dirty.mark(self.jobs)
            self._read_desired()
        elif not may_act and self._acted:
            log.warning("lease.suspended")
        self._acted = may_act

    # Deciding

    def _work(self) -> None:
        """Decide for every dirty job, match what is wanted with the offers at hand, persist."""
        if self.stopped is not None or not self._takeover.acting or not self._lease.may_act():
            return
        now = self._now()
        self._note_windows(now)
        again = self._control.work(self.jobs, now)
        if again is not None:
            self._timers.set_earlier("control", again)
        decided: list[tuple[JobEntry, Decision]] = []
        for name in self._dirty.take():
            entry = self.jobs.get(name)
            if entry is not None and entry.busy():
                # Until its commit is known, and its launch on the way; nobody looks at it meanwhile.
                (self._committing if entry.pending is not None else self._dirty).add(name)
                continue
            self._unplaced.discard(name)
            if entry is None:
                continue
            if entry.has_unplaced():
                self._unplaced.add(name)
            if entry.quarantined is not None:
                why = f"the record is unreadable: {entry.quarantined}; restore it from a backup"
                self._committer.leave_alone(entry, why, now)
            elif entry.stale:
                self._committer.reread(entry)
            else:
                try:
                    decided.append((entry, self._decide(entry, now)))
                except Exception as error:
                    self._on_mistake(entry, error, now)
        placed = self._placer.match(decided, now, self._control.draining)
        for entry, decision in decided:
            mine = placed.get(entry.name, [])
            try:
                self._carry_out(entry, decision, mine, now)
            except Exception as error:
                self._launcher.abandon(entry.name, [launch for launch, _ in mine])
                self._on_mistake(entry, error, now)
        self._settle_offers(now)
        if self._dirty.more:
            self._timers.set("slice", now)  # after the events that wait

    def _touch(self, entry: JobEntry) -> None:
        """It has changed, and so has what its session or its jobs see of it."""
        self._dirty.add(entry.name)
        self._dirty.mark(sessions.related(entry, self.jobs))

    def _decide(self, entry: JobEntry, now: float) -> Decision:
        sessions.look(entry, self.jobs)
        self._moves.look(entry, now)
        seen = entry.observation(self._takeover.since, referenced(entry, self.jobs))
        decision = decide(entry.desired(), entry.record, seen, now, self._parts.policy)
        if not self._control.confirmed_delete(entry):

            def calmly(why: str) -> Decision:
                return decide(entry.desired(), entry.record, replace(seen, held_back=why), now, self._parts.policy)

            decision, due = self._cap.bound(entry.name, entry.record, decision, calmly, now)
            if due is not None:
                self._timers.set_earlier(f"job/{entry.name}", due)
        self._moves.note(entry.name, decision.moving, now)
        if not any(isinstance(effect, FindRestorePoint) for effect in decision.effects):
            entry.restore = None
        if self._parts.observer is not None:
            self._parts.observer.decided(entry.name, decision)
        return decision

    def _carry_out(
        self, entry: JobEntry, decision: Decision, placed: list[tuple[Launch, Assignment]], now: float
    ) -> None:
        """Persist what changed; what did not change needs no write before its effects are released (S4)."""
        if decision.record is None and entry.record is None and entry.raw is None:
            self._cap.forget(entry.name)
            if entry.status is None:
                del self.jobs[entry.name]
            else:
                self._committer.forget(entry)
            return
        entry.idle = False
        why = decision.why if decision.moving or not entry.waiting else f"waiting for an offer: {entry.waiting}"
        status = status_of(entry.desired(), decision.record, entry.observation(), why, now, self._lease.fence.epoch)
        if placed or decision.record != entry.record or decision.answered:
            self._unplaced.add(entry.name)  # offers for what it may want now are asked for while it is persisted
            self._committer.commit(entry, decision, placed, status, now)
            return
        acknowledge = take_settled(entry, entry.record)
        entry.idle = all(isinstance(effect, WakeAt) for effect in decision.effects)
        self._release(entry, Pending(0, entry.record, decision.effects, acknowledge, (), status))
        if same_status(entry.status, status):
            return
        if now - entry.status_at >= STATUS_EVERY_S:
            self._committer.commit_status(entry, status)
        else:
            self._timers.set_earlier(f"job/{entry.name}", entry.status_at + STATUS_EVERY_S)

    def _on_mistake(self, entry: JobEntry, error: Exception, now: float) -> None:
        """A mistake of ours about one job must not end the loop, and with it every other job."""
        self.mistakes += 1
        why = f"a mistake in weir, please report it: {type(error).__name__}: {error}"[:500]
        if entry.status is None or entry.status.why != why:  # told once, not at every poll
            log.exception("job.mistake", job=entry.name)
        self._committer.leave_alone(entry, why, now)

    # Releasing

    def _on_committed(self, event: ev.Committed) -> None:
        if event.fenced:
            self._stop(f"a newer leader exists: {event.error}")
            return
        if event.job in self._committing:
            self._committing.discard(event.job)
            self._dirty.add(event.job)
        entry = self.jobs.get(event.job)
        pending = entry.pending if entry is not None else None
        if entry is None or pending is None or pending.token != event.token:
            return
        entry.pending = None
        if event.error is None:
            self._releaser.applied(entry, pending, event.version)
            self._touch(entry)
            self._release(entry, pending)
            return
        self._releaser.unclear(entry, pending, event)
        self._dirty.mark(sessions.related(entry, self.jobs))
        if pending.asked is not None:
            entry.asked = None
            self._read_desired()

    def _release(self, entry: JobEntry, pending: Pending) -> None:
        """What was decided is persisted: now, and only now, the world is told (S4)."""
        if not self._releaser.release(entry, pending):
            self._dirty.add(entry.name)

    def _wanting(self, now: float) -> Iterator[JobEntry]:
        """Jobs that could use an offer now."""
        return (entry for name in self._unplaced if (entry := self.jobs.get(name)) is not None and wants(entry, now))

    def _settle_offers(self, now: float) -> None:
        unfit, undecided = unplaced(self._wanting(now), self._dirty, now)
        due = self._offers.settle(unfit, undecided, now)
        if due is not None:
            self._timers.set("offers", due)
        else:
            self._timers.cancel("offers")

    # Small things

    def _now(self) -> float:
        return self._parts.clock.now()

    def _read_desired(self, *, whole: bool = True) -> None:
        if self._takeover.registered:
            self._desired.read(whole=whole)

    def _halt(self, why: str) -> None:
        self.halted = True
        self._stop(why)

    def _stop(self, why: str) -> None:
        if self.stopped is None:
            self.stopped = why
            log.warning("loop.stopped", why=why)
