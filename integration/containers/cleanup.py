"""Nothing is left behind: not after `down`, and not after a suite that was killed.

Everything that a stack creates carries its labels. A watchdog process waits for the end of the process that owns the
stack, however that comes about, and removes what carries the stack's label; and every new stack first removes what
belongs to owners that no longer exist (after a power cut, say). Other containers are never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from docker.errors import APIError, NotFound

log = structlog.get_logger()

STACK_LABEL = "dev.weir.stack"
OWNER_LABEL = "dev.weir.owner"
SHARED_LABEL = "dev.weir.shared"
MEMBER_LABEL = "dev.weir.member"


def owner_mark(pid: int | None = None) -> str:
    """Identifies a process of this machine: "<host>:<pid>:<start time>"; a pid alone is used again."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{_start_time(pid)}"


def _start_time(pid: int) -> str:
    """Clock ticks since boot at which the process started; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat[stat.rindex(")") + 2 :].split()[19]


def is_orphan(mark: str) -> bool:
    """Whether the owner has certainly ended. Owners on other machines are not judged."""
    host, _, rest = mark.partition(":")
    pid, _, start = rest.partition(":")
    return host == socket.gethostname() and pid.isdigit() and _start_time(int(pid)) != start


@dataclass(frozen=True)
class Watchdog:
    """A process that outlives its owner for as long as it takes to remove the owner's stack."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, stack: str) -> Watchdog:
        """The pipe to it closes when this process ends: that is the signal."""
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-m", "integration.containers", "watch", stack],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt at the terminal is not meant for it
            env={**os.environ, "PYTHONPATH": path},
        )
        return cls(process)

    def dismiss(self) -> None:
        """The stack is gone; so may this."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30.0)


def watch(client: Any, stack: str) -> None:
    """What the watchdog does: until the owner is gone, nothing."""
    while os.read(0, 4096):
        pass
    remove_stack(client, stack)


def remove_stack(client: Any, stack: str) -> int:
    """Removes containers, networks and the shared directory of one stack; how many containers there were."""
    return _remove(client, f"{STACK_LABEL}={stack}")


def sweep(client: Any, *, everything: bool = False) -> int:
    """Removes stacks whose owner has ended (or, with ``everything``, every stack); how many containers there were."""
    removed = 0
    for stack, mark in set(_stacks(client)):
        if everything or is_orphan(mark):
            removed += remove_stack(client, stack)
            log.info("containers.swept", stack=stack, owner=mark)
    return removed


def _stacks(client: Any) -> Iterator[tuple[str, str]]:
    selected = {"label": STACK_LABEL}
    for found in client.api.containers(all=True, filters=selected):
        yield found["Labels"][STACK_LABEL], found["Labels"].get(OWNER_LABEL, "")
    for found in client.api.networks(filters=selected):
        yield found["Labels"][STACK_LABEL], found["Labels"].get(OWNER_LABEL, "")


def _remove(client: Any, label: str) -> int:
    containers = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
    shared = {each.labels.get(SHARED_LABEL, "") for each in containers} - {""}
    for container in containers:
        with contextlib.suppress(NotFound):
            if container.status == "paused":  # an engine of 20.10 cannot kill it
                with contextlib.suppress(APIError):
                    container.unpause()
            container.remove(force=True, v=True)
    for network in client.networks.list(filters={"label": label}):
        with contextlib.suppress(NotFound):
            network.remove()
    for directory in shared:
        remove_directory(client, Path(directory), containers[0].attrs["Config"]["Image"])
    return len(containers)


def remove_directory(client: Any, directory: Path, image: str) -> None:
    """Removes what containers wrote as root; with a container's help where this process is not root."""
    if not directory.exists():
        return
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        client.containers.run(
            image, [str(directory), "-mindepth", "1", "-delete"], entrypoint=["find"], user="0", remove=True,
            network_disabled=True, volumes={str(directory): {"bind": str(directory), "mode": "rw"}},
        )  # fmt: skip
        shutil.rmtree(directory, ignore_errors=True)
