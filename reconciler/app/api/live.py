"""Server-sent events: what changed of the jobs, as it changes.

    event: job      data: the job's line as in /api/v1/jobs
    event: removed  data: {"name": ...}
    event: ping     data: {"time", "epoch", "offers"}; every two seconds, also when nothing changes

The first events describe every job. A stream ends when this replica leads no more; a client that
connects again is redirected to whoever leads then (WHATWG, "Server-sent events").
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from reconciler.app.api.context import Context, Refused
from reconciler.app.api.jobs import LEADERS
from reconciler.app.api.views import summary
from reconciler.app.monitoring.monitor import Published
from reconciler.report import timestamp
from reconciler.view import JobSnapshot

LOOK_S = 0.5
PING_S = 2.0
STREAMS = 64
"""Streams at a time; each costs a look at the view twice a second."""


class Live:
    """The open streams of one replica."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open = 0
        self._lines = Lines()

    async def stream(self, request: Request) -> AsyncIterator[str]:
        self._open += 1
        sent: dict[str, str] = {}
        number, quiet_s = -1, PING_S
        try:
            while not await request.is_disconnected():
                published = self._context.monitor.current()
                if published is None:
                    yield 'event: gone\ndata: {"why": "this replica leads no more"}\n\n'
                    return
                if published.number != number:
                    number = published.number
                    for line in changes(self._lines.of(published), sent):
                        yield line
                if quiet_s >= PING_S:
                    quiet_s = 0.0
                    view = published.view
                    told = {"time": timestamp(view.at), "epoch": view.epoch, "offers": len(view.offers)}
                    yield f"event: ping\ndata: {json.dumps(told)}\n\n"
                await asyncio.sleep(LOOK_S)
                quiet_s += LOOK_S
        finally:
            self._open -= 1

    def admit(self) -> None:
        """Raises Elsewhere on a follower, Refused when there are too many streams."""
        self._context.leading()
        if self._open >= STREAMS:
            raise Refused(503, f"{STREAMS} streams are open already", "close one, or poll /api/v1/jobs")


class Lines:
    """The line of each job, made once for all streams and only when the job has changed."""

    def __init__(self) -> None:
        self._number = -1
        self._made: dict[str, tuple[JobSnapshot, float | None, str, str]] = {}

    def of(self, published: Published) -> Mapping[str, tuple[str, str]]:
        """By job: what tells one line from the next, and the event."""
        if published.number != self._number:
            self._number = published.number
            jobs, since = published.view.jobs, published.unreconciled_since
            before, self._made = self._made, {}
            for name in sorted(jobs):
                known = before.get(name)
                if known is None or known[1] != since.get(name) or not _same(known[0], jobs[name]):
                    known = (jobs[name], since.get(name), *_line(jobs[name], published))
                self._made[name] = known
        return {name: (key, line) for name, (_, _, key, line) in self._made.items()}


def changes(lines: Mapping[str, tuple[str, str]], sent: dict[str, str]) -> list[str]:
    """Events for what differs from `sent`, which is brought up to date."""
    told = []
    for name in [name for name in sent if name not in lines]:
        del sent[name]
        told.append(f"event: removed\ndata: {json.dumps({'name': name})}\n\n")
    for name, (key, line) in lines.items():
        if sent.get(name) != key:
            sent[name] = key
            told.append(line)
    return told


def _same(before: JobSnapshot, after: JobSnapshot) -> bool:
    """True when the line is the same: what is persisted is the same object, and Flink says the same."""
    return (
        before.record is after.record
        and before.status is after.status
        and before.raw is after.raw
        and before.parsed is after.parsed
        and _flink(before) == _flink(after)
        and (before.quarantined, before.held) == (after.quarantined, after.held)
    )


def _flink(job: JobSnapshot) -> tuple[object, ...]:
    return (job.flink.job_state, job.flink.flink_restarts) if job.flink is not None else ()


def _line(job: JobSnapshot, published: Published) -> tuple[str, str]:
    told = summary(job, published)
    # Ages grow by themselves, and checkpoints come all the time; that is no news.
    aged = told.last_savepoint.model_copy(update={"age_seconds": None}) if told.last_savepoint else None
    told = told.model_copy(update={"last_savepoint": aged})
    same = {"unreconciled_seconds": 0.0, "last_checkpoint_time": None}
    key = told.model_copy(update=same).model_dump_json(by_alias=True)
    return key, f"event: job\ndata: {told.model_dump_json(by_alias=True)}\n\n"


def router(context: Context) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["live"])
    live = Live(context)

    @routes.get(
        "/live",
        operation_id="live",
        response_class=StreamingResponse,
        responses={
            **LEADERS,
            200: {
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
                "description": "Server-sent events",
            },
        },
    )
    async def stream(request: Request) -> StreamingResponse:
        """Changes of jobs as they happen."""
        await asyncio.to_thread(live.admit)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(live.stream(request), media_type="text/event-stream", headers=headers)

    return routes
