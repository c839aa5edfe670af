"""The store and the election in memory, for tests and the deterministic simulation.

Verified fakes: the contract suite that runs on ZooKeeper runs on them too, and they refuse what
ZooKeeper refuses (Fenced, VersionConflict, ValueTooLarge, StoreUnavailable, SchemaTooNew) from the
same bytes. There are no threads and no clock; watches are delivered inside the call that changes the
tree. `MemoryTree` is the ensemble, `MemorySession` one replica's connection to it, and the session
is where faults are injected: `fail_next`, `suspend`, `expire`, `lag`, `lose_watch_events`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler.model.control import GLOBAL, RawRequest
from reconciler.model.events import (
    DesiredChanged,
    DesiredTree,
    RawSpec,
    StoredOperator,
    StoredRecord,
    UnreadableRecord,
)
from reconciler.model.record import SCHEMA_VERSION, SpecRef
from reconciler.model.status import JobEvent, LeaderInfo, Status
from reconciler.ports import (
    EventSink,
    Fence,
    Fenced,
    JobChange,
    OperatorChange,
    SchemaTooNew,
    StoreError,
    StoreUnavailable,
    VersionConflict,
)
from state.codec import CodecError, decode_leader, encode_leader
from state.history import check_request, check_size, deletes_record, encode_change, encode_operator_change
from state.layout import check_name, read_events, read_operator, read_record, read_status

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Node:
    """One znode. `version` starts again at 0 when a node is recreated, `czxid` does not."""

    data: bytes
    czxid: int
    version: int = 0


@dataclass(frozen=True, slots=True)
class _View:
    """What a reader sees; a lagging one sees an old one."""

    jobs: Mapping[str, Node] | None
    jobs_czxid: int
    records: Mapping[str, Node]
    status: Mapping[str, Node]
    events: Mapping[str, Node]
    control: Mapping[str, Node]


@dataclass(slots=True)
class _Failure:
    """An injected failure: not applied, or applied with its answer lost."""

    call: str | None
    applied: bool


class MemoryTree:
    """One installation's tree, shared by the sessions of its replicas and users."""

    def __init__(self, *, laid_out: bool = True) -> None:
        self._zxid = 0
        self.jobs: dict[str, Node] | None = None
        self.jobs_czxid = 0
        self.records: dict[str, Node] = {}
        self.status: dict[str, Node] = {}
        self.events: dict[str, Node] = {}
        self.control: dict[str, Node] = {}
        self.operator: dict[str, Node] = {}
        """At most one node, `OPERATOR`."""
        self.schema: int | None = None
        self.framework_id: str | None = None
        self.epoch = 0
        self.epoch_version = 0
        self.leader: MemoryLease | None = None
        self.leader_info = b""
        self.sessions: list[MemorySession] = []
        if laid_out:
            self.lay_out()

    def lay_out(self) -> None:
        """Create what is missing; the desired tree only at the very first set-up (S3, fault 13)."""
        if self.schema is not None and self.schema > SCHEMA_VERSION:
            raise SchemaTooNew(f"the tree has schema version {self.schema}, this Weir knows {SCHEMA_VERSION}")
        if self.schema is None and self.jobs is None and not self.records:
            self.create_jobs_node()
        self.schema = SCHEMA_VERSION

    def create_jobs_node(self) -> None:
        """What a person does who creates the desired tree (again)."""
        self.jobs, self.jobs_czxid = {}, self.next_zxid()
        self.changed()

    def delete_jobs_node(self) -> None:
        """The desired tree vanishes with everything in it."""
        self.jobs = None
        self.changed()

    def put(self, table: dict[str, Node], name: str, data: bytes) -> int:
        """Write one node unconditionally, as `zkCli.sh` would; the new version."""
        old = table.get(name)
        table[name] = Node(data, old.czxid, old.version + 1) if old else Node(data, self.next_zxid())
        if table is self.jobs:
            self.edited(name)
        elif table is self.control:
            self.asked()
        return table[name].version

    def bump_epoch(self) -> None:
        """Another replica took over: every fence handed out so far is void."""
        self.epoch += 1
        self.epoch_version += 1

    def next_zxid(self) -> int:
        self._zxid += 1
        return self._zxid

    def changed(self) -> None:
        """Anything may have become of the desired tree."""
        for session in self.sessions:
            session.notify(whole=True)

    def edited(self, name: str) -> None:
        """One node of the desired tree has other data, or is new."""
        for session in self.sessions:
            session.notify(name)

    def asked(self) -> None:
        """Requests came or went."""
        for session in self.sessions:
            session.notify()

    def view(self) -> _View:
        jobs = None if self.jobs is None else dict(self.jobs)
        tables = (dict(self.records), dict(self.status), dict(self.events), dict(self.control))
        return _View(jobs, self.jobs_czxid, *tables)

    def current(self) -> _View:
        """The tables themselves, without copying; only for a read that ends at once."""
        return _View(self.jobs, self.jobs_czxid, self.records, self.status, self.events, self.control)


class MemorySession:
    """One replica's connection, and everything that may go wrong with it."""

    def __init__(self, tree: MemoryTree) -> None:
        self.tree = tree
        self.connected = True
        self.lose_watch_events = False
        """Watch events are lost from now on (fault 15)."""
        self.calls: list[str] = []
        """Names of the calls that were made, in order, whatever became of them."""
        self._sink: EventSink | None = None
        self._failures: list[_Failure] = []
        self._lagging: _View | None = None
        self._readings = self._reading = 0
        self._listed: dict[str, int] = {}
        """Czxids as of the last reading."""
        self._fired: set[str] = set()
        tree.sessions.append(self)

    def fail_next(self, calls: int = 1, *, call: str | None = None, applied: bool = False) -> None:
        """The next `calls` calls (of that name) raise StoreUnavailable; `applied`: after taking effect."""
        self._failures.extend(_Failure(call, applied) for _ in range(calls))

    def suspend(self) -> None:
        """The connection is gone, the session lives: calls fail, the lease may not act (fault 3)."""
        self.connected = False

    def resume(self) -> None:
        """Connected again with the same session; everything may have changed meanwhile."""
        self.connected = True
        self._lagging = None
        self.notify(whole=True)

    def expire(self) -> None:
        """The ensemble gave the session up: its ephemeral nodes are gone."""
        if self.tree.leader is not None and self.tree.leader.session is self:
            self.tree.leader = None

    def lag(self) -> None:
        """Reads go to a follower that stays behind from now on, until `sync` or an own write (fault 1)."""
        self._lagging = self.tree.view()

    def catch_up(self) -> None:
        self._lagging = None

    def view(self) -> _View:
        return self._lagging or self.tree.current()

    def subscribe(self, sink: EventSink | None) -> None:
        self._sink = sink
        self.notify(whole=True)

    def notify(self, name: str | None = None, *, whole: bool = False) -> None:
        """A watch fires: of one job's node, or one that tells that more has changed than that."""
        if whole and not self.lose_watch_events:
            self._reading = 0
        if self._sink is not None and self.connected and not self.lose_watch_events:
            if name is not None:
                self._fired.add(name)
            self._sink(DesiredChanged())

    def read_jobs(self, after: int | None) -> DesiredTree:
        """The whole tree, or what watches told of since the reading `after`; a lost event is not told of."""
        view, reading = self.view(), self._reading
        self._reading = 0
        if view.jobs is None:
            return DesiredTree(None)
        found = self._fired & view.jobs.keys()
        again = any(self._listed.get(name, view.jobs[name].czxid) != view.jobs[name].czxid for name in found)
        whole = not after or after != reading or again
        found = set(view.jobs) if whole else found
        if self._lagging is None and self._sink is not None:
            self._readings += 1
            self._reading, self._fired = self._readings, set()
            self._listed = {} if whole else self._listed
            self._listed.update((name, view.jobs[name].czxid) for name in found)
        specs = {name: _raw_spec(name, view.jobs[name]) for name in sorted(found)}
        return DesiredTree(view.jobs_czxid, specs, whole, self._reading)

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Run one call under the injected faults."""
        self.calls.append(name)
        if not self.connected:
            raise StoreUnavailable(f"{name}: not connected with ZooKeeper")
        failure = next((entry for entry in self._failures if entry.call in (None, name)), None)
        if failure is not None:
            self._failures.remove(failure)
            if not failure.applied:
                raise StoreUnavailable(f"{name}: no answer")
        yield
        if failure is not None:
            raise StoreUnavailable(f"{name}: the answer was lost")


class MemoryStore:
    """`Store` and `JobWriter` over a `MemoryTree`."""

    def __init__(self, tree: MemoryTree | None = None, session: MemorySession | None = None) -> None:
        self.session = session or MemorySession(tree or MemoryTree())
        self.tree = self.session.tree

    def ensure_layout(self) -> None:
        with self.session.call("ensure_layout"):
            self.tree.lay_out()

    def load_jobs(self, after: int | None = None) -> DesiredTree:
        with self.session.call("load_jobs"):
            return self.session.read_jobs(after)

    def load_job(self, name: str) -> RawSpec | None:
        with self.session.call("load_job"):
            node = (self.session.view().jobs or {}).get(name)
            return _raw_spec(name, node) if node else None

    def load_records(self) -> Mapping[str, StoredRecord | UnreadableRecord]:
        with self.session.call("load_records"):
            records = self.session.view().records
            return {name: read_record(name, records[name].data, records[name].version) for name in sorted(records)}

    def load_record(self, name: str) -> StoredRecord | UnreadableRecord | None:
        with self.session.call("load_record"):
            node = self.session.view().records.get(name)
            return read_record(name, node.data, node.version) if node else None

    def load_status(self, name: str) -> Status | None:
        with self.session.call("load_status"):
            node = self.session.view().status.get(name)
            return read_status(name, node.data) if node else None

    def list_statuses(self) -> dict[str, Status]:
        with self.session.call("list_statuses"):
            nodes = sorted(self.session.view().status.items())
            found = {name: read_status(name, node.data) for name, node in nodes}
            return {name: status for name, status in found.items() if status is not None}

    def load_control(self) -> Mapping[str, RawRequest]:
        with self.session.call("load_control"):
            nodes = self.session.view().control
            return {name: _raw_request(name, nodes[name]) for name in sorted(nodes)}

    def load_operator(self) -> StoredOperator | None:
        with self.session.call("load_operator"):
            node = self.tree.operator.get(OPERATOR)
            return read_operator(node.data, node.version) if node else None

    def load_events(self, name: str) -> tuple[JobEvent, ...]:
        with self.session.call("load_events"):
            node = self.session.view().events.get(name)
            return read_events(name, node.data) if node else ()

    def commit(self, fence: Fence, change: JobChange) -> int:
        check_name(change.name)
        with self.session.call("commit"):
            history = self.tree.events.get(change.name)
            encoded = encode_change(change, read_events(change.name, history.data) if history else ())
            self._check_fence(fence)
            if change.answered is not None:
                self._check_requests(((change.name, change.answered),))
            version = self._write_record(change, encoded.record)
            if change.answered is not None:
                self._remove_requests((change.name,))
            if deletes_record(change):
                self.tree.status.pop(change.name, None)
                self.tree.events.pop(change.name, None)
            if encoded.status is not None:
                self.tree.put(self.tree.status, change.name, encoded.status)
            if encoded.events is not None:
                self.tree.put(self.tree.events, change.name, encoded.events)
            self.session.catch_up()
        return version

    def commit_operator(self, fence: Fence, change: OperatorChange) -> int:
        with self.session.call("commit_operator"):
            history = self.tree.events.get(GLOBAL)
            encoded = encode_operator_change(change, read_events(GLOBAL, history.data) if history else ())
            self._check_fence(fence)
            self._check_requests(change.answered)
            stored = self.tree.operator.get(OPERATOR)
            if (stored.version if stored else None) != change.expected_version:
                raise VersionConflict("the operator's record has another version")
            assert encoded.record is not None
            version = self.tree.put(self.tree.operator, OPERATOR, encoded.record)
            if encoded.events is not None:
                self.tree.put(self.tree.events, GLOBAL, encoded.events)
            self._remove_requests([name for name, _ in change.answered])
            self.session.catch_up()
        return version

    def _check_requests(self, answered: Iterable[tuple[str, int]]) -> None:
        for name, version in answered:
            node = self.tree.control.get(name)
            if node is None or node.version != version:
                raise VersionConflict(f'the request about "{name}" is not the one that was read')

    def _remove_requests(self, names: Iterable[str]) -> None:
        for name in names:
            del self.tree.control[name]
        self.tree.asked()

    def _check_fence(self, fence: Fence) -> None:
        if fence.version != self.tree.epoch_version:
            raise Fenced(f"epoch {fence.epoch} is over")

    def _write_record(self, change: JobChange, data: bytes | None) -> int:
        if not change.write_record:
            return -1
        stored = self.tree.records.get(change.name)
        if (stored.version if stored else None) != change.expected_version:
            raise VersionConflict(
                f'the record of "{change.name}" has version {stored.version if stored else None}, '
                f"not {change.expected_version}"
            )
        if data is None:
            self.tree.records.pop(change.name, None)
            return -1
        return self.tree.put(self.tree.records, change.name, data)

    def watch(self, sink: EventSink) -> None:
        self.session.subscribe(sink)

    def unwatch(self) -> None:
        self.session.subscribe(None)

    def sync(self) -> None:
        with self.session.call("sync"):
            self.session.catch_up()

    def load_framework_id(self) -> str | None:
        with self.session.call("load_framework_id"):
            return self.tree.framework_id

    def save_framework_id(self, fence: Fence, framework_id: str) -> None:
        with self.session.call("save_framework_id"):
            self._check_fence(fence)
            self.tree.framework_id = framework_id

    def load_leader(self) -> LeaderInfo | None:
        return self.last_leader() if self.tree.leader is not None else None

    def last_leader(self) -> LeaderInfo | None:
        with self.session.call("load_leader"):
            try:
                return decode_leader(self.tree.leader_info)[0] if self.tree.leader_info else None
            except CodecError:
                return None

    def put_job(self, name: str, data: bytes, expected: int | None = None, *, create: bool = False) -> int:
        check_name(name)
        check_size(f'the spec of "{name}"', len(data))
        with self.session.call("put_job"):
            if self.tree.jobs is None:
                if self.tree.records or self.tree.schema is not None:
                    raise StoreError("the desired tree is missing although this installation was set up")
                self.tree.create_jobs_node()
            jobs = self.tree.jobs
            assert jobs is not None
            found = jobs[name].version if name in jobs else None
            if create and found is not None:
                raise VersionConflict(f'there is a job "{name}" already, at version {found}')
            if expected is not None and found != expected:
                raise VersionConflict(f'the spec of "{name}" has version {found}, not {expected}')
            self.session.catch_up()
            return self.tree.put(jobs, name, data)

    def delete_job(self, name: str) -> None:
        check_name(name)
        with self.session.call("delete_job"):
            if self.tree.jobs is not None and self.tree.jobs.pop(name, None) is not None:
                self.session.catch_up()
                self.tree.changed()

    def put_request(self, name: str, data: bytes) -> None:
        check_name(name)
        check_request(name, data)
        with self.session.call("put_request"):
            if name in self.tree.control:
                raise VersionConflict(f'another request about "{name}" waits for its answer')
            self.session.catch_up()
            self.tree.put(self.tree.control, name, data)

    def withdraw_request(self, name: str) -> None:
        check_name(name)
        with self.session.call("withdraw_request"):
            if self.tree.control.pop(name, None) is not None:
                self.session.catch_up()
                self.tree.asked()


class MemoryLease:
    """Leadership of one session for one epoch."""

    def __init__(self, session: MemorySession, fence: Fence) -> None:
        self.session = session
        self._fence = fence

    @property
    def fence(self) -> Fence:
        return self._fence

    def may_act(self) -> bool:
        return self.session.connected and not self.lost()

    def lost(self) -> bool:
        tree = self.session.tree
        return tree.leader is not self or tree.epoch_version != self._fence.version

    def release(self) -> None:
        if self.session.tree.leader is self:
            self.session.tree.leader = None


class MemoryElection:
    """`Election` that never waits: `acquire` leads at once or returns None, whatever the time-out.

    Nothing else could be deterministic without threads; the simulation calls it again later.
    """

    def __init__(self, tree: MemoryTree | None = None, session: MemorySession | None = None) -> None:
        self.session = session or MemorySession(tree or MemoryTree())
        self._stopped = False

    def acquire(self, info: LeaderInfo, timeout: float | None = None) -> MemoryLease | None:  # noqa: ARG002
        tree = self.session.tree
        if tree.schema is not None and tree.schema > SCHEMA_VERSION:
            raise SchemaTooNew(f"the tree has schema version {tree.schema}, this Weir knows {SCHEMA_VERSION}")
        others = tree.leader is not None and tree.leader.session is not self.session
        if self._stopped or not self.session.connected or others:
            return None  # its own node, which it could not take back, a replica recognises (fault 7)
        tree.bump_epoch()
        tree.leader = MemoryLease(self.session, Fence(tree.epoch, tree.epoch_version))
        tree.leader_info = encode_leader(info.model_copy(update={"epoch": tree.epoch}))
        return tree.leader

    def stop(self) -> None:
        self._stopped = True


def _raw_request(name: str, node: Node) -> RawRequest:
    return RawRequest(name, SpecRef(node.czxid, node.version), node.data)


def _raw_spec(name: str, node: Node) -> RawSpec:
    return RawSpec(name, SpecRef(node.czxid, node.version), node.data)
