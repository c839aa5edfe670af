"""Floors that are processes of their own, as Weir is: the shortest program that does the same to the same servers.

python -m tests.bench.bare desired MASTER ZK PATH TASK   a watch fires, the spec is read, an ACCEPT goes out
python -m tests.bench.bare relaunch MASTER TASK          a task FAILED, its replacement goes out; nothing is persisted

Both print `ready` when the offers are at hand, and end with their framework when stdin is closed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from tests.bench.raw import RawScheduler, task


def desired(master: str, hosts: str, path: str, name: str) -> None:
    """kazoo watch -> raw ACCEPT of a JobManager and a TaskManager."""
    from kazoo.client import KazooClient

    client = KazooClient(hosts)
    client.start()
    scheduler = RawScheduler(master)
    events = scheduler.events()
    while not scheduler.offers:
        next(events)
    done = threading.Event()

    def fired(_: Any) -> None:
        # On kazoo's callback thread, where only asynchronous calls are allowed.
        client.get_async(f"{path}/{name}").rawlink(read)

    def read(answer: Any) -> None:
        json.loads(answer.get()[0])
        offer = next(iter(scheduler.offers.values()))
        scheduler.accept([offer], [task(f"{name}.jm", offer), task(f"{name}.tm", offer)])
        done.set()

    client.get_children(path, watch=fired)
    print("ready", flush=True)
    done.wait(60)
    sys.stdin.read()
    scheduler.teardown()
    client.stop()


def relaunch(master: str, name: str) -> None:
    """FAILED -> raw ACCEPT, with offers that are kept at hand."""
    scheduler = RawScheduler(master)
    events = scheduler.events()
    while not scheduler.offers:
        next(events)
    threading.Thread(target=_until_closed, args=(scheduler,), daemon=True).start()
    _launch(scheduler, f"{name}.1")
    running = False
    for event in events:
        status = event.get("update", {}).get("status", {})
        if status.get("state") == "TASK_RUNNING":
            running = True
            scheduler.call("REVIVE")
        elif status.get("state") == "TASK_FAILED":
            _launch(scheduler, f"{name}.2")
            continue
        if running and scheduler.offers:
            print("ready", flush=True)
            running = False


def _launch(scheduler: RawScheduler, name: str) -> None:
    offer = next(iter(scheduler.offers.values()))
    scheduler.accept([offer], [task(name, offer)])


def _until_closed(scheduler: RawScheduler) -> None:
    sys.stdin.read()
    scheduler.teardown()
    os._exit(0)  # the main thread waits for an event that does not come


if __name__ == "__main__":
    {"desired": desired, "relaunch": relaunch}[sys.argv[1]](*sys.argv[2:])
