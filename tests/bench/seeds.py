"""Thousands of STABLE jobs in a real ZooKeeper, whose tasks a simulated master knows, for a leader to take over.

One job is brought to STABLE by the shipped loop on the shipped fakes; the others are copies of its record under their
own names and ids, as in `fleet`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient

from reconciler.model import ids
from reconciler.model.record import Record, Role, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import parse_spec
from state.codec import encode_record
from state.zookeeper import ZooKeeperStore
from tests.bench.ground import ROOT
from tests.bench.simulated import FRAMEWORK
from tests.unit.loop.bench import SPEC, World, started

WINDOW = 200
JOB_MANAGERS, TASK_MANAGERS = "agent-jm", "agent-tm"
"""Agents of the seeded tasks: all TaskManagers are on one, which can be lost."""


@dataclass(frozen=True)
class Seeded:
    """What was written, for the simulation."""

    tasks: dict[str, str]
    flink: dict[str, tuple[str, list[str]]]
    flink_port: int


def seed(client: KazooClient, root: str, jobs: int) -> Seeded:
    """Write `jobs` jobs with a JobManager and two TaskManagers each."""
    template = _template()
    store = ZooKeeperStore(client, root)
    store.ensure_layout()
    client.create(store.layout.framework, FRAMEWORK.encode())
    names = [f"job-{number:05d}" for number in range(jobs)]
    specs = {name: _spec(name) for name in names}
    pipelined(client.create_async, [(f"{root}/jobs/{name}", spec) for name, spec in specs.items()])
    stats = pipelined(client.exists_async, [(f"{root}/jobs/{name}",) for name in names])
    seeded = Seeded({}, {}, _free_port())
    records = []
    for number, (name, stat) in enumerate(zip(names, stats, strict=True)):
        address = f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"
        record = _record(_with(template, parse_spec(name, specs[name])), name, stat, address, seeded)
        records.append((f"{root}/records/{name}", encode_record(record)))
    pipelined(client.create_async, records)
    return seeded


def _spec(name: str) -> bytes:
    """Each job has a program and arguments of its own, so that no two specs are equal in memory."""
    job = {"type": "python", "uri": f"file:///srv/jobs/{name}.py", "args": ["--input", f"s3://bucket/{name}"]}
    return json.dumps({**SPEC, "job": job, "env": {"TEAM": name}, "taskManager": {"replicas": 2}}).encode()


def _with(template: Record, spec: JobSpec) -> Record:
    assert template.generation is not None
    return replace(template, spec=spec, stable_spec=spec, generation=replace(template.generation, spec=spec))


def _record(template: Record, name: str, stat: Any, address: str, seeded: Seeded) -> Record:
    assert template.generation is not None
    uid = ids.job_uid(name, stat.czxid)
    generation = replace(
        template.generation,
        job_id=ids.flink_job_id(uid, template.generation.number),
        cluster_id=ids.cluster_id(name, uid, template.generation.number),
    )
    record = replace(template, name=name, uid=uid, seen=SpecRef(stat.czxid, stat.version), generation=generation)
    tasks = []
    for task in template.tasks:
        agent = JOB_MANAGERS if task.role is Role.JOB_MANAGER else TASK_MANAGERS
        task_id = record.task_name(replace(task, task_id=None))
        seeded.tasks[task_id] = agent
        ports = (seeded.flink_port, *task.ports[1:]) if task.role is Role.JOB_MANAGER else task.ports
        tasks.append(
            replace(task, task_id=task_id, agent_id=agent, hostname=agent, address=address, ports=ports,
                    placed_at=time.time())
        )  # fmt: skip
    managers = [task.task_id for task in tasks if task.role is Role.TASK_MANAGER and task.task_id is not None]
    seeded.flink[address] = generation.job_id, managers
    return replace(record, tasks=tuple(tasks))


def _template() -> Record:
    world = World(agents=0)
    world.mesos.add_agent("a1", cpus=1e6, mem_mb=1e9, ports=((31_000, 31_099),))
    world.now = time.time() - 300
    leader = started(world, taskManager={"replicas": 2})
    record = leader.loop.jobs["orders"].record
    assert record is not None
    return record


def pipelined(call: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Results of many calls of kazoo, a window of them in flight."""
    results: list[Any] = []
    remaining = iter(arguments)
    while window := [call(*each) for each in islice(remaining, WINDOW)]:
        results += [each.get(timeout=30) for each in window]
    return results


@contextmanager
def simulated(directory: Path, seeded: Seeded) -> Iterator[str]:
    """The simulated master's address; its process ends with the block."""
    path = directory / "seeded.json"
    path.write_text(json.dumps({"tasks": seeded.tasks, "flink": seeded.flink, "flink_port": seeded.flink_port}))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.simulated", str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().split()[0]}"
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])
