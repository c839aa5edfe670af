"""From a leader's snapshot of a job to what the API answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.app import render_views
from reconciler.app.api.models import (
    ActualView,
    DesiredView,
    Difference,
    EndingView,
    GenerationView,
    JobDetail,
    JobSummary,
    RecordView,
    RestartsView,
    SnapshotView,
    TaskView,
)
from reconciler.app.monitoring.monitor import Published
from reconciler.app.render_views import JobView
from reconciler.diff import changes
from reconciler.model.record import Record, Role, Snapshot, SnapshotKind, Task
from reconciler.model.spec import JobSpec
from reconciler.model.status import JobEvent
from reconciler.report import timestamp
from reconciler.view import JobSnapshot

NOT_YET = "not taken up yet"


def iso(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


def summary(job: JobSnapshot, published: Published) -> JobSummary:
    return JobSummary(**_summary(job, published))


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Where the pages of the Mesos master show the sandboxes of our tasks."""

    master: str
    framework_id: str
    scheme: str = "http"

    def url(self, agent_id: str | None, task_id: str | None) -> str | None:
        if agent_id is None or task_id is None:
            return None
        framework = f"agents/{agent_id}/frameworks/{self.framework_id}"
        return f"{self.scheme}://{self.master}/#/{framework}/executors/{task_id}/browse"


def detail(job: JobSnapshot, published: Published, sandboxes: Sandboxes | None) -> JobDetail:
    record = job.record
    running = record.generation.spec if record is not None and record.generation is not None else None
    wanted = job.parsed.spec if job.parsed is not None else None
    now = published.view.at
    return JobDetail(
        **_summary(job, published),
        desired=_desired(job),
        record=_record(job),
        actual=_actual(job),
        running=_spec(running),
        differences=[
            Difference(path=each.path, running=each.before, desired=each.after, change=each.kind.name)
            for each in (changes(running, wanted) if running is not None and wanted is not None else ())
        ],
        task_list=[_task(job, record, task, now, sandboxes) for task in _ordered(record)],
        restart=_restarts(record, now) if record is not None else None,
        waiting_for_offer=job.waiting,
    )


def snapshot_view(snapshot: Snapshot, now: float) -> SnapshotView:
    known = snapshot.time > 0
    return SnapshotView(
        kind=snapshot.kind.value,
        path=snapshot.path,
        generation=snapshot.generation,
        checkpoint_id=snapshot.checkpoint_id,
        time=iso(snapshot.time) if known else None,
        age_seconds=max(now - snapshot.time, 0.0) if known else None,
        reason=snapshot.reason.lower(),
    )


def generations(record: Record | None, events: Sequence[JobEvent]) -> list[GenerationView]:
    """Events by generation, newest first."""
    current = record.generation if record is not None else None
    by_number: dict[int, list[JobEvent]] = {}
    for event in events:
        by_number.setdefault(event.generation, []).append(event)
    return [
        GenerationView(
            generation=number,
            first=found[0].time,
            last=found[-1].time,
            current=current is not None and current.number == number,
            restored_from=current.restore.path
            if current is not None and current.number == number and current.restore is not None
            else None,
            warnings=sum(event.warning for event in found),
            events=found,
        )
        for number, found in sorted(by_number.items(), reverse=True)
    ]


def _summary(job: JobSnapshot, published: Published) -> dict[str, object]:
    now, record, status = published.view.at, job.record, job.status
    since = published.unreconciled_since.get(job.name)
    flink = job.flink
    saved = [each for each in record.snapshots if each.kind is SnapshotKind.SAVEPOINT] if record is not None else []
    hosts = {task.hostname for task in record.tasks if task.hostname is not None} if record is not None else set()
    generation = record.generation if record is not None else None
    return {
        "name": job.name,
        "lifecycle": _lifecycle(job),
        "why": sentence(job),
        "accepted": None if job.parsed is None else job.parsed.error is None,
        "error": job.quarantined or job.held or (job.parsed.error if job.parsed is not None else None),
        "reconciled": since is None,
        "unreconciled_seconds": 0.0 if since is None else round(max(now - since, 0.0), 1),
        "blocked": "RECORD_UNREADABLE" if job.quarantined is not None else record.blocked if record else None,
        "paused": (status is not None and status.paused) or (record is not None and record.paused is not None),
        "held": job.held is not None,
        "generation": generation.number if generation else record.next_generation - 1 if record else 0,
        "flink_version": generation.flink_version if generation else None,
        "parallelism": generation.spec.job.parallelism if generation and not generation.spec.is_session else None,
        "job_state": flink.job_state.value if flink and flink.job_state else None,
        "tasks": status.tasks if status is not None else None,
        "restarts": record.restarts.total if record is not None else 0,
        "flink_restarts": flink.flink_restarts if flink is not None else 0,
        "last_savepoint": snapshot_view(max(saved, key=lambda each: each.order), now) if saved else None,
        "last_checkpoint_time": iso(flink.latest_checkpoint_at) if flink is not None else None,
        "agents": sorted(hosts),
        "job_manager_url": status.job_manager_url if status is not None else None,
    }


def sentence(job: JobSnapshot) -> str:
    """What the job waits for, or how it is."""
    if job.raw is None and job.status is None:
        return job.held or NOT_YET
    spec = job.parsed.spec if job.parsed is not None else None
    return render_views.why(JobView(job.name, job.raw, job.status, spec)) or NOT_YET


def _lifecycle(job: JobSnapshot) -> str:
    if job.quarantined is not None:
        return "BLOCKED"
    if job.record is not None:
        return job.record.lifecycle.value
    return job.status.lifecycle if job.status is not None else "CREATED"


def _spec(spec: JobSpec | None) -> dict[str, object] | None:
    return spec.model_dump(mode="json", by_alias=True) if spec is not None else None


def _desired(job: JobSnapshot) -> DesiredView | None:
    if job.raw is None:
        return None
    seen = render_views.view(job.name, job.raw, job.status)
    parsed = job.parsed if job.parsed is not None and job.parsed.ref == job.raw.ref else None
    return DesiredView(
        version=job.raw.ref.version,
        czxid=job.raw.ref.czxid,
        accepted=None if parsed is None else parsed.error is None,
        error=parsed.error if parsed is not None else None,
        errors=list(seen.errors),
        spec=_spec(seen.spec),
        held=job.held,
    )


def _record(job: JobSnapshot) -> RecordView | None:
    record = job.record
    if record is None:
        return None
    generation = record.generation
    ending = generation.ending if generation else None
    return RecordView(
        uid=record.uid,
        lifecycle=record.lifecycle.value,
        generation=generation.number if generation else None,
        started_at=iso(generation.started_at) if generation else None,
        running_since=iso(generation.running_since) if generation else None,
        flink_job_id=generation.job_id if generation else None,
        cluster_id=generation.cluster_id if generation else None,
        restored_from=generation.restore.path if generation and generation.restore else None,
        resumes_from=record.resume.path if record.resume else None,
        ending=EndingView(
            reason=ending.reason.value,
            mode=ending.mode.value,
            since=timestamp(ending.since),
            attempt=ending.attempt,
            error=ending.error,
        )
        if ending
        else None,
        blocked=record.blocked,
        blocked_why=record.blocked_why or None,
        savepoint_since=iso(record.savepoint.since) if record.savepoint else None,
        error=job.quarantined,
    )


def _actual(job: JobSnapshot) -> ActualView:
    flink = job.flink
    return ActualView(
        reachable=None if flink is None else job.unreachable_since is None,
        asked_at=iso(flink.at) if flink else None,
        job_state=flink.job_state.value if flink and flink.job_state else None,
        vertices_running=bool(flink and flink.vertices_running),
        parallelism=flink.parallelism if flink else None,
        task_managers=len(flink.task_managers) if flink else 0,
        completed_checkpoints=flink.completed_checkpoints if flink else 0,
        latest_checkpoint_path=flink.latest_checkpoint_path if flink else None,
        latest_checkpoint_time=iso(flink.latest_checkpoint_at) if flink else None,
        flink_restarts=flink.flink_restarts if flink else 0,
        failure=flink.failure if flink else None,
        error=flink.error if flink else None,
    )


def _ordered(record: Record | None) -> list[Task]:
    tasks = record.tasks if record is not None else ()
    return sorted(tasks, key=lambda task: (task.hostname or "~", task.role.value, task.index, task.attempt))


def _task(job: JobSnapshot, record: Record | None, task: Task, now: float, sandboxes: Sandboxes | None) -> TaskView:
    assert record is not None
    seen = job.tasks.get(task.task_id) if task.task_id else None
    manager = task.role is Role.JOB_MANAGER
    registered = None
    if job.flink is not None and not manager and task.task_id is not None:
        registered = task.task_id in job.flink.task_managers
    return TaskView(
        id=record.task_name(task),
        role="JobManager" if manager else "TaskManager",
        index=task.index,
        attempt=task.attempt,
        generation=task.generation,
        state="WANTED" if not task.placed else seen.state.value.removeprefix("TASK_") if seen else "PLACED",
        since=iso(seen.since) if seen else None,
        agent_id=task.agent_id,
        hostname=task.hostname,
        address=task.address,
        ports=list(task.ports),
        placed_at=iso(task.placed_at),
        not_before=iso(task.not_before) if not task.placed and task.not_before > now else None,
        being_killed=(task.kill_why or "it is not needed any more") if task.kill_since is not None else None,
        message=seen.message if seen else None,
        registered=registered,
        sandbox_url=sandboxes.url(task.agent_id, task.task_id) if sandboxes is not None else None,
    )


def _restarts(record: Record, now: float) -> RestartsView:
    restarts = record.restarts
    spec = record.spec
    waiting = restarts.next_at > now and any(not task.placed for task in record.tasks)
    return RestartsView(
        total=restarts.total,
        attempt=restarts.attempt,
        strategy=spec.restart.strategy if spec is not None else None,
        last_failure=iso(restarts.last_failure_at),
        reason=restarts.reason,
        next_at=iso(restarts.next_at) if waiting else None,
        delay_seconds=restarts.delay,
        gave_up=restarts.gave_up,
        avoided_agents=[each.agent_id for each in restarts.failed_agents if now - each.at <= 300],
    )
