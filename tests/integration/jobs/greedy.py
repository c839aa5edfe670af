"""A second framework on the master, as greedy as Spark or Hadoop can be: it takes what it is offered and keeps it.

Raw HTTP (Mesos docs, "Scheduler HTTP API"), so that it shares nothing with Weir's own client.
"""

from __future__ import annotations

import getpass
import json
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx

from integration.local.stack import LocalStack

Raw = Mapping[str, Any]


class Greedy:
    """Fills every offer with tasks of `cpus` and `mem_mb`, and is always hungry for more."""

    def __init__(self, stack: LocalStack, role: str, cpus: float, mem_mb: float) -> None:
        leader = stack.leader()
        assert leader is not None
        self.url = leader.url
        self.framework_id: str | None = None
        self.running: dict[str, str] = {}
        """Agent ids of its running tasks, by task id."""
        self.offers = 0
        self.history: deque[str] = deque(maxlen=60)
        """What it was offered and what it did, for a test that failed."""
        self._role = role
        self._amounts = {"cpus": cpus, "mem": mem_mb}
        self._stream_id = ""
        self._lock = threading.Lock()
        self._client = httpx.Client(trust_env=False, timeout=httpx.Timeout(10.0, read=60.0))
        self._thread = threading.Thread(target=self._listen, name="greedy", daemon=True)
        self._thread.start()

    def give_back(self, count: int, agent_id: str | None = None) -> None:
        """Kill some of its tasks; what they used is offered to everybody again."""
        with self._lock:
            own = [item for item in self.running.items() if agent_id is None or item[1] == agent_id]
        for task_id, agent in own[:count]:
            self._call("KILL", kill={"task_id": {"value": task_id}, "agent_id": {"value": agent}})

    def close(self) -> None:
        """Away with it and all of its tasks."""
        with suppress(httpx.HTTPError, RuntimeError):  # closed before
            self._call("TEARDOWN")
        self._client.close()

    def _listen(self) -> None:
        info = {
            "user": getpass.getuser(),
            "name": "greedy",
            "roles": [self._role],
            "capabilities": [{"type": "MULTI_ROLE"}],
        }
        body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
        with (
            suppress(httpx.HTTPError, RuntimeError),  # closed, or torn down
            self._client.stream("POST", f"{self.url}/api/v1/scheduler", json=body) as answer,
        ):
            self._stream_id = answer.headers["Mesos-Stream-Id"]
            for event in records(answer.iter_bytes()):
                self._take(event)

    def _take(self, event: Raw) -> None:
        kind = event["type"]
        if kind == "SUBSCRIBED":
            self.framework_id = event["subscribed"]["framework_id"]["value"]
        elif kind == "OFFERS":
            for offer in event["offers"]["offers"]:
                self.offers += 1
                self._grab(offer)
        elif kind == "UPDATE":
            self._note(event["update"]["status"])

    def _grab(self, offer: Raw) -> None:
        """As many tasks as fit; what is left goes back for a second."""
        have = {item["name"]: item["scalar"]["value"] for item in offer["resources"] if item["type"] == "SCALAR"}
        count = int(min(have.get(name, 0.0) / amount + 1e-6 for name, amount in self._amounts.items()))
        tasks = [self._task(offer) for _ in range(count)]
        self.history.append(f"{datetime.now(UTC):%H:%M:%S.%f} {offer['hostname']} offers {have}: {count} tasks")
        accept = {
            "offer_ids": [offer["id"]],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}] if tasks else [],
            "filters": {"refuse_seconds": 1.0},
        }
        self._call("ACCEPT", accept=accept)

    def _task(self, offer: Raw) -> Raw:
        task_id = f"greedy-{uuid.uuid4().hex[:10]}"
        return {
            "name": task_id,
            "task_id": {"value": task_id},
            "agent_id": offer["agent_id"],
            "command": {"shell": False, "value": "sleep", "arguments": ["sleep", "3600"]},
            "resources": [
                {
                    "name": name,
                    "type": "SCALAR",
                    "scalar": {"value": amount},
                    "allocation_info": {"role": self._role},
                }
                for name, amount in self._amounts.items()
            ],
        }

    def _note(self, status: Raw) -> None:
        task_id, agent = status["task_id"]["value"], status["agent_id"]["value"]
        self.history.append(f"{datetime.now(UTC):%H:%M:%S.%f} {task_id} is {status['state']}")
        with self._lock:
            if status["state"] == "TASK_RUNNING":
                self.running[task_id] = agent
            elif status["state"] not in ("TASK_STAGING", "TASK_STARTING", "TASK_KILLING"):
                self.running.pop(task_id, None)
        if "uuid" in status:
            body = {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]}
            self._call("ACKNOWLEDGE", acknowledge=body)

    def _call(self, kind: str, **body: Any) -> None:
        message = {"framework_id": {"value": self.framework_id}, "type": kind, **body}
        answer = self._client.post(
            f"{self.url}/api/v1/scheduler", json=message, headers={"Mesos-Stream-Id": self._stream_id}
        )
        answer.raise_for_status()


def records(chunks: Iterator[bytes]) -> Iterator[Raw]:
    """RecordIO: the length in decimal, a newline, and so many bytes of JSON."""
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        while b"\n" in buffer:
            length, _, rest = buffer.partition(b"\n")
            if len(rest) < int(length):
                break
            yield json.loads(rest[: int(length)])
            buffer = rest[int(length) :]


def set_weight(url: str, role: str, weight: float) -> None:
    """The share of a role against the others (Mesos docs, "Weights")."""
    httpx.put(f"{url}/weights", json=[{"role": role, "weight": weight}], trust_env=False).raise_for_status()


def set_limits(url: str, role: str, **limits: float) -> None:
    """What a role may use at most; without limits, whatever there is (Mesos docs, "Quota")."""
    config = {"role": role, "limits": {name: {"value": amount} for name, amount in limits.items()}}
    body = {"type": "UPDATE_QUOTA", "update_quota": {"force": True, "quota_configs": [config]}}
    httpx.post(f"{url}/api/v1", json=body, trust_env=False).raise_for_status()
