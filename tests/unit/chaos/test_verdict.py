"""A chaos run can fail: what is started without need is found, in the words of Flink and Mesos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.chaos import evidence
from tests.chaos.evidence import Evidence, Launched, Switched
from tests.chaos.faults import Struck
from tests.chaos.verdict import judge

TM = Launched(1.0, "chaos.0123456789.1.tm.0.7")
JM = Launched(1.0, "chaos.0123456789.1.jm.0.8")
START = Switched(2.0, "chaos.0123456789.1.jm.0.1", "CREATED", "RUNNING")


def found(*launched: Launched, starts: int = 0) -> Evidence:
    return Evidence(
        frozenset(launched), frozenset(Switched(float(n), START.task_id, "CREATED", "RUNNING") for n in range(starts))
    )


def test_a_fault_of_the_control_plane_may_start_nothing() -> None:
    struck = [Struck("SIGKILL to replica-1")]
    assert judge(found(), struck).unneeded == 0
    assert judge(found(TM), struck).unneeded == 1
    assert judge(found(starts=1), struck).unneeded == 1


def test_a_killed_taskmanager_is_replaced_once_and_by_its_like() -> None:
    struck = [Struck("SIGKILL to a TaskManager", launches=Counter(tm=1), starts=1)]
    assert judge(found(TM, starts=1), struck).unneeded == 0
    assert judge(found(TM, JM, starts=1), struck).unneeded == 1
    assert judge(found(TM, Launched(3.0, "chaos.0123456789.1.tm.0.9"), starts=1), struck).unneeded == 1


def test_what_several_faults_take_away_adds_up() -> None:
    struck = [Struck("a", launches=Counter(tm=1), starts=1), Struck("b", launches=Counter(jm=1), starts=1)]
    verdict = judge(found(TM, JM, starts=2), struck)
    assert (verdict.launched, verdict.started, verdict.unneeded) == (2, 2, 0)


def test_evidence_is_read_from_the_files_of_agents_and_job_managers(tmp_path: Path) -> None:
    task = "chaos.0123456789.1.jm.0.1"
    meta = tmp_path / f"agent-1/work/meta/slaves/S0/frameworks/F/executors/{task}/runs/r/tasks/{task}"
    sandbox = tmp_path / f"agent-1/work/slaves/S0/frameworks/F/executors/{task}/runs/r"
    for directory in (meta, sandbox):
        directory.mkdir(parents=True)
    (meta / "task.info").write_text("")
    line = "2026-11-23 15:58:13,286 INFO  org.apache.flink.runtime.executiongraph.ExecutionGraph [] - Job chaos"
    states = ("CREATED to RUNNING", "RUNNING to CANCELLING", "CANCELLING to CANCELED", "CREATED to RUNNING")
    switches = (f"{line} ({'0' * 32}) switched from state {state}." for state in states)
    (sandbox / "stdout").write_text("\n".join(["noise", *switches, ""]))
    (sandbox.parent / "latest").symlink_to(sandbox)
    read = evidence.read(tmp_path, "chaos")
    assert [item.task_id for item in read.launched] == [task]
    assert len(read.switched) == 3, "two of these lines are the same to the millisecond"
    assert read.since(read) == Evidence(frozenset(), frozenset())
