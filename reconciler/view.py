"""What a leader shows of itself: immutable snapshots of its memory, and who is handed them.

The loop owns all of its memory (see `loop`). Whoever else wants to look, the HTTP API and the
metrics, is given a `LeaderView`: everything in it is frozen or a copy, so that other threads may
read it for as long as they like, and the loop never waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.jobs import JobEntry
from reconciler.model.decision import Decision
from reconciler.model.events import Event, ParsedSpec, RawSpec
from reconciler.model.observation import FlinkObservation, TaskObservation
from reconciler.model.operator import Drain
from reconciler.model.record import Record
from reconciler.model.resources import Offer
from reconciler.model.status import Status


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """One job as the leader holds it."""

    name: str
    raw: RawSpec | None = None
    parsed: ParsedSpec | None = None
    record: Record | None = None
    version: int | None = None
    """Znode version of the record."""
    status: Status | None = None
    """What was last persisted for people."""
    tasks: Mapping[str, TaskObservation] = field(default_factory=dict)
    flink: FlinkObservation | None = None
    unreachable_since: float | None = None
    waiting: str | None = None
    """Why its wanted tasks could not be placed."""
    quarantined: str | None = None
    held: str | None = None
    gone: bool = False
    complete: bool = True
    """False until Mesos has answered for every task."""
    writing: bool = False
    """A commit is on its way."""


@dataclass(frozen=True, slots=True)
class LeaderView:
    """The leader's memory at one moment. Times are the leader's clock, epoch seconds."""

    at: float
    epoch: int
    acting: bool
    """False until the take-over is complete."""
    may_act: bool
    """False while the lease is in doubt."""
    jobs: Mapping[str, JobSnapshot] = field(default_factory=dict)
    offers: tuple[tuple[Offer, float], ...] = ()
    """Open offers, each with when it came."""
    mistakes: int = 0
    drains: tuple[Drain, ...] = ()
    """Agents that a person wants to be empty."""


class LoopState(Protocol):
    """As much of the loop as a view is made of."""

    jobs: dict[str, JobEntry]
    mistakes: int

    @property
    def acting(self) -> bool: ...

    @property
    def may_act(self) -> bool: ...

    @property
    def epoch(self) -> int: ...

    def open_offers(self) -> tuple[tuple[Offer, float], ...]: ...

    def drains(self) -> tuple[Drain, ...]: ...


class Observer(Protocol):
    """Told of what the loop does, on the loop's own thread: returns at once and never raises."""

    def handled(self, event: Event, seconds: float, view: Callable[[], LeaderView]) -> None:
        """An event was taken, which took this long. `view` makes a snapshot; it may be asked now, not later."""
        ...

    def decided(self, job: str, decision: Decision) -> None: ...


def view_of(loop: LoopState, now: float) -> LeaderView:
    """A snapshot; to be called on the loop's thread."""
    return LeaderView(
        at=now,
        epoch=loop.epoch,
        acting=loop.acting,
        may_act=loop.may_act,
        jobs={name: _job(entry) for name, entry in loop.jobs.items()},
        offers=loop.open_offers(),
        mistakes=loop.mistakes,
        drains=loop.drains(),
    )


def _job(entry: JobEntry) -> JobSnapshot:
    return JobSnapshot(
        name=entry.name,
        raw=entry.raw,
        parsed=entry.parsed,
        record=entry.record,
        version=entry.version,
        status=entry.status,
        tasks=dict(entry.tasks),
        flink=entry.flink,
        unreachable_since=entry.unreachable_since,
        waiting=entry.waiting,
        quarantined=entry.quarantined,
        held=entry.held,
        gone=entry.gone,
        complete=not entry.unanswered,
        writing=entry.pending is not None,
    )
