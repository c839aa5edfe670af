"""Ends of files in the sandboxes of tasks, through the agents (Mesos docs, "HTTP Endpoints": /state, /files/read)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_S = 5.0
MOST = 1 << 20
MAX_STATE = 64 << 20
_PID = re.compile(r"^[^@]*@([^/\s]+:\d+)$")


class NoSandbox(Exception):
    """Why a file of a sandbox cannot be read."""


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The last part of a file; `offset` is where it begins."""

    size: int
    offset: int
    text: str


class SandboxFiles:
    """Safe to use from several threads. Every call asks the master and the agent anew."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(timeout=TIMEOUT_S, transport=transport, follow_redirects=True, trust_env=False)

    def end(self, master: str, agent_id: str, task_id: str, name: str, length: int) -> FileEnd:
        """The last `length` bytes (at most `MOST`) of the file `name`. Raises NoSandbox."""
        try:
            agent = self._agent(master, agent_id)
            path = f"{self._directory(agent, task_id)}/{name}"
            size = int(self._read(agent, path, -1, None)["offset"])
            offset = max(size - min(length, MOST), 0)
            text = str(self._read(agent, path, offset, size - offset)["data"]) if size else ""
        except (httpx.HTTPError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoSandbox(f"{name} of {task_id} cannot be read: {str(error) or type(error).__name__}") from None
        return FileEnd(size, offset, text)

    def close(self) -> None:
        self._client.close()

    def _agent(self, master: str, agent_id: str) -> str:
        for agent in self._get(f"http://{master}/slaves")["slaves"]:
            if agent["id"] == agent_id and (match := _PID.match(agent["pid"])):
                return match[1]
        raise NoSandbox(f"the Mesos master at {master} does not list the agent {agent_id}")

    def _directory(self, agent: str, task_id: str) -> str:
        for executor in _executors(self._get(f"http://{agent}/state")):
            if executor["id"] == task_id:
                return str(executor["directory"])
        raise NoSandbox(f"the agent at {agent} has no sandbox of {task_id} any more")

    def _read(self, agent: str, path: str, offset: int, length: int | None) -> Mapping[str, Any]:
        given: dict[str, str | int] = {"path": path, "offset": offset}
        if length is not None:
            given["length"] = length
        found: Mapping[str, Any] = (
            self._client.get(f"http://{agent}/files/read", params=given).raise_for_status().json()
        )
        return found

    def _get(self, url: str) -> Mapping[str, Any]:
        with self._client.stream("GET", url) as answer:
            answer.raise_for_status()
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_STATE:
                    raise NoSandbox(f"{url} answers with more than {MAX_STATE >> 20} MiB")
        found: Mapping[str, Any] = json.loads(bytes(body))
        return found


def _executors(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for framework in (*state.get("frameworks", ()), *state.get("completed_frameworks", ())):
        yield from framework.get("executors", ())
        yield from framework.get("completed_executors", ())
