"""Bad desired state, written by hand, leaves a running job alone and is told in status, describe and log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.cli.conftest import Installation, Replica

pytestmark = pytest.mark.stack

JOB = "steady"


@pytest.fixture(scope="module")
def running(installation: Installation, replica: Replica) -> Iterator[dict[str, Any]]:
    """A running job; the status that it has before somebody writes nonsense."""
    path = installation.file(installation.spec(), f"{JOB}.json")
    applied = installation.weir("apply", "-f", path, "--wait", "DEPLOYED", "--timeout", "2m", timeout=150.0)
    assert applied.returncode in (0, 1), applied.stderr
    yield installation.until(JOB, lambda status: status.get("jobState") == "RUNNING", 120.0)
    deleted = installation.weir("delete", JOB, "--yes", "--wait", "--timeout", "1m", timeout=90.0)
    assert deleted.returncode == 0, deleted.stderr


def compact(spec: dict[str, Any]) -> bytes:
    return json.dumps(spec).encode()


BAD: dict[str, tuple[object, tuple[str, ...]]] = {
    "empty": (b"", ("the znode is empty",)),
    "yaml": (b"flinkVersion: 2.2\njob:\n  type: python\n", ("holds YAML", "weir apply -f FILE")),
    "truncated": (b'{"flinkVersion":', ("cut off", "single quotes")),
    "not json": (b'{"flinkVersion" "2.2"}', ("not hold valid JSON", "line 1")),
    "not text": (b"\xff\xfe\x00", ("not hold UTF-8",)),
    "an array": (b"[]", ("a spec is a JSON object",)),
    "unknown field": ({"paralelism": 2}, ("paralelism", "job.parallelism")),
    "unknown field of the job": ({"job": {"paralelism": 2}}, ("job.paralelism", "did you mean parallelism?")),
    "wrong type": ({"job": {"parallelism": "two"}}, ("job.parallelism", "a whole number")),
    "wrong unit": ({"taskManager": {"memory": "1 lot"}}, ("taskManager.memory", "is not a size")),
    "too little memory": ({"taskManager": {"memory": "64m"}}, ("taskManager.memory", "too little")),
    "more cpus than any agent": ({"taskManager": {"cpus": 64.0}}, ("taskManager.cpus", "more than any agent")),
    "unreachable job file": ({"job": {"uri": "file:///nowhere/job.py"}}, ("job.uri", "no file /nowhere/job.py")),
    "a version that is not there": ({"flinkVersion": "1.17"}, ("flinkVersion", "no distribution of Flink 1.17")),
    "an unknown strategy": ({"restart": {"strategy": "hope"}}, ("restart.strategy", "exponential-delay")),
    "a key of the operator": ({"flinkConfiguration": {"rest.port": "1"}}, ("flinkConfiguration.rest.port",)),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_leaves_the_running_job_alone(
    installation: Installation, replica: Replica, running: dict[str, Any], case: str
) -> None:
    content, said = BAD[case]
    data = content if isinstance(content, bytes) else compact(installation.spec(**content))  # type: ignore[arg-type]

    installation.write(JOB, data)
    version = installation.zk.exists(f"{installation.root}/jobs/{JOB}").version
    status = installation.until(JOB, lambda status: status["observed"]["version"] == version, 20.0)
    page = installation.weir("describe", JOB).stdout

    assert status["accepted"] is False
    for part in said:
        assert part in status["error"]
        assert part in page
    assert f"{version}, refused; the last valid version goes on" in page
    for key in ("generation", "jobId", "taskList"):
        assert status[key] == running[key], f"{key} changed"
    assert status["jobState"] == "RUNNING"
    logged = [event for event in replica.events() if event["event"] == "spec.refused" and event["job"] == JOB]
    assert said[0] in logged[-1]["error"]


def test_a_good_version_after_bad_ones_is_accepted_again(installation: Installation, running: dict[str, Any]) -> None:
    installation.write(JOB, b"{")
    result = installation.weir(
        "apply", "-f", installation.file(installation.spec(), f"{JOB}.json"), "--wait", "--timeout", "1m"
    )

    assert result.returncode == 0, result.stderr
    assert "what was there was not valid" in result.stdout
    status = installation.status(JOB)
    assert status["accepted"] is True
    assert status["error"] is None
    assert status["generation"] == running["generation"]


@pytest.mark.parametrize("name", ["Bad_Name", "with space", "a.b", "x" * 64, "ünïcode", "$(touch x)", "<b>"])
def test_a_name_that_cannot_be_a_job_is_refused_in_its_own_status(
    installation: Installation, replica: Replica, name: str
) -> None:
    installation.write(name, compact(installation.spec()))

    status = installation.until(name, lambda status: bool(status), 20.0)
    assert status["accepted"] is False
    assert "lower-case letters, digits and dashes" in status["error"]
    assert "refused" in installation.weir("get", name).stdout

    installation.zk.delete(f"{installation.root}/jobs/{name}")
    installation.until(name, lambda status: not status, 20.0)


def test_a_bad_first_version_starts_nothing_and_can_be_corrected(installation: Installation, replica: Replica) -> None:
    installation.write("fresh", b"{}")
    status = installation.until("fresh", lambda status: status.get("accepted") is False, 20.0)
    assert "job: is required" in status["error"]
    assert status["generation"] == 0

    suspended = installation.spec(job={"state": "suspended"})
    result = installation.weir("apply", "-f", installation.file(suspended, "fresh.json"), "--wait", "--timeout", "20s")

    assert result.returncode == 0, result.stderr
    assert installation.status("fresh")["lifecycle"] == "SUSPENDED"
    assert installation.weir("delete", "fresh", "--yes", "--wait", "--timeout", "20s").returncode == 0


def test_waiting_for_what_does_not_come_ends_in_a_time_out(installation: Installation, replica: Replica) -> None:
    suspended = installation.spec(job={"state": "suspended"})
    path = installation.file(suspended, "patient.json")

    result = installation.weir("apply", "-f", path, "--wait", "STABLE", "--timeout", "2s")

    assert result.returncode == 4
    assert result.stderr.splitlines()[-1].startswith('error: "patient" is not STABLE after 2s: suspended')
    installation.weir("delete", "patient", "--yes")


def test_sigterm_ends_a_replica_in_an_orderly_way(installation: Installation) -> None:
    standby = Replica(installation, "replica-2")
    deadline = time.monotonic() + 30.0
    while not any(event["event"] == "replica.started" for event in standby.events()):
        assert time.monotonic() < deadline, standby.log.read_text()
        time.sleep(0.1)

    assert standby.stop() == 0
    assert "Traceback" not in standby.log.read_text()
