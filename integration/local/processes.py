"""Which processes belong to a stack, and how they are ended: by what /proc says, never by name.

A process is ours when its environment carries the mark of this state directory (what the supervisor starts),
when it works for a sandbox of this state directory (Mesos names that to executors, whose tasks inherit it, and to
its helpers), or when it descends from one that is.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

STACK_MARK = "WEIR_LOCAL_STACK"
_SANDBOX_MARKS = ("MESOS_SANDBOX", "MESOS_DIRECTORY", "MESOS_CONTAINERIZER_RUNTIME_DIRECTORY")
_FETCHER_MARK = "MESOS_FETCHER_INFO"  # JSON that names the sandbox


def environment_of(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty when it is gone, a zombie, or not readable."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition("=") for item in raw.decode(errors="replace").split("\0") if item)
    return {name: value for name, _, value in pairs}


def parents() -> dict[int, int]:
    """The parent of every process that is not a zombie."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            stat = Path(entry.path, "stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[0] not in "ZX":
            found[int(entry.name)] = int(fields[1])
    return found


def with_descendants(roots: Iterable[int], tree: dict[int, int]) -> set[int]:
    """``roots`` and everything below them."""
    found = set(roots) & tree.keys()
    grown = True
    while grown:
        below = {pid for pid, parent in tree.items() if parent in found} - found
        grown = bool(below)
        found |= below
    return found


def of_stack(state_dir: Path) -> set[int]:
    """All processes of the stack in ``state_dir``, without the caller and its ancestors."""
    mark = str(state_dir)
    return _find(lambda env: env.get(STACK_MARK) == mark or _in_sandbox(env, state_dir))


def of_sandboxes(agent_dir: Path) -> set[int]:
    """Executors and tasks of one agent, whose directories are all below ``agent_dir``."""
    return _find(lambda env: _in_sandbox(env, agent_dir))


def _in_sandbox(env: dict[str, str], under: Path) -> bool:
    prefix = f"{under}/"
    if any(env.get(name, "").startswith(prefix) for name in _SANDBOX_MARKS):
        return True
    return f'"sandbox_directory":"{prefix}' in env.get(_FETCHER_MARK, "")


def _find(belongs: Callable[[dict[str, str]], bool]) -> set[int]:
    tree = parents()
    excluded = {os.getpid()}
    ancestor = os.getpid()
    while ancestor := tree.get(ancestor, 0):
        excluded.add(ancestor)
    roots = {pid for pid in tree if pid not in excluded and belongs(environment_of(pid))}
    return with_descendants(roots, tree) - excluded


def send(pids: Iterable[int], number: int) -> None:
    """Signals processes; those that are gone are skipped."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def wait_gone(pids: Iterable[int], timeout: float) -> set[int]:
    """Waits until processes are gone; those that still are there after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    left = {pid for pid in pids if alive(pid)}
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = {pid for pid in left if alive(pid)}
    return left


def sweep_stack(state_dir: Path) -> list[int]:
    """Kills everything that an earlier run in ``state_dir`` left behind; returns the pids it found."""
    found: set[int] = set()
    for _ in range(100):
        left = of_stack(state_dir)
        if not left:
            break
        found |= left
        send(left, signal.SIGKILL)
        wait_gone(left, 1.0)
    return sorted(found)
