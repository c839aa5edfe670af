"""`FlinkAdapter` against recorded answers of three Flink versions, a tree of znodes and a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.flink.adapter import FlinkAdapter
from reconciler.model.decision import FindRestorePoint
from reconciler.model.observation import JobState, Operation, OperationState
from reconciler.ports import FlinkRefused, FlinkTarget, FlinkUnreachable, Trigger

VERSIONS = ["1.20.5", "2.2.1", "2.3.0"]
Server = Any
Tree = Any


class Bench:
    """An adapter over a recorded JobManager of one version."""

    def __init__(self, server: Server, tree: Tree, directory: Path, version: str = "2.2.1") -> None:
        self.server, self.tree, self.version = server, tree, version
        self.storage = directory / "storage"
        self.storage.mkdir(exist_ok=True)
        self.uri = f"file://{self.storage}"
        self.adapter = FlinkAdapter(tree, self.uri, rest=server.client())
        server.recorded("/jobs/overview", version, "jobs_overview")
        [job] = server.answers["/jobs/overview"][1]["jobs"]
        self.job_id = job["jid"]
        self.target = FlinkTarget("2.2", "http://jm:8081", self.job_id, "cluster")
        self.trigger = Trigger("a" * 32, f"{self.uri}/savepoints/a")

    def healthy(self) -> None:
        job = f"/jobs/{self.job_id}"
        self.server.recorded(job, self.version, "job")
        self.server.recorded(f"{job}/checkpoints", self.version, "checkpoints")
        self.server.recorded("/taskmanagers", self.version, "taskmanagers")
        self.server.recorded(f"{job}/exceptions", self.version, "exceptions")
        self.server.answer(f"{job}/metrics", [{"id": "numRestarts", "value": "3"}])

    def operation(self, recorded: str) -> Operation:
        self.healthy()
        path = f"/jobs/{self.job_id}/savepoints/{self.trigger.trigger_id}"
        self.server.recorded(path, self.version, recorded)
        return self.adapter.observe(self.target, [self.trigger], 1.0).operations[self.trigger.trigger_id]

    def snapshot(self, path: str, number: int) -> str:
        """A complete snapshot whose header has this checkpoint id."""
        directory = self.storage / path
        directory.mkdir(parents=True)
        header = bytes.fromhex("4960672d") + (6).to_bytes(4, "big") + number.to_bytes(8, "big")
        (directory / "_metadata").write_bytes(header + b"state")
        return f"file:{directory}"

    def pointer(self, number: int, path: str) -> str:
        """HA data that names a completed checkpoint, and the node in which it does."""
        file = self.storage / f"ha/cluster/completedCheckpoint{number:04x}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\xac\xed\x00\x05t\x00\x20file:/restored/savepoint-1-2\x00t\x00Z" + path.encode() + b"q\x00")
        node = f"/flink/cluster/jobs/{self.job_id}/checkpoints/{number:019d}"
        self.tree.nodes[node] = b"\xac\xed\x00\x05sr\x00\x0cjava.net.URIt\x00M" + f"file:{file}".encode()
        return node

    def question(self, *triggers: str, paths: tuple[str, ...] = ()) -> FindRestorePoint:
        return FindRestorePoint(3, self.job_id, "cluster", f"{self.uri}/checkpoints/u/3", triggers, paths)


@pytest.fixture(params=VERSIONS)
def any_version(request: pytest.FixtureRequest, server: Server, tree: Tree, tmp_path: Path) -> Bench:
    return Bench(server, tree, tmp_path, request.param)


@pytest.fixture
def bench(server: Server, tree: Tree, tmp_path: Path) -> Bench:
    return Bench(server, tree, tmp_path)


# Observing


def test_a_healthy_job_of_every_version_is_read(any_version: Bench) -> None:
    any_version.healthy()

    seen = any_version.adapter.observe(any_version.target, (), 7.0)

    assert (seen.at, seen.reachable, seen.job_state) == (7.0, True, JobState.RUNNING)
    assert seen.vertices_running
    assert (
        seen.latest_checkpoint_path
        == any_version.server.answers[f"/jobs/{any_version.job_id}/checkpoints"][1]["latest"]["completed"][
            "external_path"
        ]
    )
    assert seen.task_managers == {"mesos-tm-1", "mesos-tm-2"}
    assert len(seen.busy_task_managers) == 1
    assert seen.flink_restarts == 3
    assert len(any_version.server.requests) == 5


def test_a_job_state_of_running_does_not_say_that_tasks_run(bench: Bench) -> None:
    bench.healthy()
    body = bench.server.answers[f"/jobs/{bench.job_id}"][1]
    body["vertices"][0]["tasks"] |= {"RUNNING": 0, "INITIALIZING": 1}

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert (seen.job_state, seen.vertices_running) == (JobState.RUNNING, False)


def test_a_job_without_checkpointing_is_seen_running(bench: Bench) -> None:
    bench.healthy()
    body = {"errors": ["RestHandlerException: Checkpointing has not been enabled."]}
    bench.server.answer(f"/jobs/{bench.job_id}/checkpoints", body, 404)

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert (seen.vertices_running, seen.completed_checkpoints) == (True, 0)


def test_after_a_failover_the_restored_checkpoint_is_the_latest(bench: Bench) -> None:
    bench.healthy()
    path = f"file:/c/{bench.job_id}/chk-9"
    body = bench.server.answers[f"/jobs/{bench.job_id}/checkpoints"][1]
    restored = {"id": 9, "restore_timestamp": 5000, "is_savepoint": False, "external_path": path}
    body["latest"] |= {"completed": None, "restored": restored}

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert (seen.latest_checkpoint_id, seen.latest_checkpoint_path, seen.latest_checkpoint_at) == (9, path, 5.0)
    assert seen.restored_from == path


def test_an_empty_list_right_after_the_start_is_not_a_missing_job(bench: Bench) -> None:
    bench.server.answer("/jobs/overview", {"jobs": []})
    bench.server.answer("/jobmanager/config", [{"key": "high-availability.cluster-id", "value": "cluster"}])

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert (seen.reachable, seen.job_state, seen.error) == (True, None, None)


def test_f52_an_empty_list_of_another_cluster_is_a_stranger(bench: Bench) -> None:
    bench.server.answer("/jobs/overview", {"jobs": []})
    bench.server.answer("/jobmanager/config", [{"key": "high-availability.cluster-id", "value": "other"}])

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert not seen.reachable
    assert "another cluster (other)" in (seen.error or "")


def test_f46_http_500_during_a_failover_says_nothing(bench: Bench) -> None:
    bench.server.recorded("/jobs/overview", "2.2.1", "during_failover")

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert (seen.reachable, seen.job_state) == (False, None)


def test_503_is_reachable_without_a_state(bench: Bench) -> None:
    bench.server.answer("/jobs/overview", {"errors": ["leader election"]}, 503)

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert (seen.reachable, seen.job_state) == (True, None)


def test_a_job_that_failed_in_its_main_method_is_failed_although_its_details_are_http_500(any_version: Bench) -> None:
    bench = any_version
    bench.server.answers["/jobs/overview"][1]["jobs"][0]["state"] = "FAILED"
    bench.server.recorded(f"/jobs/{bench.job_id}", bench.version, "boom_job")
    bench.server.recorded(f"/jobs/{bench.job_id}/exceptions", bench.version, "boom_exc")

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert (seen.reachable, seen.job_state) == (True, JobState.FAILED)
    assert "Python process exits with code: 1" in (seen.failure or "")


@pytest.mark.parametrize("body", [{}, [], {"jobs": [{"jid": 1}]}, {"jobs": [{"jid": "x", "state": "NEW"}]}])
def test_an_answer_of_another_shape_is_no_answer(bench: Bench, body: Any) -> None:
    bench.server.answer("/jobs/overview", body)

    seen = bench.adapter.observe(bench.target, (), 1.0)

    assert not seen.reachable
    assert seen.error


def test_the_elected_job_manager_is_read_from_zookeeper(bench: Bench) -> None:
    url = b"http://10.0.0.1:8081"
    bench.tree.nodes["/flink/cluster/leader/rest_server/connection_info"] = (
        b"\xac\xed\x00\x05w\x16" + len(url).to_bytes(2, "big") + url + b"sr\x00\x0ejava.util.UUID"
    )
    bench.healthy()

    assert bench.adapter.observe(bench.target, (), 1.0).leader_url == url.decode()
    bench.tree.connected = False
    assert bench.adapter.observe(bench.target, (), 1.0).leader_url is None


# Operations


def test_a_completed_savepoint_has_its_path(any_version: Bench) -> None:
    operation = any_version.operation("savepoint_own_done")

    assert operation.state is OperationState.COMPLETED
    assert "/savepoint-" in (operation.path or "")


def test_an_operation_in_progress_is_neither(any_version: Bench) -> None:
    assert any_version.operation("savepoint_own_inprogress") == Operation(OperationState.IN_PROGRESS)


def test_completed_with_a_failure_cause_is_failed(any_version: Bench) -> None:
    operation = any_version.operation("savepoint_bad_dir_done")

    assert (operation.state, operation.path) == (OperationState.FAILED, None)
    assert "caused by java.io.IOException" in (operation.error or "")


def test_f41_a_stop_that_failed_after_its_savepoint_names_the_path(bench: Bench) -> None:
    trace = (
        "java.util.concurrent.CompletionException: x\n\tat y\nCaused by: org.apache.flink.runtime.scheduler.stopwith"
        "savepoint.StopWithSavepointStoppingException: A savepoint has been created at: file:/sp/savepoint-1-2, "
        "but the corresponding job 0 failed during stopping. The savepoint is consistent, but might have uncommitted"
    )
    path = f"/jobs/{bench.job_id}/savepoints/{bench.trigger.trigger_id}"
    bench.healthy()
    body = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"class": "c", "stack-trace": trace}}}
    bench.server.answer(path, body)

    operation = bench.adapter.observe(bench.target, [bench.trigger], 1.0).operations[bench.trigger.trigger_id]

    assert (operation.state, operation.path) == (OperationState.FAILED, "file:/sp/savepoint-1-2")


def test_f40_a_forgotten_trigger_is_found_in_its_own_directory(any_version: Bench) -> None:
    assert any_version.operation("savepoint_unknown_trigger").state is OperationState.UNKNOWN
    (any_version.storage / "savepoints/a/savepoint-half").mkdir(parents=True)
    assert any_version.operation("savepoint_unknown_trigger").state is OperationState.UNKNOWN

    path = any_version.snapshot("savepoints/a/savepoint-1-2", 5)

    completed = Operation(OperationState.COMPLETED, path, checkpoint_id=5)
    assert any_version.operation("savepoint_unknown_trigger") == completed


def test_a_directory_that_cannot_be_listed_leaves_the_trigger_unknown_and_says_why(bench: Bench) -> None:
    bench.trigger = Trigger("a" * 32, "s3://bucket/a")

    operation = bench.operation("savepoint_unknown_trigger")

    assert operation.state is OperationState.UNKNOWN
    assert "has no object store" in (operation.error or "")


def test_f44_a_savepoint_whose_id_cannot_be_read_is_not_complete_yet(bench: Bench) -> None:
    bench.snapshot("savepoints/a/savepoint-1-2", 5)
    assert bench.operation("savepoint_unknown_trigger").state is OperationState.COMPLETED
    bench.storage.rename(bench.storage.with_name("away"))

    operation = bench.operation("savepoint_own_done")

    assert (operation.state, operation.path) == (OperationState.IN_PROGRESS, None)
    assert "storage" in (operation.error or "")


def test_f41_a_stop_has_failed_once_its_directory_shows_no_savepoint(bench: Bench) -> None:
    away = bench.storage.with_name("away")
    bench.snapshot("savepoints/a/savepoint-1-2", 5)
    bench.storage.rename(away)
    assert bench.operation("savepoint_bad_dir_done").state is OperationState.IN_PROGRESS

    away.rename(bench.storage)

    operation = bench.operation("savepoint_bad_dir_done")
    assert (operation.state, operation.checkpoint_id) == (OperationState.FAILED, 5)
    assert (operation.path or "").endswith("/savepoint-1-2")


# Acting


def test_f38_a_stop_carries_our_own_trigger_id_and_directory(bench: Bench) -> None:
    bench.server.answer(f"/jobs/{bench.job_id}/stop", {"request-id": bench.trigger.trigger_id}, 202)

    bench.adapter.stop_with_savepoint(bench.target, bench.trigger)

    assert bench.server.requests[-1] == (
        "POST",
        f"/jobs/{bench.job_id}/stop",
        {
            "targetDirectory": bench.trigger.directory,
            "drain": False,
            "formatType": "CANONICAL",
            "triggerId": bench.trigger.trigger_id,
        },
    )


def test_f38_a_savepoint_carries_our_own_trigger_id_and_directory(bench: Bench) -> None:
    bench.server.answer(f"/jobs/{bench.job_id}/savepoints", {"request-id": bench.trigger.trigger_id}, 202)

    bench.adapter.trigger_savepoint(bench.target, bench.trigger)

    assert bench.server.requests[-1] == (
        "POST",
        f"/jobs/{bench.job_id}/savepoints",
        {
            "target-directory": bench.trigger.directory,
            "cancel-job": False,
            "formatType": "CANONICAL",
            "triggerId": bench.trigger.trigger_id,
        },
    )


def test_f52_nothing_is_sent_to_another_jobs_port(bench: Bench) -> None:
    other = FlinkTarget("2.2", "http://jm:8081", "f" * 32, "other")

    with pytest.raises(FlinkRefused, match="another job"):
        bench.adapter.stop_with_savepoint(other, bench.trigger)
    with pytest.raises(FlinkRefused):
        bench.adapter.trigger_savepoint(other, bench.trigger)
    with pytest.raises(FlinkRefused):
        bench.adapter.cancel(other)

    assert {method for method, _, _ in bench.server.requests} == {"GET"}


def test_a_job_that_is_over_is_not_stopped_and_cancelling_it_changes_nothing(bench: Bench) -> None:
    bench.server.answers["/jobs/overview"][1]["jobs"][0]["state"] = "FINISHED"

    bench.adapter.cancel(bench.target)
    with pytest.raises(FlinkRefused, match="FINISHED already"):
        bench.adapter.stop_with_savepoint(bench.target, bench.trigger)

    assert {method for method, _, _ in bench.server.requests} == {"GET"}


# What is left behind


def test_f44_the_highest_complete_checkpoint_counts_not_the_youngest_file(bench: Bench) -> None:
    bench.snapshot(f"checkpoints/u/3/{bench.job_id}/chk-10", 10)
    bench.snapshot(f"checkpoints/u/3/{bench.job_id}/chk-9", 9)
    (bench.storage / f"checkpoints/u/3/{bench.job_id}/chk-11").mkdir()

    view = bench.adapter.find_restore_point(bench.question())

    assert (view.answered, view.checkpoint_id) == (True, 10)
    assert (view.checkpoint_path or "").endswith("/chk-10")


def test_f62_the_ha_pointer_is_followed_to_its_checkpoint(bench: Bench) -> None:
    path = bench.snapshot(f"checkpoints/u/3/{bench.job_id}/chk-4", 4)
    bench.pointer(4, path)

    view = bench.adapter.find_restore_point(bench.question())

    assert (view.ha_metadata, view.checkpoint_id, view.checkpoint_path) == (True, 4, path)


def test_f43_an_older_checkpoint_that_stayed_behind_does_not_stand_in_for_the_one_that_is_named(bench: Bench) -> None:
    older = bench.snapshot(f"checkpoints/u/3/{bench.job_id}/chk-9", 9)
    bench.pointer(10, f"file:{bench.storage}/checkpoints/u/3/{bench.job_id}/chk-10")

    view = bench.adapter.find_restore_point(bench.question())
    assert (view.checkpoint_lost, view.checkpoint_path) == (True, older)

    bench.snapshot(f"checkpoints/u/3/{bench.job_id}/chk-11", 11)
    assert not bench.adapter.find_restore_point(bench.question()).checkpoint_lost


def test_f43_a_checkpoint_that_a_newer_one_replaced_during_the_look_is_not_lost(bench: Bench) -> None:
    bench.snapshot(f"checkpoints/u/3/{bench.job_id}/chk-9", 9)
    gone = bench.pointer(10, f"file:{bench.storage}/checkpoints/u/3/{bench.job_id}/chk-10")

    def replace_it(path: str) -> None:
        if path == gone:
            bench.pointer(11, f"file:{bench.storage}/checkpoints/u/3/{bench.job_id}/chk-11")  # written after the look
            del bench.tree.nodes[gone]

    bench.tree.after_get = replace_it
    assert not bench.adapter.find_restore_point(bench.question()).checkpoint_lost


def test_f45_without_pointers_there_is_no_ha_metadata(bench: Bench) -> None:
    bench.tree.nodes[f"/flink/cluster/execution-plans/{bench.job_id}"] = b"plan"

    assert not bench.adapter.find_restore_point(bench.question()).ha_metadata


@pytest.mark.parametrize("how", ["disconnected", "connection loss"])
def test_f54_zookeeper_not_answering_is_never_no_ha_metadata(bench: Bench, how: str) -> None:
    bench.tree.connected, bench.tree.broken = how != "disconnected", how != "disconnected"

    view = bench.adapter.find_restore_point(bench.question())

    assert not view.answered
    assert "ZooKeeper" in (view.error or "")


def test_f54_storage_that_is_not_mounted_is_not_empty_storage(bench: Bench) -> None:
    bench.storage.rmdir()

    view = bench.adapter.find_restore_point(bench.question())

    assert not view.answered
    assert "mounted" in (view.error or "")


def test_f43_paths_that_are_missing_or_incomplete_are_named(bench: Bench) -> None:
    there = bench.snapshot("savepoints/u/2/t/savepoint-1-2", 3)
    (bench.storage / "half").mkdir()
    half, gone = f"{bench.uri}/half", f"{bench.uri}/gone"

    view = bench.adapter.find_restore_point(bench.question(paths=(there, f"{there}/_metadata", half, gone)))

    assert view.missing == (half, gone)


def test_f63_savepoints_below_the_trigger_directories_are_found_with_their_checkpoint_ids(bench: Bench) -> None:
    stopped, asked = bench.snapshot("savepoints/a/savepoint-1-2", 17), bench.snapshot("savepoints/b/savepoint-1-2", 9)

    view = bench.adapter.find_restore_point(bench.question(bench.trigger.directory, f"{bench.uri}/savepoints/b"))

    assert view.savepoints == ((9, asked), (17, stopped))


@pytest.mark.parametrize(
    ("status", "state"), [("SUCCEEDED", "FINISHED"), ("CANCELED", "CANCELED"), ("FAILED", "FAILED")]
)
@pytest.mark.parametrize("suffix", ["", "_DIRTY"])
def test_f47_the_job_result_store_says_how_a_job_ended(bench: Bench, status: str, state: str, suffix: str) -> None:
    file = bench.storage / f"ha/job-result-store/cluster/{bench.job_id}{suffix}.json"
    file.parent.mkdir(parents=True)
    file.write_text(
        f'{{"result":{{"id":"{bench.job_id}","application-status":"{status}","net-runtime":1}},"version":1}}'
    )

    assert bench.adapter.find_restore_point(bench.question()).terminal == state


def test_cleaning_up_removes_one_cluster_and_can_be_repeated(bench: Bench) -> None:
    for cluster in ("cluster", "cluster-2"):
        bench.tree.nodes[f"/flink/{cluster}/jobs/x"] = b""
        for kind in (cluster, f"job-result-store/{cluster}"):
            directory = bench.storage / "ha" / kind
            directory.mkdir(parents=True)
            (directory / "file").write_text("x")

    for _ in range(2):
        bench.adapter.clean_up(bench.job_id, "cluster")

    assert list(bench.tree.nodes) == ["/flink/cluster-2/jobs/x"]
    assert sorted(path.name for path in (bench.storage / "ha").iterdir()) == ["cluster-2", "job-result-store"]
    assert [path.name for path in (bench.storage / "ha/job-result-store").iterdir()] == ["cluster-2"]


def test_cleaning_up_without_zookeeper_touches_no_storage(bench: Bench) -> None:
    (bench.storage / "ha/cluster").mkdir(parents=True)
    bench.tree.connected = False

    with pytest.raises(FlinkUnreachable):
        bench.adapter.clean_up(bench.job_id, "cluster")

    assert (bench.storage / "ha/cluster").is_dir()
