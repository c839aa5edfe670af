"""The next generation's processes, started while the current one runs: what waits for what, and what is given up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.model.decision import CleanUpGeneration, KillTask, OpenGate, StopWithSavepoint
from reconciler.model.observation import FlinkObservation, JobState, Observation, Operation, OperationState, TaskState
from reconciler.model.record import Generation, Lifecycle, Role
from reconciler.model.spec import JobSpec
from tests.unit.decide.scenario import Scenario, effects, spec

PRESTART: dict[str, Any] = {"prestart": True, "parallelism": 2}


def wanted(**changes: Any) -> JobSpec:
    job = {**PRESTART, **changes.pop("job", {})}
    return spec(job=job, **changes)


class Early(Scenario):
    """A job that is upgraded with a prepared generation; its waiting JobManager says what the test sets."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(wanted(**changes))
        self.said: FlinkObservation | None = None
        self.opened: frozenset[str] = frozenset()

    def observation(self) -> Observation:
        return replace(super().observation(), upcoming=self.said, opened=self.opened)

    @property
    def upcoming(self) -> Generation:
        assert self.record is not None
        assert self.record.upcoming is not None
        return self.record.upcoming

    def prepare(self) -> None:
        """STABLE in generation 1, and an upgrade has opened generation 2 beside it."""
        self.bring_up()
        self.edit(wanted(restartNonce=1))
        self.settle()
        assert self.upcoming.number == 2

    def come_up(self) -> None:
        self.place()
        self.run_tasks()
        names = frozenset(task.task_id for task in self.of(Role.TASK_MANAGER, 2) if task.task_id)
        self.said = FlinkObservation(self.now, True, task_managers=names)
        self.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=9)


def test_the_running_generation_is_left_alone_until_the_next_ones_processes_are_up() -> None:
    job = Early()
    job.prepare()
    assert job.record is not None
    assert {(task.role, task.generation) for task in job.record.tasks} == {
        (role, number) for role in Role for number in (1, 2)
    }
    assert job.generation.ending is None
    assert job.record.lifecycle is Lifecycle.UPGRADING
    job.place()
    job.run_tasks()
    job.said = FlinkObservation(job.now, True)  # it answers, but no TaskManager is registered with it
    decision = job.settle()
    assert not effects(decision, StopWithSavepoint)
    assert "started beforehand" in decision.why
    job.come_up()
    assert effects(job.settle(), StopWithSavepoint)


def test_f27_s1_s2_the_gate_is_opened_with_the_record_that_names_the_restore_point_and_not_before() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    prepared, managers = job.upcoming, {task.task_id for task in job.of(Role.JOB_MANAGER, 2)}
    assert not effects(job.settle(), OpenGate)
    job.stopped("file:///srv/sp-1")
    decision = job.step()

    (gate,) = effects(decision, OpenGate)
    assert (gate.job_id, gate.cluster_id, gate.restore) == (prepared.job_id, prepared.cluster_id, "file:///srv/sp-1")
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-1"
    assert job.record is not None
    assert job.record.upcoming is None
    assert not decision.wanted(), "all that it needs is there"
    assert {task.task_id for task in job.of(Role.JOB_MANAGER)} == managers

    job.opened = frozenset({prepared.job_id})
    assert not effects(job.settle(), OpenGate)


def test_a_new_leader_opens_the_gate_again() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    job.settle()
    job.stopped()
    first = effects(job.step(), OpenGate)
    job.since = job.now
    assert effects(job.settle(), OpenGate) == first


def test_a_gate_is_not_opened_for_a_job_that_ran() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    job.settle()
    job.stopped()
    job.settle()
    job.answer(JobState.RUNNING, completed_checkpoints=1)
    job.settle()
    assert job.generation.was_running
    assert not effects(job.settle(), OpenGate)


def test_without_offers_the_upgrade_goes_on_and_what_is_missing_is_wanted_afterwards() -> None:
    job = Early()
    job.prepare()
    job.now += job.policy.prestart_offer_s
    job.answer(JobState.RUNNING, completed_checkpoints=9)
    decision = job.settle()
    assert effects(decision, StopWithSavepoint)
    assert "PRESTART_SHORT" in job.events
    assert not job.of(Role.JOB_MANAGER, 2)
    job.stopped()
    decision = job.settle()
    assert job.generation.number == 2
    assert {(task.role, task.generation) for task in decision.wanted()} >= {(Role.TASK_MANAGER, 2)}


def test_processes_that_do_not_come_up_in_time_are_not_waited_for() -> None:
    job = Early()
    job.prepare()
    job.place()
    job.run_tasks()
    job.now += job.policy.prestart_up_s
    job.answer(JobState.RUNNING, completed_checkpoints=9)
    assert effects(job.settle(), StopWithSavepoint)


def test_a_process_that_dies_beforehand_is_not_charged_and_not_waited_for() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    job.mesos(job.of(Role.JOB_MANAGER, 2)[0], TaskState.FAILED)
    assert effects(job.settle(), StopWithSavepoint)
    assert job.record is not None
    assert job.record.restarts.total == 0
    job.stopped()
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-1"


def test_a_change_that_is_taken_back_drops_what_was_prepared_and_its_number_is_used_up() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    prepared = job.upcoming
    ids = {task.task_id for role in Role for task in job.of(role, 2)}
    job.edit(wanted())
    decision = job.settle()
    assert {kill.task_id for kill in effects(decision, KillTask)} == ids
    assert job.generation.number == 1
    assert job.generation.ending is None
    job.bury_killed()
    decision = job.settle()
    assert [effect.cluster_id for effect in effects(decision, CleanUpGeneration)] == [prepared.cluster_id]
    job.edit(wanted(restartNonce=5))
    job.settle()
    assert job.upcoming.number == 3


def test_another_change_meanwhile_prepares_another_generation() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    job.edit(wanted(restartNonce=2))
    job.settle()
    assert job.upcoming.number == 3
    assert job.upcoming.spec.restart_nonce == 2


def test_a_change_while_the_stop_is_under_way_never_opens_the_gate_of_the_older_wish() -> None:
    job = Early()
    job.prepare()
    prepared = job.upcoming
    job.come_up()
    job.settle()
    job.edit(wanted(restartNonce=2))
    job.settle()
    job.stopped()
    decision = job.settle()
    assert job.generation.spec.restart_nonce == 2
    assert job.generation.number == 3
    assert not [gate for gate in effects(decision, OpenGate) if gate.job_id == prepared.job_id]


def test_f27_suspending_or_deleting_meanwhile_drops_it() -> None:
    for change in ("suspend", "delete"):
        job = Early()
        job.prepare()
        job.come_up()
        if change == "suspend":
            job.edit(wanted(restartNonce=1, job={"state": "suspended"}))
        else:
            job.remove()
        job.settle()
        assert job.record is not None
        assert job.record.upcoming is None
        assert all(task.kill_since is not None for task in job.record.tasks if task.generation == 2)


def test_a_job_that_is_kept_when_it_is_deleted_leaves_no_waiting_process_behind() -> None:
    job = Early(onDelete="keep")
    job.bring_up()
    job.edit(wanted(restartNonce=1, onDelete="keep"))
    job.settle()
    job.come_up()
    job.remove()
    decision = job.settle()
    assert job.record is not None
    assert {task.generation for task in job.record.tasks} == {2}
    assert {kill.task_id for kill in effects(decision, KillTask)} == {task.task_id for task in job.record.tasks}


def test_a_job_that_fails_meanwhile_restarts_without_it() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    job.answer(JobState.FAILED, failure="java.lang.RuntimeException")
    job.settle()
    assert job.record is not None
    assert job.record.upcoming is None


def test_a_stop_that_fails_and_is_tried_again_keeps_what_is_up() -> None:
    job = Early()
    job.prepare()
    job.come_up()
    job.settle()
    failed = Operation(OperationState.FAILED, error="no space")
    job.answer(JobState.RUNNING, operations={job.trigger: failed})
    job.settle()
    assert job.upcoming.number == 2


def test_only_taskmanagers_are_started_beforehand_for_a_jar_whose_entry_class_is_not_known() -> None:
    jar = {"type": "jar", "uri": "file:///srv/job.jar"}
    job = Early(job=jar)
    job.bring_up()
    job.edit(wanted(job=jar, restartNonce=1))
    job.settle()
    assert not job.of(Role.JOB_MANAGER, 2)
    assert job.of(Role.TASK_MANAGER, 2)
    assert not job.upcoming.gated


def test_a_job_that_does_not_run_is_changed_at_once() -> None:
    job = Early()
    job.bring_up()
    job.answer(JobState.RESTARTING)
    job.settle()
    job.edit(wanted(restartNonce=1))
    job.settle()
    assert job.record is not None
    assert job.record.upcoming is None
    assert job.generation.ending is not None


def test_a_job_that_does_not_ask_for_it_is_stopped_first() -> None:
    job = Early()
    job.desired = replace(job.desired, spec=spec())
    job.bring_up()
    job.edit(spec(restartNonce=1))
    assert effects(job.settle(), StopWithSavepoint)
    assert job.record is not None
    assert {task.generation for task in job.record.tasks} == {1}
