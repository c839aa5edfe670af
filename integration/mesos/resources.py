"""Choosing a task's resources out of the Resource entries of offers.

A task must name resources exactly as they were offered: with their role, reservation and allocation
(Mesos docs, "Multiple Roles" and "Reservation"). So entries are copied and only their amount is set.

Never used: reservations of other roles, revocable resources (they may be taken away), and disks that
are volumes or shared (fault 37).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Raw = dict[str, Any]
Ranges = tuple[tuple[int, int], ...]

_SCALE = 1000
"""Mesos keeps scalars with three decimal digits (Mesos docs, "Attributes and Resources")."""
_SCALARS = ("cpus", "mem", "disk", "gpus")


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Inclusive ranges, sorted, without overlaps or gaps of zero."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return tuple(merged)


def subtract_ports(ranges: Iterable[tuple[int, int]], ports: Iterable[int]) -> Ranges:
    """The ranges without the given ports."""
    left = list(merge_ranges(ranges))
    for port in ports:
        left = [
            part
            for begin, end in left
            for part in (((begin, port - 1), (port + 1, end)) if begin <= port <= end else ((begin, end),))
            if part[0] <= part[1]
        ]
    return tuple(left)


def holds_ports(ranges: Sequence[tuple[int, int]], ports: Iterable[int]) -> bool:
    return all(any(begin <= port <= end for begin, end in ranges) for port in ports)


def reserved_for(resource: Mapping[str, Any]) -> str:
    """The role that holds the reservation, or `*`; both formats of Mesos are read."""
    reservations = resource.get("reservations")
    if reservations:
        return str(reservations[-1].get("role", "*"))
    return str(resource.get("role", "*"))


def usable(resource: Mapping[str, Any], roles: Sequence[str]) -> bool:
    """Whether a task of ours may use this entry."""
    if resource.get("revocable") is not None or resource.get("shared") is not None:
        return False
    if resource.get("disk") is not None or resource.get("provider_id") is not None:
        return False
    holder = reserved_for(resource)
    # A reservation of "eng" is offered to its child role "eng/flink" too.
    return holder == "*" or any(role == holder or role.startswith(holder + "/") for role in roles)


def ranges_of(resource: Mapping[str, Any]) -> Ranges:
    return merge_ranges((int(r["begin"]), int(r["end"])) for r in resource.get("ranges", {}).get("range", ()))


class ResourcePool:
    """The usable resources of some offers, from which tasks take theirs. Reserved ones go first."""

    def __init__(self, resources: Iterable[Mapping[str, Any]], roles: Sequence[str]) -> None:
        entries = [copy.deepcopy(dict(resource)) for resource in resources if usable(resource, roles)]
        entries.sort(key=lambda entry: reserved_for(entry) == "*")
        self._scalars: dict[str, list[tuple[Raw, int]]] = {name: [] for name in _SCALARS}
        self._ports: list[tuple[Raw, Ranges]] = []
        for entry in entries:
            name = entry.get("name")
            if name in self._scalars:
                amount = round(float(entry.get("scalar", {}).get("value", 0.0)) * _SCALE)
                self._scalars[str(name)].append((entry, amount))
            elif name == "ports":
                self._ports.append((entry, ranges_of(entry)))

    def total(self, name: str) -> float:
        return sum(amount for _, amount in self._scalars[name]) / _SCALE

    def ports(self) -> Ranges:
        return merge_ranges(r for _, ranges in self._ports for r in ranges)

    def take(
        self, cpus: float, mem_mb: float, disk_mb: float = 0.0, gpus: float = 0.0, ports: Sequence[int] = ()
    ) -> list[Raw] | None:
        """Resource entries that add up to exactly this, removed from the pool; None if it holds less."""
        wanted = dict(zip(_SCALARS, (round(v * _SCALE) for v in (cpus, mem_mb, disk_mb, gpus)), strict=True))
        if any(amount > sum(have for _, have in self._scalars[name]) for name, amount in wanted.items()):
            return None
        if len(set(ports)) != len(ports) or not holds_ports(self.ports(), ports):
            return None
        taken: list[Raw] = []
        for name, amount in wanted.items():
            taken.extend(self._take_scalar(name, amount))
        taken.extend(self._take_ports(ports))
        return taken

    def _take_scalar(self, name: str, amount: int) -> list[Raw]:
        taken: list[Raw] = []
        left: list[tuple[Raw, int]] = []
        for entry, have in self._scalars[name]:
            part = min(have, amount)
            if part > 0:
                taken.append({**entry, "type": "SCALAR", "scalar": {"value": part / _SCALE}})
                amount -= part
            if have > part:
                left.append((entry, have - part))
        self._scalars[name] = left
        return taken

    def _take_ports(self, ports: Sequence[int]) -> list[Raw]:
        taken: list[Raw] = []
        wanted = set(ports)
        for index, (entry, ranges) in enumerate(self._ports):
            here = sorted(port for port in wanted if holds_ports(ranges, (port,)))
            if not here:
                continue
            wanted.difference_update(here)
            self._ports[index] = (entry, subtract_ports(ranges, here))
            parts = merge_ranges((port, port) for port in here)
            taken.append({**entry, "type": "RANGES", "ranges": {"range": [{"begin": b, "end": e} for b, e in parts]}})
        return taken
