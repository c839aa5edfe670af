"""A session: JobManagers and TaskManagers that wait for jobs, and no job of its own.

It has no state to lose; its jobs have. So it is kept running like an application, and it ends in
agreement with them:

    upgrade: the intent is persisted -> its jobs see it and end their own generations, each with its own
      snapshot -> no job needs the generation -> its tasks go, the next generation starts, the jobs follow
    delete: waits until no job names the session
"""

from __future__ import annotations

from reconciler import decide_ending, decide_health, decide_moving, decide_running, decide_tasks
from reconciler.diff import DiffClass, changes, describe, diff_class
from reconciler.model.observation import FlinkObservation
from reconciler.model.reasons import Reason
from reconciler.model.record import Ending, EndMode, EndReason, Lifecycle, Role
from reconciler.turn import Turn


def converge(turn: Turn) -> None:
    """No intent to end a generation is persisted."""
    if turn.record.lifecycle is Lifecycle.DELETING:
        _delete(turn)
    elif turn.record.generation is not None:
        _keep(turn)
    elif turn.record.blocked is not None:
        turn.wait(turn.record.blocked_why)
    else:
        decide_running.start_generation(turn, None)
        turn.wait("starting the session")


def follow(turn: Turn) -> None:
    """Go on with an upgrade: the generation ends as soon as no job needs it."""
    number = turn.generation.number
    needed = [job for job in turn.seen.session_jobs if job.unknown or number in job.needs]
    if needed:
        _keep_processes(turn)
        names = ", ".join(job.name for job in needed)
        turn.wait(f"upgrading the session; waiting until its jobs have ended generation {number}: {names}")
        return
    turn.event(Reason(f"{turn.ending.reason.value}_ENDED"), f"generation {number} ended: no job needs it any more")
    decide_ending.forget_generation(turn)
    if turn.record.lifecycle is Lifecycle.DELETING:
        _delete(turn)
        return
    decide_running.start_generation(turn, None)
    turn.wait(f"starting generation {turn.generation.number} of the session")


def _keep(turn: Turn) -> None:
    flink = turn.flink()
    _take_note(turn, flink)
    running, wanted = turn.generation.spec, turn.target
    kind = diff_class(running, wanted)
    if kind is DiffClass.UPGRADE and not turn.may_disrupt():
        kind = DiffClass.NONE
    if kind is DiffClass.UPGRADE:
        turn.update_generation(ending=Ending(EndReason.UPGRADE, EndMode.NONE, turn.now))
        turn.unblock()
        because = describe(changes(running, wanted))
        turn.event(Reason.UPGRADE_BEGUN, f"generation {turn.generation.number}: its jobs are stopped first; {because}")
        follow(turn)
        return
    if kind is DiffClass.SCALE:
        before, after = running.task_managers(), wanted.task_managers()
        turn.event(Reason.RESCALED, f"generation {turn.generation.number}: TaskManagers {before} → {after}, in place")
    if kind is not DiffClass.NONE:
        turn.update_generation(spec=wanted)
    if turn.record.blocked is not None:
        turn.wait(turn.record.blocked_why)
        return
    if decide_health.judge_readiness(turn):
        return
    _keep_processes(turn)
    decide_moving.move(turn, flink)
    _say_what_is_awaited(turn, flink)


def _keep_processes(turn: Turn) -> None:
    decide_health.replace_unregistered(turn, turn.flink())
    decide_tasks.ensure(turn)


def _take_note(turn: Turn, flink: FlinkObservation | None) -> None:
    """It runs when its JobManager answers and every TaskManager is registered there."""
    if flink is None:
        return
    generation = turn.generation
    managers = [task for task in turn.tasks(Role.TASK_MANAGER) if task.kill_since is None]
    wanted = {task.index for task in managers}
    # Of two attempts of one index, one that moves away and its replacement, one is enough.
    registered = {task.index for task in managers if task.task_id in flink.task_managers}
    if len(registered) == len(wanted) >= generation.spec.task_managers():
        if generation.running_since is None:
            turn.update_generation(running_since=turn.now, was_running=True)
            turn.event(Reason.RUNNING, f"generation {generation.number} of the session is ready for jobs")
    elif generation.running_since is not None:
        turn.update_generation(running_since=None)


def _delete(turn: Turn) -> None:
    jobs = turn.seen.session_jobs
    if jobs:
        if turn.record.generation is not None:
            _keep_processes(turn)
        names = ", ".join(job.name for job in jobs)
        turn.why = f"deleting; waiting for its jobs: {names}. Delete them, or name another session in their specs"
        return
    if turn.record.generation is not None and turn.may_disrupt():
        decide_ending.forget_generation(turn)
    turn.wait("deleting; waiting until its tasks have ended")


def _say_what_is_awaited(turn: Turn, flink: FlinkObservation | None) -> None:
    decide_running.say_unplaced(turn)
    generation = turn.generation
    if flink is None:
        turn.wait("waiting for the JobManager to answer")
    elif generation.running_since is None:
        wanted = generation.spec.task_managers()
        turn.wait(f"waiting for TaskManagers to register: {len(flink.task_managers)} of {wanted} have")
    elif not decide_running.stable(turn):
        turn.wait("running; waiting to be stable")
    jobs = ", ".join(job.name for job in turn.seen.session_jobs)
    turn.wait(f"running and stable; its jobs: {jobs}" if jobs else "running and stable; it has no jobs yet")
