"""The whole way over TLS, through a proxy before the real master that ends it."""

from __future__ import annotations

import getpass
import time

import pytest

from integration.mesos.agents import Agents
from integration.mesos.config import MesosConfig
from integration.mesos.detector import detector_for, find_master
from integration.mesos.driver import MesosCluster
from integration.mesos.inventory import Inventory
from integration.mesos.sandbox import SandboxFiles
from reconciler.model.events import Disconnected, Subscribed, TaskUpdate
from reconciler.model.observation import TaskState
from state.access import Tls
from tests.integration.tls import Authority, elected, proxy

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls-to-mesos"))


def test_a_task_lives_its_life_over_tls_with_a_certificate_of_ours(stack, authority, scheduler_on):
    tls = Tls(authority.ca_file, *authority.issue("weir")).context()
    with elected(stack.zk, "/mesos-over-tls", stack.leader().address, authority) as (url, before):
        scheduler = scheduler_on(url, tls=tls, refuse_namesake=True, name="over-tls")
        lives(scheduler, url, f"localhost:{before.port}", tls)


def lives(scheduler, url, address, tls):
    task = scheduler.run()
    since = scheduler.mark()
    scheduler.cluster.reconcile([(task.task_id, task.agent_id)])
    scheduler.state(task, TaskState.RUNNING, since=since)
    registered = Inventory(tls=tls).agents(address)
    largest = Agents(lambda: address, tls=tls).largest()
    files = SandboxFiles(tls=tls)
    sandbox = files.find(address, task.agent_id, task.task_id)
    known = files.tasks(address, scheduler.framework_id)
    scheduler.cluster.kill(task.task_id, task.agent_id, 1.0)
    scheduler.state(task, TaskState.KILLED)

    assert scheduler.of(Subscribed)[0].master == address
    assert find_master(url, by_name=True) == address
    assert task.agent_id in {each.agent_id for each in registered}
    assert largest is not None
    assert largest.cpus > 0
    assert known[task.task_id] == task.agent_id
    assert files.size(sandbox, "stdout") >= 0
    assert scheduler.of(Disconnected) == []
    assert [each for each in scheduler.of(TaskUpdate) if each.task_id != task.task_id] == []


@pytest.mark.parametrize(
    ("trusted", "certified", "says"),
    [("other", "127.0.0.1", "is not trusted"), ("own", "mesos.example.com", "is for another name")],
)
def test_f30_a_master_that_is_not_trusted_is_told_once(stack, authority, tmp_path, trusted, certified, says):
    authorities = {"own": authority, "other": Authority(tmp_path, "other")}
    events = []
    with proxy(stack.leader().address, authority.issue("untrusted", certified)) as before:
        config = MesosConfig(getpass.getuser(), name="over-tls", tls=Tls(authorities[trusted].ca_file).context())
        cluster = MesosCluster(config, detector_for(before.address))
        cluster.start(None, events.append)
        deadline = time.monotonic() + 30
        while not events:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(1.0)
        cluster.stop()

    assert [type(event) for event in events] == [Disconnected]
    assert says in events[0].why
    assert before.address in events[0].why
    assert before.handshakes == 0
    assert before.refused <= 2, "the stream, and the look for a framework of the same name"
