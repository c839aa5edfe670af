"""The agents of a Mesos master, for people to look at (Mesos docs, "HTTP Endpoints": /slaves)."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import httpx

from integration.mesos.tls import scheme, verified_by

TIMEOUT_S = 3.0
FRESH_S = 3.0
MOST = 5000


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """One registered agent."""

    agent_id: str
    hostname: str
    active: bool
    cpus: float
    mem_mb: float
    used_cpus: float
    used_mem_mb: float
    attributes: Mapping[str, str] = field(default_factory=dict)


class Inventory:
    """Asks a master at most every `FRESH_S` seconds; safe to use from several threads."""

    def __init__(self, transport: httpx.BaseTransport | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = scheme(tls)
        self._client = httpx.Client(
            timeout=TIMEOUT_S, transport=transport, follow_redirects=True, trust_env=False, verify=verified_by(tls)
        )
        self._lock = Lock()
        self._known: tuple[str, float, Sequence[AgentInfo]] = ("", float("-inf"), ())

    def agents(self, master: str) -> Sequence[AgentInfo]:
        """By host name. Raises OSError when the master does not answer, ValueError for an answer that is none."""
        with self._lock:
            asked, at, found = self._known
            if asked != master or time.monotonic() - at >= FRESH_S:
                found = self._ask(master)
                self._known = (master, time.monotonic(), found)
            return found

    def close(self) -> None:
        self._client.close()

    def _ask(self, master: str) -> Sequence[AgentInfo]:
        try:
            body = self._client.get(f"{self._scheme}://{master}/slaves").raise_for_status().json()
            found = [_agent(raw) for raw in body["slaves"][:MOST]]
        except httpx.HTTPError as error:
            raise OSError(f"the Mesos master at {master} does not tell its agents: {error}") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"the Mesos master at {master} gave an answer that is no list of agents: {error!r}"
            ) from None
        return sorted(found, key=lambda agent: (agent.hostname, agent.agent_id))


def _agent(raw: Mapping[str, Any]) -> AgentInfo:
    has, used = raw["resources"], raw.get("used_resources", {})
    return AgentInfo(
        str(raw["id"]),
        str(raw["hostname"]),
        bool(raw.get("active", True)),
        float(has.get("cpus", 0.0)),
        float(has.get("mem", 0.0)),
        float(used.get("cpus", 0.0)),
        float(used.get("mem", 0.0)),
        {str(name): str(value) for name, value in raw.get("attributes", {}).items()},
    )
