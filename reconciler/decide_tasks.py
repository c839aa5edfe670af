"""Tasks of a generation: deaths, replacements, surplus attempts, launch time-outs, kills.

Which Mesos states are death is in `TaskState.dead`; LOST, UNREACHABLE and UNKNOWN are not (Mesos docs,
"Designing Highly Available Mesos Frameworks"). A task that Mesos cannot see is replaced inside its
generation after a grace time, because Flink's own election and HA data keep that safe; it is never
taken as proof that a generation has ended (S1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.model.decision import CleanUpGeneration, FindRestorePoint, KillTask, ReconcileTask
from reconciler.model.ids import checkpoint_dir, cluster_id, flink_job_id
from reconciler.model.observation import LIVING, FlinkObservation, RestoreView, TaskObservation, TaskState
from reconciler.model.reasons import Reason
from reconciler.model.record import EndMode, Generation, Lifecycle, Role, Task, TaskPhase
from reconciler.report import leads
from reconciler.restarts import charge, not_before
from reconciler.turn import Turn

NOT_CHARGED_REASONS = frozenset(
    {
        "REASON_INVALID_OFFERS",
        "REASON_MASTER_DISCONNECTED",
        "REASON_SLAVE_DRAINING",
        "REASON_AGENT_DRAINING",
        "REASON_RECONCILIATION",
    }
)
"""Mesos reasons that are nobody's failure: the launch never happened, or maintenance moved the task."""

NAMES = {Role.JOB_MANAGER: "JobManager", Role.TASK_MANAGER: "TaskManager"}


def absorb_deaths(turn: Turn) -> None:
    """Take tasks that are known dead out of the record; charge those that died on their own."""
    for task in turn.record.tasks:
        seen = turn.task_seen(task)
        if not task.placed or seen is None or not seen.state.dead:
            continue
        turn.replace_task(task, None)
        if task.role is Role.JOB_MANAGER:
            _absorb_last_job_manager(turn, task)
        said = _said(task, seen)
        upcoming = turn.record.upcoming
        if upcoming is not None and task.generation == upcoming.number and task.kill_since is None:
            turn.event(Reason.TASK_LOST, f"{said}; it was started beforehand, and is not charged")
            continue
        if task.kill_since is not None or not _matters(turn, task) or _replaced(turn, task):
            continue
        if seen.state is TaskState.DROPPED or seen.reason in NOT_CHARGED_REASONS or turn.leaves(task):
            turn.event(Reason.TASK_NOT_STARTED, f"{said}; not charged to the restart budget")
        else:
            turn.event(Reason.TASK_LOST, said, warning=True)
            charge(turn, said, task.agent_id)


def _absorb_last_job_manager(turn: Turn, dead: Task) -> None:
    """Once the last JobManager is dead, one that was wanted beside it needs a look at the HA metadata first (S2)."""
    generation = turn.record.generation
    if generation is None or dead.generation != generation.number:
        return
    left = turn.tasks(Role.JOB_MANAGER)
    if any(task.placed for task in left):
        return
    for wanted in left:
        turn.replace_task(wanted, None)
    if _matters(turn, dead):
        turn.update_generation(running_since=None)  # nothing runs without one, whatever was seen last


def _matters(turn: Turn, task: Task) -> bool:
    generation = turn.record.generation
    return (
        generation is not None
        and task.generation == generation.number
        and generation.terminal is None
        and (generation.ending is None or generation.ending.mode is EndMode.SAVEPOINT)
    )


def _replaced(turn: Turn, task: Task) -> bool:
    """A newer attempt stands in for it already; that was charged when it was wanted."""
    return any(
        (other.role, other.generation, other.index) == (task.role, task.generation, task.index)
        and other.attempt > task.attempt
        for other in turn.record.tasks
    )


def _said(task: Task, seen: TaskObservation) -> str:
    detail = f": {seen.message}" if seen.message else ""
    reason = f" ({seen.reason})" if seen.reason else ""
    return f"{NAMES[task.role]} {task.index} on {task.hostname} is {seen.state.value}{reason}{detail}"


def ensure(turn: Turn) -> None:
    """Every wanted JobManager and TaskManager of the current generation exists once."""
    spec = turn.generation.spec
    _take_over_idle_index(turn)
    for role, count in ((Role.JOB_MANAGER, spec.job_managers()), (Role.TASK_MANAGER, spec.task_managers())):
        tasks = [task for task in turn.tasks(role) if task.kill_since is None]
        for index in range(count):
            _ensure_one(turn, role, index, [task for task in tasks if task.index == index])
        for task in tasks:
            if task.index >= count and turn.generation.scaling_since is None and turn.may_disrupt():
                turn.kill(task, "no longer needed")


def _ensure_one(turn: Turn, role: Role, index: int, attempts: Sequence[Task]) -> None:
    if role is Role.JOB_MANAGER and attempts and _relies_on_the_past(turn, attempts[-1]):
        turn.replace_task(attempts[-1], None)
        attempts = attempts[:-1]
    if not attempts:
        if role is Role.TASK_MANAGER or _may_launch_job_manager(turn):
            want(turn, role, index)
        return
    newest = max(attempts, key=lambda task: task.attempt)
    if 0 < sum(turn.leaves(task) for task in attempts) < len(attempts):
        if newest.placed:  # `decide_moving` says which of them goes when
            _check_launch(turn, newest, turn.task_seen(newest))
    elif len(attempts) > 1:
        _resolve_surplus(turn, role, attempts, newest)
    elif newest.placed:
        seen = turn.task_seen(newest)
        if seen is not None and seen.state.unclear:
            _replace_unclear(turn, newest, seen)
        else:
            _check_launch(turn, newest, seen)


def want(turn: Turn, role: Role, index: int) -> None:
    """One more attempt of this task, to be placed when there is an offer and no back-off."""
    record = turn.record
    due = not_before(turn)
    task = Task(role, turn.generation.number, index, record.next_attempt, wanted_at=turn.now, not_before=due)
    turn.update(tasks=(*record.tasks, task), next_attempt=record.next_attempt + 1)
    if role is Role.JOB_MANAGER:
        turn.update_generation(job_managers_launched=turn.generation.job_managers_launched + 1)


def _may_launch_job_manager(turn: Turn) -> bool:
    """A relaunch inside a generation needs its HA metadata, or that there is no checkpoint to lose (S2)."""
    generation = turn.generation
    # Beside one that lives, another is a standby: it starts nothing by itself. One that only waits for
    # an offer proves nothing.
    if generation.spec.is_session:
        return True  # it has no state; its jobs have, and Flink recovers them
    if generation.job_managers_launched < generation.spec.job_manager.replicas or _job_manager_lives(turn):
        return True
    view = turn.seen.restore
    if view is None or not view.answered or view.generation != generation.number:
        turn.emit(find_restore_point(turn))
        turn.wait("looking for the HA metadata of the lost JobManager")
        return False
    if view.terminal is not None:
        turn.update_generation(terminal=view.terminal)
        return False
    if generation.restore is not None and generation.restore.path in view.missing and not view.ha_metadata:
        block_restore(turn, f"what generation {generation.number} starts from is missing: {generation.restore.path}")
        return False
    if view.ha_metadata:
        return resumable(generation, view)
    # Without HA metadata Flink would start this job id from its first restore point: only right
    # when nothing newer exists. Otherwise `decide_running` opens the next generation from the checkpoint.
    return view.checkpoint_path is None and not generation.checkpointed


def _job_manager_lives(turn: Turn) -> bool:
    alive = [task for task in turn.tasks(Role.JOB_MANAGER) if task.placed and task.kill_since is None]
    return any((seen := turn.task_seen(task)) is None or not seen.state.unclear for task in alive)


def _relies_on_the_past(turn: Turn, wanted: Task) -> bool:
    """It was wanted while another JobManager was in sight, or looked after; the last one is not any more (S2)."""
    if wanted.placed or _job_manager_lives(turn):
        return False
    others = [turn.task_seen(task) for task in turn.tasks(Role.JOB_MANAGER) if task.placed and task.kill_since is None]
    return any(seen is not None and seen.since > wanted.wanted_at for seen in others)


def resumable(generation: Generation, view: RestoreView) -> bool:
    """HA metadata is of use while its checkpoint is there; without it every JobManager exits at once (fault 43)."""
    if view.checkpoint_lost:  # perhaps one that nobody saw complete
        return False
    return view.ha_metadata and (view.checkpoint_path is not None or not generation.checkpointed)


def block_restore(turn: Turn, what: str) -> None:
    """Never start empty and never from something older: say what is missing and how to go on (S2)."""
    turn.block(
        Reason.RESTORE_BLOCKED,
        f"{what}. Put it back and the job goes on; or say what to start from: weir restore-from {turn.record.name} "
        "--latest (the newest that is there), --path PATH, or --empty. In the desired state another "
        "job.initialSavepointPath, or job.upgradeMode stateless, say the same",
    )


def find_restore_point(turn: Turn) -> FindRestorePoint:
    """The look at storage and HA metadata of the current generation."""
    generation, record = turn.generation, turn.record
    asked = [record.newest_snapshot(), generation.restore]
    if generation.ending is not None and generation.ending.told is not None:
        asked += record.snapshots
    paths = {snapshot.path for snapshot in asked if snapshot is not None}
    return FindRestorePoint(
        generation.number,
        generation.job_id,
        generation.cluster_id,
        checkpoint_dir(turn.policy.storage, record.uid, generation.number),
        _trigger_directories(turn),
        tuple(sorted(paths)),
        generation.flink_version,
    )


def look_at_living(turn: Turn) -> FindRestorePoint:
    """The same while its JobManager runs."""
    return replace(find_restore_point(turn), generation=LIVING)


def look_at_path(turn: Turn, path: str) -> FindRestorePoint:
    """Whether there is anything to start from at `path`; what a look says of a living generation is never used."""
    record = turn.record
    number = record.generation.number if record.generation is not None else record.next_generation - 1
    return FindRestorePoint(
        LIVING,
        flink_job_id(record.uid, number),
        cluster_id(record.name, record.uid, number),
        checkpoint_dir(turn.policy.storage, record.uid, number),
        paths=(path,),
    )


def _trigger_directories(turn: Turn) -> tuple[str, ...]:
    """Where savepoints that were asked for last may lie, whether anybody heard of their end or not."""
    asked = (turn.generation.ending, turn.record.savepoint)
    return tuple(each.directory for each in asked if each is not None and each.directory is not None)


def _replace_unclear(turn: Turn, task: Task, seen: TaskObservation) -> None:
    due = seen.since + turn.policy.lost_grace_s
    if turn.now < due:
        turn.wake(due)
        turn.wait(f"{NAMES[task.role]} {task.index} on {task.hostname} is {seen.state.value}; waiting for its agent")
        return
    if task.role is Role.JOB_MANAGER and not _may_launch_job_manager(turn):
        turn.wait(
            f"{NAMES[task.role]} {task.index} on {task.hostname} is {seen.state.value}, and its HA metadata is not "
            "there for another one; waiting for its agent"
        )
        return
    turn.event(
        Reason.TASK_UNREACHABLE,
        f"{_said(task, seen)}; replaced after {turn.policy.lost_grace_s:g} s, the old one may still be alive",
        warning=True,
    )
    if not turn.leaves(task):
        charge(turn, _said(task, seen), task.agent_id)
    want(turn, task.role, task.index)


def _resolve_surplus(turn: Turn, role: Role, attempts: Sequence[Task], newest: Task) -> None:
    """An attempt that was unreachable is back: the one that Flink does not use goes (fault 20)."""
    back = [task for task in attempts if task is not newest and _runs(turn, task)]
    if not back:
        return
    if not newest.placed:
        turn.kill(newest, "the earlier attempt is back")
        turn.event(Reason.TASK_BACK, f"{NAMES[role]} {newest.index} is back on {back[0].hostname}; nothing is launched")
        return
    flink = turn.flink()
    if flink is None or not _runs(turn, newest):
        return
    candidates = [*back, newest]
    if role is Role.JOB_MANAGER:
        if flink.leader_url is None:
            return
        surplus = [task for task in candidates if not leads(task, flink.leader_url)]
    else:
        surplus = [task for task in candidates if task.task_id not in flink.busy_task_managers]
    for task in surplus[: len(candidates) - 1]:
        turn.kill(task, "surplus: another attempt of the same index is in use")


def _take_over_idle_index(turn: Turn) -> None:
    """Flink may use both attempts of one index, and leave the TaskManager of another without tasks.

    Then that one goes, and the newer attempt stands in its place, because killing either of the two
    would restart the job. A placed task keeps its id, which names the index that it was launched for.
    """
    flink = turn.flink()
    if flink is None or not (flink.vertices_running or turn.generation.spec.is_session):
        return
    live = [task for task in turn.tasks(Role.TASK_MANAGER) if task.kill_since is None and not turn.leaves(task)]
    busy = [task for task in live if task.task_id in flink.busy_task_managers]
    doubled = [task for task in busy if any(o.index == task.index and o.attempt < task.attempt for o in busy)]
    wanted = turn.generation.spec.task_managers()
    idle = [task for task in live if task.index < wanted and _stands_alone_and_idle(task, live, flink)]
    for extra, free in zip(doubled, idle, strict=False):
        turn.kill(free, "surplus: Flink uses two attempts of another index instead")
        turn.replace_task(extra, replace(extra, index=free.index))
        turn.event(Reason.TASK_BACK, f"{extra.task_id} stays in use, as TaskManager {free.index}")


def _stands_alone_and_idle(task: Task, live: Sequence[Task], flink: FlinkObservation) -> bool:
    alone = all(other is task or other.index != task.index for other in live)
    return alone and task.task_id not in flink.busy_task_managers


def _runs(turn: Turn, task: Task) -> bool:
    seen = turn.task_seen(task)
    return seen is not None and seen.state is TaskState.RUNNING


def _check_launch(turn: Turn, task: Task, seen: TaskObservation | None) -> None:
    """A launch that Mesos has not confirmed in time is asked about, then killed and replaced (fault 32)."""
    if seen is not None and seen.state not in (TaskState.STAGING, TaskState.STARTING):
        return
    timeout = turn.generation.spec.health.launch_timeout
    due = turn.waited_since(task.placed_at or turn.now) + timeout
    if turn.now < due:
        turn.wake(due)
        turn.wait(f"{NAMES[task.role]} {task.index} was launched on {task.hostname}; waiting until it runs")
        return
    assert task.task_id is not None
    turn.emit(ReconcileTask(task.task_id, task.agent_id))
    turn.wait(f"{NAMES[task.role]} {task.index} is not running {timeout:g} s after its launch; asking Mesos")
    if turn.now >= due + timeout / 2:
        if not turn.may_disrupt():
            return
        said = f"{NAMES[task.role]} {task.index} on {task.hostname} did not run within its launch time-out"
        turn.event(Reason.LAUNCH_TIMEOUT, said, warning=True)
        turn.kill(task, said)
        charge(turn, said, task.agent_id)
    else:
        turn.wake(due + timeout / 2)


def kill_generation(turn: Turn, why: str) -> None:
    """Every task of the current generation has to go."""
    for task in turn.tasks():
        turn.kill(task, why)


def drive_kills(turn: Turn) -> None:
    """Kills are repeated until the task is known dead, however long that takes (fault 34)."""
    for task in turn.record.tasks:
        if task.kill_since is not None and task.task_id is not None:
            turn.emit(KillTask(task.task_id, task.agent_id, task.kill_why or ""))


def clean_up_retired(turn: Turn) -> None:
    """HA data and the job result stay until no task of the generation can come back (fault 61)."""
    left = []
    generation = turn.record.generation
    current = generation.number if generation is not None and generation.terminal is None else None
    for old in turn.record.retired:
        if old.job_id in turn.seen.cleaned:
            continue
        left.append(old)
        if not _may_come_back(turn, old.number) and old.number != current:
            turn.emit(CleanUpGeneration(old.number, old.job_id, old.cluster_id))
    if len(left) != len(turn.record.retired):
        turn.update(retired=tuple(left))


def _may_come_back(turn: Turn, number: int) -> bool:
    """A fenced task may, too: only a delete does not wait for it."""
    deleting = turn.record.lifecycle is Lifecycle.DELETING
    return any(task.generation == number and not (task.fenced and deleting) for task in turn.record.tasks)


def unplaced(turn: Turn) -> list[Task]:
    """Tasks that wait for an offer or for their back-off."""
    return [task for task in turn.record.tasks if task.phase is TaskPhase.WANTED]
