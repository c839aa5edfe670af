"""The leader dies, sleeps, or is cut off: another one leads, and nobody touches what runs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model.status import LeaderInfo
from tests.chaos import zklog
from tests.chaos.ground import JOB, Ground, elapsed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def replaced(ground: Ground, what: str, strike: Callable[[str], None]) -> tuple[LeaderInfo, LeaderInfo]:
    """Strike the leader; the old and the new one."""
    old = ground.leader()
    began = time.monotonic()
    strike(old.replica)
    new = ground.other_leader(old)
    print(f"take-over after {what}: {elapsed(began)}")
    return old, new


def events(ground: Ground, replica: str) -> list[dict[str, Any]]:
    """What a replica logged."""
    lines = ground.stack.logs(replica).read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_a_killed_leader_is_replaced_and_the_job_runs_on(ground: Ground) -> None:
    with ground.unharmed():
        old, new = replaced(ground, "SIGKILL", ground.stack.kill)
    assert new.replica != old.replica
    assert new.epoch == old.epoch + 1


def test_an_orderly_stop_hands_over_at_once(ground: Ground) -> None:
    with ground.unharmed():
        replaced(ground, "SIGTERM", ground.stack.stop)


def test_f02_a_leader_that_was_paused_in_an_upgrade_does_nothing_when_it_wakes(ground: Ground) -> None:
    generation = ground.status().generation or 0
    nonce = ground.wanted.get("restartNonce", 0) + 1
    old = ground.leader()
    before = ground.evidence()
    # The write takes a second: the leader is paused as soon as its intent to stop the job is durable.
    writer = threading.Thread(target=lambda: ground.put(restartNonce=nonce))
    writer.start()
    ground.until("the intent to stop is durable", lambda: _stopping(ground), every=0.005)
    ground.stack.pause(old.replica)
    began = time.monotonic()
    writer.join()
    new = ground.other_leader(old)
    print(f"take-over after SIGSTOP: {elapsed(began)}")
    ground.until("the successor finished the upgrade", lambda: ground.job.running(generation + 1))
    ground.progresses()
    upgraded = ground.evidence()

    ground.stack.resume(old.replica)
    ground.settle(generation + 1)

    # Mesos' and Flink's own records: one upgrade, made once, and nothing after the old leader woke.
    launched = sorted((item.name.generation, item.name.role) for item in upgraded.since(before).launched)
    assert launched == [(generation + 1, "jm"), (generation + 1, "tm")]
    late = ground.evidence().since(upgraded)
    assert not late.launched | late.switched, f"after it woke: {late}"
    # ZooKeeper's own record: after the successor took over nothing of the old leader's session was carried out.
    found = zklog.transactions(ground.stack)
    lost, took = (zklog.take_over(found, ground.weir.root, leader.epoch) for leader in (old, new))
    ours = [item for item in found if item.zxid > took.zxid and ground.weir.root in item.text]
    assert [item for item in ours if item.session == took.session], "the successor's writes are in this log"
    assert not [item for item in ours if item.session == lost.session and item.kind != "closeSession"]
    record = ground.weir.record(JOB)
    assert record is not None
    savepoints = list(ground.stack.storage_dir.glob(f"savepoints/{record.uid}/{generation}/*/savepoint-*"))
    assert len(savepoints) == 1, "the savepoint was taken once"


def _stopping(ground: Ground) -> bool:
    record = ground.weir.record(JOB)
    ending = record.generation.ending if record and record.generation else None
    return ending is not None and ending.trigger_id is not None


@pytest.mark.usefixtures("cuttable")
def test_f03_a_leader_without_zookeeper_stops_acting_and_is_replaced(ground: Ground) -> None:
    with ground.unharmed():
        old, _ = replaced(
            ground, "a partition from ZooKeeper", lambda name: ground.cuts.cut(name, ground.zookeeper_ports())
        )
        ground.cuts.heal(old.replica)
    assert "lease.suspended" in [event["event"] for event in events(ground, old.replica)]


@pytest.mark.usefixtures("cuttable")
def test_f05_a_leader_that_is_cut_off_from_everything_is_replaced(ground: Ground) -> None:
    everything = ground.zookeeper_ports() + ground.mesos_ports()
    with ground.unharmed():
        old, _ = replaced(ground, "a partition from everything", lambda name: ground.cuts.cut(name, everything))
        ground.progresses()
        ground.cuts.heal(old.replica)


@pytest.mark.usefixtures("cuttable")
def test_f30_a_leader_without_mesos_goes_on_for_a_while_and_then_lets_another_one_try(ground: Ground) -> None:
    old = ground.leader()
    with ground.unharmed():
        ground.cuts.cut(old.replica, ground.mesos_ports())
        ground.progresses()
        assert ground.leader().epoch == old.epoch, "silence is not loss (fault 26)"
        began = time.monotonic()
        ground.other_leader(old)
        print(f"take-over after a partition from Mesos: {elapsed(began)}")
        ground.cuts.heal(old.replica)
    why = [event["why"] for event in events(ground, old.replica) if event["event"] == "loop.stopped"]
    assert "no Mesos master was reached" in why[-1]


@pytest.mark.usefixtures("cuttable")
def test_a_standby_that_is_cut_off_changes_nothing(ground: Ground) -> None:
    leader, standby = ground.leader(), ground.standby()
    with ground.unharmed():
        ground.cuts.cut(standby, ground.zookeeper_ports() + ground.mesos_ports())
        ground.until("its session ends", lambda: len(ground.weir.contenders()) == 2)
        ground.progresses()
        ground.cuts.heal(standby)
    assert ground.leader().epoch == leader.epoch
