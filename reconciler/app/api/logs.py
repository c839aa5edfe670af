"""The ends of a task's stdout and stderr, from the sandbox on its agent."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query

from integration.mesos.sandbox import MOST, NoSandbox
from reconciler.app.api.context import Context, Refused
from reconciler.app.api.jobs import ABOUT_A_JOB, Name, find
from reconciler.app.api.models import TaskLog

TaskId = Annotated[str, Path(pattern=r"^[a-z0-9][-a-z0-9.]*$", max_length=200, description="Mesos task id")]
Length = Annotated[int, Query(ge=1, le=MOST, description="Bytes, counted from the end")]
SHOWN = 64 << 10


class LogFile(StrEnum):
    """What a task writes."""

    STDOUT = "stdout"
    STDERR = "stderr"


def router(context: Context) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["jobs"])

    @routes.get("/jobs/{name}/tasks/{task}/log", responses=dict(ABOUT_A_JOB), operation_id="getTaskLog")
    def log(name: Name, task: TaskId, file: LogFile = LogFile.STDOUT, length: Length = SHOWN) -> TaskLog:
        """The end of what a task of the job has written."""
        return read(context, name, task, file, length)

    return routes


def read(context: Context, name: str, task: str, file: LogFile, length: int = SHOWN) -> TaskLog:
    """Raises Refused."""
    published, job = find(context, name)
    tasks = job.record.tasks if job.record is not None else ()
    found = next((each for each in tasks if each.task_id == task), None)
    if found is None or found.agent_id is None:
        raise Refused(404, f"{name} has no task {task} that was placed", f"GET /api/v1/jobs/{name} lists them")
    if context.logs is None or published.master is None:
        raise Refused(503, "no Mesos master is known, so no sandbox can be read", "try again when it is subscribed")
    try:
        end = context.logs(published.master, found.agent_id, task, file.value, length)
    except NoSandbox as error:
        raise Refused(503, str(error), "the agent may be gone; what it wrote is in its work directory") from None
    return TaskLog(job=name, task=task, file=file.value, size=end.size, offset=end.offset, text=end.text)
