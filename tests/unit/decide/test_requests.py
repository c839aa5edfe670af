"""Requests of people: what each changes, what is refused and how, and that nothing is carried out twice."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.model.control import GLOBAL, MAX_REQUEST_BYTES, Action, RawRequest, parse_request
from reconciler.model.decision import CancelJob, FindRestorePoint, KillTask
from reconciler.model.observation import JobState, Operation, OperationState, TaskState
from reconciler.model.record import EndMode, Lifecycle, Role, Snapshot, SnapshotKind, SpecRef
from tests.unit.decide.scenario import POLICY, UNSURE, Scenario, acting, effects, spec


def running(**changes: object) -> Scenario:
    job = Scenario(spec(**changes))
    job.bring_up()
    return job


def blocked_restore() -> Scenario:
    """The JobManager is dead and its checkpoints are gone."""
    job = running()
    job.lose_state()
    return job


# Asking


def test_a_request_is_answered_once_whatever_its_node_is_called() -> None:
    job = running()
    assert job.ask("pause", id_="one").answered
    assert job.ask("unpause", id_="two").answered
    decision = job.ask("pause", id_="one")
    assert decision.answered
    assert job.record is not None
    assert job.record.paused is None
    assert job.events[-1] == "REQUEST_REPEATED"


def test_what_is_not_understood_is_answered_and_changes_nothing_else() -> None:
    job = running()
    before = job.record
    job.asked = parse_request(RawRequest("orders", SpecRef(7, 0), b'{"action": "pase"}'))
    decision = job.step()
    assert decision.answered
    assert before is not None
    assert job.record == replace(before, answers=job.answer_of() and job.record.answers)  # type: ignore[union-attr]
    assert not job.answer_of().accepted
    assert 'did you mean "pause"' in job.answer_of().answer
    assert job.events[-1] == "REQUEST_REFUSED"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"null", "no JSON object"),
        (b"[" * 10_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b" " * (MAX_REQUEST_BYTES + 1), "bytes, the most is"),
        (b"{}", "action: is required"),
        (b'{"action": "fence"}', "needs args.generation"),
        (b'{"action": "fence", "args": {"generation": "3"}}', "whole number"),
        (b'{"action": "fence", "args": {"generation": 0}}', "too small"),
        (b'{"action": "fence", "args": {"generation": 1, "path": "x"}}', "takes no argument path"),
        (b'{"action": "restore-from"}', "exactly one of"),
        (b'{"action": "restore-from", "args": {"latest": true, "empty": true}}', "exactly one of"),
        (b'{"action": "pause", "argz": {}}', 'did you mean "args"'),
        (b'{"action": "pause", "id": 7}', "has to be a string"),
    ],
)
def test_mistakes_in_a_request_are_explained(data: bytes, said: str) -> None:
    asked = parse_request(RawRequest("orders", SpecRef(7, 0), data))
    assert asked.request is None
    assert said in asked.error
    assert len(asked.error) < 400


def test_only_what_is_about_all_jobs_can_be_asked_of_all() -> None:
    for action in Action:
        asked = parse_request(RawRequest(GLOBAL, SpecRef(7, 0), json.dumps({"action": action}).encode()))
        if action in (Action.PAUSE, Action.UNPAUSE):
            assert asked.request is not None
        else:
            assert asked.error


# Pause


def test_a_paused_job_is_observed_and_nothing_is_done_for_it() -> None:
    job = running()
    job.ask("pause", reason="maintenance")
    lost = job.of(Role.TASK_MANAGER)[0]
    job.mesos(lost, TaskState.FAILED)
    job.edit(spec(env={"A": "1"}))
    decision = job.settle()
    assert acting(decision) == []
    assert decision.wanted() == ()
    assert decision.paused
    assert "paused by ann: maintenance" in decision.why
    assert "weir unpause orders" in decision.why
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.STABLE
    assert job.record.restarts.total == 0


def test_after_a_pause_everything_that_happened_is_dealt_with() -> None:
    job = running()
    job.ask("pause")
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
    job.now += 600
    job.settle()
    job.ask("unpause")
    decision = job.settle()
    assert [task.role for task in decision.wanted()] == [Role.TASK_MANAGER]
    assert job.record is not None
    assert job.record.restarts.total == 1


def test_an_ending_in_progress_is_not_driven_further_while_paused() -> None:
    job = running()
    job.edit(spec(env={"A": "1"}))
    job.settle()
    assert job.generation.ending is not None
    job.ask("pause")
    job.stopped()
    job.settle()
    assert job.generation.number == 1
    assert job.generation.terminal is None
    job.ask("unpause")
    job.settle()
    assert job.generation.number == 2


def test_a_pause_counts_in_no_time_out() -> None:
    job = Scenario(spec(health={"readinessTimeout": "60s"}))
    job.settle()
    job.place()
    job.run_tasks()
    job.ask("pause")
    job.now += 3600
    job.ask("unpause")
    job.settle()
    assert "NOT_READY" not in job.events
    assert "LAUNCH_TIMEOUT" not in job.events


def test_a_pause_of_everything_holds_for_a_job_and_its_requests_are_still_answered() -> None:
    job = running()
    job.all_paused = "everything is paused"
    job.edit(spec(env={"A": "1"}))
    assert acting(job.settle()) == []
    job.ask("unpause")
    assert not job.answer_of().accepted
    assert "weir unpause --all" in job.answer_of().answer
    assert job.generation.ending is None


def test_a_pause_is_answered_before_mesos_has_and_the_rest_waits() -> None:
    job = running()
    job.complete = False
    assert job.ask("pause").answered
    assert job.ask("unpause").answered
    assert not job.ask("restore-from", latest=True).answered
    job.complete = True
    assert job.step().answered


# Fence


def unreachable_ending() -> Scenario:
    """An upgrade that waits for a JobManager which nobody can reach."""
    job = running(job={"upgradeMode": "last-state"})
    job.edit(spec(job={"upgradeMode": "last-state"}, env={"A": "1"}))
    job.settle()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.UNREACHABLE)
    job.silent()
    job.settle()
    return job


def test_s1_an_unreachable_jobmanager_is_waited_for_and_the_sentence_says_how_to_go_on() -> None:
    job = unreachable_ending()
    job.now += 100_000
    decision = job.settle()
    assert job.generation.number == 1
    assert "weir fence orders --generation 1" in decision.why


def test_s1_a_fenced_generation_is_followed_by_the_next_and_its_tasks_are_killed_for_ever() -> None:
    job = unreachable_ending()
    old = job.of(Role.JOB_MANAGER)[0]
    job.ask("fence", generation=1)
    job.found(ha_metadata=True, checkpoint_id=9, checkpoint_path="chk-9")
    decision = job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "chk-9"
    assert job.record is not None
    assert [(force.generation, force.by) for force in job.record.fenced] == [(1, "ann")]
    assert "FENCED" in job.events
    assert old.task_id in {effect.task_id for effect in effects(decision, KillTask)}


def test_s1_the_ha_data_of_a_fenced_generation_stays_while_its_jobmanager_may_come_back() -> None:
    job = unreachable_ending()
    job.ask("fence", generation=1)
    job.found(ha_metadata=True, checkpoint_id=9, checkpoint_path="chk-9")
    decision = job.settle()
    assert "CleanUpGeneration" not in {type(effect).__name__ for effect in decision.effects}
    job.bury_killed()
    decision = job.settle()
    assert "CleanUpGeneration" in {type(effect).__name__ for effect in decision.effects}


def test_a_running_generation_can_be_declared_dead_and_what_does_not_exist_cannot() -> None:
    job = running()
    job.ask("fence", generation=2)
    assert "there is no generation 2" in job.answer_of().answer
    job.ask("fence", generation=1)
    assert job.answer_of().accepted
    assert job.generation.ending is not None
    assert job.generation.ending.mode is EndMode.KILL
    job.ask("fence", generation=1)
    assert not job.answer_of().accepted


def test_a_delete_does_not_wait_for_a_fenced_task() -> None:
    job = unreachable_ending()
    job.remove()
    job.bury_killed()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.UNREACHABLE)
    job.settle()
    job.ask("fence", generation=1)
    job.found(ha_metadata=True, checkpoint_id=9, checkpoint_path="chk-9")
    job.settle()
    assert job.record is not None
    job.cleaned = frozenset(old.job_id for old in job.record.retired)
    for task in job.record.tasks:
        if task.role is Role.TASK_MANAGER:
            job.mesos(task, TaskState.KILLED)
    job.settle()
    assert job.record.lifecycle is Lifecycle.DELETED
    assert job.record.tasks == ()


def test_f28_a_record_from_an_old_backup_goes_on_when_the_unknown_generation_is_declared_dead() -> None:
    job = running()
    assert job.record is not None
    job.newer_task = f"orders.{job.record.uid}.4.jm.0.9"
    decision = job.step()
    assert job.record.blocked == "RECORD_TOO_OLD"
    assert "weir fence orders --generation 4" in decision.why
    assert acting(decision) == []
    job.ask("fence", generation=1)
    assert not job.answer_of().accepted
    assert job.ask("fence", generation=4).answered
    assert job.answer_of().accepted
    job.newer_task = None  # the loop drops it: a fenced generation explains it
    decision = job.step()
    (look,) = effects(decision, FindRestorePoint)
    assert look.generation == 4
    job.found(ha_metadata=True, checkpoint_id=70, checkpoint_path="chk-70")
    job.settle()
    assert job.generation.number == 5
    assert job.restored_from == "chk-70"


def test_s2_an_unknown_generation_whose_state_is_not_found_never_starts_from_what_is_older() -> None:
    job = running()
    assert job.record is not None
    job.newer_task = f"orders.{job.record.uid}.4.jm.0.9"
    job.step()
    job.ask("fence", generation=4)
    job.newer_task = None
    job.found(ha_metadata=False)
    job.settle()
    assert job.record.blocked == "RESTORE_BLOCKED"


# Restore


def test_s2_restore_from_the_latest_takes_the_newest_that_is_there() -> None:
    job = running()
    job.edit(spec(env={"A": "1"}))
    job.settle()
    job.stopped("file:///srv/sp-1")
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(JobState.RUNNING, completed_checkpoints=1, latest_checkpoint_id=20, latest_checkpoint_path="chk-20")
    job.settle()
    job.lose_state()
    job.ask("restore-from", latest=True)
    job.found(ha_metadata=False)
    job.settle()
    assert job.generation.number == 3
    assert job.restored_from == "file:///srv/sp-1"
    assert job.record.blocked is None


@pytest.mark.parametrize("args", [{"path": "file:///elsewhere/sp"}, {"empty": True}])
def test_s2_a_blocked_restore_goes_on_from_what_a_person_says_and_keeps_to_it(args: dict[str, object]) -> None:
    job = blocked_restore()
    job.ask("restore-from", **args)
    job.settle()
    assert job.generation.number == 2
    told = args.get("path")
    assert (job.generation.restore.path if job.generation.restore else None) == told
    assert "RESTORE_TOLD" in job.events
    job.place()
    job.run_tasks()
    job.answer(JobState.FAILED)
    job.settle()
    job.found(ha_metadata=False)
    job.settle()
    assert job.generation.number == 3, "it failed before its first checkpoint: the same start again"
    assert (job.generation.restore.path if job.generation.restore else None) == told


def test_a_running_job_is_restarted_from_the_state_that_a_person_names() -> None:
    job = running()
    job.ask("restore-from", path="file:///old/sp")
    assert job.generation.ending is not None
    job.bury_killed()
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///old/sp"


def test_a_running_job_is_not_stopped_for_a_state_that_is_not_there() -> None:
    job = running()
    job.absent = ("file:///typo",)
    job.ask("restore-from", path="file:///typo")
    assert "no complete savepoint or checkpoint at file:///typo" in job.answer_of().answer
    job.ask("restore-from", path=UNSURE)
    assert "nobody can say" in job.answer_of().answer
    assert job.generation.ending is None


def test_a_request_that_names_a_path_does_not_wait_for_the_end_of_a_pause() -> None:
    job = running()
    job.ask("pause")
    assert job.ask("restore-from", path="file:///old/sp").answered
    assert job.ask("unpause").answered


def test_f62_what_a_look_at_a_path_says_of_a_living_generation_is_not_believed() -> None:
    job = running()
    job.absent = ("file:///typo",)
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    decision = job.ask("restore-from", path="file:///typo")
    assert decision.answered
    assert [look.generation for look in effects(decision, FindRestorePoint)] == [job.generation.number]


def test_a_job_is_not_restarted_from_a_place_that_the_operator_does_not_allow() -> None:
    allowed = ("file:///srv/weir", "file:///archive")
    job = Scenario(spec(), policy=replace(POLICY, allowed_state=allowed))
    job.bring_up()
    job.ask("restore-from", path="file:///archive/../old/sp")
    said = job.answer_of()
    assert not said.accepted
    assert job.generation.ending is None
    assert "file:///archive/../old/sp is refused: its path holds .." in said.answer
    assert "allowed are: file:///srv/weir, file:///archive" in said.answer


def test_a_suspended_job_resumes_from_the_state_that_a_person_names() -> None:
    job = running()
    job.edit(spec(job={"state": "suspended"}))
    job.settle()
    job.stopped()
    job.settle()
    job.ask("restore-from", empty=True)
    assert job.record is not None
    assert job.record.resume is None
    job.ask("restore-from", latest=True)
    job.edit(spec())
    job.settle()
    assert job.restored_from == "file:///srv/sp-1"


# Rollback


def upgraded() -> Scenario:
    """Generation 1 was stable with one spec, generation 2 is with another."""
    job = running()
    job.edit(spec(env={"A": "1"}))
    job.settle()
    job.stopped()
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(JobState.RUNNING, completed_checkpoints=1, latest_checkpoint_id=20, latest_checkpoint_path="chk-20")
    job.settle()
    return job


def test_a_rollback_runs_the_last_stable_spec_until_the_desired_one_changes() -> None:
    job = upgraded()
    job.ask("rollback")
    assert job.answer_of().accepted
    job.settle()
    job.stopped("file:///srv/sp-2")
    job.settle()
    assert job.generation.number == 3
    assert job.generation.spec.env == {}
    assert job.restored_from == "file:///srv/sp-2"
    job.edit(spec(env={"A": "2"}))
    job.settle()
    assert job.generation.ending is not None


def test_a_stable_job_goes_back_to_the_spec_of_a_generation_that_is_kept() -> None:
    job = upgraded()
    job.now += 60
    job.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=29, latest_checkpoint_path="chk-29")
    job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.STABLE
    assert [(old.number, old.reason, old.was_stable) for old in job.record.history] == [(1, "UPGRADE", True)]
    job.ask("rollback", generation=7)
    assert "kept are those of: 1" in job.answer_of().answer
    job.ask("rollback", generation=1)
    assert job.answer_of().accepted
    job.settle()
    job.stopped("file:///srv/sp-2")
    job.settle()
    assert job.generation.spec.env == {}


def test_a_rollback_of_a_rollback_leads_to_the_desired_state() -> None:
    job = upgraded()
    job.now += 60
    job.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=29, latest_checkpoint_path="chk-29")
    job.settle()
    job.ask("rollback")
    job.settle()
    job.stopped("file:///srv/sp-2")
    job.settle()
    assert job.generation.spec.env == {}
    job.ask("rollback")
    assert "which is the desired state" in job.answer_of().answer
    job.settle()
    assert job.record is not None
    assert (job.record.rolled_back, job.record.rollback_to) == (None, None)


def test_without_another_stable_spec_there_is_nothing_to_go_back_to() -> None:
    job = running()
    job.ask("rollback")
    assert not job.answer_of().accepted
    assert job.generation.ending is None


# Force


def test_a_stop_that_cannot_write_its_savepoint_is_given_up_only_by_a_person() -> None:
    job = running()
    job.edit(spec(env={"A": "1"}))
    job.settle()
    assert job.generation.ending is not None
    trigger = job.generation.ending.trigger_id
    assert trigger is not None
    failed = Operation(OperationState.FAILED, None, error="no space left")
    job.answer(JobState.RUNNING, operations={trigger: failed})
    job.settle()
    decision = job.step()
    assert "weir force orders" in decision.why
    job.ask("force")
    assert job.generation.ending.mode is EndMode.KILL
    assert effects(job.settle(), KillTask)


def test_a_delete_whose_savepoint_fails_is_forced_without_it() -> None:
    job = running()
    job.remove()
    job.settle()
    job.ask("force")
    decision = job.settle()
    assert effects(decision, CancelJob)
    job.answer(JobState.CANCELED)
    job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.DELETING


def test_nothing_is_forced_that_does_not_wait() -> None:
    job = running()
    job.ask("force")
    assert not job.answer_of().accepted


# Bounds


def test_answers_and_the_history_are_bounded() -> None:
    job = running()
    for _ in range(40):
        job.ask("force")
    assert job.record is not None
    assert len(job.record.answers) == 32


def test_the_history_never_makes_a_record_too_large() -> None:
    job = Scenario(spec(flinkConfiguration={"table.big": "x" * 40_000}))
    job.bring_up()
    for number in range(3):
        job.edit(spec(flinkConfiguration={"table.big": "x" * 40_000}, env={"N": str(number)}))
        job.settle()
        job.stopped(f"file:///srv/sp-{number}")
        job.settle()
        job.place()
        job.run_tasks()
        job.answer(JobState.RUNNING, latest_checkpoint_id=20 + number)
        job.settle()
    assert job.record is not None
    assert len(job.record.history) == 1


def test_s2_f43_an_older_savepoint_does_not_stand_in_for_a_checkpoint_that_is_missing() -> None:
    job = running(job={"upgradeMode": "last-state"})
    assert job.record is not None
    older = Snapshot(SnapshotKind.SAVEPOINT, "file:///srv/sp-old", 1, 5, "t", reason="manual")
    job.record = replace(job.record, snapshots=(older,))
    job.edit(spec(job={"upgradeMode": "last-state"}, env={"A": "1"}))
    job.settle()
    job.bury_killed()
    job.settle()
    job.found(ha_metadata=True, checkpoint_lost=True)
    job.settle()
    assert job.blocked == "RESTORE_BLOCKED"
    job.ask("restore-from", latest=True)
    job.found(ha_metadata=True, checkpoint_lost=True)
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-old"


def test_a_job_whose_jobmanager_is_dead_already_starts_at_once_from_what_is_named() -> None:
    job = running()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.ask("restore-from", empty=True)
    assert job.answer_of().accepted
    assert job.generation.number == 2
    assert job.generation.restore is None


def test_the_latest_of_a_job_that_never_stored_anything_is_nothing() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.run_tasks()
    job.ask("restore-from", latest=True)
    job.bury_killed()
    job.settle()
    job.found(ha_metadata=False)
    job.settle()
    assert job.record is not None
    assert job.record.blocked is None
    assert job.generation.number == 2
