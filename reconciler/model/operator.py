"""What the operator remembers beyond single jobs, persisted in `/weir/operator`."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.record import SCHEMA_VERSION, Answer, Pause


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job whose desired state vanished in a way that is no delete (S7).

    `czxid` is that of the node that vanished: a job that was put back and vanishes again is another case.
    """

    name: str
    czxid: int
    confirmed: bool = False
    """A person said that it is a delete after all."""


@dataclass(frozen=True, slots=True)
class Drain:
    """An agent that a person wants to be empty: nothing new is placed there, and what is there moves away."""

    agent: str
    """Agent id or hostname, as it was said."""
    since: float
    by: str = ""
    reason: str = ""
    emptied_at: float | None = None
    """Since when nothing is left there."""


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    """Memory about all jobs; written under the leader's fence like every record."""

    schema: int = SCHEMA_VERSION
    paused: Pause | None = None
    unpaused_at: float = 0.0
    held: tuple[HeldJob, ...] = ()
    """Sorted by name. A hold lasts until the job is put back or the loss is confirmed, whoever leads."""
    draining: tuple[Drain, ...] = ()
    """Agents that are drained, oldest first, bounded."""
    answers: tuple[Answer, ...] = ()
    """The latest answered requests that no job's record could take, oldest first, bounded."""
