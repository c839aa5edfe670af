"""Ending a generation, the one place where state could be lost or written twice.

    intent persisted (trigger id, directory) -> stop with savepoint | cancel | kill
      -> ended: the job is globally terminal and that is persisted,                   (S1)
                or every JobManager task is known dead
      -> the restore point is determined, by (generation, checkpoint id)              (S2)
      -> it is persisted -> only then the next generation's tasks are wanted

Each arrow is a condition on record and observation, not a step that has to happen in one breath: a
new leader goes on from wherever the record says it is (S4). An intent, once persisted, is followed
to its end; then the *latest* spec starts (fault 48).
"""

from __future__ import annotations

from reconciler import (
    decide_health,
    decide_restore,
    decide_running,
    decide_session_job,
    decide_snapshots,
    decide_tasks,
    decide_upcoming,
    past,
)
from reconciler.diff import DiffClass, diff_class
from reconciler.model import ids
from reconciler.model.decision import CancelJob, StopWithSavepoint
from reconciler.model.observation import FlinkObservation, JobState, Operation, OperationState
from reconciler.model.reasons import Reason
from reconciler.model.record import (
    Ending,
    EndMode,
    EndReason,
    Lifecycle,
    RestoreTold,
    Retired,
    Role,
    Snapshot,
)
from reconciler.turn import Turn

# Beginning


def begin(
    turn: Turn, reason: EndReason, because: str, mode: EndMode | None = None, told: RestoreTold | None = None
) -> None:
    """Persist the intent to end the generation, and do what can be done about it at once."""
    mode = mode or _choose_mode(turn, reason)
    directory, trigger = _trigger(turn, reason, 1) if mode is EndMode.SAVEPOINT else (None, None)
    turn.update_generation(ending=Ending(reason, mode, turn.now, trigger, directory, told=told))
    turn.unblock()
    how = {
        EndMode.SAVEPOINT: "stopping with a savepoint",
        EndMode.CANCEL: "cancelling",
        EndMode.KILL: f"{_killing(turn)}, keeping the checkpoints",
        EndMode.NONE: "its job has ended",
    }[mode]
    turn.event(Reason(f"{reason.value}_BEGUN"), f"generation {turn.generation.number}: {how}; {because}")
    follow(turn)


def _killing(turn: Turn) -> str:
    return "cancelling" if turn.generation.session is not None else "killing its JobManagers"


def note_delete(turn: Turn) -> None:
    """Once on record a delete is final, also if the whole desired tree vanishes before it is carried out."""
    if turn.record.lifecycle is not Lifecycle.DELETING:
        turn.update(lifecycle=Lifecycle.DELETING)
        turn.unblock()
        how = "waiting for its jobs" if turn.spec.is_session else f"onDelete is {turn.spec.on_delete}"
        turn.event(Reason.DELETING, f"the desired state is gone; {how}")


def begin_delete(turn: Turn) -> None:
    """Carry out `onDelete` of the last valid spec."""
    if turn.record.generation is None:
        turn.wait("deleting; waiting until its tasks have ended")
        return
    if turn.spec.on_delete == "keep":
        # Its tasks are left running and forgotten: no tombstone, so nobody ever kills them.
        number = turn.generation.number
        decide_upcoming.drop(turn, "the job is deleted")
        later = tuple(task for task in turn.record.tasks if task.generation > number)
        turn.update(generation=None, tasks=later, retired=tuple(o for o in turn.record.retired if o.number > number))
        return
    if turn.generation.terminal is not None:
        forget_generation(turn)
        turn.wait("deleting; waiting until its tasks have ended")
        return
    if not turn.may_disrupt():
        return
    begin(turn, EndReason.DELETE, f"onDelete is {turn.spec.on_delete}")


def _choose_mode(turn: Turn, reason: EndReason) -> EndMode:
    """How this generation can be ended without losing state. Never stateless unless the spec says so."""
    generation, flink = turn.generation, turn.flink()
    state = flink.job_state if flink is not None else None
    if state is not None and state.terminal:
        return EndMode.NONE
    wanted = turn.spec.job.upgrade_mode
    if reason is EndReason.DELETE:
        wanted = "savepoint" if turn.spec.on_delete == "savepoint" else "stateless"
    if wanted == "stateless":
        return EndMode.CANCEL
    if wanted == "last-state" and (generation.checkpointed or not generation.was_running):
        return EndMode.KILL
    if generation.was_running or state is JobState.RUNNING:
        # Also under last-state while there is no checkpoint yet: killing the job would start it empty.
        return EndMode.SAVEPOINT
    # It never got to run, so there is nothing to stop; what a checkpoint may hold is looked for (fault 56).
    return EndMode.KILL


def _trigger(turn: Turn, reason: EndReason, attempt: int) -> tuple[str, str]:
    record, generation = turn.record, turn.generation
    trigger = ids.trigger_id(record.uid, generation.number, reason.value, attempt)
    base = turn.spec.snapshots.savepoint_dir
    return turn.policy.savepoint_dir(base, record.uid, generation.number, trigger), trigger


# Following


def follow(turn: Turn) -> None:
    """Go on with the ending that the record names."""
    flink = turn.flink()
    decide_snapshots.note_completed(turn, flink)
    if turn.generation.session is not None:
        decide_session_job.note_end(turn, flink)
    else:
        _note_terminal(turn, flink)
    operation = _operation(turn, flink)
    if operation is not None and operation.path is not None:
        decide_snapshots.remember(turn, operation, turn.ending.trigger_id, turn.ending.reason.value.lower(), flink)
    if not _ended(turn):
        _drive(turn, flink, operation)
        return
    if not turn.ending.restore_known:
        decide_restore.determine(turn)
    if turn.record.generation is not None and turn.record.generation.ending and turn.ending.restore_known:
        _finish(turn)


def _note_terminal(turn: Turn, flink: FlinkObservation | None) -> None:
    if turn.generation.terminal is not None:
        return
    if flink is not None and flink.job_state is not None and flink.job_state.terminal:
        turn.update_generation(terminal=flink.job_state.value, running_since=None)
        return
    view = turn.seen.restore
    if view is not None and view.answered and view.generation == turn.generation.number and view.terminal:
        turn.update_generation(terminal=view.terminal, running_since=None)


def _operation(turn: Turn, flink: FlinkObservation | None) -> Operation | None:
    trigger = turn.ending.trigger_id
    return flink.operations.get(trigger) if flink is not None and trigger is not None else None


def _ended(turn: Turn) -> bool:
    """S1: globally terminal and persisted with this very decision, or every JobManager known dead, or fenced."""
    if turn.generation.session is not None:
        return turn.generation.terminal is not None
    alive = [task for task in turn.tasks(Role.JOB_MANAGER) if not task.fenced]
    return turn.generation.terminal is not None or not alive


def _drive(turn: Turn, flink: FlinkObservation | None, operation: Operation | None) -> None:
    ending = turn.ending
    terminal = flink is not None and flink.job_state is not None and flink.job_state.terminal
    if turn.generation.session is not None and (terminal or ending.mode is not EndMode.SAVEPOINT):
        decide_session_job.cancel(turn, flink)
    elif ending.mode is EndMode.KILL:
        decide_tasks.kill_generation(turn, "ending the generation, its checkpoints stay")
        turn.wait(_waiting_for_death(turn))
    elif ending.mode is EndMode.CANCEL:
        _drive_cancel(turn, flink)
    else:
        _drive_stop(turn, flink, operation)


def _waiting_for_death(turn: Turn) -> str:
    tasks, number = [task for task in turn.tasks(Role.JOB_MANAGER) if not task.fenced], turn.generation.number
    hosts = ", ".join(sorted({task.hostname or "?" for task in tasks}))
    seen = [turn.task_seen(task) for task in tasks]
    unclear = any(each is not None and each.state.unclear for each in seen)
    force = f"; if you know that it is: weir fence {turn.record.name} --generation {number}" if unclear else ""
    return f"ending generation {number}: waiting until its JobManager on {hosts} is known dead{force}"


def _drive_cancel(turn: Turn, flink: FlinkObservation | None) -> None:
    """Without state to keep, a JobManager that does not take the cancel is killed."""
    patience = turn.waited_since(turn.ending.since) + 3 * turn.policy.stop_retry_s
    if flink is not None and flink.job_state is not None and turn.now < patience:
        turn.emit(CancelJob(turn.generation.job_id))
        turn.wake(patience)
        turn.wait(f"cancelling generation {turn.generation.number}; the job is {flink.job_state.value}")
        return
    decide_tasks.kill_generation(turn, "cancelling the generation")
    turn.wait(_waiting_for_death(turn))


def _drive_stop(turn: Turn, flink: FlinkObservation | None, operation: Operation | None) -> None:
    ending, generation = turn.ending, turn.generation
    what = f"stopping generation {generation.number} with a savepoint"
    decide_health.replace_unregistered(turn, flink)
    decide_tasks.ensure(turn)
    if _fell_back(turn, flink, operation):
        return
    if flink is None:
        turn.wait(f"{what}; the JobManager does not answer{_way_out(turn)}")
        return
    state = operation.state if operation is not None else None
    if state is OperationState.FAILED:
        assert operation is not None
        _retry_stop(turn, operation.error or "no reason given")
    elif state is OperationState.IN_PROGRESS:
        turn.wait(f"{what}; it is being written")
    elif state is OperationState.COMPLETED and _runs_on(turn, flink):
        _retry_stop(turn, "its savepoint is complete, but the job runs on: its JobManager was lost in between")
    elif state is OperationState.COMPLETED:
        turn.wait(f"{what}; it is complete, waiting until the job has finished")
    elif turn.now < ending.not_before:
        turn.wake(ending.not_before)
        turn.wait(f"{what}; attempt {ending.attempt} follows, the one before failed: {ending.error}{_way_out(turn)}")
    elif flink.job_state is JobState.RUNNING and flink.vertices_running:
        assert ending.trigger_id is not None
        assert ending.directory is not None
        turn.emit(StopWithSavepoint(generation.job_id, ending.trigger_id, ending.directory))
        turn.wait(what)
    else:
        named = flink.job_state.value if flink.job_state else "not started"
        turn.wait(f"{what}; the job is {named}, waiting until it runs")


def _way_out(turn: Turn) -> str:
    """Said only where a person may have waited for long."""
    return f"; to go on without the savepoint: weir force {turn.record.name}"


def _runs_on(turn: Turn, flink: FlinkObservation) -> bool:
    """The savepoint lies in its directory, but the new JobManager knows nothing of the stop: it never ends."""
    written = [s.time for s in turn.record.snapshots if s.trigger_id == turn.ending.trigger_id]
    if not written or flink.job_state is not JobState.RUNNING or not flink.vertices_running:
        return False
    due = max(written) + turn.policy.stop_retry_s
    turn.wake(due)
    return turn.now >= due


def _fell_back(turn: Turn, flink: FlinkObservation | None, operation: Operation | None) -> bool:
    """A job that cannot be stopped because it does not run is ended from its checkpoints instead.

    Nothing is lost by that: the newest checkpoint, or a savepoint that did get written, is found once
    the JobManager is dead (Flink Kubernetes operator, "Upgrade modes": last-state fallback). Not
    for a delete, whose final savepoint somebody asked for.
    """
    ending = turn.ending
    if ending.reason is EndReason.DELETE:
        return False
    if operation is not None and operation.state in (OperationState.IN_PROGRESS, OperationState.FAILED):
        return False  # one may still write its savepoint, the other is answered by a new attempt
    if flink is not None and flink.job_state is JobState.RUNNING:
        return False
    if flink is None and not turn.generation.checkpointed:
        return False  # it may be running, and nothing of what it holds is stored anywhere: only a person may end it
    due = turn.waited_since(ending.since) + turn.policy.stop_patience_s
    if turn.now < due:
        turn.wake(due)
        return False
    turn.update_ending(mode=EndMode.KILL)
    turn.event(
        Reason.LAST_STATE_FALLBACK,
        f"the job has not run for {turn.policy.stop_patience_s:g} s, so it cannot write a savepoint; "
        "its newest checkpoint is used",
        warning=True,
    )
    _drive(turn, flink, operation)
    return True


def _retry_stop(turn: Turn, error: str) -> None:
    """A stop that failed left the job running: try again, or go on running if nobody wants the stop any more."""
    ending = turn.ending
    if ending.reason is not EndReason.DELETE and _no_longer_wanted(turn):
        turn.update_generation(ending=None)
        turn.event(Reason.ENDING_ABANDONED, f"the stop failed and is no longer asked for: {error}"[:1000], warning=True)
        return
    attempt = ending.attempt + 1
    directory, trigger = _trigger(turn, ending.reason, attempt)
    not_before = turn.now + min(turn.policy.stop_retry_s * 2 ** min(attempt - 2, 5), 300.0)
    turn.update_ending(
        attempt=attempt, trigger_id=trigger, directory=directory, not_before=not_before, error=error[:500]
    )
    turn.event(Reason.SAVEPOINT_FAILED, f"the stop failed and will be tried again: {error}"[:1000], warning=True)
    turn.wake(not_before)
    turn.wait(f"the savepoint failed, trying again: {error[:200]}")


def _no_longer_wanted(turn: Turn) -> bool:
    if turn.deletion_wanted:
        return True  # `onDelete` decides how it ends, not the mode of an upgrade that nobody waits for
    if turn.spec.job.state == "suspended" or decide_session_job.session_ends(turn):
        return False
    return diff_class(turn.generation.spec, turn.target) <= DiffClass.IGNORE


# Finishing


def _finish(turn: Turn) -> None:
    """The old generation has ended and its restore point is in the record: what comes next may start."""
    old, restore, reason = turn.generation, turn.ending.restore, turn.ending.reason
    starts = turn.spec.job.state == "running" and reason is not EndReason.DELETE and not turn.deletion_wanted
    if starts and turn.target.in_session and decide_session_job.session_to_start_in(turn) is None:
        decide_tasks.kill_generation(turn, f"generation {turn.generation.number} has ended")
        return
    turn.event(Reason(f"{reason.value}_ENDED"), f"generation {turn.generation.number} ended: {_origin(restore)}")
    forget_generation(turn)
    if reason is EndReason.DELETE or turn.deletion_wanted:
        turn.update(lifecycle=Lifecycle.DELETING)
        turn.wait("deleting; waiting until its tasks have ended")
    elif turn.spec.job.state == "suspended":
        turn.update(resume=restore)
        turn.wait("suspended" + (f"; will resume from {restore.path}" if restore else ""))
    else:
        decide_running.start_generation(turn, restore, rollback=reason is EndReason.ROLLBACK or old.rollback)
        if reason is EndReason.RESTART and diff_class(old.spec, turn.target) <= DiffClass.IGNORE:
            turn.update_generation(judged_since=decide_health.tried_since(old), late=old.late)
        turn.wait(f"starting generation {turn.generation.number}")


def _origin(restore: Snapshot | None) -> str:
    return f"its state is {restore.path}" if restore else "it leaves no state"


def forget_generation(turn: Turn) -> None:
    decide_tasks.kill_generation(turn, f"generation {turn.generation.number} has ended")
    retire(turn)
    pending = turn.record.savepoint
    if pending is not None and pending.reason != "periodic":
        turn.event(Reason.SAVEPOINT_FAILED, "its generation ended before it was complete; ask again", warning=True)
    past.keep(turn)
    turn.update(generation=None, savepoint=None)


def retire(turn: Turn) -> None:
    """Remember the generation until its HA data and job result can be removed."""
    generation = turn.generation
    if generation.session is not None:
        return  # its HA data is Flink's to clean up, and its result goes with the session's generation
    if all(old.number != generation.number for old in turn.record.retired) and (
        generation.job_id not in turn.seen.cleaned
    ):
        old = Retired(generation.number, generation.job_id, generation.cluster_id, generation.terminal)
        turn.update(retired=(*turn.record.retired, old))
