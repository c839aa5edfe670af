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
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from reconciler.app.api.context import Context, Refused
from reconciler.app.api.jobs import LEADERS
from reconciler.app.api.views import summary
from reconciler.app.monitoring.monitor import Published
from reconciler.report import timestamp

LOOK_S = 0.5
PING_S = 2.0
STREAMS = 64
"""Streams at a time; each costs a look at the view twice a second."""


class Live:
    """The open streams of one replica."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open = 0

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
                    for line in changes(published, sent):
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


def changes(published: Published, sent: dict[str, str]) -> list[str]:
    """Events for what differs from `sent`, which is brought up to date."""
    jobs = published.view.jobs
    lines = []
    for name in [name for name in sent if name not in jobs]:
        del sent[name]
        lines.append(f"event: removed\ndata: {json.dumps({'name': name})}\n\n")
    for name in sorted(jobs):
        told = summary(jobs[name], published)
        # Ages grow by themselves; that is no news.
        aged = told.last_savepoint.model_copy(update={"age_seconds": None}) if told.last_savepoint else None
        told = told.model_copy(update={"last_savepoint": aged})
        same = {"unreconciled_seconds": 0.0, "last_checkpoint_time": None}
        key = told.model_copy(update=same).model_dump_json(by_alias=True)
        if sent.get(name) != key:
            sent[name] = key
            lines.append(f"event: job\ndata: {told.model_dump_json(by_alias=True)}\n\n")
    return lines


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
