"""A backup holds an installation, and puts it back so that records go on with the jobs that they are about."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.control import GLOBAL
from reconciler.model.operator import OperatorRecord
from reconciler.model.record import SCHEMA_VERSION, Lifecycle, Pause, Record, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.model.status import LeaderInfo
from reconciler.ports import SchemaTooNew, StoreError, ValueTooLarge
from state.backup import Backup, BackupError, checksum, decode, encode, take
from state.codec import decode_operator, decode_record, encode_leader, encode_operator, encode_record
from state.layout import RESTORING, Layout
from state.restore import MULTI_BYTES, MULTI_OPERATIONS, NOT_SEEN, batches, inspect, restore
from state.znodes import Create, MemoryZnodes, Operation, Put, Znode

LAYOUT = Layout("/weir")
KEPT = Path(__file__).parent / "backups"
SPEC = {"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///srv/jobs/even_ids.py"}}
PAUSE = Pause(9.0, "ann", "restored")


def installation(**records: Record) -> MemoryZnodes:
    """A tree with a desired state for each record; `seen` becomes that node, unless the record says otherwise."""
    tree = MemoryZnodes(zxid=1000)
    for folder in (LAYOUT.jobs, LAYOUT.status, LAYOUT.records, LAYOUT.events, LAYOUT.control, LAYOUT.election):
        tree.make(folder)
    tree.make(LAYOUT.epoch, b"41")
    tree.make(LAYOUT.leader_info)
    tree.make(LAYOUT.schema, str(SCHEMA_VERSION).encode())
    for name, record in records.items():
        tree.make(f"{LAYOUT.jobs}/{name}", json.dumps(SPEC).encode())
        node = tree.nodes[f"{LAYOUT.jobs}/{name}"]
        seen = SpecRef(node.czxid, node.version) if record.seen == ANY else record.seen
        tree.make(f"{LAYOUT.records}/{name}", encode_record(replace(record, seen=seen)))
        tree.make(f"{LAYOUT.status}/{name}", b"{}")
    return tree


ANY = SpecRef(-7, -7)
ORDERS = Record(
    "orders", "0123456789", ANY, Lifecycle.STABLE, spec=JobSpec.model_validate(SPEC), next_generation=4, next_attempt=9
)


def taken(tree: MemoryZnodes) -> Backup:
    return take(tree, LAYOUT, "2026-11-23T10:00:00Z", "0.1.0")


def put(tree: MemoryZnodes, backup: Backup, pause: Pause | None = None) -> Any:
    return restore(tree, LAYOUT, backup, decode(encode(backup))[1], pause)


def record_in(tree: MemoryZnodes, name: str = "orders") -> Record:
    return decode_record(tree.nodes[f"{LAYOUT.records}/{name}"].data, name)


def data(tree: MemoryZnodes, path: str) -> bytes:
    return tree.nodes[path].data


def test_a_backup_is_read_back_as_it_was_written_bytes_that_are_no_text_too() -> None:
    tree = installation(orders=ORDERS)
    tree.make(f"{LAYOUT.jobs}/broken", b"\xff\x00 not text")
    tree.make(f"{LAYOUT.events}/{GLOBAL}", b"[]")
    tree.make(LAYOUT.framework, b"framework-1")
    tree.make(LAYOUT.operator, encode_operator(OperatorRecord()))
    backup = taken(tree)

    assert decode(encode(backup))[0] == backup
    assert backup.jobs["broken"].data == b"\xff\x00 not text"
    assert (backup.framework_id, backup.schema, set(backup.records)) == ("framework-1", SCHEMA_VERSION, {"orders"})


def test_statuses_requests_and_whatever_leads_are_not_in_it() -> None:
    tree = installation(orders=ORDERS)
    tree.make(f"{LAYOUT.control}/orders", b"request-of-a-moment")
    written = encode(taken(tree)).decode()

    assert "request-of-a-moment" not in written
    assert set(json.loads(written)) == {
        "format", "version", "weir", "time", "root", "schema", "frameworkId", "operator", "jobs", "records", "events",
        "checksum",
    }  # fmt: skip


def test_record_and_desired_state_of_a_job_are_of_one_moment() -> None:
    tree = installation(orders=ORDERS)
    read, writes = tree.read, iter([b"edited once", b"edited twice"])

    def busy(paths: Sequence[str]) -> list[Znode | None]:
        found = read(paths)
        path = f"{LAYOUT.jobs}/orders"
        if path in paths and (edit := next(writes, None)) is not None:
            node = tree.nodes[path]
            tree.commit([Put(path, edit, node.version)])
        return found

    tree.read = busy  # type: ignore[method-assign]

    assert taken(tree).jobs["orders"].data == b"edited twice"


def test_a_job_that_never_stands_still_is_told_and_not_kept_torn() -> None:
    tree = installation(orders=ORDERS)
    read, path = tree.read, f"{LAYOUT.records}/orders"

    def busy(paths: Sequence[str]) -> list[Znode | None]:
        found = read(paths)
        node = tree.nodes[path]
        tree.commit([Put(path, node.data, node.version)])
        return found

    tree.read = busy  # type: ignore[method-assign]

    with pytest.raises(StoreError, match='"orders" changes all the time'):
        taken(tree)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tree: tree.nodes.pop(LAYOUT.schema), "no installation was set up at /weir"),
        (lambda tree: tree.nodes.pop(LAYOUT.jobs), "/weir/jobs is missing"),
        (lambda tree: tree.nodes.pop(LAYOUT.records), "/weir/records is missing"),
        (lambda tree: tree.nodes.update({LAYOUT.schema: Znode(RESTORING + b"x", 1, 0)}), "is being restored"),
    ],
)
def test_a_tree_that_is_not_whole_is_not_kept(change: Callable[[MemoryZnodes], object], says: str) -> None:
    tree = installation()
    change(tree)

    with pytest.raises(StoreError, match=says):
        taken(tree)


def test_a_newer_tree_is_neither_kept_nor_replaced() -> None:
    tree = installation()
    tree.nodes[LAYOUT.schema] = Znode(str(SCHEMA_VERSION + 1).encode(), 1, 0)

    for call in (lambda: taken(tree), lambda: inspect(tree, LAYOUT)):
        with pytest.raises(SchemaTooNew):
            call()


def edited(**changes: Any) -> bytes:
    """A valid file with other values, and the checksum that fits them."""
    document = json.loads(encode(taken(installation(orders=ORDERS)))) | changes
    return json.dumps(document | {"checksum": checksum(document)}).encode()


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "damaged, or no backup"),
        (b"\xff", "damaged, or no backup"),
        (encode(taken(installation(orders=ORDERS)))[:-40], "damaged, or no backup"),
        (encode(taken(installation(orders=ORDERS))).replace(b"even_ids", b"odd_ids"), "damaged: its checksum is"),
        (b"[]", "no backup of Weir"),
        (b'{"format": "other"}', "no backup of Weir"),
        (edited(version=2), "its format is newer than 1"),
        (edited(version=None), "None is no version"),
        (edited(schema=SCHEMA_VERSION + 1), "install a newer weir"),
        (edited(schema="1"), "no version"),
        (edited(jobs={"a/b": {"czxid": 1, "version": 0, "data": ""}}), "cannot be the name"),
        (edited(jobs={"orders": {"czxid": 1, "version": 0, "data": {"base64": "?"}}}), "no backup of Weir"),
        (edited(jobs={"orders": 3}), "no backup of Weir"),
        (edited(records=None), "no backup of Weir"),
        (edited(frameworkId=7), "no backup of Weir"),
        (b"[" * 100_000, "damaged, or no backup"),
    ],
)
def test_f12_a_file_that_cannot_be_restored_says_why(file: bytes, says: str) -> None:
    with pytest.raises(BackupError, match=says):
        decode(file)


def test_restored_into_an_empty_ensemble_each_record_has_taken_up_the_node_that_stands_there_now() -> None:
    backup = taken(installation(orders=ORDERS, late=replace(ORDERS, name="late")))
    tree = MemoryZnodes()

    done = put(tree, backup)

    for name in ("orders", "late"):
        node = tree.nodes[f"{LAYOUT.jobs}/{name}"]
        assert record_in(tree, name).seen == SpecRef(node.czxid, node.version)
        assert node.data == backup.jobs[name].data
    assert replace(record_in(tree), seen=ANY) == ORDERS
    assert (done.jobs, done.records, done.removed) == (2, 2, ())
    assert data(tree, LAYOUT.schema) == str(SCHEMA_VERSION).encode()


def test_an_edit_that_the_record_had_not_taken_up_is_still_new_after_a_restore() -> None:
    tree = installation(orders=ORDERS)
    node = tree.nodes[f"{LAYOUT.jobs}/orders"]
    tree.commit([Put(f"{LAYOUT.jobs}/orders", b"newer", node.version)])

    put(tree, taken(tree))

    assert record_in(tree).seen == SpecRef(node.czxid, NOT_SEEN)


def test_f51_a_node_that_was_recreated_and_not_yet_acted_on_is_still_another_one() -> None:
    backup = taken(installation(orders=replace(ORDERS, seen=SpecRef(3, 0))))
    tree = MemoryZnodes()

    put(tree, backup)

    parent, node = tree.nodes[LAYOUT.jobs], tree.nodes[f"{LAYOUT.jobs}/orders"]
    assert record_in(tree).seen.czxid not in (3, node.czxid)
    assert record_in(tree).seen.czxid >= parent.czxid, "a newer parent would mean that it was put back"


def test_a_record_without_desired_state_and_one_that_cannot_be_read_stay_byte_for_byte() -> None:
    tree = installation(orders=ORDERS)
    tree.make(f"{LAYOUT.records}/gone", encode_record(replace(ORDERS, name="gone", seen=SpecRef(5, 1))))
    tree.make(f"{LAYOUT.jobs}/broken", b"{}")
    tree.make(f"{LAYOUT.records}/broken", b"junk")
    before = {name: data(tree, f"{LAYOUT.records}/{name}") for name in ("gone", "broken")}

    put(tree, taken(tree))

    assert {name: data(tree, f"{LAYOUT.records}/{name}") for name in before} == before


def test_f64_the_epoch_only_ever_grows() -> None:
    backup = taken(installation(orders=ORDERS))  # taken at epoch 41
    fresh, live = MemoryZnodes(), installation()
    live.nodes[LAYOUT.epoch] = Znode(b"77", 2, 77)

    assert (put(fresh, backup).epoch, put(live, backup).epoch) == (1, 78)
    assert data(live, LAYOUT.epoch) == b"78"
    assert live.nodes[LAYOUT.epoch].version == 78, "a leader that lives is fenced by the version"


def test_what_the_backup_does_not_know_is_removed_and_named() -> None:
    tree = installation(orders=ORDERS, other=replace(ORDERS, name="other"))
    tree.make(LAYOUT.operator, encode_operator(OperatorRecord()))
    tree.make(f"{LAYOUT.control}/orders", b"{}")

    done = put(tree, taken(installation(orders=ORDERS)))

    assert done.removed == ("other",)
    assert tree.children(LAYOUT.records) == ["orders"]
    assert tree.children(LAYOUT.status) == tree.children(LAYOUT.control) == []
    assert LAYOUT.operator not in tree.nodes


def test_everything_is_paused_unless_it_was_before() -> None:
    fresh, paused = MemoryZnodes(), installation(orders=ORDERS)
    earlier = Pause(3.0, "bob", "the rack moves")
    paused.make(LAYOUT.operator, encode_operator(OperatorRecord(paused=earlier)))

    put(fresh, taken(installation(orders=ORDERS)), PAUSE)
    put(paused, taken(paused), PAUSE)

    assert decode_operator(data(fresh, LAYOUT.operator)).paused == PAUSE
    assert decode_operator(data(paused, LAYOUT.operator)).paused == earlier


def test_a_restore_that_was_interrupted_anywhere_leaves_a_tree_that_nobody_leads_and_can_be_run_again() -> None:
    many = {f"job-{n}": replace(ORDERS, name=f"job-{n}") for n in range(MULTI_OPERATIONS + 5)}
    backup = taken(installation(**many))
    whole = MemoryZnodes()
    put(whole, backup, PAUSE)
    for stop in range(1, whole.multis):
        tree = MemoryZnodes(stop_after=stop)
        with pytest.raises(StoreError, match="the process is gone"):
            put(tree, backup, PAUSE)
        present = inspect(tree, LAYOUT)
        assert present.restoring == decode(encode(backup))[1], stop
        with pytest.raises(StoreError, match="is being restored"):
            taken(tree)

        tree.stop_after = None
        put(tree, backup, PAUSE)

        assert inspect(tree, LAYOUT).restoring is None
        assert tree.children(LAYOUT.records) == whole.children(LAYOUT.records)
        for name in many:
            node = tree.nodes[f"{LAYOUT.jobs}/{name}"]
            assert record_in(tree, name).seen == SpecRef(node.czxid, node.version), (stop, name)


def test_two_restores_at_once_do_not_mix() -> None:
    backup = taken(installation(orders=ORDERS))
    tree = MemoryZnodes()
    commit = tree.commit

    def interrupted(operations: Sequence[Operation]) -> list[int]:
        done = commit(operations)
        if tree.multis == 2:
            tree.commit = commit  # type: ignore[method-assign]
            put(tree, backup)
        return done

    tree.commit = interrupted  # type: ignore[method-assign]

    with pytest.raises(StoreError, match="another restore has begun"):
        put(tree, backup)
    assert inspect(tree, LAYOUT).restoring is None


@pytest.mark.parametrize(
    ("path", "says"),
    [(LAYOUT.epoch, "a replica has begun to lead"), (f"{LAYOUT.jobs}/orders", "run the same restore again")],
)
def test_a_restore_beside_somebody_who_writes_ends_in_a_sentence(path: str, says: str) -> None:
    tree = installation(orders=ORDERS)
    backup = replace(taken(tree), jobs={"orders": Znode(b"older", 1, 0)})
    commit = tree.commit

    def beaten(operations: Sequence[Operation]) -> list[int]:
        if any(each.path == path for each in operations if isinstance(each, Put)):
            tree.commit = commit  # type: ignore[method-assign]
            commit([Put(path, b"88", tree.nodes[path].version)])
        return commit(operations)

    tree.commit = beaten  # type: ignore[method-assign]

    with pytest.raises(StoreError, match=says):
        put(tree, backup)
    put(tree, backup)
    assert data(tree, f"{LAYOUT.jobs}/orders") == b"older"


def test_multis_are_bounded_in_number_and_size() -> None:
    large = [Create(f"/{n}", b"x" * (MULTI_BYTES // 2)) for n in range(3)]
    small: list[Operation] = [Create(f"/s{n}", b"") for n in range(2 * MULTI_OPERATIONS)]

    assert [len(batch) for batch in batches(large)] == [2, 1]
    assert [len(batch) for batch in batches(small)] == [MULTI_OPERATIONS, MULTI_OPERATIONS]


def test_what_would_not_fit_is_refused_before_anything_is_written() -> None:
    backup = replace(taken(installation()), records={"orders": b"x" * 2_000_000})
    tree = MemoryZnodes()

    with pytest.raises(ValueTooLarge):
        put(tree, backup)
    assert tree.nodes == {}


def test_a_record_of_a_newer_weir_is_refused_before_anything_is_written() -> None:
    newer = json.dumps({"schema": SCHEMA_VERSION + 1}).encode()
    tree = MemoryZnodes()

    with pytest.raises(StoreError, match="a newer version wrote it"):
        put(tree, replace(taken(installation()), records={"orders": newer}))
    with pytest.raises(StoreError, match="the operator's record"):
        put(tree, replace(taken(installation()), operator=newer), PAUSE)
    assert tree.nodes == {}


def test_who_leads_is_seen_by_the_election_node_not_by_what_the_last_leader_left() -> None:
    tree = installation(orders=ORDERS)
    info = encode_leader(LeaderInfo(replica="replica-1", host="h", pid=1), "c-1")
    tree.nodes[LAYOUT.leader_info] = Znode(info, 1, 1)

    assert inspect(tree, LAYOUT).leader is None
    tree.make(f"{LAYOUT.election}/c-1")
    present = inspect(tree, LAYOUT)

    assert (present.leader, present.jobs, present.records, present.empty) == ("replica-1", 1, 1, False)
    assert inspect(MemoryZnodes(), LAYOUT).empty


@pytest.mark.parametrize("schema", range(1, SCHEMA_VERSION + 1))
def test_f60_a_backup_of_every_schema_version_that_there_was_is_restored_and_read(schema: int) -> None:
    """When the schema grows: keep a backup that the version before wrote as schema-N.json."""
    backup, _ = decode((KEPT / f"schema-{schema}.json").read_bytes())
    tree = MemoryZnodes()

    restore(tree, LAYOUT, backup, "sum", PAUSE)

    assert backup.schema == schema
    assert data(tree, LAYOUT.schema) == str(schema).encode()
    for name in backup.records:
        record, node = record_in(tree, name), tree.nodes.get(f"{LAYOUT.jobs}/{name}")
        assert node is None or record.seen == SpecRef(node.czxid, node.version)
    decode_operator(data(tree, LAYOUT.operator))
