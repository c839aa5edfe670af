"""The commands on a real ZooKeeper: what is written, what is read back, and every wrong address."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.cli.conftest import WEIR, Installation, environment, run

pytestmark = pytest.mark.stack


def test_a_job_is_applied_listed_described_changed_and_deleted(installation: Installation) -> None:
    path = installation.file(installation.spec(), "even-ids.json")

    created = installation.weir("apply", "-f", path)
    assert created.stdout == "even-ids created\n"
    assert "note: no replica leads" in created.stderr
    assert json.loads(installation.zk.get(f"{installation.root}/jobs/even-ids")[0]) == installation.spec()
    assert installation.weir("apply", "-f", path).stdout == "even-ids unchanged\n"

    listed = installation.weir("get")
    assert listed.stdout.splitlines()[1].startswith("even-ids  -")
    assert "\x1b" not in listed.stdout
    described = installation.weir("describe", "even-ids").stdout
    assert described.startswith("No replica leads, so nothing is acted on. Last known: even-ids is not taken up yet")

    changed = installation.weir("apply", "-f", installation.file(installation.spec(restartNonce=1), "even-ids.json"))
    assert changed.stdout.splitlines()[0] == "even-ids changed"
    assert "restartNonce" in changed.stdout

    assert installation.weir("delete", "even-ids", "--yes").returncode == 0
    assert installation.zk.exists(f"{installation.root}/jobs/even-ids") is None
    assert installation.weir("delete", "even-ids", "--yes").returncode == 3


def test_yaml_is_stored_as_json(installation: Installation) -> None:
    path = installation.file("flinkVersion: 2.2\njob: {type: python, uri: /srv/job.py}\n", "yaml.yaml")

    assert installation.weir("apply", "-f", path).returncode == 0
    assert json.loads(installation.zk.get(f"{installation.root}/jobs/yaml")[0])["job"]["uri"] == "/srv/job.py"
    installation.weir("delete", "yaml", "--yes")


def test_a_wrong_address_is_told_within_five_seconds() -> None:
    def tried(hosts: str) -> tuple[subprocess.CompletedProcess[str], float]:
        began = time.monotonic()
        return run("get", WEIR_ZK=hosts), time.monotonic() - began

    with socket.socket() as silent, ThreadPoolExecutor() as pool:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # accepts connections and never answers
        expected = {
            "127.0.0.1:1": "Connection refused",
            "no-such-host.invalid:2181": "no-such-host.invalid:2181: ",
            f"127.0.0.1:{silent.getsockname()[1]}": "does not answer as ZooKeeper",
        }
        for said, (result, took) in zip(expected.values(), pool.map(tried, expected), strict=True):
            assert result.returncode == 5
            assert said in result.stderr
            assert result.stderr.startswith("error: cannot reach ZooKeeper")
            assert result.stderr.count("\n") == 1
            assert took < 25.0, "five seconds, and three starts of Python on a busy machine"


def test_a_replica_with_a_wrong_address_ends_with_one_line() -> None:
    result = run(
        "run", "--zk", "127.0.0.1:1", "--master", "h:5050", "--storage", "file:///srv", "--flink", "2.2=/srv/flink"
    )

    assert result.returncode == 5
    assert result.stderr.splitlines()[-1].startswith("error: cannot reach ZooKeeper (127.0.0.1:1: Connection refused)")
    assert "Traceback" not in result.stderr


def test_a_root_that_does_not_exist_is_an_empty_installation(installation: Installation) -> None:
    result = installation.weir("get", "--root", "/nothing-here")

    assert result.returncode == 0
    assert result.stdout == ""
    assert "there is no desired tree below this root" in result.stderr


def test_the_local_stack_is_found_when_no_address_is_given(installation: Installation) -> None:
    result = run("get", "--root", "/nothing-here", WEIR_LOCAL_STATE=str(installation.stack.state_dir))

    assert result.returncode == 0
    assert f"note: using the local stack at {installation.stack.zk}" in result.stderr


def test_a_closed_pipe_is_not_an_error(installation: Installation) -> None:
    command = f"{WEIR} get -o json | true"
    env = environment(WEIR_ZK=installation.stack.zk, WEIR_ROOT=installation.root)
    result = subprocess.run(["/bin/sh", "-c", command], env=env, capture_output=True, text=True, check=False)

    assert "Traceback" not in result.stderr
    assert "error" not in result.stderr
