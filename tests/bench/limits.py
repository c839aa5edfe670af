"""What the servers below take: `python -m tests.bench.limits` (docs/adr, sharding). They are real.

ZooKeeper: multis as a leader's commits are (check of the epoch, record, status, history), pipelined, on an
ensemble of three; then the snapshot that a new leader of it writes. Mesos: status updates in answer to an explicit
reconciliation, which is what a fail-over asks of the master for every task.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient

from integration.local.config import LocalConfig
from integration.local.stack import LocalStack

RECORD, STATUS, EVENTS, SPEC = 5500, 1100, 12_000, 400
"""Bytes of a job with three tasks; a history that is nearly full."""
WINDOW = 32
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


def commits(client: KazooClient, jobs: int, seconds: float) -> tuple[float, float]:
    """Seconds to create the znodes of so many jobs, and multis in a second after that, for so long."""
    for name in ("jobs", "records", "status", "events", "epoch"):
        client.create(f"/scale/{name}", b"", makepath=True)
    data = (b"r" * RECORD, b"s" * STATUS, b"e" * EVENTS)

    def born(number: int) -> Any:
        transaction = client.transaction()
        transaction.check("/scale/epoch", 0)
        transaction.create(f"/scale/jobs/job-{number:06d}", b"d" * SPEC)
        for folder, content in zip(("records", "status", "events"), data, strict=True):
            transaction.create(f"/scale/{folder}/job-{number:06d}", content)
        return transaction.commit_async()

    def changed(number: int) -> Any:
        transaction = client.transaction()
        transaction.check("/scale/epoch", 0)
        for folder, content in zip(("records", "status", "events"), data, strict=True):
            transaction.set_data(f"/scale/{folder}/job-{number % jobs:06d}", content)
        return transaction.commit_async()

    began = time.perf_counter()
    _pipelined(born, jobs)
    created = time.perf_counter() - began
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        _pipelined(changed, WINDOW)
        done += WINDOW
    return created, done / (time.perf_counter() - began)


def _pipelined(start: Callable[[int], Any], count: int) -> None:
    for first in range(0, count, WINDOW):
        for pending in [start(number) for number in range(first, min(first + WINDOW, count))]:
            for result in pending.get(timeout=60):
                if isinstance(result, Exception):
                    raise result


def snapshot(stack: LocalStack) -> float:
    """Bytes of the snapshot that a new leader of the ensemble writes; every server is started again."""
    before = set(stack.state_dir.rglob("snapshot.*"))
    for name in stack.layout.zookeepers:
        stack.restart(name)
        until = time.monotonic() + 15.0
        while time.monotonic() < until:
            new = [path for path in stack.state_dir.rglob("snapshot.*") if path not in before]
            size = max((path.stat().st_size for path in new), default=0)
            time.sleep(1.0)
            if size and max(path.stat().st_size for path in new) == size:
                return float(size)
    raise SystemExit(f"limits: no server wrote a snapshot; see {stack.state_dir}")


def updates(stack: LocalStack, tasks: int) -> float:
    """Status updates in a second that the master sends, for tasks that it does not know."""
    leader = stack.leader()
    if leader is None:
        raise SystemExit("limits: no master leads")
    info = {"user": "root", "name": "limits", "roles": ["*"], "capabilities": [{"type": "MULTI_ROLE"}]}
    host, port = leader.address
    stream = http.client.HTTPConnection(host, port, timeout=60)
    subscribe = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
    stream.request("POST", "/api/v1/scheduler", json.dumps(subscribe), _HEADERS)
    answer = stream.getresponse()
    framework = _until(answer, "SUBSCRIBED")["subscribed"]["framework_id"]
    asked = [{"task_id": {"value": f"job-{number}"}} for number in range(tasks)]
    call = {"type": "RECONCILE", "framework_id": framework, "reconcile": {"tasks": asked}}
    other = http.client.HTTPConnection(host, port, timeout=60)
    headers = {**_HEADERS, "Mesos-Stream-Id": answer.getheader("Mesos-Stream-Id") or ""}
    began = time.perf_counter()
    other.request("POST", "/api/v1/scheduler", json.dumps(call), headers)
    other.getresponse().read()
    for _ in range(tasks):
        _until(answer, "UPDATE")
    rate = tasks / (time.perf_counter() - began)
    other.request("POST", "/api/v1/scheduler", json.dumps({"type": "TEARDOWN", "framework_id": framework}), headers)
    other.getresponse().read()
    stream.close()
    return rate


def _until(stream: http.client.HTTPResponse, kind: str) -> Any:
    while header := stream.readline():
        event = json.loads(stream.read(int(header)))
        if event["type"] == kind:
            return event
    raise SystemExit("limits: the master closed the stream")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.limits", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="jobs whose znodes are written (200); servers have 96 MB")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="weir-limits-") as directory:
        config = LocalConfig(
            state_dir=Path(directory) / "stack",
            zookeepers=3,
            masters=1,
            agents=1,
            port_base=None,
            owner_pid=os.getpid(),
        )  # fmt: skip
        with LocalStack(config) as stack:
            stack.up()
            client = KazooClient(hosts=stack.zk, timeout=30.0)
            client.start(timeout=30)
            created, rate = commits(client, options.jobs, 10.0)
            client.stop()
            client.close()
            print(f"limits: a job's four znodes are created in {created / options.jobs * 1000:.2f} ms, pipelined")
            written = (RECORD + STATUS + EVENTS) / 1000
            print(f"limits: ZooKeeper, three servers, one client: {rate:,.0f} commits/s of {written:.1f} kB")
            for tasks in (1000, 10_000):
                print(f"limits: Mesos master: {updates(stack, tasks):,.0f} status updates/s ({tasks:,} tasks)")
            size = snapshot(stack)
            print(f"limits: a snapshot has {size / 1e6:.1f} MB, {size / options.jobs / 1000:.1f} kB for each job")
    return 0


if __name__ == "__main__":
    sys.exit(main())
