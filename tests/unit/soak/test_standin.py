"""The stand-in of Flink answers what the adapter asks, so that the soak judges Weir and not a misunderstanding."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from integration.flink import observe, storage
from integration.flink.rest import NotFound, RestClient
from integration.flink.session import cluster_of
from integration.flink.storage import Storages
from reconciler.model.observation import JobState, OperationState
from tests.soak.standin import Handler, Job, settings

JOB_ID = "ab" * 16
ARGUMENTS = ["-Dlog.file=x", "-D", "high-availability.cluster-id=orders-1", "--job-id", JOB_ID, "-D", "rest.port=1"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[RestClient, str, Path]]:
    """A client, the address, and the directory in which TaskManagers register."""
    members = tmp_path / "members"
    members.mkdir()
    handler = type("Serving", (Handler,), {"job": Job(settings(ARGUMENTS), members)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with RestClient() as rest:
        yield rest, f"http://127.0.0.1:{server.server_port}", members
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_job_runs_once_a_task_manager_is_there(served: tuple[RestClient, str, Path]) -> None:
    rest, url, members = served
    assert observe.listed(rest.get(url, "/jobs/overview")) == {JOB_ID: JobState.RUNNING}
    assert not observe.vertices(rest.get(url, f"/jobs/{JOB_ID}")).running
    (members / "orders.tm").touch()
    assert observe.vertices(rest.get(url, f"/jobs/{JOB_ID}")).running
    assert observe.task_managers(rest.get(url, "/taskmanagers"))[0] == {"orders.tm"}
    assert cluster_of(rest, url) == "orders-1"
    with pytest.raises(NotFound):
        rest.get(url, f"/jobs/{JOB_ID}/checkpoints")


def test_a_stop_writes_a_savepoint_that_weir_reads(served: tuple[RestClient, str, Path], tmp_path: Path) -> None:
    rest, url, _ = served
    body = {"targetDirectory": (tmp_path / "sp").as_uri(), "triggerId": "cd" * 16}
    for _ in range(2):  # a repeated trigger is the same savepoint
        rest.post(url, f"/jobs/{JOB_ID}/stop", body)
    found = observe.operation(rest.get(url, f"/jobs/{JOB_ID}/savepoints/{'cd' * 16}"))
    assert found.state is OperationState.COMPLETED
    assert found.path is not None
    assert storage.savepoints(Storages(), body["targetDirectory"]) == ((1, storage.normal(found.path)),)
    assert observe.listed(rest.get(url, "/jobs/overview"))[JOB_ID].terminal
