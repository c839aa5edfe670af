"""The contract of `Election` and `Lease`, on the fake and on ZooKeeper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model.record import SCHEMA_VERSION
from reconciler.ports import Fenced, JobChange, SchemaTooNew, StoreUnavailable

pytestmark = pytest.mark.timeout(120)

Eventually = Callable[..., Any]


def test_the_first_replica_leads_and_says_so(world: Any) -> None:
    replica = world.replica()
    lease = replica.lead()

    assert lease.may_act()
    assert not lease.lost()
    assert lease.fence.epoch == 1
    info = world.replica().store.load_leader()
    assert (info.replica, info.epoch, info.host) == (replica.name, 1, "host-1")


def test_the_second_replica_waits(world: Any) -> None:
    world.replica().lead()
    second = world.replica()

    assert second.election.acquire(second.info(), timeout=0.2) is None


def test_releasing_hands_over_with_a_higher_epoch(world: Any) -> None:
    first, second = world.replica(), world.replica()
    lease = first.lead()

    lease.release()

    assert (lease.may_act(), lease.lost()) == (False, True)
    following = second.lead()
    assert following.fence.epoch == 2
    assert following.fence.version > lease.fence.version
    assert second.store.load_leader().replica == second.name


def test_releasing_twice_is_no_error(world: Any) -> None:
    first, second = world.replica(), world.replica()
    lease = first.lead()
    lease.release()
    following = second.lead()

    lease.release()

    assert following.may_act()


def test_without_a_leader_nobody_is_named(world: Any) -> None:
    replica = world.replica()
    assert replica.store.load_leader() is None
    lease = replica.lead()
    lease.release()

    assert replica.store.load_leader() is None


def test_f02_an_expired_leader_is_lost_and_the_other_leads(world: Any, samples: Any, eventually: Eventually) -> None:
    first, second = world.replica(), world.replica()
    lease = first.lead()
    first.store.commit(lease.fence, JobChange("orders", samples.record(), None))

    world.expire(first)

    following = second.lead()
    assert following.fence.epoch == lease.fence.epoch + 1
    eventually(lambda: lease.lost() and not lease.may_act())
    eventually(lambda: refused_as_fenced(first, lease, samples))
    assert second.store.load_record("orders").record.blocked_why == "new"


def refused_as_fenced(replica: Any, lease: Any, samples: Any) -> bool:
    """True once the deposed leader is connected again and its write is refused for the right reason."""
    try:
        replica.store.commit(lease.fence, JobChange("orders", samples.record(blocked_why="late"), 0))
    except Fenced:
        return True
    except StoreUnavailable:
        return False
    raise AssertionError("a deposed leader's write was applied")


def test_f04_an_expired_leader_can_lead_again(world: Any, eventually: Eventually) -> None:
    replica = world.replica()
    lease = replica.lead()
    world.expire(replica)
    eventually(lease.lost)

    again = replica.lead()

    assert again.fence.epoch == 2
    assert again.may_act()
    assert lease.lost()


def test_s05_a_moved_epoch_ends_the_lease(world: Any, eventually: Eventually) -> None:
    lease = world.replica().lead()

    world.bump_epoch()

    eventually(lease.lost)
    assert not lease.may_act()


def test_f60_a_replica_older_than_the_tree_does_not_lead(world: Any) -> None:
    world.set_schema(SCHEMA_VERSION + 1)
    replica = world.replica()

    with pytest.raises(SchemaTooNew):
        replica.election.acquire(replica.info(), timeout=5)


def test_a_stopped_election_never_leads(world: Any) -> None:
    replica = world.replica()

    replica.election.stop()

    assert replica.election.acquire(replica.info(), timeout=5) is None
