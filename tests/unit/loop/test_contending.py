"""A replica between two leaderships."""

from __future__ import annotations

from threading import Event as Flag

from reconciler.leadership import LONGEST_PAUSE_S, SHORT_S, contend
from reconciler.model.status import LeaderInfo
from reconciler.ports import Lease
from state.memory import MemoryElection

INFO = LeaderInfo(replica="r1", host="h", pid=1)


def pauses_after(durations: list[float]) -> list[float]:
    """How long a replica waits after leaderships of so many seconds, each ended by another scheduler."""
    now, left, stop, waited = [0.0], list(durations), Flag(), []

    def lead(_: Lease) -> None:
        now[0] += left.pop(0)
        if not left:
            stop.set()

    contend(MemoryElection(), INFO, lead, stop, waited.append, lambda: now[0])
    return waited


def test_f35_who_is_displaced_again_and_again_waits_longer_and_longer() -> None:
    assert pauses_after([0.1] * 9) == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_who_led_for_long_contends_at_once() -> None:
    assert pauses_after([SHORT_S, 1.0, SHORT_S + 1, 0.1, 0.1]) == [1.0, 1.0]
