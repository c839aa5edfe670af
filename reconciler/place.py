"""Matching wanted tasks with offers: a pure function of both.

All offers of one agent and role are merged, because Mesos hands freed resources back as separate
small offers and one ACCEPT may name several offers of one agent (Mesos docs, "Scheduler HTTP API").
Whether a task may go to an agent is decided here: resources, maintenance windows and constraints.
Which of those agents is best is the strategy's word; one that raises or answers nonsense is replaced
by the default order for that request (fault 57). Amounts are compared in thousandths, as Mesos keeps
them (Mesos docs, "Attributes and Resources"), so that a hundred small tasks never add up to too much.

On a large cluster the strategy is asked about the first `ENOUGH` agents that fit and not about
thousands, as the Kubernetes scheduler scores a part of the nodes (`percentageOfNodesToScore`). Where
the search begins follows from the job's name, so that jobs do not crowd on the same agents.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from reconciler import constraints
from reconciler.model.resources import Assignment, Candidate, Offer, PlacementStrategy, Sibling, TaskRequest
from reconciler.placewhy import Refusals, fits, port_count, shortage, why_not

LEAD_S = 600.0
"""An agent whose maintenance begins within this time gets no new tasks (fault 37); `mesos.maintenance_lead_s`."""
ENOUGH = 50
"""So many agents that fit and have nothing against them are compared; the rest are not looked at."""
_MAX_RANK = 16
_EXACT = frozenset({int, float})

_Key = tuple[str, str]
"""Agent id and role: what one ACCEPT can use."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The outcome of one matching pass; `waiting` says per task id why it was not placed."""

    assignments: tuple[Assignment, ...]
    waiting: Mapping[str, str]
    problems: Mapping[str, str]
    """By job: what was wrong with its strategy, for which the default order stood in."""


def place(
    requests: Sequence[TaskRequest],
    offers: Sequence[Offer],
    strategies: Mapping[str, PlacementStrategy],
    now: float = 0.0,
    draining: frozenset[str] = frozenset(),
    lead_s: float = LEAD_S,
) -> Placement:
    """Assign as many requests as fit, in the order given. `now` is compared with maintenance windows.

    `draining` are ids and hostnames of agents that take nothing new.
    """
    matching = _Pass(offers, strategies, now, draining, lead_s)
    for request in requests:
        matching.match(request)
    return Placement(tuple(matching.assignments), matching.waiting, matching.problems)


def merge(offers: Sequence[Offer]) -> dict[tuple[str, str], Candidate]:
    """One candidate per agent and role with the sum of its offers."""
    agents: dict[_Key, Candidate] = {}
    for offer in offers:
        key = (offer.agent_id, offer.role)
        have = agents.get(key)
        if have is None:
            agents[key] = Candidate(
                offer.agent_id, offer.hostname, offer.address, (offer.id,), offer.cpus, offer.mem_mb, offer.disk_mb,
                offer.gpus, _union(offer.ports), offer.attributes, 0, offer.unavailable_from, offer.role,
            )  # fmt: skip
            continue
        starts = [start for start in (have.unavailable_from, offer.unavailable_from) if start is not None]
        agents[key] = replace(
            have,
            offer_ids=(*have.offer_ids, offer.id),
            cpus=_sum(have.cpus, offer.cpus),
            mem_mb=_sum(have.mem_mb, offer.mem_mb),
            disk_mb=_sum(have.disk_mb, offer.disk_mb),
            gpus=_sum(have.gpus, offer.gpus),
            ports=_union((*have.ports, *offer.ports)),
            unavailable_from=min(starts, default=None),
        )
    return agents


class _Pass:
    """One matching pass: what is left of the agents, and what was assigned so far."""

    def __init__(
        self,
        offers: Sequence[Offer],
        strategies: Mapping[str, PlacementStrategy],
        now: float,
        draining: frozenset[str],
        lead_s: float,
    ) -> None:
        self._draining = draining
        self._lead_s = lead_s
        self._agents = merge(offers)
        self._order = sorted(self._agents)
        self._attributes = {agent.agent_id: agent.attributes for agent in self._agents.values()}
        self._strategies = strategies
        self._now = now
        self._placed: dict[str, list[Sibling]] = {}
        self._hopeless: dict[tuple[object, ...], str] = {}
        """Why an equal request found nothing before: in one pass agents only ever have less."""
        self.assignments: list[Assignment] = []
        self.waiting: dict[str, str] = {}
        self.problems: dict[str, str] = {}

    def match(self, request: TaskRequest) -> None:
        """Assign the request to the best agent that may take it, or note why there is none."""
        siblings = self._siblings(request)
        same_role = [sibling for sibling in siblings if sibling.role is request.role]
        checks, broken = constraints.checks(request.constraints, same_role)
        if broken is not None:
            self.waiting[request.task_name] = broken
            return
        held = Counter(sibling.agent_id for sibling in siblings)
        shape = _shape(request, sorted(held.items()))
        why = self._hopeless.get(shape)
        if why is None and (fitting := self._fitting(request, checks, held)):
            self._assign(request, self._best(request, fitting))
            return
        self.waiting[request.task_name] = self._hopeless[shape] = why or self._why_not(request, checks)

    def _fitting(
        self, request: TaskRequest, checks: Sequence[constraints.Check], held: Mapping[str, int]
    ) -> list[Candidate]:
        """Agents that may take the request, up to `ENOUGH` good ones."""
        found, good, count = [], 0, len(self._order)
        begin = crc32(request.job.encode()) % count if count > ENOUGH else 0
        for step in range(count):
            agent = self._agents[self._order[(begin + step) % count]]
            if request.mesos_role not in ("*", agent.role) or not fits(request, agent):
                continue
            if self._refused(agent, checks) is not None:
                continue
            placed = held.get(agent.agent_id, 0)
            found.append(replace(agent, placed=placed) if placed else agent)
            good += not placed and agent.unavailable_from is None and agent.agent_id not in request.avoid
            if good >= ENOUGH:
                break
        return found

    def _why_not(self, request: TaskRequest, checks: Sequence[constraints.Check]) -> str:
        """What each agent that made an offer lacks, or is refused for, in one sentence."""
        refusals = Refusals()
        for agent in self._agents.values():
            if request.mesos_role in ("*", agent.role):
                refusals.note(agent, shortage(request, agent), self._refused(agent, checks))
        return why_not(request, refusals)

    def _siblings(self, request: TaskRequest) -> list[Sibling]:
        """Placed before or in this pass; attributes that nobody remembers are read from the offers at hand."""
        before = [
            sibling
            if sibling.agent_id not in self._attributes
            else replace(sibling, attributes={**self._attributes[sibling.agent_id], **sibling.attributes})
            for sibling in request.siblings
        ]
        return [*before, *self._placed.get(request.job, ())]

    def _refused(self, agent: Candidate, checks: Sequence[constraints.Check]) -> tuple[str, str] | None:
        """What refuses the agent whatever it has left, and in which words."""
        start = agent.unavailable_from
        if start is not None and start <= self._now + self._lead_s:
            return "maintenance", "it begins soon" if start > self._now else "it has begun"
        if agent.agent_id in self._draining or agent.hostname in self._draining:
            return "drain", "it is to be empty"
        for check in checks:
            refused = check.refusal(agent)
            if refused is not None:
                return str(check), refused
        return None

    def _best(self, request: TaskRequest, fitting: Sequence[Candidate]) -> Candidate:
        try:
            ranks = [self._rank(request, agent) for agent in fitting]
        except _Nonsense as nonsense:
            self.problems[request.job] = (
                f"placement strategy {request.strategy} {nonsense}; spreading {request.task_name} instead"
            )
            ranks = [_default_rank(agent) for agent in fitting]
        keyed = [
            (agent.agent_id in request.avoid, agent.unavailable_from is not None, rank, agent.hostname, agent.agent_id,
             agent.role, number)
            for number, (rank, agent) in enumerate(zip(ranks, fitting, strict=True))
        ]  # fmt: skip
        return fitting[min(keyed)[-1]]

    def _rank(self, request: TaskRequest, agent: Candidate) -> tuple[float, ...]:
        strategy = self._strategies.get(request.strategy)
        if strategy is None:
            raise _Nonsense("is not installed")
        try:
            answer = strategy.rank(request, agent)
            listed = type(answer) is tuple or (isinstance(answer, Sequence) and not isinstance(answer, str | bytes))
            rank = tuple(answer) if listed else None
        except (Exception, SystemExit) as error:
            raise _Nonsense(f"raised {type(error).__name__}") from None
        if rank is None or len(rank) > _MAX_RANK or not _are_numbers(rank):
            raise _Nonsense(f"answered something that is no sequence of at most {_MAX_RANK} finite numbers")
        return rank

    def _assign(self, request: TaskRequest, agent: Candidate) -> None:
        ports, left = _take_ports(agent.ports, request.ports)
        named = constraints.fields(request.constraints)
        attributes = {name: value for name, value in agent.attributes.items() if name in named}
        self._agents[(agent.agent_id, agent.role)] = _without(agent, request, left)
        placed = Sibling(request.role, agent.agent_id, agent.hostname, agent.attributes)
        self._placed.setdefault(request.job, []).append(placed)
        self.assignments.append(
            Assignment(request, agent.agent_id, agent.hostname, agent.address, agent.offer_ids, ports, attributes)
        )


def _shape(request: TaskRequest, held: Sequence[tuple[str, int]]) -> tuple[object, ...]:
    """Equal for requests that the same agents can take; where the job's own tasks are counts only under constraints."""
    amounts = (request.cpus, request.mem_mb, request.disk_mb, request.gpus, request.ports, request.mesos_role)
    if not request.constraints:
        return amounts
    return (*amounts, request.constraints, *((request.job, request.role, *held) if held else ()))


class _Nonsense(Exception):
    """A strategy that cannot be followed; the message goes on after its name."""


def _are_numbers(rank: tuple[object, ...]) -> bool:
    exact = _EXACT.issuperset(map(type, rank))  # the common case, asked for every agent that fits
    try:
        return all(map(math.isfinite, rank)) if exact else all(map(_is_number, rank))  # type: ignore[arg-type]
    except OverflowError:
        return False


def _is_number(part: object) -> bool:
    try:
        return isinstance(part, int | float) and math.isfinite(part)
    except OverflowError:
        return False


def _default_rank(agent: Candidate) -> tuple[float, ...]:
    """As `spread` does: fewest tasks of the job first, then the most left."""
    return (agent.placed, -agent.cpus, -agent.mem_mb)


def _sum(one: float, other: float) -> float:
    return (round(one * 1000) + round(other * 1000)) / 1000


def _union(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Inclusive ranges without overlaps, so that no port is ever taken twice."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif begin <= end:
            merged.append((begin, end))
    return tuple(merged)


def _take_ports(ranges: Sequence[tuple[int, int]], count: int) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    assert port_count(ranges) >= count
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
        cpus=_sum(agent.cpus, -request.cpus),
        mem_mb=_sum(agent.mem_mb, -request.mem_mb),
        disk_mb=_sum(agent.disk_mb, -request.disk_mb),
        gpus=_sum(agent.gpus, -request.gpus),
        ports=ports,
        placed=0,
    )
