"""The next generation's processes, started while the current one still runs (`job.prestart`). Pure.

    an upgrade is due -> the next generation is opened beside the current one, its tasks are wanted
      -> its TaskManagers are registered with its JobManager, which waits at a gate: it has submitted nothing
      -> only now the current generation is ended, as every other is (`decide_ending`)
      -> it has ended, its restore point is persisted, the next one takes its place with this very write  (S1, S2)
      -> only then the gate is opened, with that restore point

What comes up beforehand is never more than a help: when offers or time are short the upgrade goes on without it,
and when the upgrade is not wanted any more it is killed, before anything has run in it. Its number is used up then.
"""

from __future__ import annotations

from reconciler.diff import DiffClass, diff_class
from reconciler.model import ids
from reconciler.model.decision import OpenGate
from reconciler.model.observation import FlinkObservation, JobState, TaskState
from reconciler.model.reasons import Reason
from reconciler.model.record import EndReason, Generation, Lifecycle, Retired, Role, Task
from reconciler.model.spec import JobSpec
from reconciler.turn import Turn


def prepare(turn: Turn, flink: FlinkObservation | None) -> bool:
    """True while an upgrade waits for the processes of the next generation; the current one is left alone."""
    upcoming = turn.record.upcoming
    if upcoming is not None and upcoming.spec != turn.target:
        drop(turn, "the desired state has changed again")
        upcoming = None
    if upcoming is None:
        if not _worthwhile(turn, flink):
            return False
        upcoming = _open(turn)
    _give_up_unplaced(turn, upcoming)
    waiting = [task for task in _tasks(turn, upcoming) if not _up(turn, task)]
    due = turn.waited_since(upcoming.started_at) + turn.policy.prestart_up_s
    if not waiting or turn.now >= due:
        return False
    turn.wake(due)
    unplaced = sum(not task.placed for task in waiting)
    what = "for offers that hold them" if unplaced else "until they are up"
    turn.wait(f"running; the processes of generation {upcoming.number} are started beforehand, waiting {what}")
    return True


def settle(turn: Turn) -> None:
    """Whatever was decided: what is not wanted any more goes, and the gate of what has taken over is opened."""
    upcoming, record = turn.record.upcoming, turn.record
    if upcoming is not None and not _still_wanted(turn, upcoming):
        drop(turn, "the upgrade that it was started for is not under way any more")
    generation = record.generation
    if generation is None or not generation.gated or generation.was_running or generation.terminal is not None:
        return
    ended = generation.ending is not None and generation.ending.restore_known
    if generation.job_id not in turn.seen.opened and not ended:
        restore = generation.restore.path if generation.restore is not None else None
        allow = generation.spec.job.allow_non_restored_state
        turn.emit(OpenGate(generation.job_id, generation.cluster_id, restore, allow))


def take_over(turn: Turn) -> Generation | None:
    """What was prepared for this very spec becomes the current generation; the caller says what it starts from."""
    upcoming = turn.record.upcoming
    if upcoming is None or upcoming.spec != turn.target:
        return None
    turn.update(upcoming=None)
    return upcoming


def drop(turn: Turn, why: str) -> None:
    """Its processes have submitted nothing, so they are killed like any surplus task."""
    upcoming = turn.record.upcoming
    if upcoming is None:
        return
    for task in _tasks(turn, upcoming):
        turn.kill(task, f"generation {upcoming.number} is not needed")
    old = Retired(upcoming.number, upcoming.job_id, upcoming.cluster_id, None)
    turn.update(upcoming=None, retired=(*turn.record.retired, old))
    turn.event(Reason.PRESTART_DROPPED, f"generation {upcoming.number} is not started: {why}")


def _worthwhile(turn: Turn, flink: FlinkObservation | None) -> bool:
    """Only a job that runs has anything to gain; one that does not is changed at once."""
    runs = flink is not None and flink.job_state is JobState.RUNNING and flink.vertices_running
    return turn.target.job.prestart and turn.generation.session is None and not turn.target.in_session and runs


def _open(turn: Turn) -> Generation:
    record, number = turn.record, turn.record.next_generation
    target = turn.target
    managers = target.job_managers() if waits_at_a_gate(target) else 0
    upcoming = Generation(
        number,
        target,
        ids.flink_job_id(record.uid, number),
        ids.cluster_id(record.name, record.uid, number),
        turn.now,
        job_managers_launched=managers,
        gated=managers > 0,
        defaults=turn.policy.flink_defaults(target.flink_version),
    )
    wanted = [(Role.JOB_MANAGER, index) for index in range(managers)]
    wanted += [(Role.TASK_MANAGER, index) for index in range(target.task_managers())]
    tasks = [
        Task(role, number, index, record.next_attempt + at, wanted_at=turn.now)
        for at, (role, index) in enumerate(wanted)
    ]
    turn.update(
        upcoming=upcoming,
        next_generation=number + 1,
        tasks=(*record.tasks, *tasks),
        next_attempt=record.next_attempt + len(tasks),
    )
    turn.event(
        Reason.PRESTART, f"the processes of generation {number} are started while {turn.generation.number} still runs"
    )
    return upcoming


def waits_at_a_gate(spec: JobSpec) -> bool:
    """A gate calls the job's entry class, so that has to be known: a manifest in a JAR is not read."""
    return spec.job.type != "jar" or spec.job.entry_class is not None


def _give_up_unplaced(turn: Turn, upcoming: Generation) -> None:
    """No offer holds them beside what runs: they are wanted again once the current generation has made room."""
    due = turn.waited_since(upcoming.started_at) + turn.policy.prestart_offer_s
    unplaced = [task for task in _tasks(turn, upcoming) if not task.placed]
    if not unplaced:
        return
    if turn.now < due:
        turn.wake(due)
        return
    for task in unplaced:
        turn.replace_task(task, None)
    turn.event(Reason.PRESTART_SHORT, f"no offer holds {len(unplaced)} of the tasks that were to be started beforehand")


def _up(turn: Turn, task: Task) -> bool:
    seen, said = turn.task_seen(task), turn.seen.upcoming
    if not task.placed or seen is None or seen.state is not TaskState.RUNNING:
        return False
    if turn.record.upcoming is None or not turn.record.upcoming.gated:
        due = seen.since + turn.policy.standby_up_s  # nobody whom it could register with: the time that a JVM needs
        turn.wake(due)
        return turn.now >= due
    answers = said is not None and said.reachable and said.error is None
    return answers and (task.role is Role.JOB_MANAGER or (said is not None and task.task_id in said.task_managers))


def _tasks(turn: Turn, upcoming: Generation) -> list[Task]:
    return [task for task in turn.record.tasks if task.generation == upcoming.number and task.kill_since is None]


def _still_wanted(turn: Turn, upcoming: Generation) -> bool:
    record, generation = turn.record, turn.record.generation
    if generation is None or record.blocked is not None or turn.deletion_wanted or upcoming.spec != turn.target:
        return False
    if record.lifecycle is Lifecycle.DELETING or turn.spec.job.state != "running":
        return False
    if generation.ending is not None:
        return generation.ending.reason is EndReason.UPGRADE
    return diff_class(generation.spec, upcoming.spec) >= DiffClass.SCALE
