"""Offers at hand: merged per agent, never hoarded.

When nothing is wanted every offer is declined with a long filter and offers are suppressed; when
something is wanted they are revived, again and again until one comes, because a REVIVE may be lost
(fault 36; Mesos docs, "Scheduler HTTP API": filters, SUPPRESS, REVIVE).

An offer that nothing fits into goes back at once: what is offered counts as ours in Mesos' fair shares,
and whoever sits on the remainders of busy agents (all of their disk, say) comes last when one of the
other frameworks gives something back. The filter of a decline covers what was declined and no more, so
an agent that has more by then is offered again at once, however long the filter. Only while a job that
wants something is not decided yet are offers held for it, and not for long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.resources import Offer

IDLE_REFUSE_S = 300.0
UNFIT_REFUSE_S = 30.0
HOLD_S = 2.0
REVIVE_EVERY_S = 10.0
REVIVE_AGAIN_S = 1.0
PASSED_KEPT = 200
REPEATS = 3


@dataclass(frozen=True, slots=True)
class OfferCalls:
    """What the book asks of Mesos."""

    decline: Callable[[Sequence[str], float], None]
    suppress: Callable[[], None]
    revive: Callable[[], None]


class OfferBook:
    """The offers that may be used now."""

    def __init__(self, calls: OfferCalls) -> None:
        self._calls = calls
        self._offers: dict[str, tuple[Offer, float]] = {}
        self._suppressed: bool | None = None
        self._revived_at = float("-inf")
        self._repeat_at = 0.0
        self._heard = False
        """Whether an offer has come since offers were revived last, so that it is known to have arrived."""
        self._asked: frozenset[str] = frozenset()
        """What was wanted when offers were revived last."""
        self._passed: dict[str, int] = {}
        """Offers that were used or declined lately, as the call may have been lost; how often that was repeated."""

    def __len__(self) -> int:
        return len(self._offers)

    def add(self, offers: Iterable[Offer], now: float) -> None:
        for offer in offers:
            self._offers[offer.id] = (offer, now)
            self._heard = True

    def rescind(self, offer_id: str) -> None:
        self._offers.pop(offer_id, None)
        self._passed.pop(offer_id, None)

    def clear(self) -> None:
        """Forget everything: offers die with the subscription, and so does SUPPRESS."""
        self._offers.clear()
        self._passed.clear()
        self._suppressed = None
        self._revived_at = float("-inf")

    def all(self) -> list[Offer]:
        return [offer for offer, _ in self._offers.values()]

    def since(self) -> tuple[tuple[Offer, float], ...]:
        """Every offer, with when it came."""
        return tuple(self._offers.values())

    def take(self, offer_ids: Iterable[str]) -> None:
        """These offers are used up."""
        for offer_id in offer_ids:
            if self._offers.pop(offer_id, None) is not None:
                self._passed[offer_id] = 0
        while len(self._passed) > PASSED_KEPT:
            del self._passed[next(iter(self._passed))]

    def settle(self, wanted: frozenset[str], undecided: bool, now: float) -> float | None:
        """Decline what is not needed and ask for what is; when to look again, if ever.

        `wanted` are the tasks that did not fit into any offer; `undecided`: there are others, for which
        that is not known yet.
        """
        if not wanted and not undecided:
            self._decline(list(self._offers), IDLE_REFUSE_S)
            if self._suppressed is not True:
                self._calls.suppress()
                self._suppressed = True
            return None
        if not wanted <= self._asked or self._suppressed is not False:
            # Filters were for what was wanted before.
            due = self._revived_at + REVIVE_AGAIN_S if self._suppressed is False else now
            if now >= due:
                self._revive(wanted, now)
        if now >= self._repeat_at:
            self._repeat(wanted, now)
        hold = HOLD_S if undecided else 0.0
        self._decline(
            [offer_id for offer_id, (_, since) in self._offers.items() if now >= since + hold], UNFIT_REFUSE_S
        )
        soon = self._repeat_at if wanted <= self._asked else self._revived_at + REVIVE_AGAIN_S
        return min([soon, *(since + HOLD_S for _, since in self._offers.values())])

    def _revive(self, wanted: frozenset[str], now: float) -> None:
        self._calls.revive()
        self._suppressed, self._heard, self._asked = False, False, wanted
        self._revived_at, self._repeat_at = now, now + REVIVE_EVERY_S

    def _repeat(self, wanted: frozenset[str], now: float) -> None:
        """Calls may have been lost: the master may hold offers for us, and by default it does so for ever.

        (Mesos flag `--offer_timeout`.)
        """
        lost = [offer_id for offer_id in self._passed if offer_id not in self._offers]
        if lost:
            self._calls.decline(lost, 0.0)
        self._passed = {offer_id: self._passed[offer_id] + 1 for offer_id in lost if self._passed[offer_id] < REPEATS}
        if not self._heard:
            self._revive(wanted, now)
        self._repeat_at = now + REVIVE_EVERY_S

    def _decline(self, offer_ids: Sequence[str], refuse_s: float) -> None:
        if offer_ids:
            self._calls.decline(offer_ids, refuse_s)
            self.take(offer_ids)
