"""Fixtures of the Flink unit tests: real REST bodies, and a ZooKeeper that is a dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from kazoo.exceptions import ConnectionLoss, NoNodeError

from integration.flink.rest import RestClient

FIXTURES = Path(__file__).parent / "fixtures"


def load(version: str, name: str) -> tuple[int, Any]:
    """(status, body) of a recorded answer."""
    recorded = json.loads((FIXTURES / version / f"{name}.json").read_text(encoding="utf-8"))
    return recorded["status"], recorded["body"]


class Server:
    """A REST API of recorded answers by path; it writes down what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []

    def answer(self, path: str, body: Any, status: int = 200) -> None:
        self.answers[path] = (status, body)

    def recorded(self, path: str, version: str, name: str) -> None:
        self.answers[path] = load(version, name)

    def handle(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.requests.append((request.method, request.url.raw_path.decode(), body))
        found = self.answers.get(request.url.raw_path.decode(), self.answers.get(request.url.path))
        if found is None:
            return httpx.Response(404, json={"errors": [f"no answer for {request.url.path}"]})
        return httpx.Response(found[0], json=found[1])

    def client(self) -> RestClient:
        return RestClient(transport=httpx.MockTransport(self.handle))


class ZooKeeperTree:
    """As much of a kazoo client as `HaData` uses."""

    def __init__(self, nodes: Mapping[str, bytes] | None = None) -> None:
        self.nodes = dict(nodes or {})
        self.connected = True
        self.broken = False
        self.after_get: Callable[[str], None] = lambda path: None  # what somebody else does right after

    def get(self, path: str) -> tuple[bytes, None]:
        self._check()
        if path not in self.nodes:
            raise NoNodeError
        found = self.nodes[path]
        self.after_get(path)
        return found, None

    def get_children(self, path: str) -> list[str]:
        self._check()
        below = {node[len(path) + 1 :].split("/")[0] for node in self.nodes if node.startswith(f"{path}/")}
        if not below and path not in self.nodes:
            raise NoNodeError
        return sorted(below)

    def delete(self, path: str, recursive: bool = False) -> None:
        self._check()
        found = [node for node in self.nodes if node == path or node.startswith(f"{path}/")]
        if not found:
            raise NoNodeError
        for node in found:
            del self.nodes[node]

    def _check(self) -> None:
        if self.broken:
            raise ConnectionLoss


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def tree() -> ZooKeeperTree:
    return ZooKeeperTree()
