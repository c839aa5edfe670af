"""The table of `weir get`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.app.render_output import ago, parse_time
from reconciler.app.render_views import JobView, why
from reconciler.model.status import Status

TITLES = ("NAME", "LIFECYCLE", "STATE", "GEN", "PARALLELISM", "JM", "TM", "RESTARTS", "LAST SNAPSHOT")
WIDE = ("FLINK", "JOB ID", "JOBMANAGER", "SNAPSHOT PATH", "RESTORED FROM", "EPOCH", "UPDATED")


def table(jobs: Sequence[JobView], now: float, *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """Titles and rows; WHY is last because it is a sentence."""
    titles = [*TITLES, *(WIDE if wide else ()), "WHY"]
    return titles, [_row(job, now, wide) for job in jobs]


def _row(job: JobView, now: float, wide: bool) -> list[str]:
    status = None if job.earlier_life else job.status
    if status is None:
        parallelism = str(job.spec.job.parallelism) if job.spec and not job.spec.is_session else ""
        empty = [job.name, "", "", "", parallelism, "", "", "", "", *([""] * len(WIDE) if wide else [])]
        return [*empty, why(job)]
    tasks = status.tasks
    row = [
        job.name,
        status.lifecycle,
        status.job_state or "",
        str(status.generation or ""),
        "" if status.parallelism is None else str(status.parallelism),
        tasks.job_manager if tasks else "",
        tasks.task_manager if tasks else "",
        str(status.restarts),
        last_snapshot(status, now),
    ]
    return [*row, *(_wide(status, now) if wide else []), why(job)]


def last_snapshot(status: Status, now: float) -> str:
    """Its kind and age, such as "savepoint 3m"."""
    snapshot = status.last_snapshot
    if snapshot is None:
        return ""
    at = parse_time(snapshot.time)
    return f"{snapshot.kind} {ago(now - at)} ago" if at is not None else snapshot.kind


def _wide(status: Status, now: float) -> list[str]:
    at = parse_time(status.time)
    return [
        status.flink_version or "",
        status.job_id or "",
        status.job_manager_url or "",
        status.last_snapshot.path if status.last_snapshot else "",
        status.restored_from or "",
        str(status.leader_epoch),
        f"{ago(now - at)} ago" if at is not None else "",
    ]
