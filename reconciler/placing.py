"""One matching pass of the loop: requests of all decided jobs against all offers at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from reconciler.jobs import JobEntry, Launch, requests
from reconciler.launchcap import LaunchCap
from reconciler.model.decision import Decision
from reconciler.model.resources import Assignment, PlacementStrategy
from reconciler.offers import OfferBook
from reconciler.place import place
from reconciler.timers import Timers

log = structlog.get_logger("weir.placing")

Placed = dict[str, list[tuple[Launch, Assignment]]]
"""By job: its assignments, each with the ACCEPT that it will be part of."""
NOBODY: frozenset[str] = frozenset()


class Placer:
    """What outlives one pass: the cap on relaunches, and which broken strategies were told of."""

    def __init__(
        self,
        strategies: Mapping[str, PlacementStrategy],
        offers: OfferBook,
        timers: Timers,
        lead_s: float,
    ) -> None:
        self._lead_s = lead_s
        self._strategies = strategies
        self._offers = offers
        self._timers = timers
        self._cap = LaunchCap()
        self._told: dict[str, str] = {}

    def match(
        self, decided: Sequence[tuple[JobEntry, Decision]], now: float, draining: frozenset[str] = frozenset()
    ) -> Placed:
        """Assign what can be assigned; the offers that are used are taken at once, for one ACCEPT each."""
        if not decided:
            return {}
        # Until Mesos has answered for every task of a job nothing is decided for it, and nothing placed (S6).
        # Nor while a person has it paused.
        known = [(entry, made) for entry, made in decided if entry.observation().complete and not made.paused]
        wanted = {entry.name: requests(decision.record, now) for entry, decision in known}
        admitted = self._cap.admit([request for found in wanted.values() for request in found], now)
        for job, at in admitted.wake.items():
            self._timers.set_earlier(f"job/{job}", at)
        offers = self._offers.all()
        outcome = place(admitted.requests, offers, self._strategies, now, draining, self._lead_s)
        self._cap.spend(outcome.assignments)
        waiting = {**outcome.waiting, **{request.task_name: admitted.why for request in admitted.held}}
        capped = frozenset(request.task_name for request in admitted.held)
        for entry, _ in known:
            mine = capped.intersection(request.task_name for request in wanted[entry.name])
            entry.capped = mine or NOBODY
            reasons = [waiting.get(request.task_name) for request in wanted[entry.name]]
            reason = next((reason for reason in reasons if reason is not None), None)
            # Between two offers the numbers of the last one say more than that there is none just now.
            entry.waiting = reason if offers or reason is None else entry.waiting or reason
        self._tell(outcome.problems)
        return self._group(outcome.assignments)

    def _tell(self, problems: Mapping[str, str]) -> None:
        """A strategy that raised is told of once, not at every pass (fault 57)."""
        for job, problem in problems.items():
            if self._told.get(job) != problem:
                self._told[job] = problem
                log.warning("placement.strategy_failed", job=job, problem=problem)

    def _group(self, assignments: Sequence[Assignment]) -> Placed:
        launches: dict[tuple[str, ...], Launch] = {}
        placed: Placed = {}
        for assignment in assignments:
            launch = launches.setdefault(assignment.offer_ids, Launch(assignment.agent_id, assignment.offer_ids))
            launch.waiting_for.add(assignment.request.job)
            placed.setdefault(assignment.request.job, []).append((launch, assignment))
            self._offers.take(assignment.offer_ids)
        return placed
