"""How large the agents are, so that a task which no agent could ever take is refused at the door.

Read from the leading master's `/slaves` (Mesos docs, "Operator HTTP endpoints"). A master that does
not tell is no limit: one that is busy, or tells us nothing, must not make a valid spec invalid. But
right after a change of leader nobody knows anything yet, and what was refused before must not slip in.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from integration.mesos.tls import scheme, verified_by

log = structlog.get_logger("weir.mesos")

FRESH_S = 10.0
UNKNOWN_S = 1.0
"""All the jobs of one reading ask; a master that is not there is asked for once."""
TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class LargestAgent:
    """The most that any one active agent has, free or not; each figure may be another agent's."""

    cpus: float
    cpus_on: str
    mem_mb: float
    mem_on: str
    disk_mb: float = 0.0
    disk_on: str = ""
    gpus: float = 0.0
    gpus_on: str = ""


class AgentsNotKnownYet(Exception):
    """No master was found so far, or no agent has registered with it: ask again soon."""


class Agents:
    """Asks the master that `master` names ("host:port"), at most every `FRESH_S` seconds."""

    def __init__(
        self,
        master: Callable[[], str | None],
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._master = master
        self._scheme = scheme(tls)
        self._client = httpx.Client(
            timeout=TIMEOUT_S, transport=transport, follow_redirects=True, verify=verified_by(tls)
        )
        self._known: LargestAgent | None = None
        self._asked_at = float("-inf")
        self._unknown: AgentsNotKnownYet | None = None
        self._unknown_at = float("-inf")

    def largest(self) -> LargestAgent | None:
        """None when the master does not tell. Raises AgentsNotKnownYet."""
        if self._unknown is not None and time.monotonic() - self._unknown_at < UNKNOWN_S:
            raise self._unknown
        if time.monotonic() - self._asked_at >= FRESH_S:
            try:
                self._known, self._unknown = self._ask(), None
            except AgentsNotKnownYet as unknown:
                self._unknown, self._unknown_at = unknown, time.monotonic()
                raise
            self._asked_at = time.monotonic()
        return self._known

    def close(self) -> None:
        self._client.close()

    def _ask(self) -> LargestAgent | None:
        master = self._master()
        if master is None:
            raise AgentsNotKnownYet("no leading Mesos master was found yet")
        try:
            agents: list[dict[str, Any]] = (
                self._client.get(f"{self._scheme}://{master}/slaves").raise_for_status().json()["slaves"]
            )
            active = [agent for agent in agents if agent.get("active", True)]
            if not active:
                raise AgentsNotKnownYet("no agent has registered with the Mesos master yet")
            return LargestAgent(
                *_most(active, "cpus"), *_most(active, "mem"), *_most(active, "disk"), *_most(active, "gpus")
            )
        except httpx.TransportError as error:
            log.info("mesos.agents_unknown", master=master, error=f"{type(error).__name__}: {error}")
            if self._known is None:
                raise AgentsNotKnownYet(f"the Mesos master at {master} does not answer") from error
            return self._known
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.info("mesos.agents_unknown", master=master, error=f"{type(error).__name__}: {error}")
            return self._known


def _most(agents: list[dict[str, Any]], resource: str) -> tuple[float, str]:
    """The largest amount of a resource and who has it. Every agent has cpus and memory, the rest may be missing."""
    needed = resource in ("cpus", "mem")
    amounts = [
        (float(agent["resources"][resource] if needed else agent["resources"].get(resource, 0)), agent["hostname"])
        for agent in agents
    ]
    amount, hostname = max(amounts, key=lambda found: found[0])
    return amount, hostname if amount else ""
