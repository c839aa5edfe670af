"""Members of a stack and what can be done to them: the faults."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from docker.errors import APIError, NotFound

from integration.containers.errors import ContainersError, MemberFailed, UnknownMember
from integration.containers.members import Member
from integration.containers.network import Partitions, StackNetwork

log = structlog.get_logger()


@dataclass(frozen=True)
class MemberStatus:
    """One member. ``state`` is the engine's word: running, paused, exited ... or "removed"."""

    name: str
    kind: str
    address: str
    state: str
    cut_off: frozenset[str] = frozenset()
    """Addresses of the members that it cannot exchange packets with; "network" when it is unplugged."""


class MemberControl:
    """Names are "zk-1", "master-1", "agent-2", "replica-3". Every fault stays until it is undone."""

    client: Any = None  # a docker.DockerClient
    network: StackNetwork
    partitions: Partitions

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._down: set[str] = set()
        self._unplugged: set[str] = set()

    def _add(self, member: Member) -> None:
        self._members[member.member] = member

    def members(self) -> list[MemberStatus]:
        """All members and their states."""
        return [
            MemberStatus(
                name,
                member.kind,
                member.address,
                self._state(name),
                self.partitions.blocked(name) | ({"network"} if name in self._unplugged else set()),
            )
            for name, member in self._members.items()
        ]

    def check(self) -> None:
        """Raises MemberFailed when a member ended that nobody has killed."""
        for name in self._members:
            if name not in self._down and self._state(name) in ("exited", "dead", "removed"):
                code = self._container(name).attrs["State"]["ExitCode"]
                lines = self.logs(name, tail=3).strip().splitlines()
                raise MemberFailed(
                    f"{name} ended by itself", f"exit code {code}: {lines[-1] if lines else 'it wrote no log'}",
                    f"read its log: WeirStack.logs({name!r})",
                )  # fmt: skip

    # --- looking into one ---------------------------------------------------------------------------------

    def logs(self, name: str, tail: int | None = None) -> str:
        """What a member wrote to stdout and stderr; the last ``tail`` lines, or everything."""
        found: bytes = self._container(name).logs(tail=tail if tail is not None else "all")
        return found.decode(errors="replace")

    def exec(self, name: str, argv: Sequence[str]) -> str:
        """Runs a command in a member; its output. Raises MemberFailed when it ends with another code than 0."""
        result = self._container(name).exec_run(list(argv))
        text: str = result.output.decode(errors="replace")
        if result.exit_code != 0:
            lines = text.strip().splitlines()
            raise MemberFailed(
                f"{shlex.join(argv)} failed in {name}", f"exit code {result.exit_code}: {lines[-1] if lines else ''}"
            )
        return text

    # --- faults -------------------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """SIGKILL to everything in it. An agent's tasks die with it, as with a machine that lost its power."""
        container = self._container(name)
        self._down.add(name)
        if self._state(name) == "paused":  # engines refuse to kill what is paused
            container.unpause()
        container.kill()
        container.wait()
        log.info("member.killed", member=name)

    def start(self, name: str) -> None:
        """Starts a member that was killed or stopped, with its address, its files and its partitions."""
        container = self._container(name)
        container.start()
        self._down.discard(name)
        if self.partitions.blocked(name):
            self.partitions.apply(name, container.id)

    def stop(self, name: str, grace: int = 10) -> None:
        """SIGTERM, and SIGKILL after ``grace`` seconds."""
        self._down.add(name)
        self._container(name).stop(timeout=grace)

    def restart(self, name: str, grace: int = 10) -> None:
        """Stops and starts a member."""
        self.stop(name, grace)
        self.start(name)

    def pause(self, name: str) -> None:
        """Freezes every process in it; connections stay open and say nothing."""
        self._container(name).pause()

    def unpause(self, name: str) -> None:
        """Lets it go on, with an old idea of the world."""
        self._container(name).unpause()

    def remove(self, name: str) -> None:
        """It is gone for good, with its files."""
        container = self._container(name)
        self._down.add(name)
        if self._state(name) == "paused":
            container.unpause()
        container.remove(force=True, v=True)
        self.partitions.forget(name)
        del self._members[name]

    def disconnect(self, name: str) -> None:
        """Unplugs its network: it has no address any more."""
        self.network.disconnect(self._container(name).id)
        self._unplugged.add(name)

    def connect(self, name: str) -> None:
        """Plugs it in again, with the address that it had."""
        self.network.connect(self._container(name).id, self._members[name].address, name)
        self._unplugged.discard(name)

    def partition(self, name: str, *, from_: str | Iterable[str]) -> None:
        """Drops all packets between ``name`` and others: names of members, or "zk", "master", "agent", "replica"
        for all of that kind. Connections are not closed; they just say nothing any more.
        """
        peers = [from_] if isinstance(from_, str) else list(from_)
        addresses = {each.address for peer in peers for each in self._matching(peer) if each.member != name}
        self.partitions.block(name, self._container(name).id, addresses)

    def heal(self, name: str | None = None) -> None:
        """Undoes the partitions of one member, or of all."""
        for each in [name] if name else self.partitions.members():
            if each in self._down:
                self.partitions.forget(each)
            else:
                self.partitions.clear(each, self._container(each).id)

    def restore(self) -> None:
        """Undoes every fault that is left: what is unplugged, frozen or down comes back, and all partitions end."""
        for name in list(self._members):
            if self._state(name) == "paused":
                self.unpause(name)
            if name in self._unplugged:
                self.connect(name)
            if name in self._down:
                self.start(name)
        self.heal()

    # --- inside -------------------------------------------------------------------------------------------

    def _matching(self, peer: str) -> list[Member]:
        found = [member for name, member in self._members.items() if peer in (name, member.kind)]
        if not found:
            raise self._unknown(peer)
        return found

    def _addresses(self, kind: str) -> dict[str, str]:
        return {name: member.address for name, member in self._members.items() if member.kind == kind}

    def _container(self, name: str) -> Any:
        if name not in self._members:
            raise self._unknown(name)
        try:
            return self._members[name].get_wrapped_container()
        except Exception as error:
            raise ContainersError(f"{name} has no container", str(error), "was the stack started?") from error

    def _state(self, name: str) -> str:
        container = self._container(name)
        try:
            container.reload()
        except NotFound:
            return "removed"
        except APIError as error:
            raise MemberFailed(f"cannot look at {name}", str(error.explanation or error)) from error
        return str(container.status)

    def _unknown(self, name: str) -> UnknownMember:
        return UnknownMember(f"no member {name}", f"there are: {', '.join(self._members) or 'none'}")
