"""The cluster page's facts: replicas, agents and what they hold, offers and why they were declined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog
from fastapi import APIRouter

from integration.mesos.inventory import AgentInfo
from reconciler.app.api.context import Context, Refused
from reconciler.app.api.jobs import LEADERS
from reconciler.app.api.models import (
    AgentView,
    Cluster,
    DeclinedOffer,
    HeldTask,
    MesosView,
    OfferView,
    ReplicaView,
    Target,
    WaitingJob,
)
from reconciler.app.monitoring.monitor import Published
from reconciler.model.observation import TaskState
from reconciler.model.operator import Drain
from reconciler.model.record import Role, Task
from reconciler.model.resources import PORTS
from reconciler.model.status import LeaderInfo
from reconciler.ports import StoreError
from reconciler.report import timestamp
from reconciler.view import JobSnapshot

log = structlog.get_logger("weir.api")


def router(context: Context) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["cluster"])

    @routes.get("/cluster", responses=dict(LEADERS), operation_id="getCluster")
    def cluster() -> Cluster:
        """Leader and replicas, agents with what they hold, offers and why they were declined."""
        return describe(context, context.leading())

    @routes.get("/prometheus/targets", responses=dict(LEADERS), operation_id="listPrometheusTargets")
    def targets() -> list[Target]:
        """Flink's own metrics of every running task, for Prometheus' HTTP service discovery."""
        found: list[Target] = []
        for _, job in sorted(context.leading().view.jobs.items()):
            found += _targets(context, job)
        return found

    return routes


def describe(context: Context, published: Published) -> Cluster:
    view = published.view
    try:
        leader, replicas = context.leader(), context.reads.load_replicas()
        framework = context.reads.load_framework_id()
    except StoreError as error:
        raise Refused(503, f"ZooKeeper does not answer: {error}", "try again; tasks go on running") from None
    pages = f"{context.master_scheme}://{published.master}" if published.master is not None else None
    mesos = MesosView(connected=published.mesos, master=published.master, url=pages, framework_id=framework)
    return Cluster(
        leader=leader,
        replicas=_replicas(leader, replicas),
        mesos=mesos,
        acting=view.acting and view.may_act,
        agents=_agents(_registered(context, published), view.jobs.values(), pages, view.drains),
        offers=[
            OfferView(
                id=offer.id,
                hostname=offer.hostname,
                role=offer.role,
                cpus=offer.cpus,
                memory_mb=offer.mem_mb,
                ports=sum(last - first + 1 for first, last in offer.ports),
                age_seconds=max(view.at - since, 0.0),
            )
            for offer, since in view.offers
        ],
        declined=[
            DeclinedOffer(
                time=timestamp(each.at),
                hostname=each.offer.hostname,
                cpus=each.offer.cpus,
                memory_mb=each.offer.mem_mb,
                why=each.why,
                refuse_seconds=each.refuse_s,
                count=each.count,
            )
            for each in reversed(list(context.monitor.declined.values()))
        ],
        waiting=[WaitingJob(job=job.name, why=job.waiting) for _, job in sorted(view.jobs.items()) if job.waiting],
    )


def _replicas(leader: LeaderInfo | None, replicas: Iterable[str]) -> list[ReplicaView]:
    return [ReplicaView(name=name, leads=leader is not None and leader.replica == name) for name in replicas]


def _registered(context: Context, published: Published) -> Iterable[AgentInfo]:
    if published.master is None:
        return ()
    try:
        return context.agents(published.master)
    except (OSError, ValueError) as error:
        log.info("api.agents_unknown", error=str(error))
        return ()


def _agents(
    registered: Iterable[AgentInfo], jobs: Iterable[JobSnapshot], pages: str | None, drains: Sequence[Drain]
) -> list[AgentView]:
    held: dict[str, list[HeldTask]] = {}
    names: dict[str, str] = {}
    for job in jobs:
        for task in job.record.tasks if job.record is not None else ():
            if task.agent_id is None or task.task_id is None:
                continue
            names[task.agent_id] = task.hostname or task.agent_id
            held.setdefault(task.agent_id, []).append(
                HeldTask(
                    job=job.name,
                    id=task.task_id,
                    role="JobManager" if task.role is Role.JOB_MANAGER else "TaskManager",
                    state=_state(job, task),
                )
            )
    known = {agent.agent_id: agent for agent in registered}
    found = [_agent(agent_id, known.get(agent_id), held, names, pages, drains) for agent_id in {*known, *names}]
    return sorted(found, key=lambda agent: (agent.hostname, agent.agent_id))


def _agent(
    agent_id: str,
    info: AgentInfo | None,
    held: dict[str, list[HeldTask]],
    names: dict[str, str],
    pages: str | None,
    drains: Sequence[Drain],
) -> AgentView:
    hostname = info.hostname if info is not None else names[agent_id]
    drain = next((each for each in drains if each.agent in (agent_id, hostname)), None)
    return AgentView(
        agent_id=agent_id,
        hostname=hostname,
        drained=_drained(drain, len(held.get(agent_id, ()))) if drain is not None else None,
        active=info.active if info is not None else None,
        cpus=info.cpus if info is not None else None,
        memory_mb=info.mem_mb if info is not None else None,
        used_cpus=info.used_cpus if info is not None else None,
        used_memory_mb=info.used_mem_mb if info is not None else None,
        attributes=dict(info.attributes) if info is not None else {},
        tasks=sorted(held.get(agent_id, ()), key=lambda task: task.id),
        url=f"{pages}/#/agents/{agent_id}" if pages is not None else None,
    )


def _drained(drain: Drain, left: int) -> str:
    by, reason = f" by {drain.by}" if drain.by else "", f" ({drain.reason})" if drain.reason else ""
    what = f"nothing is left on {drain.agent}" if left == 0 else f"{left} task{'' if left == 1 else 's'} left"
    return f"drained{by}{reason}; {what}"


def _state(job: JobSnapshot, task: Task) -> str:
    seen = job.tasks.get(task.task_id or "")
    return seen.state.value.removeprefix("TASK_") if seen is not None else "PLACED"


def _targets(context: Context, job: JobSnapshot) -> Iterable[Target]:
    record = job.record
    if record is None or record.generation is None or not context.exports_metrics(record.generation.spec):
        return
    for task in record.tasks:
        seen = job.tasks.get(task.task_id or "")
        running = seen is not None and seen.state is TaskState.RUNNING
        if not running or task.address is None or len(task.ports) != PORTS[task.role]:
            continue
        yield Target(
            targets=[f"{task.address}:{task.ports[-1]}"],
            labels={
                "weir_job": job.name,
                "weir_role": "jobmanager" if task.role is Role.JOB_MANAGER else "taskmanager",
                "weir_index": str(task.index),
                "weir_generation": str(task.generation),
                "weir_agent": task.hostname or "",
            },
        )
