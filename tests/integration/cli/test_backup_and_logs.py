"""Logs, backup and restore of an installation that works: one job, through all tests in their order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.local.processes import environment_of, of_sandboxes, send
from tests.integration.cli.conftest import WEIR, Installation, Replica, environment
from tests.integration.tls import Authority, proxy

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

NAME = "kept"
WAIT_S = 120.0


class Operator:
    """The one replica, which is stopped and started again."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.replica: Replica | None = None

    def start(self) -> None:
        self.replica = Replica(self.installation, "replica-1")
        self.leads()

    def leads(self) -> None:
        until("somebody leads", lambda: self.installation.weir("leader").returncode == 0)

    def stop(self) -> None:
        if self.replica is not None:
            self.replica.stop()
            self.replica = None


@pytest.fixture(scope="module")
def operator(installation: Installation) -> Iterator[Operator]:
    """A replica, and the job in state STABLE."""
    made = Operator(installation)
    made.start()
    path = installation.file(installation.small(), f"{NAME}.json")
    does(installation, "apply", "-f", path, "--wait", "--timeout", "180s")
    yield made
    installation.weir("unpause", "--all")
    installation.weir("delete", NAME, "--yes", "--wait", "--timeout", "90s", timeout=120.0)
    made.stop()


def until(what: str, ready: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < deadline, f"not so after {seconds:g} s: {what}"
        time.sleep(0.2)
    return value


def does(installation: Installation, *args: str) -> str:
    """The command succeeds; its stdout."""
    done = installation.weir(*args, timeout=240.0)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout


def tasks(installation: Installation) -> dict[str, set[int]]:
    """Processes by task of the job, as they run on the agents."""
    found: dict[str, set[int]] = {}
    for pid in of_sandboxes(installation.stack.state_dir):
        values = environment_of(pid)
        sandbox = Path(values.get("MESOS_SANDBOX") or values.get("MESOS_DIRECTORY") or "/")
        for part in sandbox.parts:
            if part.startswith(f"{NAME}."):
                found.setdefault(part, set()).add(pid)
    return found


def stable(installation: Installation, generation: int) -> dict[str, Any]:
    return installation.until(
        NAME, lambda status: (status.get("lifecycle"), status.get("generation")) == ("STABLE", generation), WAIT_S
    )


def logs_over_tls(installation: Installation, said: str) -> None:
    """The master through a proxy with TLS, the agents as they are."""
    authority = Authority(installation.directory)
    leader = installation.stack.leader()
    assert leader is not None
    with proxy(leader.address, authority.issue("master", "localhost")) as before:
        argv = [WEIR, "logs", NAME, "--master", f"localhost:{before.port}"]
        env = environment(WEIR_ZK=installation.stack.zk, WEIR_ROOT=installation.root)
        trusting = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, env=env | {"WEIR_MASTER_CA_FILE": authority.ca_file}
        )
        unaware = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env)
        untrusting = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, env=env | {"WEIR_MASTER_TLS": "true"}
        )
    assert said in trusting.stdout, trusting.stderr
    assert (unaware.returncode, untrusting.returncode) == (1, 1)
    assert "certificate" in untrusting.stderr, untrusting.stderr
    assert len(untrusting.stderr.splitlines()) == len(unaware.stderr.splitlines()) == 1


def test_logs_are_read_from_the_agents_and_followed_into_the_task_that_takes_the_place(
    installation: Installation, operator: Operator
) -> None:
    del operator
    status = stable(installation, 1)
    (old,) = (task["id"] for task in status["taskList"] if task["role"] == "tm")

    whole = does(installation, "logs", NAME)
    assert status["jobId"] in whole
    assert len(does(installation, "logs", NAME, "--tail", "3").splitlines()) == 3
    assert "TaskExecutor" in does(installation, "logs", NAME, "--task", "tm.0")
    logs_over_tls(installation, status["jobId"])

    said, written = installation.directory / "follow.err", installation.directory / "follow.out"
    with said.open("wb") as err, written.open("wb") as out:
        env = environment(WEIR_ZK=installation.stack.zk, WEIR_ROOT=installation.root)
        argv = [WEIR, "logs", NAME, "--task", "tm", "--tail", "0", "--follow"]
        follow = subprocess.Popen(argv, stdout=out, stderr=err, env=env)
    try:
        time.sleep(2.0)
        send(tasks(installation)[old], signal.SIGKILL)
        until("the next one is noticed", lambda: follow.poll() is not None or "from here on" in said.read_text())
        until("the next one is followed", lambda: follow.poll() is not None or "tm.0 | " in written.read_text())
        follow.send_signal(signal.SIGINT)
        assert follow.wait(20.0) == 130, said.read_text()
    finally:
        follow.kill()

    stable(installation, 1)
    assert old not in tasks(installation)
    assert "TaskExecutor" in does(installation, "logs", NAME, "--task", old), "of the task that was killed"


def test_a_tree_that_was_lost_is_restored_and_what_still_runs_is_adopted(
    installation: Installation, operator: Operator
) -> None:
    stable(installation, 1)
    operator.stop()
    before, kept = tasks(installation), installation.directory / "weir.json"
    assert f"{kept}: 1 jobs, 1 records, framework id " in does(installation, "backup", str(kept))
    assert os.stat(kept).st_mode & 0o077 == 0  # noqa: PTH116
    installation.zk.delete(installation.root, recursive=True)

    does(installation, "restore", str(kept))
    operator.start()

    paused = installation.until(NAME, lambda status: bool(status.get("paused")), WAIT_S)
    assert "restored from the backup of" in paused["why"]
    assert installation.weir("restore", str(kept)).returncode == 2, "it is refused over what lives"
    does(installation, "unpause", "--all")
    stable(installation, 1)
    assert tasks(installation) == before
    codes = [event["code"] for event in json.loads(does(installation, "events", NAME, "-o", "json"))]
    assert codes.count("CREATED") == 1


def test_f64_an_old_backup_over_a_live_installation_touches_nothing_and_the_newer_one_goes_on(
    installation: Installation, operator: Operator
) -> None:
    old, new = installation.directory / "old.json", installation.directory / "new.json"
    does(installation, "backup", str(old))
    does(installation, "restart", NAME, "--yes", "--wait", "--timeout", "180s")
    stable(installation, 2)
    does(installation, "backup", str(new))
    before = tasks(installation)

    does(installation, "restore", str(old), "--force", "--yes")
    operator.leads()
    does(installation, "unpause", "--all")
    blocked = installation.until(NAME, lambda status: status.get("blocked") == "RECORD_TOO_OLD", WAIT_S)

    assert f"weir fence {NAME} --generation 2" in blocked["why"]
    assert tasks(installation) == before

    does(installation, "restore", str(new), "--force", "--yes")
    operator.leads()
    does(installation, "unpause", "--all")
    stable(installation, 2)
    assert tasks(installation) == before
