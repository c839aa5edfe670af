"""Naming where a job is; the names are those of the Flink Kubernetes operator where it has one."""

from __future__ import annotations

from reconciler import decide_running
from reconciler.model.reasons import Reason
from reconciler.model.record import EndReason, Generation, Lifecycle, Role
from reconciler.turn import Turn


def name(turn: Turn) -> None:
    """Set `record.lifecycle`, and tell of a change."""
    before = turn.record.lifecycle
    after = _name(turn)
    if after is Lifecycle.ROLLED_BACK:
        turn.why = "the last stable spec runs again, not the desired one; change that to try anew"
    if after is not before:
        turn.update(lifecycle=after)
        turn.event(Reason(after.value), turn.why or after.value.lower())
    if after is Lifecycle.ROLLED_BACK and turn.generation.rollback:
        turn.update_generation(rollback=False)  # done: what fails later is restarted like any other job
    if after is Lifecycle.STABLE and turn.record.stable_spec != turn.generation.spec:
        reached = turn.generation.scaling_since is None  # while it is rescaled it is STABLE as it was
        turn.update(stable_spec=turn.generation.spec if reached else turn.record.stable_spec)


def _name(turn: Turn) -> Lifecycle:
    record = turn.record
    if record.lifecycle is Lifecycle.DELETING:
        return Lifecycle.DELETING
    if record.blocked is not None:
        failed = record.blocked == Reason.RESTARTS_EXHAUSTED
        return Lifecycle.FAILED if failed else Lifecycle.BLOCKED
    generation = record.generation
    if generation is None:
        return Lifecycle.SUSPENDED if turn.spec.job.state == "suspended" else Lifecycle.CREATED
    if generation.ending is not None:
        return Lifecycle.ROLLING_BACK if generation.ending.reason is EndReason.ROLLBACK else Lifecycle.UPGRADING
    if record.upcoming is not None:
        return Lifecycle.UPGRADING
    if generation.terminal is not None:
        return Lifecycle.FINISHED if generation.terminal == "FINISHED" else Lifecycle.FAILED
    return _name_of_running(turn, generation)


def _name_of_running(turn: Turn, generation: Generation) -> Lifecycle:
    if not generation.was_running and generation.rollback:
        return Lifecycle.ROLLING_BACK
    if not generation.was_running:
        return Lifecycle.CREATED if generation.number == 1 else Lifecycle.UPGRADING
    managers = [turn.task_seen(task) for task in turn.tasks(Role.JOB_MANAGER)]
    if managers and all(seen is not None and seen.state.unclear for seen in managers):
        return Lifecycle.RECONCILING
    since = turn.seen.unreachable_since
    if since is not None and (turn.tasks(Role.JOB_MANAGER) or generation.session is not None):
        # We cannot see it, which is not a death (fault 46).
        if turn.now - since >= turn.policy.silence_s:
            return Lifecycle.RECONCILING
        turn.wake(since + turn.policy.silence_s)
        if turn.record.lifecycle in (Lifecycle.STABLE, Lifecycle.RECONCILING):
            return turn.record.lifecycle
    if not decide_running.stable(turn):
        return Lifecycle.ROLLING_BACK if generation.rollback else Lifecycle.DEPLOYED
    return Lifecycle.ROLLED_BACK if turn.target != turn.spec else Lifecycle.STABLE
