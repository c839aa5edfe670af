"""A scheduler that is as plain as can be: raw HTTP, no library, so that these tests judge the stack alone."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.local.config import LocalConfig
from integration.local.stack import LocalStack

Json = dict[str, Any]
DEADLINE = 60.0
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


def eventually(condition: Callable[[], Any], what: str, timeout: float = DEADLINE) -> Any:
    """Polls until ``condition`` is true; returns its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} within {timeout:.0f} s"
        time.sleep(0.05)
    return value


class Scheduler:
    """A framework on the leading master: partition aware, checkpointing, explicit acknowledgement."""

    def __init__(self, stack: LocalStack, framework_id: Json | None = None) -> None:
        self.stack = stack
        leader = eventually(stack.leader, "a leading master")
        self.address = leader.address
        self.events: queue.Queue[Json] = queue.Queue()
        info: Json = {
            "user": "root",
            "name": "stack-tests",
            "roles": ["*"],
            "failover_timeout": 600,
            "checkpoint": True,
            "capabilities": [{"type": "PARTITION_AWARE"}, {"type": "MULTI_ROLE"}],
        }
        call: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
        if framework_id is not None:
            info["id"] = call["framework_id"] = framework_id
        connection = http.client.HTTPConnection(*self.address)
        connection.request("POST", "/api/v1/scheduler", json.dumps(call), _HEADERS)
        self.stream = connection.getresponse()
        assert self.stream.status == 200, self.stream.read()
        self.stream_id = self.stream.getheader("Mesos-Stream-Id") or ""
        threading.Thread(target=self._read, daemon=True).start()
        self.framework_id = self.wait(lambda event: event["type"] == "SUBSCRIBED")["subscribed"]["framework_id"]

    def _read(self) -> None:
        try:
            while header := self.stream.readline():
                self.events.put(json.loads(self.stream.read(int(header))))
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.events.put({"type": "CLOSED"})

    def call(self, call: Json) -> None:
        host, port = self.address
        connection = http.client.HTTPConnection(host, port, timeout=DEADLINE)
        headers = {**_HEADERS, "Mesos-Stream-Id": self.stream_id}
        body = json.dumps({**call, "framework_id": self.framework_id})
        connection.request("POST", "/api/v1/scheduler", body, headers)
        response = connection.getresponse()
        assert response.status == 202, response.read()
        connection.close()

    def wait(self, matches: Callable[[Json], bool], timeout: float = DEADLINE) -> Json:
        """The next event that matches; updates are acknowledged as they pass."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                event = self.events.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no such event within {timeout:.0f} s")
            if event["type"] == "UPDATE" and "uuid" in (status := event["update"]["status"]):
                keys = ("agent_id", "task_id", "uuid")
                self.call({"type": "ACKNOWLEDGE", "acknowledge": {key: status[key] for key in keys}})
            if matches(event):
                return event
            if event["type"] == "OFFERS":
                self.decline(event["offers"]["offers"])

    def decline(self, offers: list[Json]) -> None:
        """Gives offers back; an offer that is kept is never made again."""
        if offers:
            decline = {"offer_ids": [offer["id"] for offer in offers], "filters": {"refuse_seconds": 0.1}}
            self.call({"type": "DECLINE", "decline": decline})

    def launch(self, command: Json, host: str = "agent-1", **task: Any) -> str:
        """Launches a task on an agent; returns its id."""
        self.call({"type": "REVIVE"})
        offer = None
        while offer is None:
            offers = self.wait(lambda event: event["type"] == "OFFERS")["offers"]["offers"]
            offer = next((one for one in offers if one["hostname"] == host), None)
            self.decline([other for other in offers if other is not offer])
        task_id = uuid.uuid4().hex[:12]
        info = {
            "name": task_id,
            "task_id": {"value": task_id},
            "agent_id": offer["agent_id"],
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 64}},
            ],
            "command": command,
            **task,
        }
        operation = {"type": "LAUNCH", "launch": {"task_infos": [info]}}
        accept = {"offer_ids": [offer["id"]], "operations": [operation], "filters": {"refuse_seconds": 0.1}}
        self.call({"type": "ACCEPT", "accept": accept})
        return task_id

    def until(self, task_id: str, *states: str, timeout: float = DEADLINE) -> Json:
        """The status with which a task reaches one of ``states``."""

        def reached(event: Json) -> bool:
            if event["type"] != "UPDATE":
                return False
            status = event["update"]["status"]
            return status["task_id"]["value"] == task_id and status["state"] in states

        status: Json = self.wait(reached, timeout)["update"]["status"]
        return status

    def kill(self, task_id: str) -> None:
        self.call({"type": "KILL", "kill": {"task_id": {"value": task_id}}})

    def reconcile(self, task_id: str) -> None:
        self.call({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": task_id}}]}})

    def teardown(self) -> None:
        self.call({"type": "TEARDOWN"})


@pytest.fixture
def scheduler(stack: LocalStack) -> Iterator[Callable[..., Scheduler]]:
    """Makes schedulers; the last one's framework is torn down with all its tasks."""
    made: list[Scheduler] = []

    def subscribe(framework_id: Json | None = None) -> Scheduler:
        made.append(Scheduler(stack, framework_id))
        return made[-1]

    yield subscribe
    if made:
        last = Scheduler(stack, made[-1].framework_id)
        last.teardown()


@pytest.fixture
def small_config(tmp_path: Path) -> LocalConfig:
    """A stack of one's own, for tests that stop it: one master, one agent, free ports."""
    return LocalConfig(state_dir=tmp_path / "own", masters=1, agents=1, port_base=None)


@pytest.fixture
def own(small_config: LocalConfig) -> Iterator[LocalStack]:
    """A running stack of one's own."""
    stack = LocalStack(replace(small_config)).up()
    yield stack
    stack.down(purge=True)
