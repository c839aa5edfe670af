"""How soon another replica leads, with a thousand STABLE jobs in a real ZooKeeper."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.app.demo.harness import Installation
from reconciler.model.status import LeaderInfo
from tests.bench.figures import Figure, figure, timed
from tests.bench.ground import Ground, ground, until
from tests.bench.seeds import seed, simulated

JOBS = 1000
SESSION_S = 4.0
KILLS, STOPS = 5, 5
ROOT = "/many"


def leadership() -> Iterator[Figure]:
    """The leader is killed, and is stopped."""
    with ground() as here, simulated(here.directory, seed(here.users, ROOT, JOBS)) as master:
        settings = {"mesos": {"master": master}, "zookeeper": {"session_timeout_s": SESSION_S}}
        weir = here.weir(ROOT, replicas=2, settings=settings)
        weir.start()
        first = until("a replica leads", weir.leader)
        until("it has its view", lambda: viewed(weir, here, first), 120.0)
        yield from _measured(here, weir)
        weir.stop()


def _measured(here: Ground, weir: Installation) -> Iterator[Figure]:
    killed = [_handed_over(here, weir, here.stack.kill, viewed) for _ in range(KILLS)]
    yield figure(
        "leader SIGKILL to full view of 1,000 jobs", "s", killed, "<= session time-out + 1 s",
        lambda median, _: median <= SESSION_S + 1.0, [SESSION_S], "session time-out",
    )  # fmt: skip
    stops, floors = [], []
    for _ in range(STOPS):
        floors += timed(lambda: here.users.exists(f"{ROOT}/leader/epoch"), 20)
        stops.append(_handed_over(here, weir, here.stack.stop, _acting))
    yield figure(
        "leader stops to new leader acting", "ms", [one * 1000 for one in stops], "<= 500 ms",
        lambda median, _: median <= 500.0, [one * 1000 for one in floors], "one ZooKeeper round trip",
    )  # fmt: skip


def _handed_over(
    here: Ground,
    weir: Installation,
    end: Callable[[str], Any],
    done: Callable[[Installation, Ground, LeaderInfo], float | None],
) -> float:
    """Seconds from the signal to what the successor logs; both replicas contend before and after."""
    until("both contend", lambda: len(weir.contenders()) == 2)
    time.sleep(1.0)
    old = until("a replica leads", weir.leader)
    began = time.time()
    end(old.replica)
    new = until("another replica leads", lambda: _newer(weir, old), 60.0)
    at = until("it is there", lambda: done(weir, here, new), 120.0)
    here.stack.start(old.replica)
    return at - began


def _newer(weir: Installation, old: LeaderInfo) -> LeaderInfo | None:
    found = weir.leader()
    return found if found is not None and found.epoch > old.epoch else None


def _acting(_: Installation, here: Ground, leader: LeaderInfo) -> float | None:
    """When the take-over was complete: records and desired state are read, and Mesos has registered it."""
    return logged(here.stack.logs(leader.replica), "takeover.acting", leader.epoch)


def viewed(_: Installation, here: Ground, leader: LeaderInfo) -> float | None:
    """When Mesos had also answered for every task of every job."""
    return logged(here.stack.logs(leader.replica), "takeover.complete", leader.epoch)


def logged(path: Path, event: str, epoch: int) -> float | None:
    for line in reversed(path.read_text(errors="replace").splitlines()):
        if f'"{event}"' in line:
            found = json.loads(line)
            if found.get("epoch") == epoch:
                return seconds_of(found["timestamp"])
    return None


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
