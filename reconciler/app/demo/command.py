"""What the demos have in common as commands: the exit code and the last line, interruption, clearing up."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from rich.console import Console

from integration.local.errors import LocalStackError
from reconciler.app.demo import ground
from reconciler.app.demo.story import DemoFailed
from reconciler.ports import StoreError

INTERRUPTED = 130


def outcome(name: str, directory: Path, work: Callable[[], int]) -> int:
    """The exit code of `work`; when it fails or is interrupted, a last line says so, with where the logs are."""
    quiet("kazoo", "kafka")
    try:
        with interruptible():
            return work()
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing is left running", flush=True)  # noqa: T201
        return INTERRUPTED
    except (DemoFailed, LocalStackError, StoreError, OSError) as error:
        print(f"{name}: failed — {error}; logs: {ground.stack_directory(directory) / 'logs'}", flush=True)  # noqa: T201
        return 1


def quiet(*libraries: str) -> None:
    """The command narrates; what its parts log goes to the logs of the stack."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for library in libraries:
        logging.getLogger(library).setLevel(logging.CRITICAL)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does: by way of clearing up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def down(name: str, directory: Path) -> int:
    """End a demo that runs, and whatever one has left; logs stay."""
    if (pid := ground.end_running(directory)) is not None:
        print(f"{name}: process {pid} was told to end, and did")  # noqa: T201
    ground.clear(directory, purge=False)
    print(f"{name}: nothing is running")  # noqa: T201
    return 0


def clear(directory: Path, console: Console) -> None:
    """Stop everything. Nothing may interrupt this: what it leaves running, nobody else would stop."""
    with _deaf():
        began = time.monotonic()
        ground.clear(directory, purge=False)
        console.print(f"\n[dim]everything was stopped in {time.monotonic() - began:.1f} s[/]")


@contextmanager
def _deaf() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
