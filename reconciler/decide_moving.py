"""Moving a job's tasks away from agents that are to be empty, one after the other and without losing state. Pure.

    a replacement is wanted -> it is placed elsewhere -> it is registered, or stands by -> the task on the
      drained agent is killed -> Flink goes on from the latest checkpoint, on what is there already

All of it inside the generation: a TaskManager is replaced as one that was lost, a JobManager as in a job with
standbys, through Flink's own election and HA data. Nothing of it is charged to the restart budget. Each step
follows from record and observation, so a new leader goes on where the old one was.
"""

from __future__ import annotations

from reconciler import decide_running, decide_snapshots, decide_tasks
from reconciler.decide_tasks import NAMES
from reconciler.model.observation import LIVING, FlinkObservation, JobState, TaskState
from reconciler.model.reasons import Reason
from reconciler.model.record import Role, Task
from reconciler.turn import Turn


def move(turn: Turn, flink: FlinkObservation | None) -> None:
    """Go one step on; nothing to do for a job that has no task on a drained agent."""
    if not turn.seen.draining:
        return
    tasks = turn.tasks()
    leaving = [task for task in tasks if turn.leaves(task) and task.kill_since is None]
    dying = [task for task in tasks if turn.leaves(task) and task.kill_since is not None]
    if dying or (turn.seen.moving and not _runs(turn, flink)):
        turn.moving = True
        hosts = ", ".join(sorted({task.hostname or "?" for task in dying}))
        turn.wait(f"moving away from {hosts}: waiting until what it leaves there has ended" if dying else "")
        return
    if not leaving:
        return
    leaving.sort(key=lambda task: (_successor(turn, task) is None, task.role is Role.JOB_MANAGER, task.index))
    task = leaving[0]
    successor = _successor(turn, task)
    why_not = _not_now(turn, flink)
    if why_not is not None:
        turn.moving = successor is not None
        turn.wait(why_not)
    elif successor is not None:
        _follow(turn, task, successor, flink)
    elif not turn.seen.may_move:
        turn.wait(f"running; {_count(leaving)} to leave {_hosts(leaving)}, which is drained, after those of other jobs")
    elif task.role is Role.TASK_MANAGER or _may_have_standby(turn, task):
        turn.moving = True
        decide_tasks.want(turn, task.role, task.index)
        turn.event(
            Reason.TASK_MOVING, f"{_named(task)} leaves {task.hostname}, which is drained; its replacement comes first"
        )
        turn.wait(f"{_moving(task)}: its replacement is wanted")


def _follow(turn: Turn, task: Task, successor: Task, flink: FlinkObservation | None) -> None:
    """The replacement is on its way; the task goes when the replacement can stand in for it."""
    if not successor.placed and not turn.seen.may_move:
        turn.replace_task(successor, None)  # it waits for an offer, and others wait for their turn
        return
    turn.moving = True
    if not successor.placed:
        turn.wait(f"{_moving(task)}: waiting for an offer" + (f": {turn.seen.waiting}" if turn.seen.waiting else ""))
        return
    if task.role is Role.JOB_MANAGER and not _may_have_standby(turn, task):
        return
    if not _stands_in(turn, successor, flink):
        turn.wait(f"{_moving(task)}: waiting until its replacement on {successor.hostname} can stand in for it")
        return
    turn.kill(task, f"moved to {successor.hostname}: its agent is drained")
    turn.event(Reason.TASK_MOVED, f"{_named(task)} is now on {successor.hostname}; {task.hostname} is drained")
    turn.wait(f"{_moving(task)}: waiting until what it leaves there has ended")


def _successor(turn: Turn, task: Task) -> Task | None:
    """The newest attempt of the same index that is not on a drained agent."""
    others = [
        other
        for other in turn.tasks(task.role)
        if other.index == task.index and other.kill_since is None and not turn.leaves(other)
    ]
    return max(others, key=lambda other: other.attempt, default=None)


def _stands_in(turn: Turn, successor: Task, flink: FlinkObservation | None) -> bool:
    seen = turn.task_seen(successor)
    if seen is None or seen.state is not TaskState.RUNNING:
        return False
    if successor.role is Role.TASK_MANAGER:
        return flink is not None and successor.task_id in flink.task_managers
    # A standby answers nothing that says so: it is given the time that a JVM needs.
    due = seen.since + turn.policy.standby_up_s
    turn.wake(due)
    return turn.now >= due


def _not_now(turn: Turn, flink: FlinkObservation | None) -> str | None:
    """Why the job is left where it is for the moment; "" when what is waited for is said elsewhere."""
    generation = turn.generation
    if not _runs(turn, flink) or generation.scaling_since is not None:
        return ""
    if decide_snapshots.in_flight(turn, flink):
        return "waiting for the savepoint that is being written, before a task is moved"
    if generation.spec.is_session or generation.checkpointed or turn.spec.job.upgrade_mode == "stateless":
        return None
    if decide_running.checkpointing_on(generation):
        return "running; waiting for the first checkpoint, before a task leaves its drained agent"
    return (
        "running; its state is in no checkpoint, so its tasks do not leave the drained agent by themselves. "
        f"To move the job with a savepoint: weir restart {turn.record.name}"
    )


def _runs(turn: Turn, flink: FlinkObservation | None) -> bool:
    if flink is None or turn.generation.running_since is None:
        return False
    return turn.generation.spec.is_session or (flink.job_state is JobState.RUNNING and flink.vertices_running)


def _may_have_standby(turn: Turn, task: Task) -> bool:
    """A second JobManager inside a generation goes on from the HA metadata, so that has to be there (S2)."""
    if turn.generation.spec.is_session:
        return True
    turn.emit(decide_tasks.look_at_living(turn))
    view = turn.seen.restore
    current = view is not None and view.generation == LIVING and view.job_id == turn.generation.job_id
    if view is None or not view.answered or not current:
        turn.moving = turn.seen.may_move or turn.moving
        turn.wait(f"{_moving(task)}: looking for its HA metadata")
        return False
    if not view.ha_metadata or not decide_tasks.resumable(turn.generation, view):
        turn.wait(f"{_moving(task)}: waiting until its HA metadata names a checkpoint")
        return False
    return view.terminal is None


def _moving(task: Task) -> str:
    return f"moving {_named(task)} away from {task.hostname}, which is drained"


def _named(task: Task) -> str:
    return f"{NAMES[task.role]} {task.index}"


def _count(tasks: list[Task]) -> str:
    return "1 task waits" if len(tasks) == 1 else f"{len(tasks)} tasks wait"


def _hosts(tasks: list[Task]) -> str:
    return ", ".join(sorted({task.hostname or "?" for task in tasks}))
