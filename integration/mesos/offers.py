"""The raw offers that are open, and what an ACCEPT makes of them.

An ACCEPT of offers that Mesos does not know any more is answered by TASK_DROPPED for its tasks, one
that takes more than was offered by TASK_ERROR, both without a uuid (Mesos docs, "Scheduler HTTP API").
Here the same answers are given for an offer that this side knows to be gone, because a task cannot
be described without it: the loop sees one path for both (fault 29).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

import structlog

from integration.mesos.convert import to_task_info
from integration.mesos.resources import Raw, ResourcePool
from reconciler.model.events import TaskUpdate
from reconciler.model.observation import TaskState
from reconciler.model.resources import TaskInfo

log = structlog.get_logger(__name__)

MAX_OFFERS = 20_000


class OfferBook:
    """Open offers by id, oldest first; bounded, and safe to use from any thread."""

    def __init__(self, limit: int = MAX_OFFERS) -> None:
        self._lock = Lock()
        self._limit = limit
        self._offers: OrderedDict[str, Raw] = OrderedDict()

    def __len__(self) -> int:
        return len(self._offers)

    def add(self, offers: Iterable[Raw]) -> list[str]:
        """Remember offers; the ids of the oldest ones that had to go (the caller declines them)."""
        evicted: list[str] = []
        with self._lock:
            for offer in offers:
                self._offers[str(offer["id"]["value"])] = offer
            while len(self._offers) > self._limit:
                evicted.append(self._offers.popitem(last=False)[0])
        if evicted:
            log.warning("mesos.offers_evicted", count=len(evicted), limit=self._limit)
        return evicted

    def peek(self, offer_ids: Iterable[str]) -> tuple[list[Raw], list[str]]:
        """The offers that are open, and the ids that are not."""
        with self._lock:
            found = [self._offers[i] for i in offer_ids if i in self._offers]
            return found, [i for i in offer_ids if i not in self._offers]

    def forget(self, offer_ids: Iterable[str]) -> None:
        with self._lock:
            for offer_id in offer_ids:
                self._offers.pop(offer_id, None)

    def clear(self) -> None:
        """After a disconnection no offer is valid any more."""
        with self._lock:
            self._offers.clear()


@dataclass(frozen=True, slots=True)
class Launch:
    """One ACCEPT: offers of one agent and one role, and the tasks launched from them."""

    offer_ids: tuple[str, ...]
    task_infos: tuple[Raw, ...]


@dataclass(frozen=True, slots=True)
class AcceptPlan:
    """What to send for one `accept`, and what is already known about tasks that cannot be sent."""

    launches: tuple[Launch, ...] = ()
    decline: tuple[str, ...] = ()
    refused: tuple[TaskUpdate, ...] = ()


def plan_accept(
    offers: Sequence[Raw], missing: Sequence[str], tasks: Sequence[TaskInfo], roles: Sequence[str]
) -> AcceptPlan:
    """Match tasks with offers of one agent.

    Offers that are allocated to different roles cannot be used in one ACCEPT, so there is one per role.
    """
    ids = tuple(str(offer["id"]["value"]) for offer in offers)
    if missing:
        why = f"Offer {missing[0]} is no longer valid"
        return AcceptPlan((), ids, tuple(_dropped(task, why) for task in tasks))
    agents = {str(offer["agent_id"]["value"]) for offer in offers}
    if len(agents) != 1:
        why = "Aggregated offers must belong to one single agent"
        return AcceptPlan((), ids, tuple(_dropped(task, why) for task in tasks))
    by_role: dict[str, list[Raw]] = {}
    for offer in offers:
        by_role.setdefault(str(offer.get("allocation_info", {}).get("role", "*")), []).append(offer)
    pools = {
        role: ResourcePool((entry for offer in group for entry in offer.get("resources", ())), roles)
        for role, group in by_role.items()
    }
    infos: dict[str, list[Raw]] = {role: [] for role in by_role}
    refused: list[TaskUpdate] = []
    for task in tasks:
        if task.agent_id not in agents:
            refused.append(_invalid(task, f"Task uses agent {task.agent_id}, but the offers are of another"))
            continue
        role, taken = _take(pools, task)
        if taken is None:
            refused.append(_invalid(task, "Task uses more resources than the offers hold"))
        else:
            infos[role].append(to_task_info(task, taken))
    launches = tuple(
        Launch(tuple(str(offer["id"]["value"]) for offer in group), tuple(infos[role]))
        for role, group in by_role.items()
        if infos[role]
    )
    used = {offer_id for launch in launches for offer_id in launch.offer_ids}
    return AcceptPlan(launches, tuple(i for i in ids if i not in used), tuple(refused))


def _take(pools: dict[str, ResourcePool], task: TaskInfo) -> tuple[str, list[Raw] | None]:
    for role, pool in pools.items():
        taken = pool.take(task.cpus, task.mem_mb, task.disk_mb, task.gpus, task.ports)
        if taken is not None:
            return role, taken
    return "", None


def _dropped(task: TaskInfo, why: str) -> TaskUpdate:
    return TaskUpdate(
        task.task_id, TaskState.DROPPED, task.agent_id, "REASON_INVALID_OFFERS", why, source="SOURCE_MASTER"
    )


def _invalid(task: TaskInfo, why: str) -> TaskUpdate:
    return TaskUpdate(task.task_id, TaskState.ERROR, task.agent_id, "REASON_TASK_INVALID", why, source="SOURCE_MASTER")
