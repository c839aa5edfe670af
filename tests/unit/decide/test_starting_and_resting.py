"""Starting a job, and leaving a stable one in peace."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.decision import CleanUpGeneration, Desired, KillTask, ReconcileTask
from reconciler.model.observation import JobState, TaskState
from reconciler.model.record import Lifecycle, Role, SpecRef
from tests.unit.decide.scenario import Scenario, acting, effects, spec


def test_a_new_job_wants_one_jobmanager_and_enough_taskmanagers() -> None:
    job = Scenario(spec(job={"parallelism": 5}))
    decision = job.step()
    assert [task.role for task in decision.wanted()].count(Role.JOB_MANAGER) == 1
    assert [task.role for task in decision.wanted()].count(Role.TASK_MANAGER) == 3
    assert job.generation.restore is None
    assert acting(decision) == []


def test_an_invalid_first_version_starts_nothing() -> None:
    job = Scenario()
    job.desired = Desired("orders", present=True, ref=SpecRef(100, 0), spec=None, error="job.uri: missing")
    assert job.step().record is None


def test_a_job_becomes_stable_only_after_its_first_checkpoint_and_the_wait() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(JobState.RUNNING)
    job.settle()
    job.now += 60
    job.answer(JobState.RUNNING)
    decision = job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.DEPLOYED
    assert "first checkpoint" in decision.why
    job.answer(JobState.RUNNING, completed_checkpoints=1)
    job.settle()
    assert job.record.lifecycle is Lifecycle.STABLE


def test_a_stable_job_is_left_in_peace() -> None:
    job = Scenario()
    job.bring_up()
    assert acting(job.step()) == []
    assert job.step().why == "running and stable"


def test_nothing_is_decided_before_mesos_has_answered_for_every_task() -> None:
    job = Scenario()
    job.bring_up()
    job.complete = False
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
    job.edit(spec(restartNonce=1))
    before = job.record
    decision = job.step()
    assert decision.record == before
    assert decision.effects == ()


def test_a_delete_is_noted_before_mesos_has_answered_and_carried_out_after() -> None:
    job = Scenario()
    job.bring_up()
    job.complete = False
    job.remove()
    decision = job.step()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.DELETING
    assert acting(decision) == []
    job.desired = Desired("orders", present=True, ref=SpecRef(900, 0), spec=spec(), adopt=True)
    job.complete = True
    job.settle()
    assert job.record.lifecycle is Lifecycle.DELETING, "what is put back later is another life"


def test_f46_a_silent_jobmanager_is_reconciling_and_nothing_is_restarted() -> None:
    job = Scenario()
    job.bring_up()
    job.silent()
    job.settle()
    job.now += 600
    decision = job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.RECONCILING
    (jobmanager,) = job.of(Role.JOB_MANAGER)
    assert jobmanager.task_id is not None
    assert acting(decision) == [ReconcileTask(jobmanager.task_id, jobmanager.agent_id, 300.0)], "asking changes nothing"
    assert decision.wanted() == ()


def test_f49_a_change_that_was_taken_back_unseen_has_no_effect() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.edit(spec())
    decision = job.settle()
    assert acting(decision) == []
    assert job.record is not None
    assert job.record.seen.version == 2


def test_f50_an_invalid_edit_leaves_the_job_as_it_is() -> None:
    job = Scenario()
    job.bring_up()
    job.desired = Desired("orders", present=True, ref=SpecRef(100, 1), spec=None, error="job.parallelism: not a number")
    before = job.record
    assert acting(job.step()) == []
    assert job.record == before


def test_f56_a_first_deployment_that_failed_is_corrected_by_a_new_spec() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(None)
    job.settle()
    job.edit(spec(job={"uri": "file:///srv/fixed.py"}))
    job.settle()
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is None
    assert job.generation.spec.job.uri == "file:///srv/fixed.py"


def test_f56_a_finished_job_gives_its_resources_back_and_stays_finished() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.FINISHED)
    decision = job.settle()
    assert len(effects(decision, KillTask)) == 2
    job.bury_killed()
    decision = job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.FINISHED
    assert [type(effect) for effect in acting(decision)] == [CleanUpGeneration]
    job.cleaned = frozenset({job.generation.job_id})
    assert acting(job.settle()) == []


def test_f13_a_job_that_was_lost_with_its_tree_and_put_back_goes_on() -> None:
    job = Scenario()
    job.bring_up()
    uid = job.record.uid if job.record else ""
    job.desired = Desired("orders", present=True, ref=SpecRef(900, 0), spec=spec(), adopt=True)
    assert acting(job.settle()) == []
    assert job.record is not None
    assert (job.record.uid, job.record.seen) == (uid, SpecRef(900, 0))
    job.desired = replace(job.desired, adopt=False)
    assert acting(job.settle()) == [], "and stays adopted"


def test_a_job_whose_jobmanager_is_unreachable_is_not_called_stable() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.UNREACHABLE)
    job.flink = None
    job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.RECONCILING
