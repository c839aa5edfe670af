"""Putting a backup into a tree, so that no replica leads before all of it is there.

The first multi bumps the epoch, which fences a leader that lives (S5), and writes a mark in place of the schema
version, which no replica leads with. Every later multi checks that epoch. The last one writes the schema version.
So a restore that was interrupted leaves a tree that nobody leads, and the same restore can be run again.

The epoch comes from the tree and never from a backup: a counter that went back would let deposed leaders write.

Nodes of desired state get new identities (czxid) where they are created anew. Each record names the identity that it
has taken up, so it is changed along: otherwise every job would look deleted and recreated, and would be ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.model.operator import OperatorRecord
from reconciler.model.record import Pause, Record, SpecRef
from reconciler.ports import StoreError
from state.backup import Backup
from state.codec import (
    CodecError,
    NewerSchema,
    decode_leader,
    decode_operator,
    decode_record,
    encode_operator,
    encode_record,
)
from state.history import check_size
from state.layout import RESTORING, Layout, check_schema
from state.znodes import Check, Create, Delete, Operation, Put, Stale, Znode, Znodes

MULTI_OPERATIONS = 100
MULTI_BYTES = 512 * 1024
"""Well below ZooKeeper's limit on one request; a larger value gets a multi of its own."""
NOT_SEEN = -1
"""As a version: no version of a node is taken up yet."""


@dataclass(frozen=True, slots=True)
class Present:
    """What stands below the root now."""

    leader: str | None = None
    """The replica that leads."""
    jobs: int = 0
    records: int = 0
    restoring: str | None = None
    """The checksum of the backup whose restore was interrupted."""

    @property
    def empty(self) -> bool:
        return self.leader is None and not self.jobs and not self.records


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    jobs: int
    records: int
    removed: tuple[str, ...]
    """Jobs that were in the tree and not in the backup."""
    epoch: int


def inspect(znodes: Znodes, layout: Layout) -> Present:
    """Look at what a restore would replace. Raises `SchemaTooNew` for a tree of a newer Weir."""
    znodes.sync(layout.root)
    schema, info = znodes.read([layout.schema, layout.leader_info])
    restoring = None
    if schema is not None and schema.data.startswith(RESTORING):
        restoring = schema.data.removeprefix(RESTORING).decode(errors="replace")
    elif schema is not None:
        check_schema(schema.data)
    leader = None
    if info is not None and info.data:
        try:
            leading, contender = decode_leader(info.data)
            (present,) = znodes.read([f"{layout.election}/{contender}"])
            leader = leading.replica if present is not None and contender else None
        except CodecError:
            leader = None
    jobs, records = znodes.children(layout.jobs) or [], znodes.children(layout.records) or []
    return Present(leader, len(jobs), len(records), restoring)


def restore(znodes: Znodes, layout: Layout, backup: Backup, checksum: str, pause: Pause | None) -> Restored:
    """Make the tree what the backup says. `pause`: nothing is done for any job until a person ends it.

    Raises StoreError, also when somebody else writes too; running it again is right in any case.
    """
    records = {name: _decoded(name, data) for name, data in backup.records.items()}
    operator = backup.operator if pause is None else _paused(backup.operator, pause)
    _check_sizes(backup)
    fence, schema = _begin(znodes, layout, checksum)
    for folder in (layout.jobs, layout.status, layout.records, layout.events, layout.control):
        znodes.make(folder)
    write = _Writer(znodes, fence)
    before = _Folder(znodes, layout.jobs)
    versions = write.folder(before, {name: node.data for name, node in backup.jobs.items()})
    identities = _identities(znodes, layout, versions)
    write.folder(_Folder(znodes, layout.records), dict(_records(backup, records, identities)))
    write.folder(_Folder(znodes, layout.events), backup.events)
    for folder in (layout.status, layout.control):
        write.folder(_Folder(znodes, folder), {})
    write.node(layout.operator, operator)
    write.node(layout.framework, backup.framework_id.encode() if backup.framework_id is not None else None)
    write([Put(layout.schema, str(backup.schema).encode(), schema)])
    removed = tuple(sorted(before.nodes.keys() - backup.jobs.keys()))
    return Restored(len(backup.jobs), len(backup.records), removed, fence.epoch)


@dataclass(frozen=True, slots=True)
class _Fence:
    epoch: int
    check: Check


def _begin(znodes: Znodes, layout: Layout, checksum: str) -> tuple[_Fence, int]:
    """Fence every leader, and keep others from leading; the version of the schema node."""
    znodes.make(layout.election)
    znodes.make(layout.epoch, b"0")
    znodes.make(layout.leader_info)
    epoch, schema = znodes.read([layout.epoch, layout.schema])
    if epoch is None:
        raise StoreError(f"{layout.epoch} is missing; somebody removes this tree")
    number = _number(epoch) + 1
    mark = RESTORING + checksum.encode()
    marked: Operation = Create(layout.schema, mark) if schema is None else Put(layout.schema, mark, schema.version)
    try:
        version, marked_version = znodes.commit([Put(layout.epoch, str(number).encode(), epoch.version), marked])
    except Stale as stale:
        raise StoreError(f"{stale}: a replica has begun to lead; nothing was written, look again") from None
    return _Fence(number, Check(layout.epoch, version)), marked_version


def _number(epoch: Znode) -> int:
    """As the election reads it: the version when the node holds no number."""
    try:
        return max(int(epoch.data), epoch.version)
    except ValueError:
        return epoch.version


class _Folder:
    """The children of a node as they stand."""

    def __init__(self, znodes: Znodes, path: str) -> None:
        names = znodes.children(path) or []
        found = znodes.read([f"{path}/{name}" for name in names])
        self.path = path
        self.nodes: Mapping[str, Znode] = {
            name: node for name, node in zip(names, found, strict=True) if node is not None
        }


class _Writer:
    """Multis under the restore's own fence."""

    def __init__(self, znodes: Znodes, fence: _Fence) -> None:
        self._znodes = znodes
        self._fence = fence

    def __call__(self, operations: Sequence[Operation]) -> list[int]:
        try:
            return self._znodes.commit([self._fence.check, *operations])[1:]
        except Stale as stale:
            if stale.path == self._fence.check.path:
                raise StoreError("another restore has begun meanwhile; one of them is enough") from None
            raise StoreError(f"{stale}; somebody else writes here, run the same restore again") from None

    def folder(self, before: _Folder, wanted: Mapping[str, bytes]) -> dict[str, int]:
        """Make the children these and no others; the version of each."""
        operations: list[Operation] = [
            Delete(f"{before.path}/{name}", node.version) for name, node in before.nodes.items() if name not in wanted
        ]
        versions = {}
        for name, data in wanted.items():
            path, found = f"{before.path}/{name}", before.nodes.get(name)
            if found is not None and found.data == data:
                versions[name] = found.version
                continue
            versions[name] = 0 if found is None else found.version + 1
            operations.append(Create(path, data) if found is None else Put(path, data, found.version))
        for batch in batches(operations):
            self(batch)
        return versions

    def node(self, path: str, data: bytes | None) -> None:
        """Make this one node what it was, or remove it."""
        (found,) = self._znodes.read([path])
        if data is None and found is not None:
            self([Delete(path, found.version)])
        elif data is not None:
            self([Create(path, data) if found is None else Put(path, data, found.version)])


def batches(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Multis of at most `MULTI_OPERATIONS` operations and `MULTI_BYTES` bytes."""
    batch: list[Operation] = []
    size = 0
    for each in operations:
        weight = len(each.data) if isinstance(each, Create | Put) else 0
        if batch and (len(batch) >= MULTI_OPERATIONS or size + weight > MULTI_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += weight
    if batch:
        yield batch


def _identities(znodes: Znodes, layout: Layout, versions: Mapping[str, int]) -> dict[str, SpecRef]:
    """What the nodes of the desired state are now, at the versions that were written."""
    found = znodes.read([f"{layout.jobs}/{name}" for name in versions])
    return {
        name: SpecRef(node.czxid, version)
        for (name, version), node in zip(versions.items(), found, strict=True)
        if node is not None
    }


def _decoded(name: str, data: bytes) -> Record | None:
    """None for a record that cannot be read: it is carried as it is, and its job stays in quarantine (fault 12)."""
    try:
        return decode_record(data, name)
    except NewerSchema as error:
        raise StoreError(f'the record of "{name}": {error}') from None
    except CodecError:
        return None


def _records(
    backup: Backup, records: Mapping[str, Record | None], identities: Mapping[str, SpecRef]
) -> Iterator[tuple[str, bytes]]:
    for name, data in backup.records.items():
        record, now, then = records[name], identities.get(name), backup.jobs.get(name)
        if record is None or now is None or then is None:
            yield name, data
        elif record.seen == SpecRef(then.czxid, then.version):
            yield name, encode_record(replace(record, seen=now))
        elif record.seen.czxid == then.czxid:
            yield name, encode_record(replace(record, seen=SpecRef(now.czxid, NOT_SEEN)))
        else:
            # The node was deleted and created again, and nobody had acted on that yet: that stays so (fault 51).
            yield name, encode_record(replace(record, seen=SpecRef(now.czxid - 1, NOT_SEEN)))


def _paused(operator: bytes | None, pause: Pause) -> bytes:
    """With the pause, unless there is one already; a record that cannot be read stops everything anyway."""
    try:
        record = decode_operator(operator) if operator is not None else OperatorRecord()
    except NewerSchema as error:
        raise StoreError(f"the operator's record: {error}") from None
    except CodecError:
        return operator or b""
    return encode_operator(record if record.paused is not None else replace(record, paused=pause))


def _check_sizes(backup: Backup) -> None:
    """Nothing is written when something would not fit."""
    for what, data in (
        *((f'the spec of "{name}"', node.data) for name, node in backup.jobs.items()),
        *((f'the record of "{name}"', data) for name, data in backup.records.items()),
        *((f'the history of "{name}"', data) for name, data in backup.events.items()),
    ):
        check_size(what, len(data))
