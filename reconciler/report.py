"""The status that people and scripts read, built from what was decided. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from reconciler.model.decision import Desired
from reconciler.model.flink_keys import rest_scheme
from reconciler.model.observation import Observation, TaskObservation, TaskState
from reconciler.model.record import Answer, Generation, Record, Role, Snapshot, Task
from reconciler.model.status import Observed, RequestStatus, SnapshotStatus, Status, TaskCounts, TaskStatus


def timestamp(seconds: float) -> str:
    """UTC, to the second, as ISO 8601 with a Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(desired: Desired, record: Record | None, seen: Observation, why: str, now: float, epoch: int) -> Status:
    """What `/weir/status/<name>` says."""
    ref = desired.ref or (record.seen if record else None)
    observed = Observed(czxid=ref.czxid, version=ref.version) if ref else None
    error = desired.error or desired.held
    if record is None:
        return Status(
            lifecycle="CREATED", why=why, observed=observed, accepted=desired.error is None, error=error,
            leader_epoch=epoch, time=timestamp(now),
        )  # fmt: skip
    generation = record.generation
    spec = generation.spec if generation else record.spec
    flink = seen.flink if generation and seen.flink and seen.flink.job_id == generation.job_id else None
    newest = record.newest_snapshot()
    session = generation.session if generation else None
    return Status(
        lifecycle=record.lifecycle.value,
        why=why,
        observed=observed,
        accepted=desired.error is None,
        error=error,
        generation=generation.number if generation else record.next_generation - 1,
        job_id=generation.job_id if generation and not generation.spec.is_session else None,
        job_state=flink.job_state.value if flink and flink.job_state else None,
        job_manager_url=job_manager_url(record, seen),
        kind=spec.kind if spec else "Application",
        session=session.name if session else (spec.session if spec else None),
        flink_version=generation.flink_version if generation else (spec.flink_version or None) if spec else None,
        parallelism=spec.job.parallelism if spec and not spec.is_session else None,
        tasks=_counts(record, seen),
        task_list=tuple(_task(record, task, seen) for task in record.tasks),
        restarts=record.restarts.total,
        last_snapshot=_snapshot(newest) if newest else None,
        restored_from=generation.restore.path if generation and generation.restore else None,
        paused=desired.paused is not None or record.paused is not None,
        held=desired.held is not None,
        blocked=record.blocked,
        last_request=_request(record.answers[-1]) if record.answers else None,
        leader_epoch=epoch,
        time=timestamp(now),
    )


def job_manager_url(record: Record, seen: Observation) -> str | None:
    """REST address of a running JobManager of the current generation: the elected one, else the newest."""
    session = record.generation.session if record.generation is not None else None
    if session is not None:
        view = seen.sessions.get(session.name)
        return view.url_of(session) if view is not None else None
    return _url(record.generation, running_job_managers(record, seen))


def upcoming_url(record: Record, seen: Observation) -> str | None:
    """REST address of the JobManager of the next generation, which waits."""
    return _url(record.upcoming, running_job_managers(record, seen, upcoming=True))


def _url(generation: Generation | None, tasks: list[Task]) -> str | None:
    if generation is None or not tasks:
        return None
    return f"{rest_scheme(generation.spec.flink_configuration)}://{tasks[0].address}:{tasks[0].ports[0]}"


def job_manager_runs(record: Record, tasks: Mapping[str, TaskObservation]) -> bool:
    """Whether Mesos says that a JobManager of the current generation runs."""
    generation = record.generation
    return generation is not None and any(
        task.role is Role.JOB_MANAGER
        and task.generation == generation.number
        and task.task_id is not None
        and (seen := tasks.get(task.task_id)) is not None
        and seen.state is TaskState.RUNNING
        for task in record.tasks
    )


def running_job_managers(record: Record, seen: Observation, upcoming: bool = False) -> list[Task]:
    """Running JobManager tasks of the current generation, or of the next: the elected first, then the newest attempt.

    A standby answers for the elected one, which it asks itself; but one that has just been started answers
    nothing, and what was elected before a death may be stale (Flink docs, "High Availability").
    """
    generation = record.upcoming if upcoming else record.generation
    if generation is None:
        return []
    tasks = [
        task
        for task in record.tasks
        if task.role is Role.JOB_MANAGER
        and task.generation == generation.number
        and task.task_id is not None
        and _state(task, seen) is TaskState.RUNNING
    ]
    elected = seen.flink.leader_url if seen.flink else None
    return sorted(tasks, key=lambda task: (not (elected and leads(task, elected)), -task.attempt))


def leads(task: Task, leader_url: str) -> bool:
    """Whether `leader_url`, as Flink publishes it, is this JobManager's."""
    return bool(task.ports) and urlsplit(leader_url).netloc == f"{task.address}:{task.ports[0]}"


def _state(task: Task, seen: Observation) -> TaskState | None:
    observed = seen.tasks.get(task.task_id) if task.task_id else None
    return observed.state if observed else None


def _counts(record: Record, seen: Observation) -> TaskCounts | None:
    generation = record.generation
    if generation is None or generation.terminal is not None or generation.session is not None:
        return None
    running = dict.fromkeys(Role, 0)
    for task in record.tasks:
        if task.generation == generation.number and _state(task, seen) is TaskState.RUNNING:
            running[task.role] += 1
    return TaskCounts(
        job_manager=f"{running[Role.JOB_MANAGER]}/{generation.spec.job_manager.replicas}",
        task_manager=f"{running[Role.TASK_MANAGER]}/{generation.spec.task_managers()}",
    )


def _task(record: Record, task: Task, seen: Observation) -> TaskStatus:
    state = _state(task, seen)
    said = "WANTED" if not task.placed else (state.value if state else "PLACED")
    if task.kill_since is not None:
        said = f"{said}, being killed"
    elif task.agent_id in seen.draining or task.hostname in seen.draining:
        said = f"{said}, on a drained agent"
    role = "jm" if task.role is Role.JOB_MANAGER else "tm"
    return TaskStatus(id=record.task_name(task), role=role, state=said, agent=task.agent_id, hostname=task.hostname)


def _request(answer: Answer) -> RequestStatus:
    return RequestStatus(
        id=answer.id, action=answer.action, accepted=answer.accepted, answer=answer.answer, by=answer.by,
        time=timestamp(answer.at),
    )  # fmt: skip


def _snapshot(snapshot: Snapshot) -> SnapshotStatus:
    return SnapshotStatus(kind=snapshot.kind.value, path=snapshot.path, time=timestamp(snapshot.time))
