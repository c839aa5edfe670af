"""Ports of a stack: choosing a free range, and refusing a taken one by naming who holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from integration.local.config import (
    AGENT,
    DEFAULT_NETWORK,
    DEFAULT_PORT_BASE,
    DEFAULT_TASK_PORT_BASE,
    PORTS_PER_STACK,
    LocalConfig,
)
from integration.local.errors import PortTaken

# Below Linux' ephemeral ports (from 32768), above what servers usually use. Slot k of a range belongs to slot k
# of the other, so that one claim covers both.
_SLOTS = 24
_SERVICE_BASE = 22500
_TASK_BASE = 11000
_TASK_SLOT = 400

Address = tuple[str, int]


def is_free(address: Address) -> bool:
    """Whether a server could listen on ``address`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def holder(port: int) -> str:
    """Who listens on ``port``: "process 4711 (java -jar …)"; empty when that cannot be told."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return ""
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for handle in os.scandir(f"{entry.path}/fd"):
                with contextlib.suppress(OSError):
                    if str(Path(handle.path).readlink()) in inodes:
                        command = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                        return f"process {entry.name} ({command.strip()[:80]})"
    return ""


def require_free(services: Mapping[str, Iterable[Address]]) -> None:
    """Raises PortTaken for the first address that something listens on."""
    for service, addresses in services.items():
        for address in addresses:
            if is_free(address):
                continue
            who = holder(address[1])
            pid = who.split()[1] if who else ""
            raise PortTaken(
                f"port {address[1]} for {service} is taken",
                f"{who or 'something else'} listens on {address[0]}:{address[1]}",
                f"{f'stop it (kill {pid}) or ' if pid else ''}choose other ports: --port-base auto",
            )


class Claim:
    """A range of ports held against other stacks of this machine, for as long as a file stays open.

    The lock is on a file that every stack of the machine sees; the kernel releases it when the last process that
    has it open ends, so a crash leaves nothing behind. The supervisor inherits it.
    """

    def __init__(self, path: Path) -> None:
        self.handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(PermissionError):
            os.fchmod(self.handle, 0o666)
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.handle)
            raise

    def close(self) -> None:
        """Gives the range up, unless another process inherited the claim."""
        os.close(self.handle)


def choose(config: LocalConfig) -> tuple[LocalConfig, Claim | None]:
    """``config`` with its ports chosen, and the claim on them (None when they were given)."""
    if config.task_port_base is None and config.port_base == DEFAULT_PORT_BASE:
        config = replace(config, task_port_base=DEFAULT_TASK_PORT_BASE)
    if config.port_base is not None and config.task_port_base is not None:
        return config, None
    directory = Path(tempfile.gettempdir()) / "weir-local-ports"
    directory.mkdir(exist_ok=True)
    with contextlib.suppress(PermissionError):  # another user made it
        directory.chmod(0o1777)
    for slot in range(_SLOTS):
        try:
            claim = Claim(directory / f"slot-{slot}")
        except OSError:
            continue
        chosen = _in_slot(config, slot)
        if config.port_base is not None or _slot_is_free(chosen):
            return chosen, claim
        claim.close()
    raise PortTaken(
        "no free ports for another stack",
        f"all {_SLOTS} ranges from {_SERVICE_BASE} on are in use",
        "stop a stack (weir local down) or choose ports: --port-base N --task-port-base M",
    )


def _in_slot(config: LocalConfig, slot: int) -> LocalConfig:
    base = config.port_base if config.port_base is not None else _SERVICE_BASE + slot * PORTS_PER_STACK
    tasks = config.task_port_base if config.task_port_base is not None else _TASK_BASE + slot * _TASK_SLOT
    per_agent = config.ports_per_agent
    if config.task_port_base is None:
        per_agent = min(per_agent, _TASK_SLOT // config.agents)
    return replace(
        config,
        port_base=base,
        task_port_base=tasks,
        ports_per_agent=per_agent,
        agent_network=f"127.0.{slot + 1}" if config.agent_network == DEFAULT_NETWORK else config.agent_network,
    )


def _slot_is_free(config: LocalConfig) -> bool:
    assert config.port_base is not None
    agents = range(AGENT, AGENT + config.agents)
    for offset in range(PORTS_PER_STACK):
        host = f"{config.agent_network}.{10 + offset - AGENT + 1}" if offset in agents else "127.0.0.1"
        if not is_free((host, config.port_base + offset)):
            return False
    return True
