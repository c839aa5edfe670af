"""A job whose generation is not being ended: start it, keep it running, or begin to end it."""

from __future__ import annotations

import re
from dataclasses import replace

from reconciler import (
    decide_ending,
    decide_health,
    decide_moving,
    decide_scaling,
    decide_session_job,
    decide_snapshots,
    decide_tasks,
    decide_upcoming,
)
from reconciler.diff import DiffClass, changes, describe, diff_class
from reconciler.model import ids
from reconciler.model.observation import FlinkObservation, JobState
from reconciler.model.reasons import Reason
from reconciler.model.record import (
    EndMode,
    EndReason,
    Generation,
    Role,
    Snapshot,
    SnapshotKind,
)
from reconciler.restarts import EXHAUSTED, charge
from reconciler.turn import Turn

# Starting


def start_or_rest(turn: Turn) -> None:
    """No generation exists: start one unless the job is to be suspended or is blocked."""
    if turn.spec.job.state == "suspended":
        turn.wait("suspended" + (f"; will resume from {turn.record.resume.path}" if turn.record.resume else ""))
        return
    if turn.record.blocked is not None:
        turn.wait(turn.record.blocked_why)
        return
    if turn.target.in_session and decide_session_job.session_to_start_in(turn) is None:
        return
    if turn.record.next_generation == 1 and turn.spec.job.initial_savepoint_path is not None:
        initial = Snapshot(SnapshotKind.SAVEPOINT, turn.spec.job.initial_savepoint_path, 0, reason="initial")
        start_generation(turn, initial)
    else:
        start_generation(turn, turn.record.resume)


def start_generation(turn: Turn, restore: Snapshot | None, rollback: bool = False) -> None:
    """Open the next generation from one explicit restore point; its tasks are wanted from now on.

    One of a session job takes the session's cluster id; the caller knows that the session takes it.
    """
    record = turn.record
    number = record.next_generation
    session = decide_session_job.session_to_start_in(turn) if turn.target.in_session else None
    owner = (session.name, session.uid, session.generation) if session else (record.name, record.uid, number)
    prepared = decide_upcoming.take_over(turn)
    if prepared is not None:
        number = prepared.number
        undone = rollback and turn.target != turn.spec
        generation = replace(prepared, started_at=turn.now, restore=restore, rollback=undone)
    else:
        generation = Generation(
            number,
            turn.target,
            ids.flink_job_id(record.uid, number),
            ids.cluster_id(*owner),
            turn.now,
            restore,
            rollback=rollback and turn.target != turn.spec,
            session=session,
            defaults={} if session else turn.policy.flink_defaults(turn.target.flink_version),
        )
    turn.update(generation=generation, next_generation=max(record.next_generation, number + 1), resume=None)
    origin = f"from {restore.path}" if restore else "without a restore point"
    turn.event(Reason.GENERATION_STARTED, f"generation {number} starts {origin}")
    decide_tasks.ensure(turn)


# Keeping


def keep(turn: Turn) -> None:
    """One generation exists and nothing ends it yet."""
    generation = turn.generation
    flink = turn.flink()
    if generation.terminal is not None:
        _at_rest(turn)
        return
    if flink is not None:
        _take_note(turn, flink)
        if flink.job_state is not None and flink.job_state.terminal and generation.session is None:
            ended_by_itself(turn, flink.job_state, flink.failure)
            return
    if generation.session is not None and decide_session_job.keep(turn, flink):
        return
    decide_snapshots.note_completed(turn, flink)
    decide_snapshots.clean_up(turn, flink)
    if _leave_for_spec(turn, flink):
        return
    if turn.record.blocked is not None:
        _stay_blocked(turn)
        return
    if decide_scaling.follow(turn, flink):
        return
    if decide_health.judge_readiness(turn) or decide_health.restart_if_unhealthy(turn, flink):
        return
    decide_health.replace_unregistered(turn, flink)
    decide_snapshots.take(turn, flink)
    decide_tasks.ensure(turn)
    if turn.generation.terminal is not None:  # the job result store told of an end that nobody saw
        _at_rest(turn)
        return
    if generation.session is not None:
        decide_session_job.submit(turn, flink)
    else:
        _reopen_without_ha(turn)
        if turn.generation.ending is None:
            decide_moving.move(turn, flink)
    _say_what_is_awaited(turn, flink)


def _leave_for_spec(turn: Turn, flink: FlinkObservation | None) -> bool:
    """Begin to end the generation if the newest spec asks for that; a savepoint in flight is waited for."""
    running, wanted = turn.generation.spec, turn.target
    leaving = wanted.job.state == "suspended" or diff_class(running, wanted) >= DiffClass.SCALE
    if leaving and decide_snapshots.in_flight(turn, flink):
        turn.wait("waiting for the savepoint that is being written, before the job is changed")
        return False
    if leaving and not turn.may_disrupt():
        return False
    if wanted.job.state == "suspended":
        decide_ending.begin(turn, EndReason.SUSPEND, "the desired state is suspended")
        return True
    kind = diff_class(running, wanted)
    if kind is DiffClass.SCALE and flink is None and turn.generation.running_since is not None:
        # It ran when it was last seen: a new leader asks before it stops what can be rescaled in place.
        turn.wait("waiting for the JobManager to answer, before the job is rescaled")
        return False
    if kind is DiffClass.SCALE and decide_scaling.possible(flink):
        decide_scaling.begin(turn, wanted)
    elif kind in (DiffClass.SCALE, DiffClass.UPGRADE) and not decide_upcoming.prepare(turn, flink):
        decide_ending.begin(turn, EndReason.UPGRADE, describe(changes(running, wanted)))
        return True
    if kind is DiffClass.IGNORE:
        turn.update_generation(spec=wanted)
    return False


def _take_note(turn: Turn, flink: FlinkObservation) -> None:
    """Persist what a later decision, perhaps another leader's, must know about this generation."""
    generation = turn.generation
    # A job that failed because a checkpoint of its own is gone had one, even if nobody saw it complete.
    missed = flink.failure is not None and f"/{generation.job_id}/chk-" in flink.failure
    completed = flink.completed_checkpoints > 0 or flink.latest_checkpoint_path is not None or missed
    if completed and not generation.checkpointed:
        turn.update_generation(checkpointed=True)
    if flink.job_state is JobState.RUNNING and flink.vertices_running:
        if generation.running_since is None:
            turn.update_generation(running_since=turn.now, was_running=True)
            turn.event(Reason.RUNNING, f"every task of generation {generation.number} runs")
    elif generation.running_since is not None and flink.job_state is not None:
        turn.update_generation(running_since=None)


def ended_by_itself(turn: Turn, state: JobState, failure: str | None) -> None:
    """The job is globally terminal, and nobody asked for it."""
    turn.update_generation(terminal=state.value, running_since=None)
    if state is JobState.FINISHED:
        turn.event(Reason.FINISHED, f"generation {turn.generation.number} finished; its resources are given back")
        _at_rest(turn)
        return
    said = f"the job is {state.value}" + (f": {failure}" if failure else "")
    turn.event(Reason.JOB_FAILED if state is JobState.FAILED else Reason.JOB_CANCELED, said[:1000], warning=True)
    charge(turn, said)
    _at_rest(turn)


def _at_rest(turn: Turn) -> None:
    """The generation's job is globally terminal and nobody asked for it: FINISHED rests, others restart."""
    generation = turn.generation
    if generation.terminal != JobState.FINISHED.value:
        if turn.record.blocked is None:
            decide_ending.begin(turn, EndReason.RESTART, f"the job is {generation.terminal}", EndMode.NONE)
        else:
            _stay_blocked(turn)
        return
    decide_tasks.kill_generation(turn, "the job has finished")
    decide_ending.retire(turn)
    turn.wait("finished")
    if turn.spec.job.state == "running" and diff_class(generation.spec, turn.target) >= DiffClass.SCALE:
        decide_ending.begin(turn, EndReason.UPGRADE, "changed after it had finished", EndMode.NONE)


def _stay_blocked(turn: Turn) -> None:
    """A spec whose restarts are used up is rolled back all the same, once its readiness time-out is over."""
    why = turn.record.blocked_why
    if turn.record.blocked != EXHAUSTED or not decide_health.judge_readiness(turn):
        turn.wait(why)


def _reopen_without_ha(turn: Turn) -> None:
    """The JobManager is dead and its HA metadata is gone, but a checkpoint exists: the next generation takes it."""
    view = turn.seen.restore
    if turn.tasks(Role.JOB_MANAGER) or view is None or not view.answered:
        return
    usable = decide_tasks.resumable(turn.generation, view)
    if view.generation == turn.generation.number and not usable and view.terminal is None:
        decide_ending.begin(turn, EndReason.RESTART, "the HA metadata, or the checkpoint in it, is gone", EndMode.KILL)


# Explaining


def checkpointing_on(generation: Generation) -> bool:
    """True when the configuration asks for checkpoints; a job may also ask in its own code."""
    configuration = {**(generation.defaults or {}), **generation.spec.flink_configuration}
    interval = configuration.get("execution.checkpointing.interval", "0")
    return re.fullmatch(r"\s*0*\s*[a-zµ]*\s*", str(interval)) is None


def stable(turn: Turn) -> bool:
    """All vertices RUNNING, with a completed checkpoint if checkpointing is on, for `health.stableAfter`."""
    generation = turn.generation
    checkpoints = checkpointing_on(generation) and not generation.spec.is_session
    if generation.running_since is None or (checkpoints and not generation.checkpointed):
        return False
    due = generation.running_since + generation.spec.health.stable_after
    turn.wake(due)
    return turn.now >= due


def _say_what_is_awaited(turn: Turn, flink: FlinkObservation | None) -> None:
    say_unplaced(turn)
    generation = turn.generation
    if flink is None:
        if generation.was_running:
            turn.wait("the JobManager does not answer; nothing is concluded from that")
        turn.wait("waiting for the JobManager to answer")
    elif flink.job_state is None:
        turn.wait("the JobManager answers; waiting until it has started the job")
    elif generation.running_since is None:
        slots = decide_session_job.slots(turn)
        turn.wait(f"the job is {flink.job_state.value}; waiting until all of its tasks run{slots}")
    elif checkpointing_on(generation) and not generation.checkpointed:
        turn.wait("running; waiting for the first checkpoint")
    elif not stable(turn):
        turn.wait("running; waiting to be stable")
    turn.wait("running and stable")


def say_unplaced(turn: Turn) -> None:
    unplaced = decide_tasks.unplaced(turn)
    for task in unplaced:
        if task.not_before > turn.now:
            turn.wake(task.not_before)
            reason = turn.record.restarts.reason or "a failure"
            turn.wait(f"waiting for its restart back-off after: {reason}")
    if unplaced:
        turn.wait(f"waiting for an offer: {turn.seen.waiting}" if turn.seen.waiting else "waiting for an offer")
