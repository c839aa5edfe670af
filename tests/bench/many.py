"""Ten thousand jobs in a real ZooKeeper: reading them, holding them, doing nothing; and a replica's start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from integration.flink.adapter import FlinkAdapter
from reconciler.ports import FlinkTarget
from state.zookeeper import ZooKeeperStore
from tests.bench.figures import Figure, figure, timed
from tests.bench.ground import Ground, ground, until
from tests.bench.leadership import viewed
from tests.bench.seeds import Seeded, pipelined, seed, simulated

MANY = 10_000
READS, POLLS, STARTS = 5, 200, 20
IDLE_S = 30.0


def resync() -> Iterator[Figure]:
    """Desired state and records of 10,000 jobs, as the store reads them, beside the same reads and nothing else."""
    with ground() as here:
        seed(here.users, "/many", MANY)
        names = here.users.get_children("/many/jobs")
        paths = [f"/many/{folder}/{name}" for name in names for folder in ("jobs", "records")]
        samples, floors = [], []
        for _ in range(READS):
            floors += timed(lambda: pipelined(here.users.get_async, [(path,) for path in paths]), 1)
            store = ZooKeeperStore(here.users, "/many")  # one that has read nothing yet
            samples += timed(lambda: (store.load_jobs(), store.load_records()), 1)  # noqa: B023
        yield figure(
            "full resync of 10,000 jobs x 3 tasks", "s", samples, "<= 2 x",
            lambda _, ratio: ratio is not None and ratio <= 2.0, floors, "the same znodes, pipelined",
        )  # fmt: skip


def idle() -> Iterator[Figure]:
    """A leader of 10,000 jobs at rest that polls no Flink: its memory, its CPU; and the CPU of a poll."""
    with ground() as here:
        seeded = seed(here.users, "/many", MANY)
        with simulated(here.directory, seeded) as master:
            weir = here.weir(
                "/many", settings={"mesos": {"master": master}}, runner=[str(Path(__file__).with_name("unpolled.py"))]
            )
            weir.start()
            leader = until("a replica leads", weir.leader, 120.0)
            until("it has its view", lambda: viewed(weir, here, leader), 240.0, 0.5)
            pid = leader.pid
            until("it has said what it saw", lambda: _rests(pid), 240.0, 1.0)
            shares = [_share(pid, IDLE_S) for _ in range(2)]
            yield figure(
                "idle CPU of a leader of 10,000 jobs", "% of a core", shares, "<= 2 %, without polls",
                lambda median, _: median <= 2.0,
            )  # fmt: skip
            yield figure(
                "memory of a leader of 10,000 jobs x 3 tasks", "MB", [_rss_mb(pid)], "<= 400 MB",
                lambda median, _: median <= 400.0,
            )  # fmt: skip
            weir.stop()
            yield _poll(here, seeded)


def _poll(here: Ground, seeded: Seeded) -> Figure:
    adapter = FlinkAdapter(here.users, "file:///storage")
    targets = [
        FlinkTarget("2.2", f"http://{address}:{seeded.flink_port}", job_id, "no-such-cluster")
        for address, (job_id, _) in list(seeded.flink.items())[:POLLS]
    ]

    def cpu(target: FlinkTarget) -> float:
        began = time.process_time()
        seen = adapter.observe(target, [], time.time())
        assert seen.vertices_running, seen.error
        return (time.process_time() - began) * 1000

    samples = [cpu(target) for target in targets for _ in range(2)]
    adapter.close()
    return figure("CPU of one poll of Flink", "ms", samples, "none: reported beside idle CPU", lambda *_: True)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _share(pid: int, seconds: float) -> float:
    """Percent of one core over so many seconds."""
    before, began = _cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (_cpu_s(pid) - before) / (time.monotonic() - began)


def _rests(pid: int) -> bool:
    """True once the work of the take-over, a status for each job, is over."""
    return _share(pid, 3.0) < 30.0


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def start() -> Iterator[Figure]:
    """`weir run` as a second replica, from exec to contending, beside the start of a Python that does nothing."""
    with ground() as here:
        weir = here.weir(replicas=1)
        weir.start()
        until("a replica leads", weir.leader)
        samples, floors = [], []
        for number in range(STARTS):
            floors += timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), 1)
            began = time.perf_counter()
            process = subprocess.Popen(weir.command(f"follower-{number}"), stderr=subprocess.DEVNULL)
            until("it contends", lambda: len(weir.contenders()) == 2, every=0.002)
            samples.append(time.perf_counter() - began)
            process.terminate()
            process.wait(30)
            until("it has left", lambda: len(weir.contenders()) == 1)
        weir.stop()
        yield figure(
            "start of a replica to ready as follower", "s", samples, "<= 1 s", lambda median, _: median <= 1.0, floors,
            "Python alone",
        )  # fmt: skip
