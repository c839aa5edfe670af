"""How commands reach the supervisor of a stack: one JSON object per connection on a Unix socket."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from integration.local.errors import LocalStackError, NotRunning, from_wire

SOCKET_NAME = "supervisor.sock"
_LONGEST = 100  # a socket's path may have 107 bytes


@dataclass(frozen=True)
class ServiceSpec:
    """A process that the supervisor runs.

    ``sandboxes`` is set for agents: the directory below which their executors and tasks live. ``restart_on_exit``:
    start it again when it ends by itself with an exit code, as an init system would (a master that loses its
    leadership ends on purpose); never when it was killed by a signal.
    """

    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    log: str
    kind: str = "extra"  # zookeeper | master | agent | extra
    address: str = ""
    sandboxes: str = ""
    restart_on_exit: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the socket."""
        return asdict(self)


@dataclass(frozen=True)
class ServiceStatus:
    """What the supervisor knows of a service. ``since`` is in seconds of the Unix epoch."""

    name: str
    kind: str
    state: str  # running | paused | killed | stopped | exited | restarting
    pid: int | None
    address: str
    since: float
    log: str
    exit_code: int | None = None  # negative: the signal that ended it
    restarts: int = 0
    tasks: list[int] = field(default_factory=list)  # processes of executors and tasks, for agents

    def to_json(self) -> dict[str, Any]:
        """For `status -o json`."""
        return asdict(self)


@contextmanager
def socket_address(state_dir: Path) -> Iterator[str]:
    """The address of the supervisor's socket; a path that is too long is reached through its directory."""
    path = state_dir / SOCKET_NAME
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    directory = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)


def call(state_dir: Path, op: str, *, timeout: float = 60.0, **arguments: Any) -> Any:
    """Sends one command and returns its result; raises NotRunning or the error of the supervisor."""
    try:
        with socket_address(state_dir) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout)
            link.connect(address)
            link.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
            answer = b""
            while piece := link.recv(65536):
                answer += piece
    except (FileNotFoundError, ConnectionError) as error:
        raise NotRunning(f"cannot {op}", f"no local stack runs in {state_dir}", "start it: weir local up") from error
    except TimeoutError as error:
        raise LocalStackError(
            f"cannot {op}",
            f"the supervisor did not answer within {timeout:.0f} s",
            f"read {state_dir / 'logs' / 'supervisor.log'}",
        ) from error
    if not answer:
        raise NotRunning(f"cannot {op}", "the supervisor ended while it worked on it", "start it again: weir local up")
    result = json.loads(answer)
    if "error" in result:
        raise from_wire(result["error"])
    return result.get("result")


def alive(state_dir: Path, timeout: float = 5.0) -> bool:
    """Whether a supervisor answers."""
    try:
        call(state_dir, "ping", timeout=timeout)
    except LocalStackError:
        return False
    return True
