"""The tree as it stands: znodes as bytes, and multis of plain operations. Only backup and restore look at it so.

What the bytes mean is the codec's business; a backup has to carry also what cannot be read (fault 12).
`ZooKeeperZnodes` and `MemoryZnodes` pass the same contract suite (`tests/contract/store/test_znodes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from reconciler.ports import StoreError, VersionConflict
from state.client import CALL_TIMEOUT_S, Calls, KazooClient, NodeExistsError, NoNodeError, TransactionRefused
from state.protect import inherited


@dataclass(frozen=True, slots=True)
class Znode:
    """One znode. `version` starts again at 0 when a node is recreated, `czxid` does not."""

    data: bytes
    czxid: int
    version: int


@dataclass(frozen=True, slots=True)
class Check:
    """The node has this version."""

    path: str
    version: int


@dataclass(frozen=True, slots=True)
class Create:
    """The node does not exist, its parent does."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """Replace the data of a node that has this version."""

    path: str
    data: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a node that has this version."""

    path: str
    version: int


Operation = Check | Create | Put | Delete


class Stale(VersionConflict):
    """One operation of a multi found another tree than it expected, so none was applied."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} changed meanwhile")
        self.path = path


class Znodes(Protocol):
    """Reads raise `StoreUnavailable`, never answer "nothing" instead."""

    def sync(self, path: str) -> None:
        """After this, reads see everything that was written before it."""
        ...

    def read(self, paths: Sequence[str]) -> list[Znode | None]: ...

    def children(self, path: str) -> list[str] | None:
        """Names in order; None when the node does not exist."""
        ...

    def make(self, path: str, data: bytes = b"") -> None:
        """Create the node with its parents; one that exists stays as it is."""
        ...

    def commit(self, operations: Sequence[Operation]) -> list[int]:
        """Apply all or none; the version of each node afterwards (-1 for Check and Delete). Raises Stale."""
        ...


class ZooKeeperZnodes:
    """On a started kazoo client. A node that a multi creates has the ACL of its parent."""

    def __init__(self, client: KazooClient, timeout: float = CALL_TIMEOUT_S) -> None:
        self._client = client
        self._calls = Calls(client, timeout)

    def sync(self, path: str) -> None:
        self._calls.wait("syncing", partial(self._client.sync_async, path))

    def read(self, paths: Sequence[str]) -> list[Znode | None]:
        answers = self._calls.gather("reading the tree", [partial(self._client.get_async, path) for path in paths])
        return [Znode(each[0], each[1].czxid, each[1].version) if each is not None else None for each in answers]

    def children(self, path: str) -> list[str] | None:
        try:
            names: list[str] = self._calls.wait(f"listing {path}", partial(self._client.get_children_async, path))
        except NoNodeError:
            return None
        return sorted(names)

    def make(self, path: str, data: bytes = b"") -> None:
        try:
            self._calls.wait(f"creating {path}", partial(self._client.create_async, path, data, makepath=True))
        except NodeExistsError:
            return
        except NoNodeError:
            raise StoreError(
                "the chroot of the ZooKeeper address does not exist; create it or correct the address"
            ) from None

    def commit(self, operations: Sequence[Operation]) -> list[int]:
        parents = {each.path.rpartition("/")[0] for each in operations if isinstance(each, Create)}
        acls = {parent: inherited(self._calls, parent or "/") for parent in parents}
        transaction = self._client.transaction()
        for each in operations:
            match each:
                case Check():
                    transaction.check(each.path, each.version)
                case Create():
                    transaction.create(each.path, each.data, acl=acls[each.path.rpartition("/")[0]])
                case Put():
                    transaction.set_data(each.path, each.data, version=each.version)
                case Delete():
                    transaction.delete(each.path, version=each.version)
        try:
            self._calls.commit("writing the tree", transaction)
        except TransactionRefused as refused:
            path = operations[refused.index].path
            if refused.stale:
                raise Stale(path) from None
            raise StoreError(f"ZooKeeper refused to write {path}: {type(refused.error).__name__}") from None
        return [_version_after(each) for each in operations]


@dataclass
class MemoryZnodes:
    """The verified fake. `stop_after` multis, the next one is not answered, as when the process is killed there."""

    nodes: dict[str, Znode] = field(default_factory=dict)
    zxid: int = 0
    stop_after: int | None = None
    multis: int = 0

    def sync(self, path: str) -> None:
        """Nothing lags here."""

    def read(self, paths: Sequence[str]) -> list[Znode | None]:
        return [self.nodes.get(path) for path in paths]

    def children(self, path: str) -> list[str] | None:
        if path not in self.nodes:
            return None
        return sorted(name.rpartition("/")[2] for name in self.nodes if name.rpartition("/")[0] == path)

    def make(self, path: str, data: bytes = b"") -> None:
        parent = path.rpartition("/")[0]
        if parent:
            self.make(parent)
        if path not in self.nodes:
            self.zxid += 1
            self.nodes[path] = Znode(data, self.zxid, 0)

    def commit(self, operations: Sequence[Operation]) -> list[int]:
        if self.stop_after is not None and self.multis >= self.stop_after:
            raise StoreError("writing the tree: the process is gone")
        self.multis += 1
        before = dict(self.nodes)
        self.zxid += 1
        try:
            for each in operations:
                self._apply(each)
        except Stale:
            self.nodes = before
            raise
        return [_version_after(each) for each in operations]

    def _apply(self, each: Operation) -> None:
        found = self.nodes.get(each.path)
        if isinstance(each, Create):
            parent = each.path.rpartition("/")[0]
            if found is not None or (parent and parent not in self.nodes):
                raise Stale(each.path)
            self.nodes[each.path] = Znode(each.data, self.zxid, 0)
            return
        if found is None or found.version != each.version:
            raise Stale(each.path)
        if isinstance(each, Put):
            self.nodes[each.path] = Znode(each.data, found.czxid, found.version + 1)
        elif isinstance(each, Delete):
            if self.children(each.path):
                raise StoreError(f"ZooKeeper refused to write {each.path}: NotEmptyError")
            del self.nodes[each.path]


def _version_after(each: Operation) -> int:
    if isinstance(each, Put):
        return each.version + 1
    return 0 if isinstance(each, Create) else -1
