"""Network partitions on one machine: between a process of the caller's and ports that servers listen on.

A member is started under a group id of its own (`Partitions.argv`), and iptables drops every packet of its connections
to the ports that are cut off, in both directions and for connections that stand already: nobody is told, as with a
cable that was pulled. The processes are the shipped ones and are not restarted. Loopback only.

Needs root and iptables with its owner and connmark matches. The rules stand in chains that are named after this
process, and a guard takes them away when this process ends, also by SIGKILL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from itertools import count
from types import TracebackType

from integration.local.errors import MissingRequirement

_FIRST_GROUP = 600_000_000  # no account has such a group id
_PER_PROCESS = 100


def unavailable() -> str | None:
    """Why connections cannot be cut on this machine; None when they can."""
    if os.geteuid() != 0:
        return "that needs root"
    for tool in ("iptables", "setpriv"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    asked = subprocess.run(
        ["iptables", "-w", "-S", "OUTPUT"], capture_output=True, text=True, timeout=30.0, check=False
    )
    return None if asked.returncode == 0 else f"iptables is refused: {asked.stderr.strip()[:200]}"


class Partitions:
    """Cuts for the members of one installation. A context manager; leaving it heals everything."""

    def __init__(self) -> None:
        number = os.getpid()
        self._chains = {"OUTPUT": f"weir-out-{number}", "INPUT": f"weir-in-{number}"}
        self._groups: dict[str, int] = {}
        self._marks = count(number * _PER_PROCESS % 2**31)
        self._cut: dict[str, list[list[str]]] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Partitions:
        if (why := unavailable()) is not None:
            raise MissingRequirement("cannot cut connections", why, "run this as root, with iptables installed")
        self._guard = self._start_guard()
        for hook, chain in self._chains.items():
            _iptables("-N", chain)
            _iptables("-I", hook, "-j", chain)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take all rules away."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait(30.0)
        self._guard = None
        self._cut.clear()

    def argv(self, member: str, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` as this member. A change of groups drops the parent death signal."""
        return ["setpriv", f"--regid={self._group(member)}", "--clear-groups", "--pdeathsig=KILL", *command]

    def cut(self, member: str, ports: Iterable[int]) -> None:
        """No packet passes between the member and these ports until `heal`."""
        self.heal(member)
        mark = str(next(self._marks))
        wanted = ",".join(str(port) for port in sorted(set(ports)))
        ours = ("-m", "owner", "--gid-owner", str(self._group(member)))
        out, into = self._chains["OUTPUT"], self._chains["INPUT"]
        drop = ("-m", "connmark", "--mark", mark, "-j", "DROP")
        rules = [
            [out, "-o", "lo", "-p", "tcp", *ours, "-m", "multiport", "--dports", wanted, "-j", "CONNMARK", "--set-mark",
             mark],
            [out, "-o", "lo", *drop],
            [into, "-i", "lo", *drop],
        ]  # fmt: skip
        self._cut[member] = rules
        for rule in rules:
            _iptables("-A", *rule)

    def heal(self, member: str) -> None:
        """Packets pass again."""
        for rule in self._cut.pop(member, []):
            _iptables("-D", *rule)

    def _group(self, member: str) -> int:
        return self._groups.setdefault(member, _FIRST_GROUP + os.getpid() * _PER_PROCESS + len(self._groups))

    def _start_guard(self) -> subprocess.Popen[bytes]:
        """A shell that waits for the end of its input, which comes with our end, and then removes the chains."""
        undo = [f"iptables -w -D {hook} -j {chain}" for hook, chain in self._chains.items()]
        undo += [f"iptables -w -F {chain}; iptables -w -X {chain}" for chain in self._chains.values()]
        script = f"trap '' INT TERM HUP; cat > /dev/null; {'; '.join(undo)}"
        return subprocess.Popen(
            ["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip


def _iptables(*args: str) -> None:
    done = subprocess.run(["iptables", "-w", *args], capture_output=True, text=True, timeout=30.0, check=False)
    if done.returncode != 0:
        raise MissingRequirement(
            "cannot cut connections", f"iptables {' '.join(args)}: {done.stderr.strip()[:300]}", "see iptables -L"
        )
