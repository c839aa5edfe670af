"""One life of a job on the Flink versions that the rest of the suite does not run on; the suite itself is on 2.2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.flink import storage
from reconciler.model.observation import JobState, OperationState
from reconciler.model.record import Role

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

IDLE_S = 15.0
"""Far longer than from a served REST API to a listed job, which is 3 s on an idle machine."""

World = Any
Started = Any


def test_f61_a_stopped_job_stays_stopped_and_its_savepoint_and_ha_data_are_found(other_version: World) -> None:
    world = other_version
    record = world.new_job()
    first = world.start(record, world.generation(record, 1))
    seen = world.until_running(first)
    assert seen.leader_url == first.target.url
    assert seen.task_managers == seen.busy_task_managers == set(first.task_ids(Role.TASK_MANAGER))

    manual = world.trigger(first, "manual")
    for _ in range(2):  # the second asks for nothing new
        world.flink.trigger_savepoint(first.target, manual)
    saved = world.finish(first, manual)
    stop, operation = world.stopped(first)
    assert (saved.state, operation.state) == (OperationState.COMPLETED, OperationState.COMPLETED)
    assert len(world.flink.find_restore_point(world.question(first, manual)).savepoints) == 1
    world.kill(first)

    left = traces(world, first)
    resurrected(world, first)
    assert traces(world, first) == left
    view = world.flink.find_restore_point(world.question(first, stop))
    assert (view.answered, view.terminal, view.ha_metadata) == (True, "FINISHED", False)
    assert [path for _, path in view.savepoints] == [operation.path]

    second = world.restored(record, 2, operation.path)
    world.until_running(second)
    seen = world.until_restored(second)
    assert seen.restored_from == operation.path
    world.kill(second, Role.JOB_MANAGER)
    view = world.flink.find_restore_point(world.question(second))
    assert (view.ha_metadata, view.terminal) == (True, None)
    assert view.checkpoint_id >= seen.latest_checkpoint_id
    second = world.replace_job_manager(second)
    seen = world.until_restored(second)
    assert seen.restored_from == view.checkpoint_path
    world.flink.cancel(second.target)
    world.until(second, "canceled", lambda seen: seen.job_state is JobState.CANCELED)
    world.until_result(second, "CANCELED")
    world.kill(second)
    resurrected(world, second)
    assert world.flink.find_restore_point(world.question(second)).terminal == "CANCELED"
    for generation in (first, second):
        world.flink.clean_up(generation.generation.job_id, generation.generation.cluster_id)
    assert world.flink.find_restore_point(world.question(second)).terminal is None


def resurrected(world: World, ended: Started) -> None:
    """The JobManager of an ended generation is started again, with the same HA data and a TaskManager at hand.

    It exits, or serves the result of the job that has ended, or (2.3, whose application has a result too) serves no
    job at all for as long as it lives: then it is watched for a while that a start would long be over in.
    """
    old = world.replace_job_manager(ended)
    world.add_task_manager(old)
    [job_manager] = old.task_ids(Role.JOB_MANAGER)

    idle_since: list[float] = []

    def over(seen: Any) -> bool:
        assert seen.job_state is None or seen.job_state.terminal, seen
        if seen.reachable and seen.error is None:
            idle_since.append(seen.at)
        idle = bool(idle_since) and seen.at - idle_since[0] > IDLE_S
        return world.processes.exited(job_manager) is not None or seen.job_state is not None or idle

    seen = world.until(old, "over", over)
    print(f"Flink {world.series}: exit code {world.processes.exited(job_manager)}, job {seen.job_state}")
    assert not seen.busy_task_managers
    world.kill(old)


def traces(world: World, started: Started) -> tuple[set[Path], set[Path]]:
    """Files of checkpoints and of the sink."""
    checkpoints = Path(storage.normal(world.question(started).checkpoint_directory).removeprefix("file:"))
    sink = world.input(started.record).with_name("out")
    return {path for path in checkpoints.rglob("*") if path.is_file()}, set(sink.rglob("*"))
