"""The contract of requests and of the operator's own record, on the fake and on ZooKeeper."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.control import GLOBAL, MAX_REQUEST_BYTES
from reconciler.model.events import DesiredChanged
from reconciler.model.operator import HeldJob, OperatorRecord
from reconciler.model.status import JobEvent
from reconciler.ports import Fence, Fenced, JobChange, OperatorChange, ValueTooLarge, VersionConflict
from tests.contract.store.conftest import eventually

pytestmark = pytest.mark.timeout(120)

PAUSE = b'{"action": "pause"}'
RECORD = OperatorRecord(held=(HeldJob("orders", 7),))


def event(code: str) -> JobEvent:
    return JobEvent(time="2026-11-23T10:00:00Z", code=code, message="told")


def test_a_request_is_read_with_its_version_and_only_one_waits(world: Any) -> None:
    store = world.replica().store
    assert store.load_control() == {}
    store.put_request("orders", PAUSE)
    with pytest.raises(VersionConflict, match="waits for its answer"):
        store.put_request("orders", PAUSE)
    store.put_request(GLOBAL, PAUSE)
    found = store.load_control()
    assert sorted(found) == [GLOBAL, "orders"]
    assert (found["orders"].data, found["orders"].ref.version) == (PAUSE, 0)


def test_a_request_that_nobody_would_read_is_refused(world: Any) -> None:
    with pytest.raises(ValueTooLarge):
        world.replica().store.put_request("orders", b"x" * (MAX_REQUEST_BYTES + 1))
    with pytest.raises(ValueError, match="cannot be the name"):
        world.replica().store.put_request("a/b", PAUSE)


def test_a_request_is_withdrawn(world: Any) -> None:
    store = world.replica().store
    store.put_request("orders", PAUSE)
    store.withdraw_request("orders")
    store.withdraw_request("orders")
    assert store.load_control() == {}


def test_a_request_goes_in_the_write_that_answers_it(world: Any, samples: Any) -> None:
    replica = world.replica()
    fence = replica.lead().fence
    replica.store.put_request("orders", PAUSE)
    replica.store.commit(fence, JobChange("orders", samples.record("orders"), None, answered=0))
    assert replica.store.load_control() == {}
    assert replica.store.load_record("orders") is not None


@pytest.mark.parametrize("version", [1, 5])
def test_s4_nothing_is_written_when_the_request_is_another_one(world: Any, samples: Any, version: int) -> None:
    replica = world.replica()
    fence = replica.lead().fence
    replica.store.put_request("orders", PAUSE)
    with pytest.raises(VersionConflict):
        replica.store.commit(fence, JobChange("orders", samples.record("orders"), None, answered=version))
    assert replica.store.load_record("orders") is None
    assert set(replica.store.load_control()) == {"orders"}


def test_s4_a_request_that_is_gone_is_not_answered_twice(world: Any, samples: Any) -> None:
    replica = world.replica()
    fence = replica.lead().fence
    with pytest.raises(VersionConflict):
        replica.store.commit(fence, JobChange("orders", samples.record("orders"), None, answered=0))
    assert replica.store.load_record("orders") is None


def test_s5_a_deposed_leader_removes_no_request(world: Any, samples: Any) -> None:
    replica = world.replica()
    fence = replica.lead().fence
    old = Fence(fence.epoch - 1, fence.version - 1)
    replica.store.put_request("orders", PAUSE)
    with pytest.raises(Fenced):
        replica.store.commit(old, JobChange("orders", samples.record("orders"), None, answered=0))
    with pytest.raises(Fenced):
        replica.store.commit_operator(old, OperatorChange(RECORD, None, answered=(("orders", 0),)))
    assert set(replica.store.load_control()) == {"orders"}
    assert replica.store.load_operator() is None


def test_the_operators_record_is_written_under_its_version_with_its_events(world: Any) -> None:
    replica = world.replica()
    fence, store = replica.lead().fence, replica.store
    assert store.load_operator() is None
    store.put_request("nobody", PAUSE)
    assert store.commit_operator(fence, OperatorChange(RECORD, None, (event("A"),), (("nobody", 0),))) == 0
    assert store.load_control() == {}
    assert store.commit_operator(fence, OperatorChange(OperatorRecord(), 0, (event("B"),))) == 1
    stored = store.load_operator()
    assert (stored.record, stored.version, stored.error) == (OperatorRecord(), 1, None)
    assert [told.code for told in store.load_events(GLOBAL)] == ["A", "B"]
    assert store.load_records() == {}


def test_f08_the_operators_record_is_not_overwritten_unseen(world: Any) -> None:
    replica = world.replica()
    fence, store = replica.lead().fence, replica.store
    with pytest.raises(VersionConflict):
        store.commit_operator(fence, OperatorChange(RECORD, 3))
    store.commit_operator(fence, OperatorChange(RECORD, None))
    with pytest.raises(VersionConflict):
        store.commit_operator(fence, OperatorChange(OperatorRecord(), None))
    store.put_request("orders", PAUSE)
    with pytest.raises(VersionConflict):
        store.commit_operator(fence, OperatorChange(OperatorRecord(), 0, answered=(("orders", 4),)))
    assert store.load_operator().record == RECORD


def test_f12_an_operators_record_that_cannot_be_read_says_so(world: Any) -> None:
    replica = world.replica()
    fence, store = replica.lead().fence, replica.store
    store.commit_operator(fence, OperatorChange(RECORD, None))
    world.write_operator(b"junk")
    store.sync()
    stored = store.load_operator()
    assert stored.record is None
    assert "cannot be read" in stored.error


def test_a_new_request_is_announced(world: Any) -> None:
    reader, writer = world.replica().store, world.replica().store
    heard: list[object] = []
    reader.watch(heard.append)
    reader.load_jobs()
    reader.load_control()
    before = len(heard)
    writer.put_request("orders", PAUSE)
    eventually(lambda: len(heard) > before)
    assert isinstance(heard[-1], DesiredChanged)
    eventually(lambda: set(reader.load_control()) == {"orders"})
    before = len(heard)
    writer.withdraw_request("orders")
    eventually(lambda: len(heard) > before)


def test_a_job_that_must_not_exist_is_created_once(world: Any) -> None:
    store = world.replica().store
    assert store.put_job("orders", b"{}", create=True) == 0
    with pytest.raises(VersionConflict, match="already"):
        store.put_job("orders", b"{}", create=True)
    assert store.put_job("orders", b"{}") == 1
