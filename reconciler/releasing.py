"""What follows a commit: what waits for it is let go (S4), or what is really there is found out (faults 1, 9)."""

from __future__ import annotations

import structlog

from reconciler.calls import MesosCalls
from reconciler.clocks import not_ahead
from reconciler.committing import Committer, Launcher
from reconciler.effects import Effects
from reconciler.jobs import JobEntry, Pending
from reconciler.model.events import Committed
from reconciler.model.retry import Failure
from reconciler.model.sharing import lean
from reconciler.parts import Parts
from reconciler.polling import Poller
from reconciler.ports import Lease
from reconciler.takeover import TakeOver
from reconciler.timers import Timers

log = structlog.get_logger("weir.release")

RETRY_S = 1.0


class Releaser:
    """Acknowledgements, launches and effects of one decision, after its commit and never before."""

    def __init__(
        self,
        parts: Parts,
        lease: Lease,
        timers: Timers,
        calls: MesosCalls,
        committer: Committer,
        launcher: Launcher,
        effects: Effects,
        poller: Poller,
        takeover: TakeOver,
    ) -> None:
        self._parts = parts
        self._lease = lease
        self._timers = timers
        self._calls = calls
        self._committer = committer
        self._launcher = launcher
        self._effects = effects
        self._poller = poller
        self._takeover = takeover

    def applied(self, entry: JobEntry, pending: Pending, version: int | None) -> None:
        """The write is known to be applied: it is what the job is from now on."""
        entry.unclear = 0
        if pending.record_written:
            entry.adopt(pending.record, version)
        if pending.asked is not None:
            entry.asked, entry.answered = None, pending.asked.ref
        entry.status = lean(pending.status) if pending.status is not None else None
        entry.status_at = self._parts.clock.now()
        for told in pending.events:
            log.info("job.event", job=entry.name, code=told.code, message=told.message, generation=told.generation)
            if self._parts.notify is not None:
                self._parts.notify.tell(entry.name, told)

    def release(self, entry: JobEntry, pending: Pending) -> bool:
        """Tell the world; False when this leader may not act, so that it has to be decided again."""
        may_act = self._lease.may_act()
        for update in pending.acknowledge:
            self._calls.acknowledge(update)
        self._launcher.settle(entry.name, pending.launches, applied=may_act)
        entry.launches = pending.launches if may_act else ()
        if not may_act:
            return False
        again = self._effects.release(entry, pending.effects, self._parts.clock.now())
        if again is not None:
            self._timers.set_earlier(f"job/{entry.name}", again)
        self._poller.plan(entry)
        return True

    def unclear(self, entry: JobEntry, pending: Pending, event: Committed) -> None:
        """The write was refused or nobody knows: nothing is released, what is really there decides."""
        log.warning("commit.unclear", job=entry.name, error=event.error, reread=event.reread)
        now = self._parts.clock.now()
        entry.acknowledge = [*pending.acknowledge, *entry.acknowledge]
        self._launcher.settle(entry.name, pending.launches, applied=False)
        if event.too_large:
            why = f"what has to be remembered of this job is too large: {event.error}"
            self._committer.leave_alone(entry, why, now)
            return
        entry.status = None
        if event.reread:
            stored = event.stored
            entry.adopt(not_ahead(stored.record, now) if stored else None, stored.version if stored else None)
            self._takeover.ask_about(entry)
        else:
            entry.stale = True
        entry.unclear += 1
        self._timers.set_earlier(f"job/{entry.name}", now + self._retry_after(entry, event.error or ""))

    def _retry_after(self, entry: JobEntry, error: str) -> float:
        """Seconds until a job whose write is unclear is looked at again."""
        retries = self._parts.policy.retries
        failure = Failure("zookeeper", "commit", entry.unclear, entry.name, error)
        chosen = retries.delay(failure) if retries is not None else None
        return RETRY_S if chosen is None else chosen
