"""The little that the local stack itself asks of Mesos' HTTP endpoints: who leads, and who is registered."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass

Address = tuple[str, int]
_TIMEOUT = 2.0

# Answered with 200 by the elected master alone; the others redirect, or have no leader to redirect to. (The metric
# `master/elected` would say the same, but Mesos answers two requests for metrics per second, and the rest waits.)
_ONLY_THE_LEADER = "/master/slaves?slave_id=none"


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
        status, _ = _get(address, _ONLY_THE_LEADER)
        found.append(MasterInfo(name, address, up=status != 0, leading=status == 200))
    return found


def active_agents(leader: Address) -> set[str]:
    """Hostnames of the agents that are registered and connected."""
    status, body = _get(leader, "/master/slaves")
    if status != 200:
        return set()
    return {agent["hostname"] for agent in json.loads(body)["slaves"] if agent.get("active")}


def version(address: Address) -> str:
    """Mesos' version as the server reports it; empty when it does not answer."""
    status, body = _get(address, "/version")
    return str(json.loads(body)["version"]) if status == 200 else ""


def _get(address: Address, path: str) -> tuple[int, bytes]:
    """Status and body; status 0 when the server does not answer."""
    link = http.client.HTTPConnection(*address, timeout=_TIMEOUT)
    try:
        link.request("GET", path)
        response = link.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        link.close()
