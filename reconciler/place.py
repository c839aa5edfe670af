"""Matching wanted tasks with offers: a pure function of both.

All offers of one agent are merged, because Mesos hands freed resources back as separate small
offers and one ACCEPT may name several offers of one agent (Mesos docs, "Scheduler HTTP API").
Whether a task fits is decided here; which of the fitting agents is best is the strategy's word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.model.resources import Assignment, Candidate, Offer, PlacementStrategy, TaskRequest

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Placement:
    """The outcome of one matching pass; `waiting` says per task id why it was not placed."""

    assignments: tuple[Assignment, ...]
    waiting: Mapping[str, str]


def place(
    requests: Sequence[TaskRequest], offers: Sequence[Offer], strategies: Mapping[str, PlacementStrategy]
) -> Placement:
    """Assign as many requests as fit, in the order given."""
    agents = merge(offers)
    placed_of: dict[tuple[str, str], int] = {}
    assignments: list[Assignment] = []
    waiting: dict[str, str] = {}
    for request in requests:
        fitting = [
            replace(agent, placed=_siblings(request, agent.agent_id, placed_of))
            for agent in agents.values()
            if _fits(request, agent)
        ]
        if not fitting:
            waiting[request.task_name] = why_not(request, list(agents.values()))
            continue
        strategy = strategies[request.strategy]
        best = min(
            fitting,
            key=lambda agent: (agent.agent_id in request.avoid, *strategy.rank(request, agent), agent.hostname),
        )
        ports, left = _take_ports(best.ports, request.ports)
        agents[best.agent_id] = _without(best, request, left)
        key = (request.job, best.agent_id)
        placed_of[key] = placed_of.get(key, 0) + 1
        assignments.append(Assignment(request, best.agent_id, best.hostname, best.address, best.offer_ids, ports))
    return Placement(tuple(assignments), waiting)


def merge(offers: Sequence[Offer]) -> dict[str, Candidate]:
    """One candidate per agent with the sum of its offers."""
    agents: dict[str, Candidate] = {}
    for offer in offers:
        have = agents.get(offer.agent_id)
        if have is None:
            agents[offer.agent_id] = Candidate(
                offer.agent_id, offer.hostname, offer.address, (offer.id,), offer.cpus, offer.mem_mb,
                offer.disk_mb, offer.gpus, offer.ports, offer.attributes,
            )  # fmt: skip
            continue
        agents[offer.agent_id] = replace(
            have,
            offer_ids=(*have.offer_ids, offer.id),
            cpus=have.cpus + offer.cpus,
            mem_mb=have.mem_mb + offer.mem_mb,
            disk_mb=have.disk_mb + offer.disk_mb,
            gpus=have.gpus + offer.gpus,
            ports=tuple(sorted((*have.ports, *offer.ports))),
        )
    return agents


def why_not(request: TaskRequest, agents: Sequence[Candidate]) -> str:
    """One sentence with numbers: what is needed, and the best that was offered."""
    needs = f"needs {request.cpus:g} cpus, {request.mem_mb:g} MiB and {request.ports} ports"
    if not agents:
        return f"{needs}; no offer has arrived"
    for what, wanted, have in (
        ("cpus", request.cpus, lambda agent: agent.cpus),
        ("MiB", request.mem_mb, lambda agent: agent.mem_mb),
        ("ports", float(request.ports), lambda agent: float(_port_count(agent.ports))),
        ("MiB of disk", request.disk_mb, lambda agent: agent.disk_mb),
        ("gpus", request.gpus, lambda agent: agent.gpus),
    ):
        best = max(agents, key=have)
        if have(best) + _EPSILON < wanted:
            return f"{needs}; best offer has {have(best):g} {what} on {best.hostname}"
    best = max(agents, key=lambda agent: (agent.cpus, agent.mem_mb))
    return f"{needs}; no single agent has all of it, {best.hostname} has {best.cpus:g} cpus and {best.mem_mb:g} MiB"


def _siblings(request: TaskRequest, agent_id: str, placed_of: Mapping[tuple[str, str], int]) -> int:
    before = sum(1 for _, agent in request.siblings if agent == agent_id)
    return before + placed_of.get((request.job, agent_id), 0)


def _fits(request: TaskRequest, agent: Candidate) -> bool:
    return (
        agent.cpus + _EPSILON >= request.cpus
        and agent.mem_mb + _EPSILON >= request.mem_mb
        and agent.disk_mb + _EPSILON >= request.disk_mb
        and agent.gpus + _EPSILON >= request.gpus
        and _port_count(agent.ports) >= request.ports
    )


def _port_count(ranges: Sequence[tuple[int, int]]) -> int:
    return sum(end - begin + 1 for begin, end in ranges)


def _take_ports(ranges: Sequence[tuple[int, int]], count: int) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    taken: list[int] = []
    left: list[tuple[int, int]] = []
    for begin, end in ranges:
        use = min(count - len(taken), end - begin + 1)
        taken.extend(range(begin, begin + use))
        if begin + use <= end:
            left.append((begin + use, end))
    return tuple(taken), tuple(left)


def _without(agent: Candidate, request: TaskRequest, ports: tuple[tuple[int, int], ...]) -> Candidate:
    return replace(
        agent,
        cpus=agent.cpus - request.cpus,
        mem_mb=agent.mem_mb - request.mem_mb,
        disk_mb=agent.disk_mb - request.disk_mb,
        gpus=agent.gpus - request.gpus,
        ports=ports,
    )
