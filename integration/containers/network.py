"""The stack's network: every member has an address that stays its own, and may be cut off from chosen others.

Addresses are fixed, so a member that comes back is where it was, and no name has to be looked up while faults are
injected. A partition is made of iptables rules inside the network namespace of the member, set by a helper container
that joins it: it needs no privileges on the host, and it works for any image, paused or not.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from docker.errors import APIError
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from integration.containers.errors import MemberFailed

log = structlog.get_logger()

_POOL = ipaddress.IPv4Network("10.213.0.0/16")
_ATTEMPTS = 40
_OFFSETS = {"zk": 10, "master": 30, "agent": 50, "replica": 100}
_CHAIN = "WEIR"


class StackNetwork:
    """A bridge of one stack."""

    def __init__(self, client: Any, name: str, labels: Mapping[str, str], subnet: str | None = None) -> None:
        self._client = client
        self.name = name
        self.labels = dict(labels)
        self.subnet = ipaddress.IPv4Network(subnet) if subnet else None
        self._network: Any = None

    def create(self) -> StackNetwork:
        """Creates it on a subnet that nobody uses. Raises MemberFailed."""
        wanted = [self.subnet] if self.subnet else random.sample(list(_POOL.subnets(new_prefix=24)), _ATTEMPTS)
        failure = ""
        for subnet in wanted:
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])
            try:
                self._network = self._client.networks.create(
                    self.name, driver="bridge", ipam=ipam, labels=self.labels, check_duplicate=True
                )
            except APIError as error:
                failure = str(error.explanation or error)
                if "overlap" not in failure.lower():
                    break
                continue
            self.subnet = subnet
            return self
        raise MemberFailed("cannot create a network", failure, "name a free subnet: WeirStack(subnet='172.30.0.0/24')")

    def remove(self) -> None:
        """Removes it; members have to be gone."""
        if self._network is not None:
            self._network.remove()
            self._network = None

    def address(self, kind: str, number: int) -> str:
        """The address of a member, from 1; it never changes."""
        if self.subnet is None:
            raise ValueError("the network is not created yet")
        return str(self.subnet[_OFFSETS[kind] + number])

    def endpoint(self, address: str, alias: str) -> EndpointConfig:
        """How a container is attached to this network."""
        return EndpointConfig(self._client.api.api_version, ipv4_address=address, aliases=[alias])

    def disconnect(self, container: str) -> None:
        """Unplugs a member."""
        self._network.disconnect(container)

    def connect(self, container: str, address: str, alias: str) -> None:
        """Plugs it in again, with the address that it had."""
        self._network.connect(container, ipv4_address=address, aliases=[alias])


class Partitions:
    """Who is cut off from whom; rules are set where the member is."""

    def __init__(self, client: Any, image: str, labels: Mapping[str, str]) -> None:
        self._client = client
        self._image = image
        self._labels = dict(labels)
        self._blocked: dict[str, set[str]] = {}

    def block(self, member: str, container: str, addresses: Iterable[str]) -> None:
        """No packet between ``member`` and ``addresses`` any more, in either direction; connections hang."""
        self._blocked.setdefault(member, set()).update(addresses)
        self.apply(member, container)

    def clear(self, member: str, container: str) -> None:
        """Lets every packet of ``member`` pass again."""
        if self._blocked.pop(member, None):
            self.apply(member, container)

    def forget(self, member: str) -> None:
        """The member is not there; neither are its rules."""
        self._blocked.pop(member, None)

    def blocked(self, member: str) -> frozenset[str]:
        """Addresses that ``member`` is cut off from."""
        return frozenset(self._blocked.get(member, ()))

    def members(self) -> list[str]:
        """Members that are cut off from anybody."""
        return list(self._blocked)

    def apply(self, member: str, container: str) -> None:
        """Sets the rules that belong to ``member``; a container that was started again has none."""
        try:
            self._client.containers.run(
                self._image,
                script(self.blocked(member)),
                entrypoint=["sh", "-ec"],
                network_mode=f"container:{container}",
                cap_add=["NET_ADMIN"],
                user="0",
                remove=True,
                labels=self._labels,
            )
        except APIError as error:
            raise MemberFailed(
                f"cannot partition {member}", str(error.explanation or error), "is the member running? see status()"
            ) from error


def script(addresses: Iterable[str]) -> list[str]:
    """A shell script that makes the rules be exactly these, whatever they were."""
    lines = [f"iptables -w -N {_CHAIN} 2>/dev/null || iptables -w -F {_CHAIN}"]
    lines += [
        f"iptables -w -C {chain} -j {_CHAIN} 2>/dev/null || iptables -w -I {chain} -j {_CHAIN}"
        for chain in ("INPUT", "OUTPUT")
    ]
    for address in sorted(addresses):
        lines += [f"iptables -w -A {_CHAIN} {way} {address} -j DROP" for way in ("-s", "-d")]
    return ["\n".join(lines)]
