"""Short ways to write offers, requests and siblings."""

from __future__ import annotations

from typing import Any

from plugins.placement.pack import Pack
from plugins.placement.spread import Spread
from reconciler.model.record import Role
from reconciler.model.resources import Candidate, Offer, PlacementStrategy, Sibling, TaskRequest

STRATEGIES: dict[str, PlacementStrategy] = {"spread": Spread(), "pack": Pack()}
JM, TM = Role.JOB_MANAGER, Role.TASK_MANAGER


def offer(agent: str, cpus: float = 4.0, mem_mb: float = 8192.0, **more: Any) -> Offer:
    values: dict[str, Any] = {"id": f"o-{agent}", "hostname": agent, "address": "10.0.0.1", "ports": ((31000, 31099),)}
    return Offer(agent_id=more.pop("agent_id", agent), cpus=cpus, mem_mb=mem_mb, **(values | more))


def request(index: int = 0, cpus: float = 1.0, mem_mb: float = 1024.0, **more: Any) -> TaskRequest:
    job, role = more.pop("job", "orders"), more.pop("role", TM)
    values: dict[str, Any] = {"ports": 2}
    return TaskRequest(
        job, f"{job}.0123456789.1.{role.value}.{index}.{index + 1}", role, cpus, mem_mb, **(values | more)
    )


def sibling(host: str, role: Role = TM, **attributes: str) -> Sibling:
    return Sibling(role, host, host, attributes)


def candidate(host: str, **attributes: str) -> Candidate:
    return Candidate(host, host, "10.0.0.1", (f"o-{host}",), 4, 4096, 0, 0, ((31000, 31099),), attributes)
