"""Commands by which people act, each on the real stack; restore-from, fence and confirm where they are needed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.cli.conftest import Installation, Replica

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

Status = dict[str, Any]
WAIT_S = 120.0


@pytest.fixture(autouse=True)
def cleaned(installation: Installation, replica: Replica) -> Iterator[None]:
    """Whatever a test leaves is deleted."""
    del replica
    yield
    for name in installation.zk.get_children(f"{installation.root}/jobs"):
        installation.weir("delete", name, "--yes", "--wait", "--timeout", "90s", timeout=120.0)


def apply(installation: Installation, name: str, **changes: Any) -> Status:
    path = installation.file(installation.small(**changes), f"{name}.json")
    done = installation.weir("apply", "-f", path, "--wait", "--timeout", "180s", timeout=240.0)
    assert done.returncode == 0, done.stderr
    return installation.status(name)


def does(installation: Installation, *args: str) -> str:
    """The command succeeds; its stdout."""
    done = installation.weir(*args, timeout=240.0)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.strip()


def runs(generation: int) -> Callable[[Status], bool]:
    return lambda status: status.get("generation") == generation and status.get("lifecycle") == "STABLE"


def test_one_job_through_every_command(installation: Installation) -> None:
    first = apply(installation, "acting")
    assert first["generation"] == 1

    path = does(installation, "savepoint", "acting", "--wait", "--timeout", "120s")
    assert Path(urlsplit(path).path, "_metadata").exists()

    does(installation, "pause", "acting", "--reason", "a test")
    assert "a test" in installation.until("acting", lambda status: bool(status.get("paused")))["why"]
    does(installation, "scale", "acting", "2")
    assert installation.status("acting")["parallelism"] == 1, "nothing is done while it is paused"
    does(installation, "unpause", "acting")
    installation.until("acting", lambda status: status.get("parallelism") == 2, WAIT_S)

    does(installation, "restart", "acting", "--yes", "--wait", "--timeout", "180s")
    assert installation.status("acting")["generation"] == 2

    planned = installation.file(
        installation.small(job={"parallelism": 2}, env={"A": "1"}, restartNonce=1), "acting.json"
    )
    plan = installation.weir("plan", "-f", planned, "-o", "json")
    assert plan.returncode == 1, plan.stderr
    document = json.loads(plan.stdout)
    assert document["result"] == "upgrade"
    does(installation, "apply", "-f", planned, "--check-version", str(document["version"]), "--wait")
    upgraded = installation.status("acting")["generation"]
    assert upgraded == 3

    does(installation, "rollback", "acting", "--yes")
    installation.until("acting", lambda status: status.get("lifecycle") == "ROLLED_BACK", WAIT_S)
    generations = json.loads(does(installation, "history", "acting", "-o", "json"))["generations"]
    assert [each["number"] for each in generations] == [1, 2, 3, 4]
    assert generations[-1]["spec"]["env"] == {}

    does(installation, "suspend", "acting", "--yes", "--wait", "--timeout", "180s")
    assert installation.status("acting")["lifecycle"] == "SUSPENDED"
    does(installation, "resume", "acting")
    installation.until("acting", runs(5), WAIT_S)
    codes = [event["code"] for event in json.loads(does(installation, "events", "acting", "-o", "json"))]
    for code in ("SAVEPOINT_COMPLETED", "REQUEST_ACCEPTED", "ROLLBACK_BEGUN", "SUSPENDED"):
        assert code in codes
    refused = installation.weir("force", "acting", "--yes")
    assert refused.returncode == 1
    assert "no stop with a savepoint is under way" in refused.stderr


def test_f43_a_job_whose_state_is_gone_goes_on_from_what_a_person_says(installation: Installation) -> None:
    apply(installation, "lost", job={"upgradeMode": "last-state"})
    older = does(installation, "savepoint", "lost", "--wait", "--timeout", "120s")
    record = json.loads(installation.zk.get(f"{installation.root}/records/lost")[0])
    does(installation, "pause", "lost")
    changed = installation.file(installation.small(job={"upgradeMode": "last-state"}, env={"A": "1"}), "lost.json")
    does(installation, "apply", "-f", changed)
    checkpoints = installation.stack.storage_dir / "checkpoints" / record["uid"]
    assert checkpoints.exists()
    does(installation, "unpause", "lost")
    installation.until("lost", lambda status: status.get("lifecycle") == "UPGRADING", WAIT_S)
    # The newest checkpoints go while the job is being ended; some of it may have been read already.
    shutil.rmtree(checkpoints, ignore_errors=True)
    status = installation.until("lost", lambda each: each.get("lifecycle") in ("BLOCKED", "FAILED"), WAIT_S)
    assert status["blocked"] == "RESTORE_BLOCKED"
    assert "weir restore-from lost --latest" in status["why"]
    does(installation, "restore-from", "lost", "--latest", "--yes")
    after = installation.until("lost", lambda each: each.get("lifecycle") == "STABLE", WAIT_S)
    assert after["restoredFrom"] == older


def test_s7_a_mass_deletion_is_held_until_it_is_confirmed_with_plain_zkcli(installation: Installation) -> None:
    names = [f"held-{number}" for number in range(4)]
    idle = installation.small(job={"state": "suspended"})
    for name in names:
        does(installation, "apply", "-f", installation.file(idle, f"{name}.json"))
    for name in names:
        installation.until(name, lambda status: status.get("lifecycle") == "SUSPENDED", WAIT_S)
    transaction = installation.zk.transaction()
    for name in names:
        transaction.delete(f"{installation.root}/jobs/{name}")
    assert all(result is True for result in transaction.commit())
    held = installation.until(names[0], lambda status: "weir confirm " in (status.get("error") or ""), WAIT_S)
    assert held["held"]
    assert held["lifecycle"] == "SUSPENDED"
    mark = held["error"].rpartition("weir confirm ")[2].split()[0]
    wrong = installation.weir("confirm", "00000000", "--yes")
    assert wrong.returncode == 1
    assert mark in wrong.stderr
    request = json.dumps({"action": "confirm", "args": {"held": mark}, "by": "zkcli"})
    script = installation.stack.state_dir / "bin" / "zkCli.sh"
    node = f"{installation.root}/control/_global"
    subprocess.run([script, "-server", installation.stack.zk, "create", node, request], check=True, capture_output=True)
    for name in names:
        installation.until(name, lambda status: status.get("lifecycle") == "DELETED", WAIT_S)
    assert installation.zk.get_children(f"{installation.root}/control") == []


def test_s1_a_jobmanager_that_nobody_can_see_is_declared_dead(installation: Installation) -> None:
    apply(installation, "unseen", job={"upgradeMode": "last-state"})
    status = installation.status("unseen")
    refused = installation.weir("fence", "unseen", "--generation", "9", "--yes")
    assert refused.returncode == 1
    assert "there is no generation 9" in refused.stderr
    manager = next(task for task in status["taskList"] if task["role"] == "jm")
    agent = manager["hostname"]
    assert agent
    does(installation, "fence", "unseen", "--generation", "1", "--yes")
    after = installation.until("unseen", runs(2), WAIT_S)
    record = json.loads(installation.zk.get(f"{installation.root}/records/unseen")[0])
    assert [force["generation"] for force in record["fenced"]] == [1]
    assert after["restoredFrom"]
