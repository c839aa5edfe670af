"""What the Mesos cluster and the ensemble of a stack say of themselves. Nothing of Weir's is asked here."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import httpx

from integration.containers.members import MASTER_PORT, ZK_PORT
from integration.local import mesos_api, zookeeper

_TIMEOUT = 2.0


def zookeeper_mode(address: str) -> str:
    """ "leader", "follower", "standalone"; empty when the server does not serve."""
    try:
        answer = zookeeper.four_letter((address, ZK_PORT), "srvr")
    except OSError:
        return ""
    return next((line.partition(": ")[2] for line in answer.splitlines() if line.startswith("Mode: ")), "")


def leading_master(masters: Mapping[str, str]) -> tuple[str, str] | None:
    """Name and URL of the leading master, by addresses of the masters."""
    addresses = {name: (address, MASTER_PORT) for name, address in masters.items()}
    return next(((each.name, each.url) for each in mesos_api.masters(addresses) if each.leading), None)


def ask(url: str) -> Any:
    """The JSON that a server answers with; None when it does not."""
    try:
        answer = httpx.get(url, timeout=_TIMEOUT)
        return answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError, socket.gaierror):
        return None


def tasks(master_url: str) -> dict[str, str]:
    """State by task id, of all frameworks, as the master reports them."""
    found = (ask(f"{master_url}/master/tasks?limit=1000") or {}).get("tasks", [])
    return {task["id"]: task["state"] for task in found}


def agents(master_url: str) -> set[str]:
    """Host names of the agents that are registered and connected."""
    found = (ask(f"{master_url}/master/slaves") or {}).get("slaves", [])
    return {agent["hostname"] for agent in found if agent.get("active")}


def agent_ids(master_url: str) -> dict[str, str]:
    """Mesos' ids of the agents that it knows, by host name."""
    found = (ask(f"{master_url}/master/slaves") or {}).get("slaves", [])
    return {agent["hostname"]: agent["id"] for agent in found}


def mark_gone(master_url: str, agent_id: str) -> None:
    """Tell the master that an agent never comes back (operator call MARK_AGENT_GONE). Raises httpx.HTTPError."""
    call = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": agent_id}}}
    httpx.post(f"{master_url}/api/v1", json=call, timeout=30.0).raise_for_status()


def frameworks(master_url: str) -> list[dict[str, Any]]:
    """All frameworks that the master knows."""
    found: list[dict[str, Any]] = (ask(f"{master_url}/master/frameworks") or {}).get("frameworks", [])
    return found
