"""What is done with offers that fit nothing, and how others are asked for (fault 36)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.resources import Offer
from reconciler.offers import HOLD_S, IDLE_REFUSE_S, REVIVE_EVERY_S, UNFIT_REFUSE_S, OfferBook, OfferCalls

ONE, TWO = frozenset({"orders.tm.0"}), frozenset({"orders.tm.0", "clicks.tm.0"})


class Mesos:
    """Writes down what the book asks for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.book = OfferBook(OfferCalls(self._decline, lambda: self._say("suppress"), lambda: self._say("revive")))

    def _decline(self, offer_ids: Sequence[str], refuse_s: float) -> None:
        self._say(f"decline {' '.join(offer_ids)} {refuse_s:g}")

    def _say(self, call: str) -> None:
        self.calls.append(call)

    def offer(self, *names: str, now: float) -> None:
        self.book.add([Offer(name, "a1", "a1", "a1", 4.0, 4096.0, ports=((31000, 31009),)) for name in names], now)

    def settle(self, wanted: frozenset[str], now: float, undecided: bool = False) -> list[str]:
        self.calls.clear()
        self.book.settle(wanted, undecided, now)
        return list(self.calls)


def test_f36_an_offer_that_fits_nothing_goes_back_at_once() -> None:
    mesos = Mesos()
    mesos.settle(ONE, 0.0)
    mesos.offer("o1", "o2", now=1.0)
    assert mesos.settle(ONE, 1.0) == [f"decline o1 o2 {UNFIT_REFUSE_S:g}"]
    assert len(mesos.book) == 0


def test_f36_an_offer_is_held_for_a_job_that_is_not_decided_yet_but_not_for_long() -> None:
    mesos = Mesos()
    mesos.settle(frozenset(), 0.0, undecided=True)
    mesos.offer("o1", now=1.0)
    assert mesos.settle(frozenset(), 1.0, undecided=True) == []
    assert mesos.settle(frozenset(), 1.0 + HOLD_S, undecided=True) == [f"decline o1 {UNFIT_REFUSE_S:g}"]


def test_f36_nothing_wanted_is_declined_for_long_and_suppressed_once() -> None:
    mesos = Mesos()
    mesos.settle(ONE, 0.0)
    mesos.offer("o1", now=1.0)
    assert mesos.settle(frozenset(), 1.0) == [f"decline o1 {IDLE_REFUSE_S:g}", "suppress"]
    assert mesos.settle(frozenset(), 2.0) == []


def test_what_is_wanted_anew_is_asked_for_although_offers_were_declined_for_something_else() -> None:
    mesos = Mesos()
    assert mesos.settle(ONE, 0.0) == ["revive"]
    assert mesos.settle(ONE, 3.0) == []
    assert mesos.settle(TWO, 3.0) == ["revive"]
    assert mesos.settle(TWO, 4.0) == []


def test_f36_a_revive_is_repeated_until_an_offer_shows_that_it_arrived() -> None:
    mesos = Mesos()
    mesos.settle(ONE, 0.0)
    assert mesos.settle(ONE, REVIVE_EVERY_S) == ["revive"]
    mesos.offer("o1", now=12.0)
    mesos.settle(ONE, 12.0)
    for turn in range(2, 10):
        assert "revive" not in mesos.settle(ONE, turn * REVIVE_EVERY_S), "it would end the filters"


def test_f36_a_decline_that_may_have_been_lost_is_repeated_but_not_for_ever() -> None:
    mesos = Mesos()
    mesos.settle(ONE, 0.0)
    mesos.offer("o1", now=1.0)
    mesos.settle(ONE, 1.0)
    repeated = sum("decline o1 0" in mesos.settle(ONE, turn * REVIVE_EVERY_S) for turn in range(1, 10))
    assert 1 <= repeated <= 5
