"""Ten thousand jobs in a real ZooKeeper: reading them, holding them, doing nothing; and a replica's start."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from integration.flink.adapter import FlinkAdapter
from reconciler.app.runner import collect_rarely
from reconciler.loop import RESYNC_S
from reconciler.model.events import Tick
from reconciler.ports import FlinkTarget
from state.zookeeper import ZooKeeperStore
from tests.bench.figures import Figure, figure, timed
from tests.bench.fleet import Fleet
from tests.bench.ground import Ground, ground, until
from tests.bench.leadership import viewed
from tests.bench.seeds import Seeded, pipelined, seed, simulated

MANY = 10_000
LOOKED_AT = 1_000
READS, POLLS, STARTS = 5, 200, 20
IDLE_S, RESYNCS = RESYNC_S, 2
"""Each share of a core is one of a time in which there is one resync."""


def resync() -> Iterator[Figure]:
    """Desired state and records of 10,000 jobs as the store reads them, also with a look at each, beside the reads.

    In CPU time of this process, which does not depend on who else uses the machine.
    """
    looks = _looks()
    collect_rarely()  # as a replica does
    with ground() as here:
        seed(here.users, "/many", MANY)
        names = here.users.get_children("/many/jobs")
        paths = [f"/many/{folder}/{name}" for name in names for folder in ("jobs", "records")]
        samples, floors = [], []
        for _ in range(READS):
            floors += timed(lambda: pipelined(here.users.get_async, [(path,) for path in paths]), 1, time.process_time)
            store = ZooKeeperStore(here.users, "/many")  # one that has read nothing yet
            samples += timed(lambda: (store.load_jobs(), store.load_records()), 1, time.process_time)  # noqa: B023
        for name, each in (("", samples), (", every job looked at", [one + looks for one in samples])):
            yield figure(
                f"full resync of 10,000 jobs x 3 tasks{name}", "s of CPU", each, "<= 2 x",
                lambda _, ratio: ratio is not None and ratio <= 2.0, floors, "the same znodes, pipelined",
            )  # fmt: skip


def _looks() -> float:
    """Seconds of CPU for a look at each of 10,000 jobs at rest: ten times what 1,000 of them take."""
    fleet = Fleet(LOOKED_AT)

    def look() -> None:
        fleet.loop._dirty.mark(fleet.loop.jobs)
        fleet.handle(Tick())
        while fleet.next_slice_is_due():
            fleet.handle(Tick())

    look()
    return statistics.median(timed(look, READS, time.process_time)) * MANY / LOOKED_AT


def memory() -> Iterator[Figure]:
    """What a leader of 10,000 jobs holds once it rests, and what it held at most before that."""
    found = _led()
    yield figure(
        "memory of a leader of 10,000 jobs x 3 tasks", "MB", [found.memory], "<= 400 MB",
        lambda median, _: median <= 400.0,
    )  # fmt: skip
    yield figure("the same at most, during its take-over", "MB", [found.most], "none: reported", lambda *_: True)


def idle() -> Iterator[Figure]:
    """CPU of a leader of 10,000 jobs at rest that polls no Flink, and of a poll; how long the loop takes no event."""
    found = _led()
    yield figure(
        "idle CPU of a leader of 10,000 jobs", "% of a core", found.shares, "<= 2 %, without polls",
        lambda median, _: median <= 2.0,
    )  # fmt: skip
    yield figure("CPU of one poll of Flink", "ms", found.polls, "none: reported beside idle CPU", lambda *_: True)
    for when, turn in (("at rest, with its resyncs", found.turn), ("during its take-over", found.turn_before)):
        yield figure(
            f"longest turn of the loop {when}", "ms", [turn], "<= 1,000 ms: not for seconds",
            lambda median, _: median <= 1000.0,
        )  # fmt: skip


@dataclass(frozen=True)
class Led:
    """One leader of 10,000 jobs, from its take-over on."""

    memory: float
    most: float
    shares: list[float]
    polls: list[float]
    turn: float
    turn_before: float


@cache
def _led() -> Led:
    """Measured once for all groups: writing the jobs, and a status for each, takes most of the time."""
    with ground() as here:
        seeded = seed(here.users, "/many", MANY)
        turns = here.directory / "turns"
        with simulated(here.directory, seeded) as master:
            weir = here.weir(
                "/many",
                settings={"mesos": {"master": master}},
                runner=[str(Path(__file__).with_name("unpolled.py")), str(turns)],
            )
            weir.start()
            leader = until("a replica leads", weir.leader, 120.0)
            until("it has its view", lambda: viewed(weir, here, leader), 240.0, 0.5)
            pid = leader.pid
            until("it has said what it saw", lambda: _rests(pid), 240.0, 1.0)
            time.sleep(RESYNC_S)
            before = _longest(turns)
            turns.unlink()
            shares = [_share(pid, IDLE_S) for _ in range(RESYNCS)]
            held, most = _memory_mb(pid, "VmRSS"), _memory_mb(pid, "VmHWM")
            turn = _longest(turns)
            weir.stop()
            return Led(held, most, shares, _polls(here, seeded), turn, before)


def _longest(turns: Path) -> float:
    """Milliseconds."""
    return max((float(line) for line in turns.read_text().split()), default=0.0) if turns.exists() else 0.0


def _polls(here: Ground, seeded: Seeded) -> list[float]:
    """Milliseconds of CPU of each of some polls."""
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
    return samples


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
    return _share(pid, 3.0) < 10.0


def _memory_mb(pid: int, field: str) -> float:
    """A field of the process's status (Linux, proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


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
