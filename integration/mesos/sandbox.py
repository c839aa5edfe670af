"""Files in the sandboxes of tasks, through the agents (Mesos docs, "HTTP Endpoints": /state, /files/read).

An agent answers with at most 16 of its memory's pages at once (64 KiB, `Files::_read` in Mesos), so what is longer is
read page by page. Its answers carry the file's bytes as they are, which need not be UTF-8, least of all where a page
ends within a character.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from integration.mesos.tls import scheme, verified_by

TIMEOUT_S = 5.0
MOST = 1 << 20
PAGE = 64 << 10
MAX_STATE = 64 << 20
SEARCHED = 500
"""Agents that are asked for sandboxes when the master does not know on which of them a task was."""
SEARCHED_AT_ONCE = 8
_PID = re.compile(r"^[^@]*@([^/\s]+:\d+)$")
_NO_ANSWER = (httpx.HTTPError, KeyError, TypeError, ValueError, AttributeError)


class NoSandbox(Exception):
    """Why a file of a sandbox cannot be read."""


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The last part of a file; `offset` is where it begins."""

    size: int
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where a task's files are: an agent (host:port) and a directory on it."""

    task_id: str
    agent: str
    directory: str


class SandboxFiles:
    """Safe to use from several threads. Every call asks the master and the agent anew.

    `tls` is for the master; agents are asked over plain HTTP.
    """

    def __init__(self, transport: httpx.BaseTransport | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = scheme(tls)
        self._client = httpx.Client(
            timeout=TIMEOUT_S, transport=transport, follow_redirects=True, trust_env=False, verify=verified_by(tls)
        )

    def end(self, master: str, agent_id: str, task_id: str, name: str, length: int) -> FileEnd:
        """The last `length` bytes (at most `MOST`) of the file `name`. Raises NoSandbox."""
        sandbox = self.find(master, agent_id, task_id)
        size = self.size(sandbox, name)
        offset = max(size - min(length, MOST), 0)
        data = b"".join(self.pages(sandbox, name, offset, size))
        return FileEnd(size, offset, data.decode("utf-8", "replace"))

    def find(self, master: str, agent_id: str, task_id: str) -> Sandbox:
        """The sandbox of a task that runs or has ended on the agent. Raises NoSandbox."""
        try:
            agent = self._agents(master).get(agent_id)
            if agent is None:
                raise NoSandbox(f"the Mesos master at {master} does not list the agent {agent_id}")
            for executor in _executors(self._get(f"http://{agent}/state")):
                if executor["id"] == task_id:
                    return Sandbox(task_id, agent, str(executor["directory"]))
        except _NO_ANSWER as error:
            raise NoSandbox(f"the sandbox of {task_id} cannot be found: {_said(error)}") from None
        raise NoSandbox(f"the agent at {agent} has no sandbox of {task_id} any more")

    def tasks(self, master: str, framework_id: str) -> dict[str, str]:
        """Agents by the ids of the framework's tasks, of those too that have ended and the master remembers."""
        try:
            answer = self._get(f"{self._scheme}://{master}/frameworks?framework_id={framework_id}")
            found = [
                task
                for framework in (*answer.get("frameworks", ()), *answer.get("completed_frameworks", ()))
                if framework["id"] == framework_id
                for kind in ("completed_tasks", "unreachable_tasks", "tasks")
                for task in framework.get(kind, ())
            ]
            return {str(task["id"]): str(task["slave_id"]) for task in found}
        except _NO_ANSWER as error:
            raise NoSandbox(f"the Mesos master at {master} does not tell its tasks: {_said(error)}") from None

    def search(self, master: str, prefix: str) -> dict[str, str]:
        """The same, by asking every agent for the sandboxes of tasks whose ids begin so."""
        try:
            agents = sorted(self._agents(master).items())[:SEARCHED]
        except _NO_ANSWER as error:
            raise NoSandbox(f"the Mesos master at {master} does not tell its agents: {_said(error)}") from None
        with ThreadPoolExecutor(SEARCHED_AT_ONCE) as pool:
            found = pool.map(lambda agent: (agent[0], self._tasks_on(agent[1], prefix)), agents)
            return {task_id: agent_id for agent_id, task_ids in found for task_id in task_ids}

    def size(self, sandbox: Sandbox, name: str) -> int:
        """Bytes of the file `name` now. Raises NoSandbox."""
        return self._read(sandbox, name, -1, None)[1]

    def pages(self, sandbox: Sandbox, name: str, offset: int, end: int) -> Iterator[bytes]:
        """The bytes of the file from `offset` to before `end`, as the agent hands them out. Raises NoSandbox."""
        while offset < end:
            data, _ = self._read(sandbox, name, offset, min(end - offset, PAGE))
            if not data:
                return
            yield data
            offset += len(data)

    def close(self) -> None:
        self._client.close()

    def _agents(self, master: str) -> dict[str, str]:
        """host:port by agent id."""
        found = {}
        for agent in self._get(f"{self._scheme}://{master}/slaves")["slaves"]:
            match = _PID.match(agent["pid"])
            if match:
                found[str(agent["id"])] = match[1]
        return found

    def _tasks_on(self, agent: str, prefix: str) -> list[str]:
        """None on an agent that does not answer: the others may have what is looked for."""
        try:
            executors = _executors(self._get(f"http://{agent}/state"))
            return [str(each["id"]) for each in executors if str(each["id"]).startswith(prefix)]
        except (*_NO_ANSWER, NoSandbox):
            return []

    def _read(self, sandbox: Sandbox, name: str, offset: int, length: int | None) -> tuple[bytes, int]:
        given: dict[str, str | int] = {"path": f"{sandbox.directory}/{name}", "offset": offset}
        if length is not None:
            given["length"] = length
        try:
            answer = self._client.get(f"http://{sandbox.agent}/files/read", params=given).raise_for_status()
            found = json.loads(answer.content.decode("utf-8", "surrogateescape"), strict=False)
            return str(found["data"]).encode("utf-8", "surrogateescape"), int(found["offset"])
        except _NO_ANSWER as error:
            raise NoSandbox(f"{name} of {sandbox.task_id} cannot be read: {_said(error)}") from None

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


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
