"""The store on ZooKeeper: `Store` and `JobWriter` of `reconciler.ports`.

Every write of a leader is one multi: a check that the epoch node still has the version of the
leader's fence, and the writes, each with the version that was read (S5). A write whose outcome is
unknown may still be delivered; it cannot do harm then, because a newer epoch fails the check and a
newer write fails the version (faults 2, 8, 10). Nothing here ever writes below `/weir/jobs`, except
what users and the CLI ask for (`put_job`, `delete_job`) and the empty parent at first set-up (S3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import structlog
from kazoo.security import ACL

from reconciler.model.control import GLOBAL, RawRequest
from reconciler.model.events import DesiredTree, RawSpec, StoredOperator, StoredRecord, UnreadableRecord
from reconciler.model.record import SCHEMA_VERSION, SpecRef
from reconciler.model.status import JobEvent, LeaderInfo, Status
from reconciler.ports import (
    EventSink,
    Fence,
    Fenced,
    JobChange,
    OperatorChange,
    StoreError,
    StoreUnavailable,
    VersionConflict,
)
from state.access import Protection
from state.client import (
    CALL_TIMEOUT_S,
    BadVersionError,
    Calls,
    KazooClient,
    NodeExistsError,
    NoNodeError,
    TransactionRefused,
    connect,
)
from state.codec import CodecError, decode_leader
from state.desired import DesiredReader
from state.history import check_request, check_size, deletes_record, encode_change, encode_operator_change
from state.layout import Layout, check_name, check_schema, read_events, read_operator, read_record, read_status
from state.protect import inherited, require_owner, warn_of_open_nodes
from state.requests import RequestReader
from state.written import Beside, Node, Written, after, node_of

__all__ = ["ZooKeeperStore", "check_schema", "connect"]

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

_ATTEMPTS = 3
"""Status and history are written with the version that was read; a lagging follower may answer with
an old one (fault 1), so the read is repeated, after a sync, this often."""


class ZooKeeperStore:
    """One installation's tree. The client is started and stopped by the caller."""

    def __init__(
        self,
        client: KazooClient,
        root: str = "/weir",
        timeout: float = CALL_TIMEOUT_S,
        protection: Protection | None = None,
    ) -> None:
        self.layout = Layout(root)
        self._protection = protection
        self._client = client
        self._calls = Calls(client, timeout)
        self._desired = DesiredReader(self._calls, self.layout.jobs)
        self._requests = RequestReader(self._calls, self.layout.control)
        self._written = Written()

    # Set-up

    def ensure_layout(self) -> None:
        """Create what is missing. Raises `SchemaTooNew` when a newer Weir wrote this tree, and `StoreError`
        when it may be read but not written.

        The empty desired tree is created only when nothing tells of an earlier life: a tree that
        vanished is held for a person, not replaced by an empty one that means "stop everything".
        """
        found = self._read("reading the schema", self.layout.schema)
        if found is not None:
            check_schema(found[0])
            require_owner(self._calls, self.layout)
        elif self._calls.wait("looking for the root", partial(self._client.exists_async, "/")) is None:
            raise StoreError("the chroot of the ZooKeeper address does not exist; create it or correct the address")
        first = found is None and not self._children(self.layout.records)
        layout = self.layout
        shared = self._protection.shared() if self._protection is not None else None
        for path in (layout.status, layout.records, layout.events, layout.election):
            self._create(path, b"")
        self._create(layout.control, b"", shared)
        if first:
            self._create(layout.jobs, b"", shared)
        self._create(layout.epoch, b"0")
        self._create(layout.leader_info, b"")
        self._create(layout.schema, str(SCHEMA_VERSION).encode())
        if self._protection is not None:
            warn_of_open_nodes(self._calls, layout, self._protection)

    # Reading

    def load_jobs(self, after: int | None = None) -> DesiredTree:
        return self._desired.read(after)

    def load_job(self, name: str) -> RawSpec | None:
        found = self._read("reading a job", self._path(self.layout.jobs, name))
        return RawSpec(name, SpecRef(found[1].czxid, found[1].version), found[0]) if found else None

    def load_records(self) -> Mapping[str, StoredRecord | UnreadableRecord]:
        found = self._read_all(
            "reading the records", self.layout.records, lambda name, data, stat: read_record(name, data, stat.version)
        )
        if found is None:
            raise StoreError(f"{self.layout.records} is missing; the tree was removed or the root is wrong")
        return found

    def load_record(self, name: str) -> StoredRecord | UnreadableRecord | None:
        found = self._read("reading a record", self._path(self.layout.records, name))
        return read_record(name, found[0], found[1].version) if found else None

    def load_status(self, name: str) -> Status | None:
        found = self._read("reading a status", self._path(self.layout.status, name))
        return read_status(name, found[0]) if found else None

    def list_statuses(self) -> dict[str, Status]:
        """Every readable status by job."""
        read = self._read_all("reading the statuses", self.layout.status, lambda name, data, _: read_status(name, data))
        statuses = read or {}
        return {name: status for name, status in statuses.items() if status is not None}

    def load_control(self) -> Mapping[str, RawRequest]:
        return self._requests.read()

    def load_operator(self) -> StoredOperator | None:
        found = self._read("reading the operator's record", self.layout.operator)
        return read_operator(found[0], found[1].version) if found else None

    def load_events(self, name: str) -> tuple[JobEvent, ...]:
        found = self._read("reading a history", self._path(self.layout.events, name))
        return read_events(name, found[0]) if found else ()

    def load_framework_id(self) -> str | None:
        found = self._read("reading the framework id", self.layout.framework)
        return found[0].decode(errors="replace") or None if found else None

    def load_leader(self) -> LeaderInfo | None:
        """Who leads now; None when the last leader's election node is gone."""
        info, contender = self._leader()
        if contender is None:
            return None
        present = partial(self._client.exists_async, f"{self.layout.election}/{contender}")
        return info if self._calls.wait("looking for the leader", present) is not None else None

    def last_leader(self) -> LeaderInfo | None:
        """Who led last, whether or not it leads now."""
        return self._leader()[0]

    def _leader(self) -> tuple[LeaderInfo | None, str | None]:
        found = self._read("reading the leader", self.layout.leader_info)
        if found is None or not found[0]:
            return None, None
        try:
            return decode_leader(found[0])
        except CodecError as error:
            _log.warning("store.leader_unreadable", error=str(error))
            return None, None

    def load_replicas(self) -> list[str]:
        """Names of the replicas that contend, in the order in which they would lead."""
        read = self._read_all("reading the contenders", self.layout.election, lambda _, data, __: data)
        nodes = read or {}
        ordered = sorted(nodes, key=lambda name: name.rpartition("-")[2])
        return [nodes[name].decode(errors="replace") for name in ordered]

    def sync(self) -> None:
        self._sync(self.layout.root)

    def watch(self, sink: EventSink) -> None:
        self._requests.watch(sink)
        self._desired.watch(sink)

    def unwatch(self) -> None:
        self._desired.unwatch()
        self._requests.unwatch()

    # Writing as the leader

    def commit(self, fence: Fence, change: JobChange) -> int:
        """One multi; see `reconciler.ports.Store.commit`. Raises Fenced, VersionConflict,
        ValueTooLarge (nothing was written) or StoreUnavailable (nobody knows)."""
        check_name(change.name)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sync()
            version = self._commit_once(fence, change)
            if version is not None:
                return version
        raise StoreUnavailable(f'committing "{change.name}": status or history changed under the leader')

    def _commit_once(self, fence: Fence, change: JobChange) -> int | None:
        """The new version, or None when the status or the history was not what had been read."""
        layout, name = self.layout, change.name
        status_path, events_path = self._path(layout.status, name), self._path(layout.events, name)
        beside = self._written.take(name) or self._beside(status_path, events_path)
        status, events = beside.status, beside.events
        encoded = encode_change(change, read_events(name, events.data) if events and change.events else ())
        transaction = self._fenced(fence)
        if change.write_record:
            self._add_record(transaction, self._path(layout.records, name), change, encoded.record)
        if change.answered is not None:
            # A request that was replaced meanwhile is another one: nothing of this is applied then.
            transaction.delete(self._path(layout.control, name), version=change.answered)
        record_operations = len(transaction.operations)
        forget = deletes_record(change)
        _replace(transaction, status_path, status, encoded.status, delete=forget)
        _replace(transaction, events_path, events, encoded.events, delete=forget)
        try:
            results = self._calls.commit(f'committing "{name}"', transaction)
        except TransactionRefused as refused:
            if refused.stale and refused.index >= record_operations:
                return None
            what = f'the record of "{name}", or the request that it answers,'
            raise self._refusal(fence, refused, what, change.expected_version) from None
        if not forget:
            last = iter(results[record_operations:])
            known = Beside(after(status, encoded.status, last), after(events, encoded.events, last))
            self._written.keep(name, known)
        written = results[1] if encoded.record is not None else None
        return -1 if written is None else 0 if isinstance(written, str) else int(written.version)

    def _beside(self, status_path: str, events_path: str) -> Beside:
        status, events = self._calls.gather(
            "reading what a commit replaces",
            [partial(self._client.get_async, status_path), partial(self._client.get_async, events_path)],
        )
        return Beside(node_of(status), node_of(events))

    def commit_operator(self, fence: Fence, change: OperatorChange) -> int:
        """One multi; see `reconciler.ports.Store.commit_operator`."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sync()
            version = self._commit_operator_once(fence, change)
            if version is not None:
                return version
        raise StoreUnavailable("committing the operator's record: the history changed under the leader")

    def _commit_operator_once(self, fence: Fence, change: OperatorChange) -> int | None:
        layout = self.layout
        events_path = self._path(layout.events, GLOBAL)
        events = self._read("reading the history of all jobs", events_path) if change.events else None
        encoded = encode_operator_change(change, read_events(GLOBAL, events[0]) if events else ())
        assert encoded.record is not None
        transaction = self._fenced(fence)
        if change.expected_version is None:
            transaction.create(layout.operator, encoded.record)
        else:
            transaction.set_data(layout.operator, encoded.record, version=change.expected_version)
        for name, version in change.answered:
            transaction.delete(self._path(layout.control, name), version=version)
        required = len(transaction.operations)
        _replace(transaction, events_path, node_of(events), encoded.events)
        try:
            results = self._calls.commit("committing the operator's record", transaction)
        except TransactionRefused as refused:
            if refused.stale and refused.index >= required:
                return None
            what = "the operator's record, or a request that it answers,"
            raise self._refusal(fence, refused, what, change.expected_version) from None
        return 0 if isinstance(results[1], str) else int(results[1].version)

    def save_framework_id(self, fence: Fence, framework_id: str) -> None:
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sync()
            found = self._read("reading the framework id", self.layout.framework)
            transaction = self._fenced(fence)
            _replace(transaction, self.layout.framework, node_of(found), framework_id.encode())
            try:
                self._calls.commit("saving the framework id", transaction)
            except TransactionRefused as refused:
                if refused.index == 0 or not refused.stale:
                    raise self._refusal(fence, refused, "the framework id", None) from None
            else:
                return
        raise StoreUnavailable("saving the framework id: it changed under the leader")

    def _fenced(self, fence: Fence) -> Any:
        transaction = self._client.transaction()
        transaction.check(self.layout.epoch, fence.version)
        return transaction

    @staticmethod
    def _add_record(transaction: Any, path: str, change: JobChange, data: bytes | None) -> None:
        expected = change.expected_version
        if data is None:
            if expected is not None:
                transaction.delete(path, version=expected)
        elif expected is None:
            transaction.create(path, data)
        else:
            # Version 0 is an expectation like any other; only -1 would mean "any" (fault 8).
            transaction.set_data(path, data, version=expected)

    def _refusal(self, fence: Fence, refused: TransactionRefused, what: str, expected: int | None) -> StoreError:
        if refused.stale and refused.index == 0:
            return Fenced(f"epoch {fence.epoch} is over: another replica leads")
        if refused.stale:
            wanted = "to be new" if expected is None else f"at version {expected}"
            return VersionConflict(f"{what} was expected {wanted} ({type(refused.error).__name__})")
        return StoreError(f"ZooKeeper refused to write {what}: {type(refused.error).__name__}")

    # Writing as a user

    def put_job(self, name: str, data: bytes, expected: int | None = None, *, create: bool = False) -> int:
        """Create or replace desired state; with `expected` only if that is still its version, or with `create` none."""
        path = self._path(self.layout.jobs, name)
        check_size(f'the spec of "{name}"', len(data))
        if expected is not None and expected < 0:
            raise ValueError("a version is 0 or more; leave it out to write unconditionally")
        for _ in range(_ATTEMPTS):
            version = None if create else self._replace_job(path, name, data, expected)
            if version is not None:
                return version
            self._ensure_jobs()
            acl = inherited(self._calls, self.layout.jobs)
            try:
                self._calls.wait("creating a job", partial(self._client.create_async, path, data, acl))
            except NodeExistsError:
                if create:
                    raise VersionConflict(f'there is a job "{name}" already') from None
                continue
            except NoNodeError:
                continue
            return 0
        raise StoreUnavailable(f'writing "{name}": it came and went meanwhile')

    def _replace_job(self, path: str, name: str, data: bytes, expected: int | None) -> int | None:
        """The new version; None when there is nothing to replace."""
        try:
            version = -1 if expected is None else expected
            stat = self._calls.wait("writing a job", partial(self._client.set_async, path, data, version))
            return int(stat.version)
        except BadVersionError:
            raise VersionConflict(f'the spec of "{name}" no longer has version {expected}') from None
        except NoNodeError:
            if expected is not None:
                raise VersionConflict(f'there is no job "{name}", expected version {expected}') from None
            return None

    def delete_job(self, name: str) -> None:
        """Remove desired state; no error when it is gone already."""
        try:
            path = self._path(self.layout.jobs, name)
            self._calls.wait("deleting a job", partial(self._client.delete_async, path))
        except NoNodeError:
            return

    def put_request(self, name: str, data: bytes) -> None:
        """Ask for something; VersionConflict while another request about the same name waits."""
        check_request(name, data)
        path, acl = self._path(self.layout.control, name), inherited(self._calls, self.layout.control)
        try:
            self._calls.wait("writing a request", partial(self._client.create_async, path, data, acl))
        except NodeExistsError:
            raise VersionConflict(f'another request about "{name}" waits for its answer') from None
        except NoNodeError:
            raise StoreError(f"{self.layout.control} is missing: no operator has set up this tree") from None

    def withdraw_request(self, name: str) -> None:
        """Take back a request that was not answered yet; no error when there is none."""
        path = self._path(self.layout.control, name)
        try:
            self._calls.wait("withdrawing a request", partial(self._client.delete_async, path))
        except NoNodeError:
            return

    def _ensure_jobs(self) -> None:
        """A user may write the first job before any operator ran, but must not revive a vanished tree."""
        layout = self.layout
        jobs, schema = self._calls.gather(
            "looking for the desired tree",
            [partial(self._client.get_async, layout.jobs), partial(self._client.get_async, layout.schema)],
        )
        if jobs is not None:
            return
        if schema is not None or self._children(layout.records):
            raise StoreError(
                f"{layout.jobs} is missing although this installation was set up; "
                f"if every job is really to start anew, create it: zkCli.sh create {layout.jobs}"
            )
        self._create(layout.jobs, b"")

    # Small things

    def _path(self, folder: str, name: str) -> str:
        check_name(name)
        return f"{folder}/{name}"

    def _read(self, what: str, path: str) -> tuple[bytes, Any] | None:
        try:
            found: tuple[bytes, Any] = self._calls.wait(what, partial(self._client.get_async, path))
        except NoNodeError:
            return None
        return found

    def _children(self, path: str) -> list[str] | None:
        try:
            names: list[str] = self._calls.wait(f"listing {path}", partial(self._client.get_children_async, path))
        except NoNodeError:
            return None
        return sorted(names)

    def _read_all(self, what: str, folder: str, read: Callable[[str, bytes, Any], _T]) -> dict[str, _T] | None:
        """What `read` makes of every child's name, data and stat, or None when the folder does not exist.

        It is called as answers come, so that thousands of records are never in memory as text too.
        """
        names = self._children(folder)
        if names is None:
            return None
        answers = self._calls.stream(what, (partial(self._client.get_async, f"{folder}/{name}") for name in names))
        return {name: read(name, *answer) for name, answer in zip(names, answers, strict=True) if answer is not None}

    def _create(self, path: str, data: bytes, acl: list[ACL] | None = None) -> None:
        try:
            self._calls.wait(f"creating {path}", partial(self._client.create_async, path, data, acl, makepath=True))
        except NodeExistsError:
            return

    def _sync(self, path: str) -> None:
        self._calls.wait("syncing", partial(self._client.sync_async, path))


def _replace(transaction: Any, path: str, found: Node | None, data: bytes | None, *, delete: bool = False) -> None:
    """Add the operation that takes a node from what was `found` to `data`, if any is needed."""
    if data is None:
        if delete and found is not None:
            transaction.delete(path, version=found.version)
    elif found is None:
        transaction.create(path, data)
    else:
        transaction.set_data(path, data, version=found.version)
