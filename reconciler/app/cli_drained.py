"""Which agents are drained and what is left there, for every command that says so."""

from __future__ import annotations

from reconciler.app.cli_services import JobStore, note
from reconciler.model.operator import Drain
from reconciler.ports import StoreError, StoreUnavailable


def drains(store: JobStore) -> tuple[Drain, ...]:
    """Drained agents; none when the operator's memory is closed to this user."""
    try:
        operator = store.load_operator()
    except StoreUnavailable:
        raise
    except StoreError:
        return ()
    return operator.record.draining if operator is not None and operator.record is not None else ()


def left_on(store: JobStore, agent: str) -> list[tuple[str, str]]:
    """(job, what the leader says of the task) of each task on this agent."""
    return [
        (name, f"{task.id} ({task.state}), {status.why}")
        for name, status in sorted(store.list_statuses().items())
        for task in status.task_list
        if agent in (task.agent, task.hostname)
    ]


def say_drained(store: JobStore) -> None:
    """For pages about something else: which agents are drained."""
    for each in drains(store):
        note(f"{each.agent} is drained; {left(store, each)}")


def left(store: JobStore, each: Drain) -> str:
    count = len(left_on(store, each.agent))
    if count == 0 and each.emptied_at is not None:
        return f"nothing is left on {each.agent}"
    return f"{count} task{'' if count == 1 else 's'} left there"
