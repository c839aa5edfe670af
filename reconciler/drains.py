"""Agents that are to be empty, because somebody wants to work on them: what is asked, and what is left there. Pure.

weir drain AGENT -> persisted in `/weir/operator` -> nothing new is placed there (`place`)
  -> its tasks move away, a few jobs at once (`moves`), one task after the other (`decide_moving`)
  -> "nothing is left on AGENT" -> the host may go -> weir undrain AGENT
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from reconciler.jobs import JobEntry
from reconciler.model.control import ControlRequest
from reconciler.model.decision import EmitEvent
from reconciler.model.operator import Drain, OperatorRecord
from reconciler.model.reasons import Reason
from reconciler.model.record import Record

MOST = 200

Left = Callable[[str], tuple[int, int] | None]
"""How many tasks, of how many jobs, an agent holds; None while nobody knows."""


def unknown(agent: str) -> tuple[int, int] | None:  # noqa: ARG001  (the signature of `Left`)
    return None


def left(jobs: Mapping[str, JobEntry], agent: str) -> tuple[int, int] | None:
    """As `Left`: tasks that are not known dead, also those whose placement is just being persisted."""
    tasks: set[str] = set()
    holding = set()
    for name, entry in jobs.items():
        if entry.quarantined is not None or entry.unanswered or entry.stale:
            return None
        pending = entry.pending.record if entry.pending is not None else None
        found = on_agent(entry.record, agent) | on_agent(pending, agent)
        tasks |= found
        if found:
            holding.add(name)
    return len(tasks), len(holding)


def on_agent(record: Record | None, agent: str) -> set[str]:
    """Ids of the record's tasks on this agent."""
    if record is None:
        return set()
    return {task.task_id for task in record.tasks if task.task_id and agent in (task.agent_id, task.hostname)}


def note_empty(record: OperatorRecord, left: Left, now: float) -> tuple[OperatorRecord, list[EmitEvent]]:
    """Tell once of each drained agent that nothing is left on it."""
    events, noted = [], []
    for drain in record.draining:
        if drain.emptied_at is None and left(drain.agent) == (0, 0):
            drain = replace(drain, emptied_at=now)
            events.append(EmitEvent(Reason.DRAINED, f"nothing is left on {drain.agent}"))
        noted.append(drain)
    return (replace(record, draining=tuple(noted)) if events else record), events


def begin(record: OperatorRecord, request: ControlRequest, now: float, left: Left) -> tuple[OperatorRecord, bool, str]:
    """Take up a drain; the sentence says what will move, so that a name that was mistyped shows."""
    agent = request.args.agent
    assert agent is not None
    if any(drain.agent == agent for drain in record.draining):
        return record, False, f"{agent} is drained already; weir drain lists what is left there"
    if len(record.draining) >= MOST:
        return record, False, f"{MOST} agents are drained already; end some of these first: weir undrain AGENT"
    drains = (*record.draining, Drain(agent, now, request.by, request.args.reason))
    return replace(record, draining=drains), True, f"{agent} is drained: {_moves(left(agent))}"


def _moves(found: tuple[int, int] | None) -> str:
    if found is None:
        return "nothing new is placed there, and what is there moves away"
    if found == (0, 0):
        return "nothing new is placed there; no task of ours is on an agent of this id or hostname"
    tasks, jobs = found
    moves = "1 task moves" if tasks == 1 else f"{tasks} tasks of {jobs} job{'' if jobs == 1 else 's'} move"
    return f"nothing new is placed there, and {moves} away one after the other"


def end(record: OperatorRecord, request: ControlRequest) -> tuple[OperatorRecord, bool, str]:
    """From now on the agent is like every other."""
    agent = request.args.agent
    kept = tuple(drain for drain in record.draining if drain.agent != agent)
    if len(kept) == len(record.draining):
        drained = ", ".join(drain.agent for drain in record.draining[:20]) or "none"
        return record, False, f"{agent} is not drained; drained are: {drained}"
    return replace(record, draining=kept), True, f"{agent} takes tasks again; what has moved away stays where it is"
