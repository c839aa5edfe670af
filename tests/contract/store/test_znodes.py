"""Bare znodes: the fake refuses what ZooKeeper refuses, and a backup of one is restored into the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kazoo.security import make_acl

from reconciler.ports import Fenced, JobChange, StoreError
from state.backup import decode, encode, take
from state.layout import Layout
from state.restore import inspect, restore
from state.znodes import Check, Create, Delete, MemoryZnodes, Put, Stale, ZooKeeperZnodes
from tests.contract.store.conftest import Samples, ZooKeeperWorld


@pytest.fixture
def znodes(world: Any) -> Iterator[tuple[Any, str]]:
    """The znodes, and a path below which nothing stands."""
    if world.real:
        yield ZooKeeperZnodes(world.admin), f"{world.layout.root}/bare"
    else:
        yield MemoryZnodes(), "/bare"


def test_a_node_is_made_with_its_parents_and_left_as_it_is(znodes: tuple[Any, str]) -> None:
    tree, root = znodes

    tree.make(f"{root}/a/b", b"first")
    tree.make(f"{root}/a/b", b"second")

    found, nothing = tree.read([f"{root}/a/b", f"{root}/a/c"])
    assert (found.data, found.version, nothing) == (b"first", 0, None)
    assert (tree.children(root), tree.children(f"{root}/none")) == (["a"], None)


def test_a_multi_is_applied_whole(znodes: tuple[Any, str]) -> None:
    tree, root = znodes
    tree.make(f"{root}/old", b"1")
    tree.make(f"{root}/gone", b"1")

    versions = tree.commit(
        [Check(f"{root}/old", 0), Create(f"{root}/new", b"2"), Put(f"{root}/old", b"2", 0), Delete(f"{root}/gone", 0)]
    )

    assert versions == [-1, 0, 1, -1]
    new, old, gone = tree.read([f"{root}/new", f"{root}/old", f"{root}/gone"])
    assert (new.data, new.version, old.data, old.version, gone) == (b"2", 0, b"2", 1, None)
    assert new.czxid > old.czxid


@pytest.mark.parametrize(
    "wrong",
    [
        lambda root: Check(f"{root}/old", 1),
        lambda root: Check(f"{root}/none", 0),
        lambda root: Create(f"{root}/old", b""),
        lambda root: Create(f"{root}/none/deeper", b""),
        lambda root: Put(f"{root}/old", b"", 1),
        lambda root: Put(f"{root}/none", b"", 0),
        lambda root: Delete(f"{root}/old", 1),
        lambda root: Delete(f"{root}/none", 0),
    ],
)
def test_a_multi_that_finds_another_tree_changes_nothing_and_names_the_node(
    znodes: tuple[Any, str], wrong: Any
) -> None:
    tree, root = znodes
    tree.make(f"{root}/old", b"1")
    operation = wrong(root)

    with pytest.raises(Stale) as refused:
        tree.commit([Create(f"{root}/new", b""), operation])

    assert refused.value.path == operation.path
    assert tree.children(root) == ["old"]


def test_a_node_with_children_is_not_removed(znodes: tuple[Any, str]) -> None:
    tree, root = znodes
    tree.make(f"{root}/a/b")

    with pytest.raises(StoreError, match="NotEmpty"):
        tree.commit([Delete(f"{root}/a", 0)])


@pytest.mark.stack
def test_a_node_that_is_created_has_the_acl_of_the_one_above(zookeeper: ZooKeeperWorld) -> None:
    root = zookeeper.layout.root
    folder = f"{root}/guarded"
    acl = [make_acl("world", "anyone", read=True, write=True, create=True, delete=True)]
    zookeeper.admin.create(folder, acl=acl)

    ZooKeeperZnodes(zookeeper.admin).commit([Create(f"{folder}/job", b""), Create(f"{root}/open", b"")])

    assert zookeeper.admin.get_acls(f"{folder}/job")[0] == acl
    assert zookeeper.admin.get_acls(f"{root}/open")[0] == zookeeper.admin.get_acls("/")[0]


@pytest.mark.stack
def test_s5_a_restore_fences_the_leader_and_nobody_leads_before_it_has_ended(
    zookeeper: ZooKeeperWorld, samples: Samples
) -> None:
    leader = zookeeper.replica()
    lease = leader.lead()
    leader.store.put_job("orders", b'{"flinkVersion": "2.2"}')
    leader.store.commit(lease.fence, JobChange("orders", samples.record(), None))
    tree, layout = ZooKeeperZnodes(zookeeper.admin), zookeeper.layout
    backup, checksum = decode(encode(take(tree, layout, "now", "0.1.0")))
    assert inspect(tree, layout).leader == leader.name

    done = restore(tree, layout, backup, checksum, None)

    with pytest.raises(Fenced):
        leader.store.commit(lease.fence, JobChange("late", samples.record("late"), None))
    assert done.epoch == lease.fence.epoch + 1
    lease.release()
    assert zookeeper.replica().lead().fence.epoch == done.epoch + 1

    elsewhere = Layout(f"{layout.root}/elsewhere")
    restore(tree, elsewhere, backup, checksum, None)
    (job,) = tree.read([f"{elsewhere.jobs}/orders"])
    assert job is not None
    assert job.czxid != backup.jobs["orders"].czxid
    assert tree.children(elsewhere.records) == ["orders"]
