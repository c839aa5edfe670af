"""Sessions and their jobs: when a job starts, what proves that it has ended, and how a session ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.decision import CancelJob, Decision, ForbidJob, KillTask, StopWithSavepoint, SubmitJob
from reconciler.model.observation import JobState, Observation, Operation, Refusal, SessionJob, SessionView, TaskState
from reconciler.model.record import Lifecycle, Role, SessionRef
from reconciler.model.spec import JobSpec
from tests.unit.decide.scenario import Operation_completed, Scenario, effects

UID = "5e55105e55"


def session_spec(**changes: Any) -> JobSpec:
    return JobSpec.model_validate({"kind": "Session", "flinkVersion": "2.2", "taskManager": {"replicas": 2}, **changes})


def job_spec(**changes: Any) -> JobSpec:
    document: dict[str, Any] = {
        "kind": "SessionJob",
        "session": "shared",
        "flinkConfiguration": {"execution.checkpointing.interval": "2s"},
        "job": {"type": "jar", "uri": "file:///srv/job.jar"},
    }
    for key, value in changes.items():
        document[key] = {**document[key], **value} if isinstance(value, dict) and key in document else value
    return JobSpec.model_validate(document)


class InSession(Scenario):
    """A session job, and what it sees of its session."""

    def __init__(self, desired: JobSpec | None = None) -> None:
        super().__init__(desired or job_spec())
        self.sessions: dict[str, SessionView] = {}
        self.refused: Refusal | None = None
        self.forbidden: set[str] = set()

    def session(self, generation: int = 1, **more: Any) -> None:
        view = SessionView(
            "shared", known=True, uid=UID, generation=generation, flink_version="2.2", url="http://10.0.0.1:8081",
            ready=True, alive=frozenset({(UID, generation)}),
        )  # fmt: skip
        self.sessions["shared"] = replace(view, **more)

    def observation(self) -> Observation:
        return replace(
            super().observation(),
            sessions=self.sessions,
            submit_refused=self.refused,
            forbidden=frozenset(self.forbidden),
        )

    def submit(self) -> Decision:
        """Up to the first submission."""
        self.session()
        self.settle()
        self.answer(None)
        return self.step()

    def run(self) -> None:
        self.submit()
        self.answer(JobState.RUNNING, completed_checkpoints=1, latest_checkpoint_id=1, latest_checkpoint_path="chk-1")
        self.settle()
        self.now += 31
        self.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=9, latest_checkpoint_path="chk-9")
        self.settle()

    def submissions(self) -> list[SubmitJob]:
        return effects(self.step(), SubmitJob)


# Starting


def test_a_job_that_its_session_has_no_slots_for_says_so_with_numbers() -> None:
    job = InSession(job_spec(job={"parallelism": 6}))
    job.submit()
    job.session(slots=4)
    job.answer(JobState.CREATED)
    why = job.step().why
    assert "it needs 6 slots, session shared has 4 for all of its jobs: raise taskManager.replicas" in why


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (None, "session shared is not known yet"),
        (SessionView("shared", known=True, why="there is no session shared: create it"), "there is no session shared"),
        (SessionView("shared", known=False, why="its record cannot be read"), "cannot be read"),
        (SessionView("shared", known=True, uid=UID, generation=1, why="session shared is being upgraded"), "upgraded"),
    ],
)
def test_a_job_waits_for_its_session_and_says_why(view: SessionView | None, why: str) -> None:
    job = InSession()
    if view is not None:
        job.sessions["shared"] = view

    decision = job.settle()

    assert why in decision.why
    assert job.record is not None
    assert job.record.generation is None


def test_s4_the_job_id_and_the_submission_are_on_record_before_anything_is_submitted() -> None:
    job = InSession()

    decision = job.submit()

    assert effects(decision, SubmitJob) == [SubmitJob(job.generation.job_id, 1)]
    assert job.generation.submitted_at == job.now
    assert job.generation.session == SessionRef("shared", UID, 1, "2.2")
    assert job.generation.cluster_id == f"shared-{UID}-1"
    assert job.record is not None
    assert not job.record.tasks


def test_a_job_that_runs_becomes_stable_and_asks_for_nothing_more() -> None:
    job = InSession()

    job.run()

    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.STABLE
    assert not job.submissions()


def test_l2_a_submission_whose_answer_was_lost_is_repeated_only_after_a_look() -> None:
    job = InSession()
    job.submit()

    assert not job.submissions()
    job.found()

    assert job.submissions() == [SubmitJob(job.generation.job_id, 1)]


@pytest.mark.parametrize(
    ("found", "next_generation"),
    [
        ({"accepted": True}, False),
        ({"accepted": True, "ha_metadata": True, "checkpoint_path": "file:/c/chk-3", "checkpoint_id": 3}, False),
        ({"checkpoint_path": "file:/c/chk-3", "checkpoint_id": 3}, True),
    ],
)
def test_s2_a_job_that_may_have_newer_state_is_never_submitted_again(
    found: dict[str, Any], next_generation: bool
) -> None:
    job = InSession()
    job.submit()
    job.step()
    job.found(**found)

    decision = job.step()

    assert not effects(decision, SubmitJob)
    assert (job.generation.ending is not None) is next_generation


def test_f56_a_refused_program_is_charged_told_and_tried_again_after_its_back_off() -> None:
    job = InSession()
    job.submit()
    job.refused = Refusal(1, "ProgramInvocationException: no main")

    decision = job.step()

    assert "no main" in decision.why
    assert job.record is not None
    assert (job.record.restarts.attempt, job.generation.submit_attempt) == (1, 2)
    assert "SUBMIT_REFUSED" in job.events
    job.now += 5
    job.answer(None)
    job.step()
    job.found()
    assert job.submissions() == [SubmitJob(job.generation.job_id, 2)]


def test_a_job_that_ended_while_nobody_looked_is_not_submitted_again() -> None:
    job = InSession()
    job.run()
    job.answer(None)  # a new JobManager, which lists nothing
    job.step()
    job.found(terminal="FINISHED")

    job.step()

    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.FINISHED
    assert not job.submissions()


# Ending


def test_s1_what_rest_says_of_an_end_counts_only_when_it_is_stored() -> None:
    job = InSession()
    job.run()
    job.edit(job_spec(job={"args": ["2"]}))
    job.step()
    trigger = job.generation.ending.trigger_id if job.generation.ending else None
    assert trigger is not None
    job.answer(JobState.FINISHED, operations={trigger: Operation_completed("file:///srv/sp-1")})
    job.settle()
    assert job.generation.number == 1

    job.found(terminal="FINISHED")
    job.settle()

    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-1"


def test_s1_a_job_whose_end_was_lost_with_its_job_manager_is_stopped_again() -> None:
    job = InSession()
    job.run()
    job.edit(job_spec(job={"args": ["2"]}))
    job.step()
    job.answer(JobState.FINISHED)
    job.step()

    job.answer(JobState.RUNNING)  # recovered by the next JobManager

    assert effects(job.step(), StopWithSavepoint)
    assert job.generation.number == 1


def test_s1_a_job_that_was_submitted_and_never_seen_is_forbidden_before_the_next_generation() -> None:
    job = InSession()
    job.submit()
    old = job.generation
    job.edit(job_spec(job={"args": ["2"]}))
    job.step()
    job.found()

    assert effects(job.step(), ForbidJob) == [ForbidJob(old.job_id, old.cluster_id, "2.2")]
    assert job.generation.number == 1
    job.forbidden.add(old.job_id)
    job.found()
    job.settle()

    assert job.generation.number == 2


def test_a_job_that_was_never_submitted_ends_at_once() -> None:
    job = InSession()
    job.session()
    job.settle()
    job.edit(job_spec(job={"args": ["2"]}))
    job.step()
    job.found()
    job.settle()

    assert job.generation.number == 2
    assert not job.forbidden


def test_last_state_cancels_the_job_and_starts_from_its_checkpoint() -> None:
    job = InSession(job_spec(job={"upgradeMode": "last-state"}))
    job.run()
    job.edit(job_spec(job={"upgradeMode": "last-state", "args": ["2"]}))

    decision = job.step()

    assert effects(decision, CancelJob)
    assert not effects(decision, KillTask)
    job.answer(JobState.CANCELED)
    job.step()
    job.found(terminal="CANCELED", checkpoint_path="file:/c/chk-9", checkpoint_id=9)
    job.settle()
    assert job.restored_from == "file:/c/chk-9"


@pytest.mark.parametrize(
    ("more", "ended"),
    [
        ({"generation": 2, "alive": frozenset({(UID, 2)})}, True),
        ({"generation": 2, "alive": frozenset({(UID, 1), (UID, 2)})}, False),
        ({"generation": 2, "alive": frozenset({(UID, 2)}), "known": False}, False),
        ({"generation": 1, "url": None, "alive": frozenset()}, False),
        ({"uid": None, "generation": None, "url": None, "alive": frozenset()}, False),
    ],
)
def test_s1_only_a_session_generation_that_can_never_run_again_proves_the_end_of_its_jobs(
    more: dict[str, Any], ended: bool
) -> None:
    job = InSession()
    job.run()
    job.silent()
    job.session(**more)
    job.step()
    job.found(checkpoint_path="file:/c/chk-9", checkpoint_id=9)
    job.settle()

    assert (job.generation.number == 2) is ended


# A session and its jobs


class OfSession(Scenario):
    """A session, and the jobs that name it."""

    def __init__(self) -> None:
        super().__init__(session_spec())
        self.jobs: tuple[SessionJob, ...] = ()

    def observation(self) -> Observation:
        return replace(super().observation(), session_jobs=self.jobs)

    def up(self) -> None:
        self.settle()
        self.place()
        self.run_tasks()
        self.registered()
        self.settle()
        self.now += 31
        self.registered()
        self.settle()

    def registered(self) -> None:
        self.answer(None, task_managers=frozenset(task.task_id for task in self.of(Role.TASK_MANAGER)))


def test_a_session_is_stable_when_every_task_manager_has_registered() -> None:
    session = OfSession()
    session.settle()
    session.place()
    session.run_tasks()
    session.answer(None, task_managers=frozenset())
    assert "0 of 2" in session.settle().why

    session.up()

    assert session.record is not None
    assert session.record.lifecycle is Lifecycle.STABLE
    assert (len(session.of(Role.JOB_MANAGER)), len(session.of(Role.TASK_MANAGER))) == (1, 2)


def test_another_number_of_task_managers_is_a_change_in_place() -> None:
    session = OfSession()
    session.up()
    session.edit(session_spec(taskManager={"replicas": 3}))
    session.settle()

    assert session.generation.number == 1
    assert len(session.of(Role.TASK_MANAGER)) == 3


def test_a_lost_job_manager_is_launched_again_in_the_same_generation() -> None:
    session = OfSession()
    session.up()
    [manager] = session.of(Role.JOB_MANAGER)
    session.mesos(manager, TaskState.FAILED)
    session.flink = None
    session.settle()

    [again] = session.of(Role.JOB_MANAGER)
    assert again.attempt > manager.attempt
    assert session.generation.number == 1


@pytest.mark.parametrize("held", [SessionJob("orders", frozenset({1})), SessionJob("orders", unknown=True)])
def test_s1_a_session_is_upgraded_only_when_no_job_needs_its_generation(held: SessionJob) -> None:
    session = OfSession()
    session.jobs = (held, SessionJob("clicks", frozenset()))
    session.up()
    session.edit(session_spec(env={"LEVEL": "2"}))

    decision = session.settle()

    assert "orders" in decision.why
    assert "clicks" not in decision.why
    assert session.generation.number == 1
    assert not effects(decision, KillTask)
    session.jobs = (SessionJob("orders"), SessionJob("clicks"))
    session.settle()
    assert session.generation.number == 2


def test_a_session_that_is_deleted_waits_for_its_jobs_and_names_them() -> None:
    session = OfSession()
    session.jobs = (SessionJob("clicks"), SessionJob("orders", frozenset({1})))
    session.up()
    session.remove()

    decision = session.settle()

    assert "clicks, orders" in decision.why
    assert not effects(decision, KillTask)
    session.jobs = ()
    session.settle()
    session.bury_killed()
    assert session.record is not None
    session.settle()
    assert session.record.generation is None
    assert session.record.lifecycle is Lifecycle.DELETING  # until its HA data is cleaned up


def test_a_job_ends_its_generation_when_its_session_is_upgraded_and_follows_it() -> None:
    job = InSession()
    job.run()
    job.session(ready=False, ending=True)

    assert effects(job.step(), StopWithSavepoint)
    ending = job.generation.ending
    assert ending is not None
    assert ending.trigger_id is not None
    job.answer(JobState.FINISHED, operations={ending.trigger_id: Operation_completed("file:///srv/sp-1")})
    job.step()
    job.found(terminal="FINISHED")
    job.settle()
    assert not job.generation.needs_session
    assert job.generation.number == 1

    job.session(2)
    job.settle()

    assert job.generation.number == 2
    assert job.generation.session == SessionRef("shared", UID, 2, "2.2")
    assert job.restored_from == "file:///srv/sp-1"


def test_a_stop_that_fails_while_its_session_is_upgraded_is_tried_again_with_another_trigger() -> None:
    job = InSession()
    job.run()
    job.session(ready=False, ending=True)
    [first] = effects(job.step(), StopWithSavepoint)
    failed = Operation(job_failed := Operation_completed("x").state.FAILED, error="no space")
    assert job_failed
    job.answer(JobState.RUNNING, operations={first.trigger_id: failed})
    job.step()

    assert job.generation.ending is not None
    assert job.generation.ending.trigger_id != first.trigger_id


def test_an_application_moves_into_a_session_with_its_state() -> None:
    job = InSession(JobSpec.model_validate({"flinkVersion": "2.2", "job": {"type": "jar", "uri": "file:///srv/j.jar"}}))
    job.bring_up()
    job.session()
    job.edit(job_spec())
    job.step()
    job.stopped()
    job.settle()
    job.bury_killed()
    job.settle()

    assert job.generation.number == 2
    assert job.generation.session is not None
    assert job.restored_from == "file:///srv/sp-1"


# Whatever happens


_STATES = st.sampled_from([None, JobState.RUNNING, JobState.FAILED, JobState.CANCELED, JobState.FINISHED])
_STEPS = st.one_of(
    st.tuples(st.just("answer"), _STATES),
    st.tuples(st.just("silent"), st.none()),
    st.tuples(st.just("found"), st.sampled_from([None, "FAILED", "CANCELED"])),
    st.tuples(st.just("accepted"), st.none()),
    st.tuples(st.just("checkpoint"), st.none()),
    st.tuples(st.just("forbidden"), st.none()),
    st.tuples(st.just("edit"), st.integers(0, 3)),
    st.tuples(st.just("session"), st.sampled_from(["ready", "ending", "lost", "next"])),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 15.0, 90.0])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_STEPS, max_size=40))
def test_s1_s2_s4_whatever_is_seen_no_generation_starts_before_the_one_before_is_proved_to_have_ended(
    steps: list[tuple[str, Any]],
) -> None:
    job = InSession()
    job.session()
    number = 1
    for kind, value in steps:
        before = job.record.generation if job.record is not None else None
        _happen(job, kind, value, number)
        number += kind == "session" and value == "next"
        seen = job.observation()
        decision = job.step()
        assert job.record is not None
        after = job.record.generation
        for submitted in effects(decision, SubmitJob):
            assert after is not None
            assert submitted.job_id == after.job_id
            assert after.submitted_at is not None
            assert not after.checkpointed or before is None or before.number != after.number
        if before is not None and (after is None or after.number != before.number):
            assert before.terminal or before.submitted_at is None or _proved(seen, before)


def _happen(job: InSession, kind: str, value: Any, number: int) -> None:
    generation = job.record.generation if job.record is not None else None
    if kind == "session":
        job.session(number + (value == "next"), ready=value in ("ready", "next"), ending=value == "ending")
        if value == "lost":
            job.session(number, ready=False, url=None, alive=frozenset())
    elif kind == "edit":
        job.edit(job_spec(job={"args": [str(value)]}))
    elif kind == "wait":
        job.now += value
    elif generation is None or generation.session is None:
        return
    elif kind == "answer":
        job.answer(value, completed_checkpoints=1 if value is JobState.RUNNING else 0)
    elif kind == "silent":
        job.silent()
    elif kind == "forbidden":
        job.forbidden.add(generation.job_id)
    else:
        more: dict[str, Any] = {
            "found": {"terminal": value},
            "accepted": {"accepted": True},
            "checkpoint": {"checkpoint_path": "file:/c/chk-3", "checkpoint_id": 3},
        }[kind]
        job.found(**more)


def _proved(seen: Observation, generation: Any) -> bool:
    view = seen.sessions["shared"]
    stored = seen.restore is not None and seen.restore.generation == generation.number and seen.restore.terminal
    return bool(stored or generation.job_id in seen.forbidden or view.dead(generation.session))
