"""Offers at hand: merged per agent, held for a bounded time, never hoarded.

When nothing is wanted every offer is declined with a long filter and offers are suppressed; when
something is wanted they are revived, again and again until one comes, because a REVIVE may be lost
(fault 36; Mesos docs, "Scheduler HTTP API": filters, SUPPRESS, REVIVE).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.resources import Offer

IDLE_REFUSE_S = 300.0
UNFIT_REFUSE_S = 5.0
HOLD_S = 2.0
REVIVE_EVERY_S = 10.0
PASSED_KEPT = 200


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
        self._passed: dict[str, None] = {}
        """Offers that were used or declined lately; the call may have been lost."""

    def __len__(self) -> int:
        return len(self._offers)

    def add(self, offers: Iterable[Offer], now: float) -> None:
        for offer in offers:
            self._offers[offer.id] = (offer, now)

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
                self._passed[offer_id] = None
        while len(self._passed) > PASSED_KEPT:
            del self._passed[next(iter(self._passed))]

    def settle(self, wanted: bool, now: float) -> float | None:
        """Decline what is not needed and ask for what is; when to look again, if ever."""
        if not wanted:
            self._decline(list(self._offers), IDLE_REFUSE_S)
            if self._suppressed is not True:
                self._calls.suppress()
                self._suppressed = True
            return None
        if self._suppressed is not False or (not self._offers and now >= self._revived_at + REVIVE_EVERY_S):
            if self._suppressed is False and self._passed:
                # Nothing came for long: the master may still hold offers for us whose ACCEPT or DECLINE was
                # lost, and by default it does so for ever (Mesos flag `--offer_timeout`).
                self._calls.decline(list(self._passed), 0.0)
            self._calls.revive()
            self._suppressed = False
            self._revived_at = now
        old = [offer_id for offer_id, (_, since) in self._offers.items() if now >= since + HOLD_S]
        self._decline(old, UNFIT_REFUSE_S)
        holds = [since + HOLD_S for _, since in self._offers.values()]
        return min(holds, default=self._revived_at + REVIVE_EVERY_S)

    def _decline(self, offer_ids: Sequence[str], refuse_s: float) -> None:
        if offer_ids:
            self._calls.decline(offer_ids, refuse_s)
            self.take(offer_ids)
