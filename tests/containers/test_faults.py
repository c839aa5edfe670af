"""Faults of containers and networks, on one stateful job that has to go on. The tests share the job, in this order.

A leader of the replicas is paused, killed, and cut off from ZooKeeper, from Mesos, from both; the ensemble loses its
leader; the Mesos master dies. None of that may restart anything, by Flink's and Mesos' own records. Then agents are cut
off and lost, which has to cost one recovery and not a row.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integration.containers import WeirStack, cluster
from tests.containers.job import NAME, Job

pytestmark = pytest.mark.docker

Check = Callable[[], None]


def another_leads(weir: WeirStack, than: str) -> str:
    def look() -> str:
        now = weir.leader()
        return "" if now == than else now

    found: str = weir.wait_until(f"another replica than {than} leads", look)
    return found


def test_every_part_runs_in_a_container_of_its_own(weir: WeirStack, job: Job) -> None:
    members = weir.members()
    assert [each.kind for each in members] == ["zk"] * 3 + ["master"] + ["agent"] * 3 + ["replica"] * 3
    assert {each.state for each in members} == {"running"}
    assert len({each.address for each in members}) == len(members)
    assert weir.agents() == {"agent-1", "agent-2", "agent-3"}
    assert {task.hostname for task in job.running()} <= weir.agents()


def test_f02_a_paused_leader_that_wakes_late_does_nothing(weir: WeirStack, undisturbed: Check) -> None:
    paused = weir.leader()
    weir.pause(paused)
    successor = another_leads(weir, paused)
    weir.unpause(paused)
    undisturbed()
    assert weir.leader() == successor


def test_a_killed_leader_is_succeeded_and_comes_back_as_a_standby(weir: WeirStack, undisturbed: Check) -> None:
    killed = weir.leader()
    weir.kill(killed)
    successor = another_leads(weir, killed)
    weir.start(killed)
    undisturbed()
    assert weir.leader() == successor


def test_f05_a_leader_cut_off_from_zookeeper_only_abdicates(weir: WeirStack, undisturbed: Check) -> None:
    cut_off = weir.leader()
    weir.partition(cut_off, from_="zk")
    another_leads(weir, cut_off)
    undisturbed()


def test_f05_a_leader_without_any_network_abdicates(weir: WeirStack, undisturbed: Check) -> None:
    unplugged = weir.leader()
    weir.disconnect(unplugged)
    another_leads(weir, unplugged)
    undisturbed()


def test_f05_a_leader_cut_off_from_zookeeper_and_mesos_abdicates(weir: WeirStack, undisturbed: Check) -> None:
    cut_off = weir.leader()
    weir.partition(cut_off, from_=["zk", "master", "agent"])
    another_leads(weir, cut_off)
    undisturbed()


def test_f30_a_leader_cut_off_from_mesos_only_acts_again_once_it_is_back(weir: WeirStack, job: Job) -> None:
    before = job.runs()
    weir.partition(weir.leader(), from_="master")
    job.progresses()
    assert job.runs() == before, "nothing is restarted because Mesos is silent"

    lost = next(task for task in job.running() if task.role == "tm")
    assert lost.hostname is not None
    weir.exec(lost.hostname, ["pkill", "-9", "-f", lost.id])
    weir.wait_until("Mesos has noticed", lambda: weir.tasks().get(lost.id, "TASK_RUNNING") != "TASK_RUNNING")
    weir.heal()
    after = job.runs()
    assert len(after.tasks - before.tasks) == 1, "one TaskManager was replaced"
    assert after.job_id == before.job_id
    job.progresses()


def test_the_ensemble_loses_its_leader(weir: WeirStack, undisturbed: Check) -> None:
    killed = weir.zk_leader()
    weir.kill(killed)
    weir.wait_until("another server leads", lambda: weir.zk_leader() not in ("", killed))
    undisturbed()


def test_the_leader_of_the_ensemble_is_cut_off_from_the_other_servers(weir: WeirStack, undisturbed: Check) -> None:
    cut_off = weir.zk_leader()
    weir.partition(cut_off, from_="zk")
    others = [each.address for each in weir.members() if each.kind == "zk" and each.name != cut_off]
    weir.wait_until("the others elect one", lambda: "leader" in map(cluster.zookeeper_mode, others))
    undisturbed()


def test_f26_a_mesos_master_that_dies_and_comes_back(weir: WeirStack, undisturbed: Check) -> None:
    weir.kill("master-1")
    weir.start("master-1")
    weir.wait_until("the agents are back", lambda: len(weir.agents()) == 3)
    undisturbed()


def test_f27_an_agent_that_was_cut_off_comes_back(weir: WeirStack, job: Job) -> None:
    before, agent = job.runs(), job.agent_of("tm")
    lost = {task.id for task in job.running() if task.hostname == agent}
    weir.disconnect(agent)
    weir.wait_until("the lost task was replaced", lambda: (now := job.footprint()) and not now.tasks & lost)
    weir.connect(agent)
    weir.wait_until("the agent is registered again", lambda: agent in weir.agents())
    after = job.runs()  # three tasks: of the old ones and their replacements none is too many
    assert after.job_id == before.job_id, "the generation goes on"
    job.progresses()


def test_an_agent_that_is_gone_for_good_is_replaced_by_the_others(weir: WeirStack, job: Job) -> None:
    before, agent = job.runs(), job.agent_of("jm")
    agent_id = weir.agent_id(agent)
    weir.remove(agent)
    weir.wait_until("everything runs elsewhere", lambda: agent not in weir.agents() and job.footprint())
    after = job.runs()
    assert after.job_id == before.job_id, "Flink's own recovery in the same generation"
    assert all(task.hostname != agent for task in job.running())
    job.progresses()
    # Until a person says so, what ran there may still run, and a delete would wait for it.
    weir.mark_gone(agent_id)


def test_no_row_was_lost_or_written_twice(weir: WeirStack, job: Job) -> None:
    job.feeder.finish()
    weir.wait_until("the last rows are committed", lambda: job.sink.rows() >= job.feeder.evens)
    found = job.compare()
    assert (found.missing, found.duplicated, found.unexpected) == (0, 0, 0)
    assert found.counts_continuous
    assert found.complete


def test_a_deleted_job_leaves_no_task(weir: WeirStack, shared_job: Job) -> None:
    weir.delete(NAME)
    weir.wait_deleted(NAME)
    weir.wait_until("no task runs", lambda: "TASK_RUNNING" not in weir.tasks().values())
