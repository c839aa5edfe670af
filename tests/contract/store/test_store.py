"""The contract of `Store` and `JobWriter`, on the fake and on ZooKeeper."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model.events import DesiredChanged, StoredRecord, UnreadableRecord
from reconciler.model.record import SCHEMA_VERSION, Lifecycle
from reconciler.model.status import EVENTS_KEPT
from reconciler.ports import Fence, Fenced, JobChange, SchemaTooNew, StoreError, ValueTooLarge, VersionConflict

pytestmark = pytest.mark.timeout(120)

SPEC = b'{"flinkVersion": "2.2"}'


class Leader:
    """A replica that leads, with shortcuts for what leaders write."""

    def __init__(self, replica: Any, samples: Any) -> None:
        self.store = replica.store
        self.samples = samples
        self.lease = replica.lead()
        self.fence = self.lease.fence

    def create(self, name: str = "orders", **changes: Any) -> int:
        return int(self.store.commit(self.fence, JobChange(name, self.samples.record(name, **changes), None)))

    def commit(self, record: Any, expected: int | None, **rest: Any) -> int:
        name = rest.pop("name", "orders")
        return int(self.store.commit(self.fence, JobChange(name, record, expected, **rest)))


@pytest.fixture
def leader(world: Any, samples: Any) -> Leader:
    return Leader(world.replica(), samples)


# Desired state


def test_a_new_installation_has_an_empty_desired_tree(world: Any) -> None:
    tree = world.replica().store.load_jobs()

    assert tree.czxid is not None
    assert tree.specs == {}


def test_what_a_user_writes_is_read_with_its_version(world: Any) -> None:
    writer, reader = world.replica().store, world.replica().store

    assert writer.put_job("orders", SPEC) == 0
    assert writer.put_job("orders", b"{}") == 1
    reader.sync()

    raw = reader.load_job("orders")
    assert (raw.name, raw.data, raw.ref.version) == ("orders", b"{}", 1)
    assert reader.load_jobs().specs == {"orders": raw}


def test_a_job_that_does_not_exist_is_none(world: Any) -> None:
    store = world.replica().store

    assert store.load_job("orders") is None
    assert store.load_record("orders") is None
    assert store.load_status("orders") is None
    assert store.load_events("orders") == ()


def test_f51_a_recreated_job_has_another_czxid(world: Any) -> None:
    store = world.replica().store
    store.put_job("orders", SPEC)
    first = store.load_job("orders").ref
    store.delete_job("orders")
    store.put_job("orders", SPEC)

    second = store.load_job("orders").ref
    assert second.version == first.version == 0
    assert second.czxid != first.czxid


def test_an_expected_version_makes_writing_a_job_conditional(world: Any) -> None:
    store = world.replica().store
    with pytest.raises(VersionConflict):
        store.put_job("orders", SPEC, expected=0)
    store.put_job("orders", SPEC)
    assert store.put_job("orders", b"{}", expected=0) == 1

    with pytest.raises(VersionConflict):
        store.put_job("orders", SPEC, expected=0)
    assert store.load_job("orders").data == b"{}"


def test_deleting_a_job_twice_is_no_error(world: Any) -> None:
    store = world.replica().store
    store.put_job("orders", SPEC)
    store.delete_job("orders")
    store.delete_job("orders")

    assert store.load_jobs().specs == {}


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", "a\0b"])
def test_a_name_cannot_leave_its_folder(world: Any, name: str) -> None:
    with pytest.raises(ValueError, match="name of a znode"):
        world.replica().store.put_job(name, SPEC)


def test_f13_a_missing_desired_tree_is_not_an_empty_one(world: Any) -> None:
    store = world.replica().store
    store.put_job("orders", SPEC)
    before = store.load_jobs().czxid
    world.remove_desired_tree()
    store.sync()

    assert store.load_jobs().czxid is None
    world.create_desired_tree()
    store.sync()
    after = store.load_jobs()
    assert after.specs == {}
    assert after.czxid not in (None, before)


def test_f13_a_vanished_desired_tree_is_created_by_nobody_but_a_person(world: Any, leader: Leader) -> None:
    leader.create()
    world.remove_desired_tree()

    world.replica().store.ensure_layout()
    with pytest.raises(StoreError, match="missing although"):
        world.replica().store.put_job("orders", SPEC)
    assert leader.store.load_jobs().czxid is None


def test_f13_records_alone_tell_of_an_earlier_set_up(world: Any, leader: Leader) -> None:
    leader.create()
    world.remove_desired_tree()
    world.forget_set_up()

    leader.store.ensure_layout()

    assert leader.store.load_jobs().czxid is None


def test_f16_a_spec_over_the_limit_is_refused_at_the_door(world: Any) -> None:
    store = world.replica().store
    with pytest.raises(ValueTooLarge, match="1100000 bytes"):
        store.put_job("orders", b"x" * 1_100_000)

    assert store.load_job("orders") is None


# Records, statuses, events


def test_a_record_is_created_changed_and_deleted(world: Any, leader: Leader, samples: Any) -> None:
    assert leader.create() == 0
    changed = samples.record(lifecycle=Lifecycle.STABLE)
    assert leader.commit(changed, 0) == 1
    other = world.replica().store
    other.sync()

    assert other.load_record("orders") == StoredRecord(changed, 1)
    assert other.load_records() == {"orders": StoredRecord(changed, 1)}
    assert leader.commit(None, 1) == -1
    assert leader.store.load_record("orders") is None


@pytest.mark.parametrize("expected", [None, 0, 2])
def test_f09_a_record_at_another_version_is_not_overwritten(leader: Leader, samples: Any, expected: int | None) -> None:
    leader.create()
    leader.commit(samples.record(blocked_why="second"), 0)

    with pytest.raises(VersionConflict):
        leader.commit(samples.record(blocked_why="third"), expected, status=samples.status(), events=(samples.event(),))

    assert leader.store.load_record("orders").record.blocked_why == "second"
    assert leader.store.load_status("orders") is None
    assert leader.store.load_events("orders") == ()


def test_f08_version_0_is_a_condition_too(leader: Leader, samples: Any) -> None:
    leader.create()
    leader.commit(samples.record(blocked_why="second"), 0)

    with pytest.raises(VersionConflict):
        leader.commit(samples.record(blocked_why="again"), 0)
    with pytest.raises(VersionConflict):
        leader.commit(None, 0)


def test_a_record_that_is_gone_is_a_conflict(leader: Leader, samples: Any) -> None:
    with pytest.raises(VersionConflict):
        leader.commit(samples.record(), 0)


def test_deleting_what_never_existed_is_allowed(leader: Leader) -> None:
    assert leader.commit(None, None) == -1


def test_record_status_and_events_are_written_together(leader: Leader, samples: Any) -> None:
    leader.commit(samples.record(), None, status=samples.status(), events=(samples.event("a"), samples.event("b")))

    assert leader.store.load_status("orders") == samples.status()
    assert [event.message for event in leader.store.load_events("orders")] == ["a", "b"]


def test_status_and_events_can_be_written_without_the_record(leader: Leader, samples: Any) -> None:
    leader.create()

    version = leader.commit(None, None, status=samples.status("x"), events=(samples.event(),), write_record=False)

    assert version == -1
    assert leader.store.load_record("orders").version == 0
    assert leader.store.load_status("orders").why == "x"
    assert len(leader.store.load_events("orders")) == 1


def test_a_status_can_stand_without_a_record(leader: Leader, samples: Any) -> None:
    leader.commit(None, None, name="bad-spec", status=samples.status("refused"), write_record=False)

    assert leader.store.load_status("bad-spec").why == "refused"
    assert leader.store.load_records() == {}


def test_a_status_stays_when_a_commit_brings_none(leader: Leader, samples: Any) -> None:
    leader.commit(samples.record(), None, status=samples.status("first"), events=(samples.event(),))
    leader.commit(samples.record(blocked_why="changed"), 0)

    assert leader.store.load_status("orders").why == "first"
    assert len(leader.store.load_events("orders")) == 1


def test_a_deleted_record_takes_status_and_history_with_it(world: Any, leader: Leader, samples: Any) -> None:
    leader.commit(samples.record(), None, status=samples.status(), events=(samples.event(),))

    leader.commit(None, 0)

    assert [world.nodes(folder) for folder in ("records", "status", "events")] == [set(), set(), set()]


def test_every_readable_status_is_listed(world: Any, leader: Leader, samples: Any) -> None:
    for name in ("a", "b"):
        leader.commit(None, None, name=name, status=samples.status(name), write_record=False)
    world.write("status", "junk", b"{")

    assert {name: status.why for name, status in leader.store.list_statuses().items()} == {"a": "a", "b": "b"}


def test_f16_equal_events_are_counted_and_the_history_is_bounded(leader: Leader, samples: Any) -> None:
    for _ in range(3):
        leader.commit(None, None, events=(samples.event("same"),), write_record=False)
    leader.commit(None, None, events=tuple(samples.event(f"m{n}") for n in range(EVENTS_KEPT - 1)), write_record=False)

    history = leader.store.load_events("orders")
    assert len(history) == EVENTS_KEPT
    assert (history[0].message, history[0].count) == ("same", 3)


def test_f16_a_record_over_the_limit_is_refused_and_nothing_is_written(leader: Leader, samples: Any) -> None:
    leader.create()

    with pytest.raises(ValueTooLarge):
        leader.commit(samples.record(blocked_why="x" * 1_100_000), 0, status=samples.status())

    assert leader.store.load_record("orders").version == 0
    assert leader.store.load_status("orders") is None


def test_f16_history_gives_way_to_a_large_record(leader: Leader, samples: Any) -> None:
    events = tuple(samples.event(f"{n}" + "x" * 1900) for n in range(60))

    leader.commit(samples.record(blocked_why="x" * 960_000), None, events=events)

    kept = leader.store.load_events("orders")
    assert 0 < len(kept) < 60
    assert kept[-1] == events[-1]


# Unreadable znodes


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"name": "orders"}', b'{"schema": 99}'])
def test_f12_an_unreadable_record_does_not_hide_the_others(world: Any, leader: Leader, data: bytes) -> None:
    leader.create("good")
    world.write("records", "orders", data)
    leader.store.sync()

    records = leader.store.load_records()

    assert isinstance(records["good"], StoredRecord)
    assert isinstance(records["orders"], UnreadableRecord)
    assert records["orders"] == leader.store.load_record("orders")
    assert "\n" not in records["orders"].error


def test_f12_an_unreadable_record_is_not_overwritten_as_if_new(world: Any, leader: Leader, samples: Any) -> None:
    world.write("records", "orders", b"{")

    with pytest.raises(VersionConflict):
        leader.commit(samples.record(), None)


def test_f12_junk_in_status_and_history_is_replaced(world: Any, leader: Leader, samples: Any) -> None:
    world.write("status", "orders", b"{")
    world.write("events", "orders", b"{")
    leader.store.sync()
    assert (leader.store.load_status("orders"), leader.store.load_events("orders")) == (None, ())

    leader.commit(samples.record(), None, status=samples.status(), events=(samples.event(),))

    assert leader.store.load_status("orders") == samples.status()
    assert leader.store.load_events("orders") == (samples.event(),)


# Fencing


def test_s05_a_deposed_leader_writes_nothing(world: Any, leader: Leader, samples: Any) -> None:
    leader.create()
    world.bump_epoch()

    with pytest.raises(Fenced):
        leader.commit(samples.record(blocked_why="late"), 0, status=samples.status(), events=(samples.event(),))
    with pytest.raises(Fenced):
        leader.commit(None, 0)
    with pytest.raises(Fenced):
        leader.store.save_framework_id(leader.fence, "late")

    assert leader.store.load_record("orders").record.blocked_why == "new"
    assert leader.store.load_status("orders") is None
    assert leader.store.load_framework_id() is None


def test_s05_fenced_wins_over_a_version_conflict(world: Any, leader: Leader, samples: Any) -> None:
    leader.create()
    world.bump_epoch()

    with pytest.raises(Fenced):
        leader.commit(samples.record(), 99)


def test_s05_a_fence_of_the_future_is_refused_too(leader: Leader, samples: Any) -> None:
    ahead = Fence(leader.fence.epoch + 1, leader.fence.version + 1)

    with pytest.raises(Fenced):
        leader.store.commit(ahead, JobChange("orders", samples.record(), None))


def test_f08_version_0_of_the_epoch_is_a_fence_too(leader: Leader, samples: Any) -> None:
    with pytest.raises(Fenced):
        leader.store.commit(Fence(0, 0), JobChange("orders", samples.record(), None))


def test_the_framework_id_is_kept_and_replaced(world: Any, leader: Leader) -> None:
    assert leader.store.load_framework_id() is None

    leader.store.save_framework_id(leader.fence, "one")
    leader.store.save_framework_id(leader.fence, "two")

    other = world.replica().store
    other.sync()
    assert other.load_framework_id() == "two"


# Set-up


def test_setting_up_twice_changes_nothing(world: Any, leader: Leader) -> None:
    leader.store.put_job("orders", SPEC)
    leader.create()
    before = leader.store.load_jobs()

    world.replica().store.ensure_layout()

    assert leader.store.load_jobs() == before
    assert set(leader.store.load_records()) == {"orders"}


def test_f60_a_newer_tree_is_not_touched(world: Any) -> None:
    world.set_schema(SCHEMA_VERSION + 1)

    with pytest.raises(SchemaTooNew, match=str(SCHEMA_VERSION + 1)):
        world.replica().store.ensure_layout()


# Watching


class Sink(list[Any]):
    def taken(self) -> int:
        """How many announcements there were since the last look."""
        count = len(self)
        assert all(isinstance(event, DesiredChanged) for event in self)
        del self[:count]
        return count


Eventually = Callable[..., Any]


def watching(store: Any) -> Sink:
    sink = Sink()
    store.watch(sink.append)
    store.load_jobs()
    sink.taken()
    return sink


def test_watching_announces_at_once_so_that_the_tree_is_read(world: Any) -> None:
    sink = Sink()

    world.replica().store.watch(sink.append)

    assert sink.taken() == 1


def test_creating_changing_and_deleting_a_job_is_announced(world: Any, eventually: Eventually) -> None:
    store, user = world.replica().store, world.replica().store
    sink = watching(store)

    for change in (
        lambda: user.put_job("orders", SPEC),
        lambda: user.put_job("orders", b"{}"),
        lambda: user.put_job("orders", b"[]"),
        lambda: user.delete_job("orders"),
        lambda: user.put_job("orders", b"{}"),
    ):
        change()
        expected = user.load_jobs()
        eventually(lambda: sink.taken())
        eventually(lambda: store.load_jobs() == expected)  # noqa: B023
        sink.taken()


def test_every_later_change_of_one_job_is_seen(world: Any, eventually: Eventually) -> None:
    store, user = world.replica().store, world.replica().store
    user.put_job("orders", b"0")
    watching(store)

    for number in range(1, 30):
        user.put_job("orders", str(number).encode())
        eventually(lambda: store.load_jobs().specs["orders"].data == str(number).encode())  # noqa: B023


def test_who_names_the_last_reading_is_told_of_edits_and_new_jobs_only(world: Any, eventually: Eventually) -> None:
    store, user = world.replica().store, world.replica().store
    for name in ("orders", "payments", "returns"):
        user.put_job(name, b"1")
    sink = watching(store)
    first = store.load_jobs()

    user.put_job("orders", b"2")
    user.put_job("stock", b"1")
    eventually(lambda: sink.taken() and user.load_jobs() == store.load_jobs())
    user.put_job("orders", b"3")
    eventually(lambda: sink.taken())
    known = store.load_jobs()
    user.put_job("payments", b"2")
    eventually(lambda: sink.taken())
    edited = store.load_jobs(known.reading)

    assert not edited.whole
    assert {name: raw.data for name, raw in edited.specs.items()} == {"payments": b"2"}
    assert store.load_jobs(first.reading).whole


def test_f51_a_job_that_was_deleted_or_created_again_is_told_with_the_whole_tree(
    world: Any, eventually: Eventually
) -> None:
    store, user = world.replica().store, world.replica().store
    for name in ("orders", "payments", "returns"):
        user.put_job(name, b"1")
    sink = watching(store)
    for again in (False, True):
        known = store.load_jobs().reading
        user.delete_job("orders")
        if again:
            user.put_job("orders", b"1")
        eventually(lambda: sink.taken())
        tree = eventually(lambda: (found := store.load_jobs(known)).specs and found)  # noqa: B023

        assert tree.whole
        assert eventually(lambda: store.load_jobs() == user.load_jobs())
        user.put_job("orders", b"1")
        eventually(lambda: sink.taken() and store.load_jobs() == user.load_jobs())


def test_nothing_is_announced_when_nothing_changes(world: Any, leader: Leader, samples: Any) -> None:
    leader.store.put_job("orders", SPEC)
    sink = watching(leader.store)

    leader.commit(samples.record(), None, status=samples.status(), events=(samples.event(),))
    leader.store.load_jobs()

    assert sink.taken() == 0


def test_f13_the_desired_tree_vanishing_and_coming_back_is_announced(world: Any, eventually: Eventually) -> None:
    store, user = world.replica().store, world.replica().store
    user.put_job("orders", SPEC)
    sink = watching(store)

    world.remove_desired_tree()
    eventually(lambda: sink.taken() and store.load_jobs().czxid is None)
    world.create_desired_tree()
    eventually(lambda: store.load_jobs().czxid is not None)
    assert eventually(lambda: sink.taken())
    user.put_job("payments", SPEC)
    eventually(lambda: set(store.load_jobs().specs) == {"payments"})


def test_after_unwatch_nothing_is_announced(world: Any) -> None:
    store = world.replica().store
    sink = watching(store)

    store.unwatch()
    store.put_job("orders", SPEC)

    assert set(store.load_jobs().specs) == {"orders"}
    assert sink.taken() == 0


# Bytes


def test_what_is_written_for_people_is_json_with_camel_case_names(world: Any, leader: Leader, samples: Any) -> None:
    leader.commit(dataclasses.replace(samples.record(), next_attempt=4), None, status=samples.status())
    if not world.real:
        read = {folder: getattr(world.tree, folder)["orders"].data for folder in ("records", "status")}
    else:
        read = {f: world.admin.get(f"{world.layout.root}/{f}/orders")[0] for f in ("records", "status")}

    assert json.loads(read["records"])["nextAttempt"] == 4
    assert json.loads(read["status"])["leaderEpoch"] == 1
