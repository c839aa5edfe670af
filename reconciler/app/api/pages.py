"""The pages, rendered by the server from the same values that the API answers with.

`?part=1` answers with the changing part alone; `static/weir.js` puts it in place when server-sent
events say that something changed.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reconciler.app.api import plots
from reconciler.app.api.checkpoints import CheckpointReader
from reconciler.app.api.cluster import describe
from reconciler.app.api.context import Context, Refused
from reconciler.app.api.jobs import Name, find, load_events, sandboxes
from reconciler.app.api.logs import LogFile, TaskId, read
from reconciler.app.api.models import JobSummary, TaskView
from reconciler.app.api.tokens import Tokens
from reconciler.app.api.views import detail, generations, snapshot_view, summary
from reconciler.app.render_output import STYLES, ago

TEMPLATES = Path(__file__).with_name("templates")
STATIC = Path(__file__).with_name("static")
SNAPSHOTS = 20
"""Savepoints that a job's page lists; the API has them all."""
_TONES = {"green": "good", "cyan": "busy", "yellow": "busy", "red": "bad", "blue": ""}


def router(context: Context, tokens: Tokens, checkpoints: CheckpointReader) -> APIRouter:
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/")
    def jobs(request: Request, part: bool = False) -> HTMLResponse:
        published = context.leading()
        view = published.view
        found = [summary(view.jobs[name], published) for name in sorted(view.jobs)]
        return _page("jobs", part, context, tokens, request, epoch=view.epoch, jobs=found)

    @routes.get("/jobs/{name}")
    def job(request: Request, name: Name, part: bool = False) -> HTMLResponse:
        published, found = find(context, name)
        shown = detail(found, published, sandboxes(context, published))
        latest = checkpoints.of(found)
        measured = {each.id: each for each in latest.checkpoints}
        known = sorted(found.record.snapshots if found.record else (), key=lambda each: each.order, reverse=True)
        spec = shown.desired.spec if shown.desired is not None else None
        return _page(
            "job",
            part,
            context,
            tokens,
            request,
            epoch=published.view.epoch,
            job=shown,
            checkpoints=latest,
            plots={"duration": plots.duration(latest.checkpoints), "size": plots.size(latest.checkpoints)},
            # Only the JobManager of this generation knows, and only of its latest; the record has no sizes.
            snapshots=[
                (
                    snapshot_view(each, published.view.at),
                    measured.get(each.checkpoint_id) if each.generation == shown.generation else None,
                )
                for each in known[:SNAPSHOTS]
            ],
            generations=generations(found.record, load_events(context, name)),
            suspended=bool(spec and spec["job"]["state"] == "suspended"),
        )

    @routes.get("/jobs/{name}/tasks/{task}")
    def task_logs(request: Request, name: Name, task: TaskId) -> HTMLResponse:
        published, _ = find(context, name)
        files = [_file(context, name, task, each) for each in (LogFile.STDOUT, LogFile.STDERR)]
        epoch = published.view.epoch
        return _page("logs", False, context, tokens, request, epoch=epoch, job=name, task=task, files=files)

    @routes.get("/cluster")
    def cluster(request: Request, part: bool = False) -> HTMLResponse:
        published = context.leading()
        shown = describe(context, published)
        return _page("cluster", part, context, tokens, request, epoch=published.view.epoch, cluster=shown)

    return routes


def _file(context: Context, name: str, task: str, file: LogFile) -> dict[str, Any]:
    try:
        found = read(context, name, task, file)
    except Refused as error:
        if error.status == 404:
            raise
        return {"name": file.value, "error": error.error}
    return {"name": file.value, "error": None, **found.model_dump(include={"size", "offset", "text"})}


def problem(context: Context, status: int, error: str, hint: str | None, anonymous_read: bool) -> HTMLResponse:
    """The page of an error."""
    html = environment().get_template("problem.html").render(
        page="", status=status, error=error, hint=hint, caller=None, replica=context.replica, epoch=None,
        version=version("weir"), anonymous_read=anonymous_read,
    )  # fmt: skip
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def _page(
    name: str, part: bool, context: Context, tokens: Tokens, request: Request, *, epoch: int, **values: Any
) -> HTMLResponse:
    template = environment().get_template(f"{name}_part.html" if part else f"{name}.html")
    html = template.render(
        page=name,
        caller=tokens.caller(request),
        anonymous_read=tokens.anonymous_read,
        replica=context.replica,
        version=version("weir"),
        epoch=epoch,
        **values,
    )
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates escape every value; an unknown name is an error and not an empty string."""
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters.update(
        tone=_tone, task_tone=_task_tone, span=span, clock=clock, short=short, pretty=pretty, amount=amount,
        memory=memory, seconds=plots.seconds, bytes=plots.bytes_,
    )  # fmt: skip
    made.globals["meter"] = plots.meter
    return made


def _tone(job: JobSummary) -> str:
    if job.blocked:
        return "bad"
    return _TONES.get(STYLES.get(job.lifecycle, "blue"), "")


def _task_tone(task: TaskView) -> str:
    if task.being_killed:
        return "busy"
    tones = {"RUNNING": "good", "WANTED": "busy", "PLACED": "busy", "STAGING": "busy", "STARTING": "busy"}
    return tones.get(task.state, "bad")


def span(seconds: float) -> str:
    return ago(seconds)


def clock(stamp: str) -> str:
    """`14:03:07`, or with the date when that is not today's."""
    at = datetime.fromisoformat(stamp)
    today = datetime.now(at.tzinfo).date()
    return at.strftime("%H:%M:%S" if at.date() == today else "%b %d %H:%M:%S")


def short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else text[:299] + "…"


def pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def amount(value: float) -> str:
    return f"{value:g}"


def memory(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 10_000 else f"{megabytes / 1024:.1f} GB"
