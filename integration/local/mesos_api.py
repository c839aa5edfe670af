"""The little that the local stack itself asks of Mesos' HTTP endpoints: who leads, and who is registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

Address = tuple[str, int]
_TIMEOUT = 2.0


@dataclass(frozen=True)
class MasterInfo:
    """A master of the stack."""

    name: str
    address: Address
    up: bool
    leading: bool

    @property
    def url(self) -> str:
        """ "http://127.0.0.1:21850"."""
        return f"http://{self.address[0]}:{self.address[1]}"


def masters(addresses: Mapping[str, Address]) -> list[MasterInfo]:
    """Asks each master whether it leads."""
    found = []
    for name, address in addresses.items():
        metrics = _get(address, "/metrics/snapshot")
        leading = metrics is not None and metrics.get("master/elected") == 1.0
        found.append(MasterInfo(name, address, up=metrics is not None, leading=leading))
    return found


def active_agents(leader: Address) -> set[str]:
    """Hostnames of the agents that are registered and connected."""
    answer = _get(leader, "/master/slaves") or {}
    agents = answer.get("slaves", [])
    assert isinstance(agents, list)
    return {agent["hostname"] for agent in agents if agent.get("active")}


def _get(address: Address, path: str) -> dict[str, object] | None:
    """A JSON object, or None when the server does not answer with one. No proxy: it is on this machine."""
    try:
        with httpx.Client(trust_env=False, timeout=_TIMEOUT) as client:
            response = client.get(f"http://{address[0]}:{address[1]}{path}")
            response.raise_for_status()
            answer = response.json()
    except (httpx.HTTPError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None
