"""Guards taken out one by one, to prove that the simulation can fail.

Each mutation breaks one rule of the shipped code the way a well-meant change could, and names the
invariants of which at least one must then be seen broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from reconciler import decide_ending, decide_upcoming, desired
from reconciler.disruptions import DisruptionCap
from reconciler.jobs import JobEntry
from reconciler.loop import Loop
from reconciler.model.decision import OpenGate
from reconciler.model.events import TaskUpdate
from reconciler.model.observation import Observation
from reconciler.model.record import Record, Snapshot
from reconciler.turn import Turn
from state.memory import MemoryStore

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutation:
    """What is broken, and where that shows."""

    name: str
    apply: Callable[[Patch], None]
    shows_as: tuple[str, ...]
    prestart: bool = False
    """Among jobs whose next generation is started beforehand."""


def no_fence(patch: Patch) -> None:
    """A deposed leader's writes are applied."""
    patch.setattr(MemoryStore, "_check_fence", lambda self, fence: None)


def effects_before_persist(patch: Patch) -> None:
    """Effects are released while the record that decided them is still on its way."""
    shipped = Loop._carry_out

    def eager(self: Loop, entry: JobEntry, decision: Any, placed: Any, now: float) -> None:
        self._effects.release(entry, decision.effects, now)
        shipped(self, entry, decision, placed, now)

    patch.setattr(Loop, "_carry_out", eager)


def acknowledge_at_once(patch: Patch) -> None:
    """Updates are acknowledged when they arrive, not when what they changed is persisted."""
    shipped = Loop._on_update

    def hasty(self: Loop, update: TaskUpdate) -> None:
        self._calls.acknowledge(update)
        shipped(self, replace(update, uuid=None))

    patch.setattr(Loop, "_dispatch", _redirected(Loop._dispatch, hasty))


def _redirected(dispatch: Any, handler: Callable[[Loop, TaskUpdate], None]) -> Any:
    def changed(self: Loop) -> Any:
        return {**dispatch(self), TaskUpdate: lambda update: handler(self, update)}

    return changed


def no_generation_check(patch: Patch) -> None:
    """The next generation starts although the older one may still run."""
    patch.setattr(decide_ending, "_ended", lambda turn: True)


def gate_opened_early(patch: Patch) -> None:
    """A prepared generation is let in as soon as it waits."""
    shipped = decide_upcoming.settle

    def hasty(turn: Turn) -> None:
        shipped(turn)
        upcoming = turn.record.upcoming
        if upcoming is not None and upcoming.gated:
            newest = turn.record.newest_snapshot()
            turn.emit(OpenGate(upcoming.job_id, upcoming.cluster_id, newest.path if newest else None))

    patch.setattr(decide_upcoming, "settle", hasty)


def oldest_restore_point(patch: Patch) -> None:
    """A job starts from the oldest state that is known."""

    def oldest(self: Record) -> Snapshot | None:
        return min(self.snapshots, key=lambda snapshot: snapshot.order, default=None)

    patch.setattr(Record, "newest_snapshot", oldest)


def act_on_incomplete_view(patch: Patch) -> None:
    """A new leader acts before Mesos has answered for the tasks of the job."""
    shipped = JobEntry.observation

    def complete(self: JobEntry, *args: Any) -> Observation:
        return replace(shipped(self, *args), complete=True)

    patch.setattr(JobEntry, "observation", complete)


def believe_a_vanished_tree(patch: Patch) -> None:
    """A desired tree that is gone means that every job was deleted."""
    patch.setattr(desired, "_why_held", lambda *_: None)


def no_cap(patch: Patch) -> None:
    """Whatever many jobs ask for is begun at once."""
    patch.setattr(DisruptionCap, "_admit", lambda self, job, found, now: True)


MUTATIONS = (
    Mutation("the fence", no_fence, ("S5",)),
    Mutation("the write-ahead order", effects_before_persist, ("S4",)),
    Mutation("the acknowledgement order", acknowledge_at_once, ("ACK",)),
    Mutation("the generation check", no_generation_check, ("S1",)),
    Mutation("the gate", gate_opened_early, ("S1",), prestart=True),
    Mutation("the restore choice", oldest_restore_point, ("S2",)),
    Mutation("the wait for reconciliation", act_on_incomplete_view, ("S6",)),
    Mutation("the hold on a vanished tree", believe_a_vanished_tree, ("S7",)),
    Mutation("the cap on disruptions", no_cap, ("S7",)),
)
