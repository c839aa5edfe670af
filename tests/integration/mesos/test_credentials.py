"""A real master that wants frameworks to authenticate."""

from __future__ import annotations

import getpass
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from integration.local.artefacts import fetch_mesos
from integration.local.mesos_env import master_environment
from integration.local.native_build import build_launchers
from integration.local.progress import Silent
from integration.mesos.config import MesosConfig
from integration.mesos.detector import detector_for
from integration.mesos.driver import MesosCluster
from reconciler.model.events import Disconnected, Event, Subscribed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

SECRET = "only-the-master-knows"
PORT = 17


@pytest.fixture(scope="module")
def master(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a master of its own, elected at a path of its own."""
    directory = tmp_path_factory.mktemp("authenticating-master")
    credentials = directory / "credentials.json"
    credentials.write_text(json.dumps({"credentials": [{"principal": "weir", "secret": SECRET}]}))
    credentials.chmod(0o600)
    address = f"127.0.0.1:{stack.port(PORT)}"
    launchers = build_launchers(fetch_mesos(stack.config.cache, Silent()), Silent())
    environment = {
        **master_environment(stack.layout, 1),
        "LIBPROCESS_IP": "127.0.0.1",
        "LIBPROCESS_PORT": str(stack.port(PORT)),
        "MESOS_HOSTNAME": "127.0.0.1",
        "MESOS_ZK": f"zk://{stack.zk}/mesos-that-authenticates",
        "MESOS_WORK_DIR": str(directory / "work"),
        "WEIR_REGISTRY_FILE": str(directory / "registry"),
        "MESOS_AUTHENTICATE_FRAMEWORKS": "true",
        "MESOS_AUTHENTICATE_HTTP_FRAMEWORKS": "true",
        "MESOS_HTTP_FRAMEWORK_AUTHENTICATORS": "basic",
        "MESOS_CREDENTIALS": str(credentials),
    }
    log = directory / "master.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(launchers / "mesos-master")], env=environment, cwd=directory, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 30
        while not _leads(address):
            assert process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


def _leads(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/master/state", timeout=2) as answer:
            return bool(json.load(answer).get("leader"))
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _subscribe(address: str, **config: Any) -> tuple[MesosCluster, list[Event]]:
    settings = {"user": getpass.getuser(), "name": "with-credentials", "refuse_namesake": False, **config}
    events: list[Event] = []
    cluster = MesosCluster(MesosConfig(**settings), detector_for(address))
    cluster.start(None, events.append)
    return cluster, events


def _wait(events: list[Event], kind: type[Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := [event for event in list(events) if isinstance(event, kind)]):
        assert time.monotonic() < deadline, events
        time.sleep(0.02)
    return found[0]


def test_a_framework_with_the_right_secret_is_subscribed_and_may_call(master: str) -> None:
    address = master
    cluster, events = _subscribe(address, principal="weir", secret=SECRET)
    try:
        assert _wait(events, Subscribed).master == address
        cluster.reconcile([])
    finally:
        cluster.stop()


@pytest.mark.parametrize(
    "given", [{}, {"principal": "weir", "secret": "a-wrong-secret"}, {"principal": "else", "secret": SECRET}]
)
def test_f30_wrong_credentials_are_told_once(master: str, given: dict[str, str]) -> None:
    """That they are not tried quickly is counted in tests/unit/mesos; this master does not log who it refuses."""
    address = master
    cluster, events = _subscribe(address, **given)
    try:
        why = _wait(events, Disconnected).why
        time.sleep(1.0)
    finally:
        cluster.stop()

    assert why.startswith(f"the master at {address} refuses the framework's credentials (HTTP 401); correct mesos.pr")
    assert [type(event) for event in events] == [Disconnected]
    assert all(secret not in str(events) for secret in ("a-wrong-secret", SECRET))
