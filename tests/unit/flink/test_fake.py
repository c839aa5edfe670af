"""`FakeFlink` notices what must not happen, and its accidents are those that Flink has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.flink.fake import EVERYTHING, FakeFlink, fake_renderer
from reconciler.model import ids
from reconciler.model.decision import FindRestorePoint
from reconciler.model.observation import FlinkObservation, JobState, OperationState
from reconciler.model.record import Generation, Record, Role, Snapshot, SnapshotKind, SpecRef, Task, TaskPhase
from reconciler.model.resources import PORTS
from reconciler.model.spec import JobSpec
from reconciler.ports import FlinkTarget, FlinkUnreachable, Trigger

RECORD = Record("job", "0123456789", SpecRef(1, 0))
RENDERER = fake_renderer()
RUNNING_AFTER = 10.0


class Bench:
    def __init__(self) -> None:
        self.exits: list[tuple[str, int]] = []
        self.flink = FakeFlink(on_exit=lambda task_id, code: self.exits.append((task_id, code)))
        self.attempt = 0

    def generation(self, number: int, restore: str | None = None) -> Generation:
        conf = {"execution.checkpointing.interval": "2s"}
        job = {"type": "jar", "uri": "file:///j.jar", "parallelism": 2}
        spec = JobSpec.model_validate({"flinkVersion": "2.2", "job": job, "flinkConfiguration": conf})
        snapshot = Snapshot(SnapshotKind.SAVEPOINT, restore, number - 1) if restore else None
        uid = RECORD.uid
        return Generation(
            number, spec, ids.flink_job_id(uid, number), ids.cluster_id("job", uid, number), 0.0, snapshot
        )

    def launch(self, generation: Generation, role: Role, index: int = 0) -> Task:
        self.attempt += 1
        ports = tuple(self.attempt * 10 + i for i in range(PORTS[role]))
        task = Task(
            role,
            generation.number,
            index,
            self.attempt,
            TaskPhase.PLACED,
            agent_id="a",
            address="10.0.0.1",
            ports=ports,
        )
        task = replace(task, task_id=RECORD.task_name(task))
        self.flink.task_started(RENDERER.render(RECORD, generation, task))
        return task

    def start(self, generation: Generation) -> tuple[FlinkTarget, Task, Task]:
        manager, worker = self.launch(generation, Role.JOB_MANAGER), self.launch(generation, Role.TASK_MANAGER)
        return self.target(generation, manager), manager, worker

    def target(self, generation: Generation, manager: Task) -> FlinkTarget:
        return FlinkTarget("2.2", f"http://10.0.0.1:{manager.ports[0]}", generation.job_id, generation.cluster_id)

    def later(self, target: FlinkTarget, seconds: float, *triggers: Trigger) -> FlinkObservation:
        return self.flink.observe(target, triggers, self.flink.now + seconds)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_two_generations_at_once_are_noticed(bench: Bench) -> None:
    bench.start(bench.generation(1))
    bench.flink.advance(RUNNING_AFTER)
    bench.start(bench.generation(2))
    bench.flink.advance(2 * RUNNING_AFTER)

    with pytest.raises(AssertionError, match="generations 1 and 2 of 0123456789 run at once"):
        bench.flink.assert_safe(stateless=True)


def test_a_start_from_older_state_than_there_is_is_noticed(bench: Bench) -> None:
    _, manager, _ = bench.start(bench.generation(1))
    bench.flink.advance(RUNNING_AFTER)
    bench.flink.task_dead(str(manager.task_id))
    bench.start(bench.generation(2))
    bench.flink.advance(2 * RUNNING_AFTER)

    [stale] = bench.flink.stale_restores()
    assert (stale.path, stale.position) == (None, 0.0)
    assert stale.newest is not None
    assert stale.newest.generation == 1


def test_a_job_id_that_is_used_again_is_noticed(bench: Bench) -> None:
    first = bench.generation(1)
    _, manager, _ = bench.start(first)
    bench.flink.advance(RUNNING_AFTER)
    bench.flink.task_dead(str(manager.task_id))
    bench.start(replace(bench.generation(2), job_id=first.job_id))
    bench.flink.advance(2 * RUNNING_AFTER)

    assert any("was used again" in violation for violation in bench.flink.violations)


def test_cleaning_up_under_a_live_job_manager_is_noticed(bench: Bench) -> None:
    generation = bench.generation(1)
    bench.start(generation)
    bench.flink.clean_up(generation.job_id, generation.cluster_id)

    assert "was cleaned up while" in bench.flink.violations[0]


def test_f41_a_stop_can_fail_after_its_savepoint(bench: Bench) -> None:
    target, _, _ = bench.start(bench.generation(1))
    bench.later(target, RUNNING_AFTER)
    bench.flink.break_stops = 1
    trigger = Trigger("a" * 32, "file:///storage/sp/a", stop=True)
    bench.flink.stop_with_savepoint(target, trigger)

    seen = bench.later(target, 2.0, trigger)

    operation = seen.operations[trigger.trigger_id]
    assert (seen.job_state, operation.state) == (JobState.FAILED, OperationState.FAILED)
    assert operation.path in bench.flink.snapshots


def test_only_one_of_two_stops_at_once_succeeds(bench: Bench) -> None:
    target, _, _ = bench.start(bench.generation(1))
    bench.later(target, RUNNING_AFTER)
    first, second = (Trigger(letter * 32, f"file:///storage/sp/{letter}", stop=True) for letter in "ab")
    bench.flink.stop_with_savepoint(target, first)
    bench.flink.stop_with_savepoint(target, second)

    operations = bench.later(target, 2.0, first, second).operations

    assert operations[first.trigger_id].state is OperationState.COMPLETED
    assert operations[second.trigger_id].state is OperationState.FAILED


def test_f63_forgotten_results_are_found_by_listing(bench: Bench) -> None:
    target, _, _ = bench.start(bench.generation(1))
    bench.later(target, RUNNING_AFTER)
    trigger = Trigger("a" * 32, "file:///storage/sp/a", stop=True)
    bench.flink.stop_with_savepoint(target, trigger)
    bench.later(target, 2.0)
    bench.flink.forget_results()

    assert bench.later(target, 1.0, trigger).operations[trigger.trigger_id].state is OperationState.COMPLETED


def test_a_lost_task_manager_takes_the_job_back_to_its_checkpoint(bench: Bench) -> None:
    generation = bench.generation(1)
    target, _, worker = bench.start(generation)
    bench.later(target, RUNNING_AFTER)
    bench.flink.task_dead(str(worker.task_id))
    seen = bench.later(target, 1.0)
    assert (seen.job_state, seen.vertices_running, seen.flink_restarts) == (JobState.RESTARTING, False, 1)

    bench.launch(generation, Role.TASK_MANAGER)

    assert bench.later(target, 4.0).vertices_running
    bench.flink.assert_safe()


def test_a_standby_takes_over_after_the_session_of_the_dead_leader(bench: Bench) -> None:
    generation = bench.generation(1)
    target, manager, _ = bench.start(generation)
    standby = bench.target(generation, bench.launch(generation, Role.JOB_MANAGER, 1))
    seen = bench.later(standby, RUNNING_AFTER)
    assert (seen.vertices_running, seen.leader_url) == (True, target.url)
    bench.flink.task_dead(str(manager.task_id))
    assert not bench.later(target, 1.0).reachable
    assert bench.later(standby, 1.0).job_state is None

    seen = bench.later(standby, 10.0)

    assert (seen.vertices_running, seen.leader_url) == (True, standby.url)
    bench.flink.assert_safe()


def test_an_old_job_manager_of_an_ended_job_exits(bench: Bench) -> None:
    generation = bench.generation(1)
    target, manager, _ = bench.start(generation)
    bench.later(target, RUNNING_AFTER)
    bench.flink.cancel(target)
    bench.later(target, 1.0)
    bench.flink.task_dead(str(manager.task_id))

    again = bench.launch(generation, Role.JOB_MANAGER)
    bench.flink.advance(60.0)

    assert bench.exits == [(again.task_id, 2)]


def test_silence_is_injected_for_one_task_or_for_all(bench: Bench) -> None:
    target, manager, _ = bench.start(bench.generation(1))
    assert bench.later(target, RUNNING_AFTER).reachable
    for silenced in (str(manager.task_id), EVERYTHING):
        bench.flink.unreachable = {silenced}
        assert not bench.later(target, 1.0).reachable
        with pytest.raises(FlinkUnreachable):
            bench.flink.cancel(target)
    bench.flink.unreachable.clear()
    assert bench.later(target, 1.0).vertices_running


def test_f54_storage_that_does_not_answer_is_not_an_answer(bench: Bench) -> None:
    bench.flink.storage_down = True
    question = FindRestorePoint(1, "0" * 32, "cluster", "file:///storage/checkpoints/u/1")

    assert not bench.flink.find_restore_point(question).answered
    with pytest.raises(FlinkUnreachable):
        bench.flink.clean_up("0" * 32, "cluster")


def test_f44_a_savepoint_whose_id_cannot_be_read_is_not_complete_yet(bench: Bench) -> None:
    target, _, _ = bench.start(bench.generation(1))
    bench.later(target, RUNNING_AFTER)
    trigger = Trigger("a" * 32, "file:///storage/sp/a")
    bench.flink.trigger_savepoint(target, trigger)
    bench.flink.storage_down = True

    assert bench.later(target, 2.0, trigger).operations[trigger.trigger_id].state is OperationState.IN_PROGRESS
    bench.flink.storage_down = False
    assert bench.later(target, 0.1, trigger).operations[trigger.trigger_id].state is OperationState.COMPLETED


def test_time_does_not_go_back(bench: Bench) -> None:
    bench.flink.advance(5.0)

    with pytest.raises(ValueError, match="time does not go back"):
        bench.flink.advance(4.0)
