"""Flink's own nodes in a ZooKeeper with SASL: a JobManager as Weir starts it, and what others may do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kazoo.exceptions import NoAuthError

from integration.flink.config import FlinkDistribution, FlinkSettings
from integration.flink.ha import HaData
from integration.flink.render import FlinkRenderer
from integration.local.flink_dist import ensure_flink
from integration.local.packages import find_java
from reconciler.model import ids
from reconciler.model.record import Generation, Record, Role, SpecRef, Task, TaskPhase
from reconciler.model.spec import JobSpec
from state.access import Access, Credential, describe
from tests.contract.store.secured import SASL_USERS, SHADED, WEIR, Secured

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

CLUSTER = "words-0123456789-1"


def free_ports(count: int) -> tuple[int, ...]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = tuple(each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    return found


def test_what_flink_writes_is_its_own_and_weir_can_remove_it(
    secured: Secured, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    jaas = tmp_path / "jaas.conf"
    login = f'{SHADED}.auth.DigestLoginModule required username="flink" password="{SASL_USERS["flink"]}";'
    jaas.write_text(f"Client {{ {login} }};\n")
    found, java = ensure_flink(), find_java()
    assert java is not None
    distribution = FlinkDistribution(found.version, str(found.home), java=java.path)
    settings = FlinkSettings(
        {found.series: distribution}, tmp_path.as_uri(), secured.hosts, zookeeper_jaas_file=str(jaas)
    )
    spec = JobSpec.model_validate({"kind": "Session", "flinkVersion": found.series, "jobManager": {"memory": "704m"}})
    record = Record("words", "0123456789", SpecRef(1, 0))
    task = Task(
        Role.JOB_MANAGER, 1, 0, 1, TaskPhase.PLACED, agent_id="agent-1", hostname="host", address="127.0.0.1",
        ports=free_ports(4), task_id="words.0123456789.1.jm.0.1",
    )  # fmt: skip
    info = FlinkRenderer(settings).render(
        record, Generation(1, spec, ids.flink_job_id(record.uid, 1), CLUSTER, 0.0, None), task
    )
    weir = secured.client(Access((WEIR, Credential("sasl", "flink", SASL_USERS["flink"]))))
    with (tmp_path / "stdout").open("wb") as out:
        process = subprocess.Popen(
            info.argv, env={**info.env, "MESOS_SANDBOX": str(tmp_path)}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: HaData(weir).leader_url(CLUSTER), 60)
        nobody = secured.client()
        for path in ("/flink", f"/flink/{CLUSTER}", f"/flink/{CLUSTER}/leader"):
            assert describe(weir.get_acls(path)[0]) == "sasl:flink:cdrwa"
            with pytest.raises(NoAuthError):
                nobody.get_children(path)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert SASL_USERS["flink"] not in (tmp_path / "stdout").read_text()

    HaData(weir).remove(CLUSTER)

    assert weir.exists(f"/flink/{CLUSTER}") is None
