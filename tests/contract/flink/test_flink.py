"""What every `ports.Flink` does, on the fake and on a real Flink."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import ids
from reconciler.model.decision import OpenGate
from reconciler.model.observation import JobState, OperationState
from reconciler.model.record import Role
from reconciler.ports import FlinkError, FlinkRefused, FlinkUnreachable, Trigger

pytestmark = pytest.mark.timeout(300)

World = Any
Started = Any


# A job that runs


def test_f46_a_job_manager_that_does_not_answer_is_not_reachable(world: World, running: Started) -> None:
    nobody = replace(running, target=replace(running.target, url="http://127.0.0.1:1"))

    seen = world.observe(nobody)

    assert not seen.reachable
    assert seen.job_state is None
    assert seen.error


def test_f46_before_its_job_is_listed_a_job_manager_is_reachable_without_a_state(world: World) -> None:
    record = world.new_job()
    started = world.start(record, world.generation(record, 1), task_managers=0)

    seen = world.until(started, "reachable", lambda seen: seen.reachable)

    assert seen.job_state is None
    assert not seen.vertices_running
    world.kill(started)


def test_a_running_job_is_seen_with_its_vertices_and_task_managers(world: World, running: Started) -> None:
    seen = world.until_running(running)

    assert (seen.job_id, seen.job_state) == (running.generation.job_id, JobState.RUNNING)
    assert seen.parallelism == 1
    assert seen.task_managers == seen.busy_task_managers == set(running.task_ids(Role.TASK_MANAGER))
    assert seen.restored_from is None
    assert seen.failure is None
    assert seen.leader_url == running.target.url


def test_checkpoints_appear_below_the_generations_own_directory(world: World, running: Started) -> None:
    first = world.until_running(running)
    later = world.until(
        running, "checkpointing", lambda seen: (seen.latest_checkpoint_id or 0) > first.latest_checkpoint_id
    )

    directory = ids.checkpoint_dir(world.storage, running.record.uid, 1).removeprefix("file://")
    assert later.completed_checkpoints > 0
    assert later.latest_checkpoint_path.removeprefix("file:") == (
        f"{directory}/{running.generation.job_id}/chk-{later.latest_checkpoint_id}"
    )
    assert later.latest_checkpoint_at is not None


def test_f38_a_repeated_trigger_makes_one_savepoint(world: World, running: Started) -> None:
    world.until_running(running)
    trigger = world.trigger(running, "manual")
    world.flink.trigger_savepoint(running.target, trigger)
    first = world.finish(running, trigger)
    world.flink.trigger_savepoint(running.target, trigger)

    again = world.finish(running, trigger)

    assert (first.state, again) == (OperationState.COMPLETED, first)
    view = world.flink.find_restore_point(world.question(running, trigger))
    assert [path for _, path in view.savepoints] == [first.path]
    assert world.observe(running).vertices_running


def test_a_savepoint_that_cannot_be_written_fails_and_the_job_runs_on(world: World, running: Started) -> None:
    world.until_running(running)
    trigger = replace(world.trigger(running, "bad"), directory=world.bad_directory)
    if not world.real:
        world.flink.fail_savepoints = 1
    world.flink.trigger_savepoint(running.target, trigger)

    operation = world.finish(running, trigger)

    assert operation.state is OperationState.FAILED
    assert operation.path is None
    assert "java.io.IOException" in (operation.error or "")
    assert world.observe(running).vertices_running


def test_f40_an_unknown_trigger_is_unknown(world: World, running: Started) -> None:
    trigger = world.trigger(running, "never-sent")

    operation = world.observe(running, trigger).operations[trigger.trigger_id]

    assert (operation.state, operation.path) == (OperationState.UNKNOWN, None)


def test_f63_a_savepoint_that_flink_forgot_is_found_in_its_directory(world: World, running: Started) -> None:
    world.until_running(running)
    trigger = world.trigger(running, "forgotten")
    world.flink.trigger_savepoint(running.target, trigger)
    path = world.finish(running, trigger).path
    forgotten = Trigger("0" * 32, trigger.directory)

    operation = world.observe(running, forgotten).operations[forgotten.trigger_id]

    assert (operation.state, operation.path) == (OperationState.COMPLETED, path)


def test_f52_another_jobs_port_is_recognised_and_nothing_is_sent_there(world: World, running: Started) -> None:
    other = replace(running, target=replace(running.target, job_id="f" * 32, cluster_id="other"))

    seen = world.observe(other)

    assert not seen.reachable
    assert "another" in seen.error
    for act in (
        lambda: world.flink.stop_with_savepoint(other.target, world.trigger(running, "wrong", stop=True)),
        lambda: world.flink.cancel(other.target),
    ):
        with pytest.raises(FlinkRefused):
            act()
    assert world.observe(running).vertices_running


def test_f54_zookeeper_not_answering_is_not_an_answer(world: World, running: Started) -> None:
    view = world.silent_flink().find_restore_point(world.question(running))

    assert not view.answered
    assert view.error


def test_a_savepoint_is_newer_than_the_checkpoints_before_it(world: World, running: Started) -> None:
    before = world.until_running(running).latest_checkpoint_id
    trigger = world.trigger(running, "ordered")
    world.flink.trigger_savepoint(running.target, trigger)
    world.finish(running, trigger)

    [(number, _)] = world.flink.find_restore_point(world.question(running, trigger)).savepoints

    assert number > before


def test_a_savepoint_that_was_disposed_of_is_gone_and_may_be_disposed_of_again(world: World, running: Started) -> None:
    world.until_running(running)
    trigger = world.trigger(running, "disposed")
    world.flink.trigger_savepoint(running.target, trigger)
    path = world.finish(running, trigger).path

    for _ in range(2):
        world.flink.dispose(running.target, path)

    view = world.flink.find_restore_point(world.question(running, trigger, (path,)))
    assert (view.savepoints, view.missing) == ((), (path,))


def test_a_savepoint_is_removed_without_a_job_manager_and_may_be_removed_again(world: World, running: Started) -> None:
    world.until_running(running)
    trigger = world.trigger(running, "discarded")
    world.flink.trigger_savepoint(running.target, trigger)
    path = world.finish(running, trigger).path

    for _ in range(2):
        world.flink.discard(path)

    view = world.flink.find_restore_point(world.question(running, trigger, (path,)))
    assert (view.savepoints, view.missing) == ((), (path,))
    with pytest.raises(FlinkRefused, match="not the directory of a savepoint"):
        world.flink.discard(path.rpartition("/")[0])


def test_a_running_job_is_rescaled_in_place(world: World) -> None:
    record = world.new_job()
    started = world.start(record, world.generation(record, 1), task_managers=2)
    world.until_running(started)

    for _ in range(2):
        world.flink.rescale(started.target, 2)

    seen = world.until(started, "rescaled", lambda seen: seen.vertices_running and seen.parallelism == 2)
    assert seen.job_id == started.generation.job_id
    assert seen.busy_task_managers == set(started.task_ids(Role.TASK_MANAGER))
    world.kill(started)


# A job that was stopped, and what follows


def test_stop_restore_failover_and_cancel(world: World) -> None:
    """One life in several generations: every start is real work, so the steps share it."""
    record = world.new_job()
    first = world.start(record, world.generation(record, 1))
    world.until_running(first)

    stop, operation = world.stopped(first)
    seen = world.observe(first, stop)
    assert (operation.state, seen.job_state) == (OperationState.COMPLETED, JobState.FINISHED)
    assert operation.path.startswith(stop.directory.replace("file://", "file:"))
    with pytest.raises(FlinkRefused, match="already"):
        world.flink.stop_with_savepoint(first.target, world.trigger(first, "late", stop=True))
    world.flink.cancel(first.target)
    world.kill(first)
    view = world.flink.find_restore_point(world.question(first, stop, (operation.path, "file:/gone/savepoint-1")))
    assert (view.answered, view.terminal, view.ha_metadata) == (True, "FINISHED", False)
    assert [path for _, path in view.savepoints] == [operation.path]
    assert view.missing == ("file:/gone/savepoint-1",)

    second = world.restored(record, 2, operation.path)
    world.until_running(second)
    seen = world.until_restored(second)
    assert seen.restored_from == operation.path
    newest = seen.latest_checkpoint_id
    world.kill(second, Role.JOB_MANAGER)
    view = world.flink.find_restore_point(world.question(second))
    assert (view.ha_metadata, view.terminal) == (True, None)
    assert view.checkpoint_id >= newest
    assert view.checkpoint_path.endswith(f"{second.generation.job_id}/chk-{view.checkpoint_id}")

    second = world.replace_job_manager(second)
    seen = world.until_restored(second)
    assert seen.restored_from == view.checkpoint_path
    assert seen.latest_checkpoint_id >= view.checkpoint_id
    world.until_running(second)

    world.flink.cancel(second.target)
    world.until(second, "canceled", lambda seen: seen.job_state is JobState.CANCELED)
    world.until_result(second, "CANCELED")
    world.kill(second)
    view = world.flink.find_restore_point(world.question(second))
    assert (view.terminal, view.ha_metadata) == ("CANCELED", False)
    assert view.checkpoint_path is not None

    world.flink.clean_up(second.generation.job_id, second.generation.cluster_id)
    world.flink.clean_up(second.generation.job_id, second.generation.cluster_id)
    assert world.flink.find_restore_point(world.question(second)).terminal is None
    if not world.real:
        world.flink.assert_safe()


@pytest.mark.parametrize("ending", [JobState.FINISHED, JobState.CANCELED, JobState.FAILED])
def test_f61_a_job_manager_of_an_ended_generation_runs_nothing(world: World, ending: JobState) -> None:
    record = world.new_job()
    started = world.start(record, world.generation(record, 1))
    world.until_running(started)
    if ending is JobState.FINISHED:
        world.stopped(started)
    elif ending is JobState.CANCELED:
        world.flink.cancel(started.target)
    elif world.real:
        world.feed(record, "this is not JSON\n")
    else:
        world.flink.fail_job(started.generation.job_id, "java.io.IOException: not JSON")
    seen = world.until(started, "ended", lambda seen: seen.job_state is ending)
    if ending is JobState.FAILED:
        assert "JSON" in (seen.failure or "")
    world.kill(started)

    old = world.replace_job_manager(started)
    world.add_task_manager(old)
    [job_manager] = old.task_ids(Role.JOB_MANAGER)

    def over(seen: Any) -> bool:
        assert seen.job_state is None or seen.job_state.terminal, seen
        return world.processes.exited(job_manager) is not None or seen.job_state is ending

    world.until(old, "over", over)
    assert world.flink.find_restore_point(world.question(old)).terminal == ending.value
    if world.processes.exited(job_manager) is not None and not world.real:
        del old.tasks[job_manager]
    world.kill(old)


def test_f43_a_restore_point_that_is_missing_fails_the_job(world: World) -> None:
    record = world.new_job()
    started = world.restored(record, 2, f"{world.storage}/savepoints/gone/savepoint-1")

    seen = world.until(started, "failed", lambda seen: seen.job_state is JobState.FAILED)

    assert not seen.vertices_running
    assert "FileNotFoundException" in (seen.failure or "")
    world.kill(started)


def test_acting_on_a_job_that_is_not_listed_yet_says_so(world: World) -> None:
    record = world.new_job()
    started = world.start(record, world.generation(record, 1), task_managers=0)

    with pytest.raises(FlinkError):
        world.flink.cancel(started.target)
    world.kill(started)


# A JobManager that waits at its gate


def prepared(world: World) -> tuple[Started, Started]:
    """A generation that runs, and the next one, whose processes are up and wait."""
    record = world.new_job()
    first = world.start(record, world.generation(record, 1))
    upcoming = replace(world.generation(record, 2), gated=True)
    second = world.start(replace(record, upcoming=upcoming), upcoming)
    world.until_running(first)
    world.until(second, "waiting", lambda seen: seen.reachable)
    return first, second


def gate_of(started: Started, restore: str | None) -> OpenGate:
    return OpenGate(started.generation.job_id, started.generation.cluster_id, restore)


def test_a_job_manager_submits_nothing_before_its_gate_is_open_and_starts_from_what_it_is_told(world: World) -> None:
    first, second = prepared(world)
    stop = world.trigger(first, "UPGRADE", stop=True)
    world.flink.stop_with_savepoint(first.target, stop)
    savepoint = world.finish(first, stop)
    world.until(first, "ended", lambda seen: seen.job_state is JobState.FINISHED)

    waiting = world.until_session(second, lambda seen: len(seen.task_managers) == 1)
    assert world.observe(second).job_state is None
    assert waiting.task_managers == set(second.task_ids(Role.TASK_MANAGER))

    gate = gate_of(second, savepoint.path)
    world.flink.open_gate(gate)
    world.flink.open_gate(gate)
    restored = world.until_restored(second)
    assert restored.restored_from == savepoint.path
    with pytest.raises(FlinkRefused, match="was opened with"):
        world.flink.open_gate(gate_of(second, None))
    world.kill(first)
    world.kill(second)
    world.flink.clean_up(second.generation.job_id, second.generation.cluster_id)


def test_a_gate_cannot_be_opened_before_anybody_waits_there(world: World) -> None:
    record = world.new_job()
    nobody = world.generation(record, 7)
    with pytest.raises(FlinkUnreachable):
        world.flink.open_gate(OpenGate(nobody.job_id, nobody.cluster_id, None))
