"""ZooKeeper and Mesos masters fail: the job runs on, and Weir goes on where it was."""

from __future__ import annotations

import time

import pytest

from tests.chaos.ground import Ground, elapsed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_an_ensemble_that_loses_its_leader_goes_on(ground: Ground) -> None:
    old = ground.until("a ZooKeeper server leads", ground.stack.zookeeper_leader)
    with ground.unharmed():
        began = time.monotonic()
        ground.stack.kill(old)
        new = ground.until("another server leads", ground.stack.zookeeper_leader)
        assert new != old
        print(f"ZooKeeper's own election: {elapsed(began)}")
        ground.until("a replica leads", lambda: ground.weir.leader() and ground.weir.framework_active())
        ground.progresses()
        ground.stack.start(old)


def test_f14_an_ensemble_that_is_away_and_comes_back_finds_everything_as_it_was(ground: Ground) -> None:
    servers = ground.stack.layout.zookeepers
    with ground.unharmed():
        for server in servers:
            ground.stack.kill(server)
        ground.until("none serves", lambda: ground.stack.zookeeper_leader() is None)
        for server in servers:
            ground.stack.start(server)
        ground.until("a ZooKeeper server leads", ground.stack.zookeeper_leader)


def test_f26_another_master_is_found_through_zookeeper_and_nothing_is_lost(ground: Ground) -> None:
    old = ground.until("a master leads", ground.stack.leader)
    before = ground.weir.framework_id()
    tasks = ground.weir.live_tasks()
    with ground.unharmed():
        began = time.monotonic()
        ground.stack.kill(old.name)
        ground.until("another master leads", lambda: (new := ground.stack.leader()) and new.name != old.name)
        ground.until("it has our framework, connected", ground.weir.framework_active)
        print(f"framework is back at another master: {elapsed(began)}")
        ground.until("it knows the tasks", lambda: ground.weir.live_tasks() == tasks)
        ground.stack.start(old.name)
    assert ground.weir.framework_id() == before
