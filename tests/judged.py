"""What long runs with a verdict share (`tests.chaos`, `tests.soak`): the last line, the exit code, the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kazoo.client import KazooClient

from integration.local.errors import LocalStackError
from reconciler.app.demo import command
from reconciler.app.demo.story import DemoFailed
from reconciler.ports import StoreError
from state.client import connect


def verdict(name: str, directory: Path, again: str, work: Callable[[], str], *failures: type[Exception]) -> int:
    """The exit code of `work`, after a last line: what it found; or why it failed, the evidence, and `again`."""
    command.quiet("kazoo")
    try:
        with command.interruptible():
            line = work()
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing is left running", flush=True)
        return command.INTERRUPTED
    except (*failures, DemoFailed, LocalStackError, StoreError, OSError) as failed:
        print(f"{name}: FAILED — {failed}; evidence: {directory}; again: {again}", flush=True)
        return 1
    print(f"{name}: ok — {line}", flush=True)
    return 0


@contextmanager
def user(zk: str) -> Iterator[KazooClient]:
    """A connected client of somebody who is not Weir."""
    client = connect(zk, session_timeout=10.0)
    try:
        yield client
    finally:
        client.stop()
        client.close()
