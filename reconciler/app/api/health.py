"""Health endpoints and metrics: every replica answers for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from reconciler.app.api.context import Context
from reconciler.app.api.models import Check, Leader, Probe, Problem
from reconciler.app.monitoring.monitor import TICK_FRESH_S

UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"model": Probe, "description": "Not so; `checks` say why"}}


def router(context: Context, may_read: Callable[..., None]) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", responses=dict(UNAVAILABLE), operation_id="livez")
    def livez(response: Response) -> Probe:
        """Whether the process does its work: the loop of a leader has taken an event lately. Restart it if not."""
        return _probe(context, response, {"loop": _loop(context)})

    @routes.get("/readyz", responses=dict(UNAVAILABLE), operation_id="readyz")
    def readyz(response: Response) -> Probe:
        """Whether a follower could take over, or the leader has its first full view and acts."""
        checks = {"loop": _loop(context), "zookeeper": _zookeeper(context), **_leading(context)}
        return _probe(context, response, checks)

    @routes.get(
        "/leader",
        operation_id="leader",
        responses={503: {"model": Leader, "description": "Another replica leads, or none"}},
    )
    def leader(response: Response) -> Leader:
        """Who leads. 200 on the leader, 503 elsewhere, so that a load balancer finds it; the body is the same."""
        leads = context.monitor.published is not None
        response.status_code = 200 if leads else 503
        info = context.leader() if leads or context.zookeeper_connected() else None
        return Leader(replica=context.replica, leads=leads, leader=info)

    @routes.get(
        "/metrics",
        operation_id="metrics",
        dependencies=[Depends(may_read)],
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format"},
            503: {"model": Problem, "description": "Unavailable"},
        },
    )
    def metrics() -> Response:
        """Metrics of this replica; those about jobs are the leader's."""
        context.monitor.instruments.zookeeper.set(context.zookeeper_connected())
        return Response(generate_latest(context.monitor.instruments.registry), media_type=CONTENT_TYPE_LATEST)

    return routes


def _probe(context: Context, response: Response, checks: dict[str, Check]) -> Probe:
    ok = all(check.ok for check in checks.values())
    response.status_code = 200 if ok else 503
    return Probe(ok=ok, replica=context.replica, leads=context.monitor.published is not None, checks=checks)


def _loop(context: Context) -> Check:
    age = context.monitor.tick_age()
    if age is None:
        return Check(ok=True, message="this replica does not lead; it waits to be elected")
    if age > TICK_FRESH_S:
        return Check(ok=False, message=f"the loop has not taken an event for {age:.0f} s")
    return Check(ok=True, message=f"the loop took an event {age:.1f} s ago")


def _zookeeper(context: Context) -> Check:
    if context.zookeeper_connected():
        return Check(ok=True, message="connected")
    return Check(ok=False, message="the ZooKeeper session is not connected")


def _leading(context: Context) -> dict[str, Check]:
    published = context.monitor.published
    if published is None:
        return {}
    view = published.view
    acting = Check(ok=True, message="the take-over is complete")
    if not view.acting:
        acting = Check(
            ok=False, message="taking over: waiting for ZooKeeper, the Mesos subscription and the desired state"
        )
    elif not view.may_act:
        acting = Check(ok=False, message="the lease is in doubt; nothing is done until ZooKeeper confirms it")
    return {"leadership": acting}
