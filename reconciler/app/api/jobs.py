"""Reading jobs: what is desired, what is remembered, what runs, and why it is as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query

from reconciler.app.api.checkpoints import CheckpointReader
from reconciler.app.api.context import Context, Refused
from reconciler.app.api.models import (
    Checkpoints,
    Events,
    History,
    JobDetail,
    JobEvents,
    Jobs,
    NamedEvent,
    Problem,
    Snapshots,
)
from reconciler.app.api.views import Sandboxes, detail, generations, snapshot_view, summary
from reconciler.app.monitoring.monitor import Published
from reconciler.model.control import GLOBAL
from reconciler.model.spec import JOB_NAME_MAX, JOB_NAME_PATTERN
from reconciler.model.status import JobEvent
from reconciler.ports import StoreError
from reconciler.report import timestamp
from reconciler.view import JobSnapshot

READ_NAME_MAX = 1000
Name = Annotated[str, Path(max_length=READ_NAME_MAX, description="Name of the job, also one that is refused")]
"""For reading: a job whose name is refused is listed, and its page says so."""
WritableName = Annotated[str, Path(pattern=JOB_NAME_PATTERN, max_length=JOB_NAME_MAX, description="Name of the job")]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most this many, the newest")]
LEADERS: dict[int | str, dict[str, Any]] = {
    307: {"description": "Another replica leads; its API answers this"},
    503: {"model": Problem, "description": "Nobody can answer this now; the hint says what to do"},
}
ABOUT_A_JOB: dict[int | str, dict[str, Any]] = {
    **LEADERS,
    404: {"model": Problem, "description": "There is no such job"},
}
EVENT_JOBS = 1000
"""Histories that are read for the latest events of all jobs: those of the jobs that changed last."""
T = TypeVar("T")


def router(context: Context, checkpoints: CheckpointReader) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["jobs"])

    @routes.get("/jobs", responses=dict(LEADERS), operation_id="listJobs")
    def jobs() -> Jobs:
        """Every job that is wanted or remembered."""
        published = context.leading()
        view = published.view
        found = [summary(view.jobs[name], published) for name in sorted(view.jobs)]
        return Jobs(jobs=found, epoch=view.epoch, time=timestamp(view.at))

    @routes.get("/jobs/{name}", responses=dict(ABOUT_A_JOB), operation_id="getJob")
    def job(name: Name) -> JobDetail:
        """Desired state, record, what Flink says, how they differ, and why."""
        published, found = find(context, name)
        return detail(found, published, sandboxes(context, published))

    @routes.get("/jobs/{name}/events", responses=dict(ABOUT_A_JOB), operation_id="getJobEvents")
    def events(name: Name, limit: Limit = 200) -> JobEvents:
        """What happened to it, oldest first."""
        find(context, name)
        return JobEvents(job=name, events=list(load_events(context, name)[-limit:]))

    @routes.get("/jobs/{name}/history", responses=dict(ABOUT_A_JOB), operation_id="getJobHistory")
    def history(name: Name) -> History:
        """The same by generation, newest first."""
        _, found = find(context, name)
        return History(job=name, generations=generations(found.record, load_events(context, name)))

    @routes.get("/jobs/{name}/snapshots", responses=dict(ABOUT_A_JOB), operation_id="getJobSnapshots")
    def snapshots(name: Name) -> Snapshots:
        """Savepoints and retained checkpoints that are known, newest first."""
        published, found = find(context, name)
        known = sorted(found.record.snapshots if found.record else (), key=lambda each: each.order, reverse=True)
        views = [snapshot_view(each, published.view.at) for each in known]
        return Snapshots(job=name, newest=views[0] if views else None, snapshots=views)

    @routes.get("/jobs/{name}/checkpoints", responses=dict(ABOUT_A_JOB), operation_id="getJobCheckpoints")
    def latest_checkpoints(name: Name) -> Checkpoints:
        """Sizes and durations of the latest checkpoints, which its JobManager remembers."""
        _, found = find(context, name)
        return checkpoints.of(found)

    @routes.get("/events", responses=dict(LEADERS), operation_id="listEvents")
    def latest(limit: Limit = 100) -> Events:
        """The latest events of all jobs, newest first; `_global` are those about no job alone, such as a pause of all.

        At most 1000 histories are read for it: those of the jobs that changed last.
        """
        published = context.leading()
        found = [_named(GLOBAL, event) for event in load_events(context, GLOBAL)[-limit:]]
        for job in sorted(published.view.jobs.values(), key=_changed, reverse=True)[:EVENT_JOBS]:
            if len(found) >= limit and _changed(job)[0] < found[limit - 1].time:
                break  # an event is written together with the status, so no other job has a newer one
            found += [_named(job.name, event) for event in load_events(context, job.name)[-limit:]]
            found.sort(key=lambda event: event.time, reverse=True)
            del found[limit:]
        return Events(events=sorted(found, key=lambda event: event.time, reverse=True)[:limit])

    return routes


def _named(name: str, event: JobEvent) -> NamedEvent:
    return NamedEvent(job=name, **event.model_dump())


def _changed(job: JobSnapshot) -> tuple[str, float]:
    """When it was last written about. A new leader writes about all: the generation's start comes second."""
    generation = job.record.generation if job.record is not None else None
    return job.status.time if job.status is not None else "", generation.started_at if generation is not None else 0.0


def find(context: Context, name: str) -> tuple[Published, JobSnapshot]:
    published = context.leading()
    found = published.view.jobs.get(name)
    if found is None:
        raise Refused(404, f"there is no job {name}", "GET /api/v1/jobs lists them")
    return published, found


def load_events(context: Context, name: str) -> tuple[JobEvent, ...]:
    return _ask(lambda: context.reads.load_events(name))


def sandboxes(context: Context, published: Published) -> Sandboxes | None:
    """None when no master is known."""
    if published.master is None:
        return None
    framework = _ask(context.reads.load_framework_id)
    return Sandboxes(published.master, framework, context.master_scheme) if framework else None


def _ask(call: Callable[[], T]) -> T:
    try:
        return call()
    except StoreError as error:
        raise Refused(503, f"ZooKeeper does not answer: {error}", "try again; tasks go on running") from None
