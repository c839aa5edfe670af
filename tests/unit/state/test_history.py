"""Histories and requests stay below ZooKeeper's limit (fault 16)."""

from __future__ import annotations

import pytest

from reconciler.model.status import EVENTS_KEPT, JobEvent
from reconciler.ports import ValueTooLarge
from state.codec import decode_events
from state.history import EVENTS_LIMIT, MESSAGE_LIMIT, REQUEST_LIMIT, append_events, check_size, encode_bounded


def event(number: int, message: str | None = None) -> JobEvent:
    return JobEvent(time=f"t{number}", code="X", message=f"m{number}" if message is None else message, epoch=number)


def test_equal_neighbours_are_counted_with_the_latest_time() -> None:
    history = append_events((event(1, "same"),), (event(2, "same"), event(3, "same"), event(4, "other")))

    assert [(entry.message, entry.count, entry.time) for entry in history] == [("same", 3, "t3"), ("other", 1, "t4")]


def test_equal_events_that_are_not_neighbours_stay_apart() -> None:
    assert len(append_events((), (event(1, "a"), event(2, "b"), event(3, "a")))) == 3


def test_f16_only_the_newest_events_are_kept() -> None:
    history = append_events(tuple(event(n) for n in range(EVENTS_KEPT)), (event(EVENTS_KEPT),))

    assert len(history) == EVENTS_KEPT
    assert (history[0].message, history[-1].message) == ("m1", f"m{EVENTS_KEPT}")


def test_f16_a_long_message_is_shortened() -> None:
    (kept,) = append_events((), (event(1, "x" * 50_000),))

    assert len(kept.message) == MESSAGE_LIMIT
    assert kept.message.endswith("…")


def test_f16_a_large_history_loses_its_oldest_part() -> None:
    events = tuple(event(n, f"{n}" + "x" * 1500) for n in range(EVENTS_KEPT))

    data = encode_bounded(events, REQUEST_LIMIT)

    assert len(data) <= EVENTS_LIMIT
    assert decode_events(data)[-1] == events[-1]


def test_f16_without_room_no_history_is_written() -> None:
    assert encode_bounded((event(1),), 0) == b"[]"


def test_f16_a_request_over_the_limit_is_refused_with_both_numbers() -> None:
    check_size("the record", REQUEST_LIMIT)

    with pytest.raises(ValueTooLarge, match=f"the record has {REQUEST_LIMIT + 1} bytes.*{REQUEST_LIMIT}"):
        check_size("the record", REQUEST_LIMIT + 1)
