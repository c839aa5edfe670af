"""Simulated agents and JobManagers for thousands of tasks: a master's HTTP API, and Flink's, in a process of its own.

python -m tests.bench.simulated TASKS.json    prints the two ports, then serves until stdin is closed

The master answers as Mesos 1.11 does (Mesos docs, "Scheduler HTTP API", "Reconciliation") as far as a scheduler that
does nothing wrong can see. Launched tasks run at once. Every JobManager has a loopback address of its own, by which the
one Flink server tells them apart.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

Json = dict[str, Any]
FRAMEWORK = "simulated-framework"
SPARE = "spare"
"""The agents that are offered."""
SPARES = 10


class Master:
    """State of the cluster; one framework."""

    def __init__(self, tasks: dict[str, str]) -> None:
        self.agents: dict[str, str] = dict(tasks)
        """Agent of every task that runs."""
        self._writer: asyncio.StreamWriter | None = None
        self._offered: dict[str, str] = {}
        self._suppressed = False
        self._number = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _request(reader)) is not None:
                path, body = request
                if path.startswith("/api/v1/scheduler"):
                    message = json.loads(body)
                    if message["type"] == "SUBSCRIBE":
                        self._subscribe(writer)
                        continue
                    self._call(message)
                    writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                else:
                    writer.write(_answer(self._get()))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _get(self) -> Json:
        resources = {"cpus": 1e6, "mem": 1e9, "disk": 1e9, "gpus": 0}
        return {"slaves": [{"hostname": SPARE, "resources": resources, "active": True}], "frameworks": []}

    def _subscribe(self, writer: asyncio.StreamWriter) -> None:
        head = [
            "HTTP/1.1 200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked",
            f"Mesos-Stream-Id: {uuid.uuid4()}",
        ]  # fmt: skip
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        self._writer, self._suppressed = writer, False
        self._offered.clear()
        said = {
            "framework_id": {"value": FRAMEWORK}, "heartbeat_interval_seconds": 15.0,
            "master_info": {"id": "m", "ip": 0, "port": 0, "hostname": "simulated"},
        }  # fmt: skip
        self._send({"type": "SUBSCRIBED", "subscribed": said})
        self._offer()

    def _call(self, message: Json) -> None:
        kind = message["type"]
        if kind == "ACCEPT":
            self._accept(message["accept"])
        elif kind == "DECLINE":
            for offer in message["decline"]["offer_ids"]:
                self._offered.pop(offer["value"], None)
        elif kind == "REVIVE":
            self._suppressed = False
            self._offer()
        elif kind == "SUPPRESS":
            self._suppressed = True
        elif kind == "RECONCILE":
            for each in message["reconcile"]["tasks"] or [{"task_id": {"value": task}} for task in self.agents]:
                task = each["task_id"]["value"]
                agent = self.agents.get(task) or each.get("agent_id", {}).get("value", SPARE)
                self._update(task, agent, "TASK_RUNNING" if task in self.agents else "TASK_GONE", master=True)
        elif kind == "KILL":
            task = message["kill"]["task_id"]["value"]
            if (agent := self.agents.pop(task, None)) is not None:
                self._update(task, agent, "TASK_KILLED")

    def _accept(self, accept: Json) -> None:
        for offer in accept["offer_ids"]:
            self._offered.pop(offer["value"], None)
        for operation in accept["operations"]:
            for info in operation["launch"]["task_infos"]:
                task, agent = info["task_id"]["value"], info["agent_id"]["value"]
                self.agents[task] = agent
                self._update(task, agent, "TASK_RUNNING")
        self._offer()

    def _offer(self) -> None:
        """Every spare agent that is not offered already: its room never ends."""
        offers = []
        for number in range(SPARES):
            agent = f"{SPARE}-{number}"
            if self._suppressed or agent in self._offered.values():
                continue
            self._number += 1
            offers.append(_offer(f"o{self._number}", agent))
            self._offered[f"o{self._number}"] = agent
        if offers:
            self._send({"type": "OFFERS", "offers": {"offers": offers}})

    def _update(self, task: str, agent: str, state: str, *, master: bool = False) -> None:
        status: Json = {
            "task_id": {"value": task}, "agent_id": {"value": agent}, "state": state,
            "source": "SOURCE_MASTER" if master else "SOURCE_EXECUTOR",
        }  # fmt: skip
        if master:
            status["reason"] = "REASON_RECONCILIATION"
        else:
            status["uuid"] = base64.b64encode(uuid.uuid4().bytes).decode()
        self._send({"type": "UPDATE", "update": {"status": status}})

    def _send(self, event: Json) -> None:
        if self._writer is not None and not self._writer.is_closing():
            data = json.dumps(event).encode()
            record = b"%d\n%s" % (len(data), data)
            self._writer.write(b"%x\r\n%s\r\n" % (len(record), record))

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(10)
            self._send({"type": "HEARTBEAT"})


class Flink:
    """What healthy JobManagers answer; `jobs` by loopback address: (job id, ids of its TaskManagers)."""

    def __init__(self, jobs: dict[str, tuple[str, list[str]]]) -> None:
        self._jobs = jobs

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job_id, managers = self._jobs[writer.get_extra_info("sockname")[0]]
        try:
            while (request := await _request(reader)) is not None:
                writer.write(_answer(self._get(request[0], job_id, managers)))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @staticmethod
    def _get(path: str, job_id: str, managers: list[str]) -> Any:
        if path == "/jobs/overview":
            return {"jobs": [{"jid": job_id, "state": "RUNNING"}]}
        if path == "/taskmanagers":
            return {"taskmanagers": [{"id": each, "slotsNumber": 1, "freeSlots": 0} for each in managers]}
        if path.endswith("/checkpoints"):
            return {"counts": {"completed": 0}, "latest": {}}
        if "/metrics" in path:
            return [{"id": "numRestarts", "value": "0"}]
        return {"state": "RUNNING", "vertices": [{"parallelism": 1, "tasks": {"RUNNING": 1}, "status": "RUNNING"}]}


def _offer(offer_id: str, agent: str) -> Json:
    scalars = {"cpus": 1e6, "mem": 1e9, "disk": 1e9}
    resources: list[Json] = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in scalars.items()
    ]
    resources.append({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 10_000, "end": 60_000}]}})
    return {
        "id": {"value": offer_id}, "agent_id": {"value": agent}, "framework_id": {"value": FRAMEWORK},
        "hostname": agent, "allocation_info": {"role": "*"},
        "resources": [{**each, "allocation_info": {"role": "*"}} for each in resources],
        "url": {"scheme": "http", "address": {"hostname": agent, "ip": "127.0.0.1", "port": 5051}},
    }  # fmt: skip


def _answer(body: Any) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first.split(" ")[1], await reader.readexactly(int(fields.get("content-length", "0")))


async def _main(path: str) -> None:
    seeded = json.loads(Path(path).read_text())
    master, flink = Master(seeded["tasks"]), Flink(seeded["flink"])
    limit = 64 << 20
    at_master = await asyncio.start_server(master.serve, "127.0.0.1", 0, limit=limit)
    at_flink = await asyncio.start_server(flink.serve, "0.0.0.0", seeded["flink_port"], limit=limit, backlog=1000)
    print(at_master.sockets[0].getsockname()[1], at_flink.sockets[0].getsockname()[1], flush=True)
    stopped, ours = asyncio.Event(), asyncio.get_running_loop()

    def wait() -> None:
        sys.stdin.read()
        ours.call_soon_threadsafe(stopped.set)

    threading.Thread(target=wait, daemon=True).start()
    beating = asyncio.create_task(master.beat())
    await stopped.wait()
    beating.cancel()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
