"""Bounds of what is written: a job's event history and ZooKeeper's limit on one request.

ZooKeeper closes the connection on a request over `jute.maxbuffer` (1 MiB by default), and the
client would repeat it for ever, so sizes are checked before anything is sent (fault 16). The limit
counts the whole multi, not one value. History gives way first: it explains, it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.control import MAX_REQUEST_BYTES
from reconciler.model.status import EVENTS_KEPT, JobEvent
from reconciler.ports import JobChange, OperatorChange, ValueTooLarge
from state.codec import encode_events, encode_operator, encode_record, encode_status

REQUEST_LIMIT = 1_000_000
"""Bytes of one request; below 1 MiB by a margin for paths and headers."""
EVENTS_LIMIT = 128 * 1024
"""Bytes of one job's event history."""
MESSAGE_LIMIT = 2_000
"""Characters of one event's message."""


def append_events(old: Iterable[JobEvent], new: Iterable[JobEvent]) -> tuple[JobEvent, ...]:
    """The history after `new` happened: equal neighbours are counted, the oldest give way.

    Neighbours are equal when code and message are; the newer one's time and epoch are kept, so that
    the line says when it happened last.
    """
    merged = list(old)
    for event in new:
        added = _shortened(event)
        if merged and (merged[-1].code, merged[-1].message) == (added.code, added.message):
            merged[-1] = added.model_copy(update={"count": merged[-1].count + added.count})
        else:
            merged.append(added)
    return tuple(merged[-EVENTS_KEPT:])


def encode_bounded(events: tuple[JobEvent, ...], room: int) -> bytes:
    """The newest events that fit into `room` bytes and the history's own bound."""
    limit = max(min(room, EVENTS_LIMIT), 2)
    data = encode_events(events)
    while len(data) > limit:
        # Halving is enough: histories this large are rare and the oldest half explains least.
        events = events[(len(events) + 1) // 2 :]
        data = encode_events(events)
    return data


def check_size(what: str, size: int) -> None:
    """Raise `ValueTooLarge` when a request of `size` bytes would not pass."""
    if size > REQUEST_LIMIT:
        raise ValueTooLarge(f"{what} has {size} bytes, ZooKeeper takes at most {REQUEST_LIMIT}; nothing was written")


@dataclass(frozen=True, slots=True)
class EncodedChange:
    """The bytes that one commit writes; None: that znode is left as it is."""

    record: bytes | None
    status: bytes | None
    events: bytes | None

    @property
    def size(self) -> int:
        return sum(len(data) for data in (self.record, self.status, self.events) if data)


def encode_change(change: JobChange, history: tuple[JobEvent, ...]) -> EncodedChange:
    """What `change` writes, given the job's present history. Raises `ValueTooLarge` when it cannot fit.

    A record that is deleted takes its history with it, so no events are written then.
    """
    record = encode_record(change.record) if change.write_record and change.record is not None else None
    status = encode_status(change.status) if change.status is not None else None
    size = EncodedChange(record, status, None).size
    check_size(f'the record and status of "{change.name}"', size)
    events = None
    if change.events and not deletes_record(change):
        events = encode_bounded(append_events(history, change.events), REQUEST_LIMIT - size)
    return EncodedChange(record, status, events)


def encode_operator_change(change: OperatorChange, history: tuple[JobEvent, ...]) -> EncodedChange:
    """The same for what is written about all jobs."""
    record = encode_operator(change.record)
    check_size("the operator's record", len(record))
    events = None
    if change.events:
        events = encode_bounded(append_events(history, change.events), REQUEST_LIMIT - len(record))
    return EncodedChange(record, None, events)


def check_request(name: str, data: bytes) -> None:
    """Refuse a request that nobody would read."""
    if len(data) > MAX_REQUEST_BYTES:
        raise ValueTooLarge(f'the request about "{name}" has {len(data)} bytes, the most is {MAX_REQUEST_BYTES}')


def deletes_record(change: JobChange) -> bool:
    return change.write_record and change.record is None


def _shortened(event: JobEvent) -> JobEvent:
    if len(event.message) <= MESSAGE_LIMIT:
        return event
    return event.model_copy(update={"message": event.message[: MESSAGE_LIMIT - 1] + "…"})
