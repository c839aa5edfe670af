"""When a running job is not well: late, restarting too often, without checkpoints, or with silent TaskManagers.

Flink heals exceptions inside a running JobManager by its own `restart-strategy`. Here is what Weir
does when that is not enough; each restart goes through the job's restart strategy and its budget.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import decide_ending
from reconciler.decide_tasks import NAMES
from reconciler.diff import DiffClass, diff_class
from reconciler.model.decision import ReconcileTask
from reconciler.model.observation import FlinkObservation, JobState, TaskState
from reconciler.model.reasons import Reason
from reconciler.model.record import EndMode, EndReason, Generation, Lifecycle, Role, Task
from reconciler.restarts import charge
from reconciler.turn import Turn

ASK_LONGEST_S = 300.0


def restart_if_unhealthy(turn: Turn, flink: FlinkObservation | None) -> bool:
    """Open the next generation from the newest state when this one is not well."""
    why = _unhealthy(turn, flink) if flink is not None else None
    if why is None or not turn.may_disrupt():
        return False
    turn.event(Reason.UNHEALTHY, why, warning=True)
    charge(turn, why)
    if turn.record.blocked is None:
        decide_ending.begin(turn, EndReason.RESTART, why, EndMode.KILL)
    return True


def _unhealthy(turn: Turn, flink: FlinkObservation) -> str | None:
    health = turn.generation.spec.health
    restarts = _restarts_within(turn.seen.flink_restarts, turn.now - health.restart_window)
    if restarts >= health.max_restarts:
        return f"Flink restarted the job {restarts} times within {health.restart_window:g} s"
    since = turn.generation.running_since
    if health.checkpoint_stall is None or since is None or flink.job_state is not JobState.RUNNING:
        return None
    last = max(since, flink.latest_checkpoint_at or 0.0)
    due = last + health.checkpoint_stall
    turn.wake(due)
    return f"no checkpoint was completed for {health.checkpoint_stall:g} s" if turn.now >= due else None


def _restarts_within(samples: Sequence[tuple[float, int]], start: float) -> int:
    """How much the count has grown since `start`; a sample is there for each time it changed."""
    if not samples:
        return 0
    before = [count for at, count in samples if at < start]
    return samples[-1][1] - (before[-1] if before else samples[0][1])


def replace_unregistered(turn: Turn, flink: FlinkObservation | None) -> None:
    """A TaskManager that runs, but is not registered with the JobManager for a launch time-out, is replaced."""
    if flink is None or flink.job_state is JobState.INITIALIZING:
        return  # it does not say yet which TaskManagers it has
    if flink.job_state is None and not turn.generation.spec.is_session:
        return
    timeout = turn.generation.spec.health.launch_timeout
    for task in turn.tasks(Role.TASK_MANAGER):
        seen, since = turn.task_seen(task), turn.seen.unregistered_since.get(task.task_id or "")
        if task.kill_since is not None or since is None or seen is None or seen.state is not TaskState.RUNNING:
            continue
        # A JobManager that was restarted knows no TaskManager yet: they get the time-out once more.
        due = max(seen.since, since) + timeout
        turn.wake(due)
        if turn.now >= due and turn.may_disrupt():
            said = f"{NAMES[task.role]} {task.index} on {task.hostname} has not registered for {timeout:g} s"
            turn.event(Reason.NOT_REGISTERED, said, warning=True)
            turn.kill(task, said)
            charge(turn, said, task.agent_id)


def tried_since(generation: Generation) -> float:
    """Since when this generation's spec has been tried, over all restarts."""
    return generation.started_at if generation.judged_since is None else generation.judged_since


def _was_stable(turn: Turn) -> bool:
    """What runs was STABLE before; a field that only tells the operator how to behave makes it no other job."""
    stable = turn.record.stable_spec
    return stable is not None and diff_class(stable, turn.generation.spec) <= DiffClass.IGNORE


def ask_about_doubtful(turn: Turn) -> None:
    """Ask Mesos about tasks that it may be wrong about, or we: the last update may have been lost.

    Agents repeat their updates until they are acknowledged, but what the master says itself (UNREACHABLE,
    GONE) comes once (Mesos docs, "Reconciliation"). Asked more and more rarely while nothing changes.
    """
    for task in turn.record.tasks:
        since = _doubtful_since(turn, task)
        if task.task_id is None or since is None:
            continue
        due = since + turn.policy.silence_s
        if turn.now < due:
            turn.wake(due)
        else:
            turn.emit(ReconcileTask(task.task_id, task.agent_id, min(turn.now - since, ASK_LONGEST_S)))


def _doubtful_since(turn: Turn, task: Task) -> float | None:
    """Since when a task is out of sight, or says nothing although it is said to run; kills are repeated anyway."""
    seen = turn.task_seen(task)
    if seen is None or task.kill_since is not None:
        return None
    if seen.state.unclear:
        return seen.since
    if seen.state is not TaskState.RUNNING:
        return None
    if task.role is Role.TASK_MANAGER:
        return turn.seen.unregistered_since.get(task.task_id or "")
    return turn.seen.unreachable_since


def judge_readiness(turn: Turn) -> bool:
    """Not STABLE in time: told once, and rolled back if the spec asks for it. True when it is being rolled back."""
    generation, record = turn.generation, turn.record
    if generation.late or record.lifecycle in (Lifecycle.STABLE, Lifecycle.ROLLED_BACK):
        return False
    if generation.scaling_since is not None:
        return False  # the job runs on as it was until the rescale is done, however long that waits for offers
    if not generation.rollback and _was_stable(turn):
        return False
    due = turn.waited_since(tried_since(generation)) + generation.spec.health.readiness_timeout
    if turn.now < due:
        turn.wake(due)
        return False
    back = not generation.rollback and turn.spec.health.rollback and record.stable_spec is not None
    if back and not turn.may_disrupt():
        return False
    turn.update_generation(late=True)
    timeout = generation.spec.health.readiness_timeout
    turn.event(
        Reason.NOT_READY, f"generation {generation.number} is not stable {timeout:g} s after its start", warning=True
    )
    if generation.rollback:
        origin = generation.restore.path if generation.restore else "nothing"
        turn.block(
            Reason.ROLLBACK_FAILED,
            f"the last stable spec does not become stable from {origin} either: it may not be able to read that "
            "state. Change the spec to one that can, or go back to another one: weir rollback "
            f"{record.name} --generation N; or start from another state: weir restore-from {record.name} --path PATH",
        )
        return True
    if not back:
        return False
    turn.update(rolled_back=turn.spec)
    decide_ending.begin(turn, EndReason.ROLLBACK, "back to the last stable spec", EndMode.KILL)
    return True
