"""A replica's life: contend, lead for one epoch with fresh memory, give up, contend again.

Nothing is carried from one epoch to the next (fault 4), and a leader that may have been deposed
never argues: it drops everything and stands in line again (faults 5, 6, 35).
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from threading import Event as Flag

import structlog

from reconciler.loop import Loop
from reconciler.model.events import Event, Tick
from reconciler.model.status import LeaderInfo
from reconciler.ports import Clock, Election, Lease, StoreError
from reconciler.view import Observer, view_of

log = structlog.get_logger("weir.leadership")

CONTEND_S = 1.0
IDLE_WAIT_S = 0.5
SHORT_S = 30.0
LONGEST_PAUSE_S = 60.0


class Halted(Exception):
    """This installation must not be led before a person has looked at it (fault 25)."""


def contend(
    election: Election,
    info: LeaderInfo,
    lead: Callable[[Lease], None],
    stop: Flag,
    pause: Callable[[float], object],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Lead whenever elected, until `stop` is set. Raises Halted when a person is needed.

    Who led for a moment only waits before the next time, longer and longer: others may do better, and two
    installations with one framework id would displace each other without end (fault 35).
    """
    short = 0
    while not stop.is_set():
        try:
            lease = election.acquire(info)
        except StoreError as error:
            log.warning("election.failed", error=str(error))
            pause(CONTEND_S)
            continue
        if lease is None:
            continue
        log.info("leader.elected", epoch=lease.fence.epoch, replica=info.replica)
        began = clock()
        try:
            lead(lease)
        finally:
            lease.release()
            log.info("leader.resigned", epoch=lease.fence.epoch, replica=info.replica)
        short = short + 1 if clock() - began < SHORT_S else 0
        if short and not stop.is_set():
            pause(min(CONTEND_S * 2 ** (short - 1), LONGEST_PAUSE_S))


def drive(
    loop: Loop, events: queue.SimpleQueue[Event], clock: Clock, stop: Flag, observer: Observer | None = None
) -> None:
    """Feed the loop from its queue until it stops or the replica does."""
    loop.start()
    while loop.stopped is None and not stop.is_set():
        due = loop.next_timer()
        wait = IDLE_WAIT_S if due is None else min(max(due - clock.now(), 0.0), IDLE_WAIT_S)
        try:
            event: Event = events.get(timeout=wait) if wait > 0 else events.get_nowait()
        except queue.Empty:
            event = Tick()
        started = time.perf_counter()
        loop.handle(event)
        if observer is not None:
            observer.handled(event, time.perf_counter() - started, lambda: view_of(loop, clock.now()))
    if loop.halted:
        raise Halted(loop.stopped)
