"""The fake can be made to fail in every way in which ZooKeeper fails."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.events import DesiredChanged
from reconciler.model.record import Record, SpecRef
from reconciler.model.status import LeaderInfo
from reconciler.ports import Fence, JobChange, StoreUnavailable, VersionConflict
from state.memory import MemoryElection, MemorySession, MemoryStore, MemoryTree

INFO = LeaderInfo(replica="a", host="h", pid=1)
RECORD = Record("orders", "0123456789", SpecRef(7, 0))


@pytest.fixture
def tree() -> MemoryTree:
    return MemoryTree()


@pytest.fixture
def session(tree: MemoryTree) -> MemorySession:
    return MemorySession(tree)


@pytest.fixture
def store(session: MemorySession) -> MemoryStore:
    return MemoryStore(session=session)


@pytest.fixture
def fence(session: MemorySession) -> Fence:
    lease = MemoryElection(session=session).acquire(INFO)
    assert lease is not None
    return lease.fence


def test_f09_a_failure_before_applying_leaves_everything_as_it_was(
    session: MemorySession, store: MemoryStore, fence: Fence
) -> None:
    session.fail_next(call="commit")

    with pytest.raises(StoreUnavailable):
        store.commit(fence, JobChange("orders", RECORD, None))

    assert store.load_record("orders") is None
    assert store.commit(fence, JobChange("orders", RECORD, None)) == 0


def test_f09_a_failure_after_applying_is_found_by_reading_back(
    session: MemorySession, store: MemoryStore, fence: Fence
) -> None:
    session.fail_next(call="commit", applied=True)

    with pytest.raises(StoreUnavailable):
        store.commit(fence, JobChange("orders", RECORD, None))

    assert store.load_record("orders") is not None
    with pytest.raises(VersionConflict):
        store.commit(fence, JobChange("orders", RECORD, None))


def test_a_failure_meant_for_another_call_waits_for_it(session: MemorySession, store: MemoryStore) -> None:
    session.fail_next(2, call="load_records")

    store.load_jobs()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.load_records()
    assert store.load_records() == {}
    assert session.calls == ["load_jobs", "load_records", "load_records", "load_records"]


def test_f03_while_suspended_nothing_answers_and_the_lease_may_not_act(
    tree: MemoryTree, session: MemorySession
) -> None:
    store, election = MemoryStore(session=session), MemoryElection(session=session)
    lease = election.acquire(INFO)
    assert lease is not None

    session.suspend()

    assert (lease.may_act(), lease.lost()) == (False, False)
    with pytest.raises(StoreUnavailable):
        store.load_jobs()
    assert MemoryElection(tree).acquire(INFO) is None
    session.resume()
    assert lease.may_act()


def test_f01_a_lagging_reader_sees_the_past_until_it_syncs(tree: MemoryTree, session: MemorySession) -> None:
    store, user = MemoryStore(session=session), MemoryStore(tree)
    user.put_job("orders", b"1")
    session.lag()
    user.put_job("orders", b"2")

    assert store.load_jobs().specs["orders"].data == b"1"
    store.sync()
    assert store.load_jobs().specs["orders"].data == b"2"


def test_f01_a_lagging_leader_cannot_overwrite_what_it_does_not_see(
    tree: MemoryTree, session: MemorySession, store: MemoryStore, fence: Fence
) -> None:
    store.commit(fence, JobChange("orders", RECORD, None))
    session.lag()
    MemoryStore(tree).commit(fence, JobChange("orders", RECORD, 0))
    seen = store.load_record("orders")

    assert seen is not None
    assert seen.version == 0  # type: ignore[union-attr]
    with pytest.raises(VersionConflict):
        store.commit(fence, JobChange("orders", RECORD, 0))


def test_f15_lost_watch_events_are_announced_by_nobody(tree: MemoryTree, session: MemorySession) -> None:
    announced: list[Any] = []
    store = MemoryStore(session=session)
    store.watch(announced.append)
    session.lose_watch_events = True

    MemoryStore(tree).put_job("orders", b"{}")

    assert announced == [DesiredChanged()]
    assert set(store.load_jobs().specs) == {"orders"}


def test_reconnecting_announces_that_something_may_have_changed(tree: MemoryTree, session: MemorySession) -> None:
    announced: list[Any] = []
    MemoryStore(session=session).watch(announced.append)
    session.suspend()
    MemoryStore(tree).put_job("orders", b"{}")
    assert len(announced) == 1

    session.resume()

    assert len(announced) == 2


def test_a_tree_that_was_never_set_up_takes_a_users_first_job() -> None:
    store = MemoryStore(MemoryTree(laid_out=False))
    assert store.load_jobs().czxid is None

    store.put_job("orders", b"{}")
    store.ensure_layout()

    assert set(store.load_jobs().specs) == {"orders"}


def test_f07_a_replica_that_could_not_withdraw_leads_again_with_its_own_node() -> None:
    tree = MemoryTree()
    session = MemorySession(tree)
    first = MemoryElection(session=session).acquire(LeaderInfo(replica="r1", host="h", pid=1))
    assert first is not None
    assert MemoryElection(tree).acquire(LeaderInfo(replica="r2", host="h", pid=1)) is None
    again = MemoryElection(session=session).acquire(LeaderInfo(replica="r1", host="h", pid=1))
    assert again is not None
    assert again.fence.epoch == first.fence.epoch + 1
