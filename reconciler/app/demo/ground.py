"""The ground the demo stands on: its directory, the lock on it, the stack in it, and clearing all of that away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.local.config import LocalConfig, load_config
from integration.local.stack import LocalStack
from reconciler.app.demo.rows import REPOSITORY
from reconciler.app.demo.story import DemoFailed

_END_S = 90.0  # a demo that is told to end stops its stack first


def default_directory() -> Path:
    """``$WEIR_DEMO_DIR``, or ``build/demo`` of the repository."""
    chosen = os.environ.get("WEIR_DEMO_DIR")
    return Path(chosen).expanduser().absolute() if chosen else REPOSITORY / "build" / "demo"


@contextmanager
def claimed(directory: Path, end: str = "make demo-down") -> Iterator[None]:
    """Only one demo at a time in a directory. The kernel releases the lock when its process ends, however it ends."""
    directory.mkdir(parents=True, exist_ok=True)
    with _lock_file(directory).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = _holder(directory)
            raise DemoFailed(f"another demo runs in {directory} (process {pid}); end it: {end}") from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def end_running(directory: Path) -> int | None:
    """Ask a demo that runs in `directory` to end, and wait for it; its process id, if there was one."""
    pid = _holder(directory)
    if pid is None or not _locked(directory):
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_S
    while _locked(directory):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    return pid


def stack_directory(directory: Path) -> Path:
    """Where the demo's stack keeps its state and logs."""
    return directory / "stack"


def new_stack(directory: Path, *, keep: bool) -> LocalStack:
    """The demo's stack, from nothing: whatever an earlier run left is ended and removed."""
    clear(directory)
    shutil.rmtree(directory / "data", ignore_errors=True)
    owner = None if keep else os.getpid()
    return LocalStack(
        LocalConfig(state_dir=stack_directory(directory), port_base=None, task_port_base=None, owner_pid=owner)
    )


def clear(directory: Path, *, purge: bool = True) -> None:
    """End every process of the stack in `directory`; with `purge`, remove what it stored and logged."""
    where = stack_directory(directory)
    config = LocalConfig(state_dir=where)
    with contextlib.suppress(Exception):  # settings that cannot be read must not keep anybody from clearing up
        config = load_config(where) or config
    if where.exists():
        LocalStack(config).down(purge=purge)


def remove_sandboxes(directory: Path) -> None:
    """Hundreds of MiB of unpacked jars that nobody needs after a run without a failure; the logs stay."""
    shutil.rmtree(stack_directory(directory) / "agents", ignore_errors=True)


def _lock_file(directory: Path) -> Path:
    return directory / "demo.lock"


def _holder(directory: Path) -> int | None:
    try:
        return int(_lock_file(directory).read_text())
    except (OSError, ValueError):
        return None


def _locked(directory: Path) -> bool:
    try:
        with _lock_file(directory).open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
