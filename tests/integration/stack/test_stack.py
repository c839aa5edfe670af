"""The local stack is what it says: real servers, killed and started one by one, and gone when it is down."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from integration.local import control
from integration.local.cli import group
from integration.local.config import LocalConfig
from integration.local.errors import ConfigConflict, PortTaken
from integration.local.mesos_api import active_agents
from integration.local.processes import alive, of_stack
from integration.local.stack import LocalStack
from tests.integration.stack.conftest import Scheduler, eventually

pytestmark = pytest.mark.stack
Subscribe = Callable[..., Scheduler]


def sandbox_of(stack: LocalStack, agent: str, task_id: str) -> Path:
    work = stack.state_dir / "agents" / agent / "work"
    return next(work.glob(f"slaves/*/frameworks/*/executors/{task_id}/runs/latest"))


def test_a_task_runs_through_to_finished(stack: LocalStack, scheduler: Subscribe) -> None:
    framework = scheduler()
    task = framework.launch({"value": "echo out; echo err >&2"}, host="agent-2")
    assert framework.until(task, "TASK_FINISHED", "TASK_FAILED")["state"] == "TASK_FINISHED"
    sandbox = sandbox_of(stack, "agent-2", task)
    assert (sandbox / "stdout").read_text() == "out\n", "the task's output without anybody's noise"
    assert (sandbox / "stderr").read_text() == "err\n"


def test_uris_are_in_the_sandbox_before_the_task_starts(
    stack: LocalStack, scheduler: Subscribe, tmp_path: Path
) -> None:
    (tmp_path / "greet.sh").write_text("#!/bin/sh\necho fetched\n")
    subprocess.run(["tar", "-C", tmp_path, "-czf", tmp_path / "app.tgz", "greet.sh"], check=True)
    framework = scheduler()
    uris = [
        {"value": str(tmp_path / "greet.sh"), "executable": True, "output_file": "tool"},
        {"value": f"file://{tmp_path}/app.tgz"},
    ]
    task = framework.launch({"value": "./tool && sh greet.sh", "uris": uris})
    framework.until(task, "TASK_FINISHED")
    assert (sandbox_of(stack, "agent-1", task) / "stdout").read_text() == "fetched\nfetched\n"


def test_a_failing_and_a_killed_task_say_why(scheduler: Subscribe) -> None:
    framework = scheduler()
    failing = framework.launch({"value": "exit 3"})
    assert framework.until(failing, "TASK_FAILED")["message"] == "Command exited with status 3"
    stubborn = framework.launch(
        {"value": "trap '' TERM; while :; do sleep 0.1; done"},
        kill_policy={"grace_period": {"nanoseconds": 500_000_000}},
    )
    framework.until(stubborn, "TASK_RUNNING")
    framework.kill(stubborn)
    framework.until(stubborn, "TASK_KILLING")
    assert framework.until(stubborn, "TASK_KILLED")["message"] == "Command terminated with signal Killed"


def test_agents_have_names_attributes_and_disjoint_ports(stack: LocalStack, scheduler: Subscribe) -> None:
    framework = scheduler()
    seen: dict[str, tuple[str, int, int, str]] = {}
    while len(seen) < 2:
        for offer in framework.wait(lambda event: event["type"] == "OFFERS")["offers"]["offers"]:
            ports = next(r for r in offer["resources"] if r["name"] == "ports")["ranges"]["range"][0]
            rack = next(a for a in offer["attributes"] if a["name"] == "rack")["text"]["value"]
            address = offer["url"]["address"]["ip"]
            seen[offer["hostname"]] = (rack, ports["begin"], ports["end"], address)
    assert {seen["agent-1"][0], seen["agent-2"][0]} == {"r1", "r2"}
    assert seen["agent-1"][2] < seen["agent-2"][1], "port ranges do not touch"
    assert seen["agent-1"][3] != seen["agent-2"][3], "each agent has an address of its own"


def test_a_killed_agent_comes_back_and_adopts_its_task(stack: LocalStack, scheduler: Subscribe) -> None:
    framework = scheduler()
    task = framework.launch({"value": "exec sleep 1000"})
    framework.until(task, "TASK_RUNNING")
    before = stack.service("agent-1").tasks
    stack.kill("agent-1")
    assert stack.service("agent-1").state == "killed"
    framework.until(task, "TASK_UNREACHABLE")
    assert all(alive(pid) for pid in before), "the task lives on without its agent"
    stack.start("agent-1")
    status = framework.until(task, "TASK_RUNNING")
    assert status["reason"] == "REASON_AGENT_REREGISTERED"
    assert stack.service("agent-1").tasks == before, "the same processes, not new ones"
    framework.kill(task)
    framework.until(task, "TASK_KILLED")


def test_a_killed_host_takes_executors_and_tasks_along(stack: LocalStack, scheduler: Subscribe) -> None:
    framework = scheduler()
    # A background process in a session of its own stands for what JVMs and Python workers start.
    task = framework.launch({"value": "setsid sleep 1000 & exec sleep 1000"}, host="agent-2")
    framework.until(task, "TASK_RUNNING")
    doomed = eventually(lambda: len(pids := stack.service("agent-2").tasks) >= 4 and pids, "all processes of the task")
    stack.kill("host-2")
    assert not [pid for pid in doomed if alive(pid)]
    assert stack.service("agent-2").tasks == []
    framework.until(task, "TASK_UNREACHABLE")
    stack.start("host-2")
    framework.until(task, "TASK_FAILED", "TASK_GONE")


def test_when_the_leading_master_is_killed_the_other_one_takes_over_with_its_agents(
    stack: LocalStack, scheduler: Subscribe
) -> None:
    framework = scheduler()
    task = framework.launch({"value": "exec sleep 1000"})
    framework.until(task, "TASK_RUNNING")
    first = stack.leader()
    assert first is not None
    stack.kill(first.name)
    second = eventually(stack.leader, "a new leader")
    assert second.name != first.name
    try:
        again = scheduler(framework.framework_id)
        # The new leader read the agents from the shared registry. Until the task's agent is back it says nothing about
        # the task, as a real master does it; one that had lost the registry would answer TASK_UNKNOWN.
        again.reconcile(task)
        eventually(lambda: active_agents(second.address) == {"agent-1", "agent-2"}, "both agents at the new leader")
        again.reconcile(task)
        status = again.until(task, "TASK_RUNNING", "TASK_UNKNOWN", "TASK_LOST", "TASK_GONE")
        assert status["state"] == "TASK_RUNNING"
    finally:
        stack.start(first.name)
    eventually(lambda: all(master.up for master in stack.masters()), "both masters")
    again.kill(task)
    again.until(task, "TASK_KILLED")


def test_a_paused_leader_is_replaced_and_steps_down_when_it_wakes(stack: LocalStack) -> None:
    first = eventually(stack.leader, "a leading master")
    paused = stack.service(first.name).pid
    stack.pause(first.name)
    try:
        assert stack.service(first.name).state == "paused"
        eventually(lambda: (now := stack.leader()) and now.name != first.name, "another leader")
    finally:
        stack.resume(first.name)
    # By the process, not by the count of restarts: on a shared stack an earlier test may have deposed this master too.
    eventually(
        lambda: stack.service(first.name).pid not in (None, paused), "the deposed master ended, and was started again"
    )
    eventually(lambda: all(master.up for master in stack.masters()), "both masters")
    eventually(lambda: [master.leading for master in stack.masters()].count(True) == 1, "exactly one leads")


def test_zookeeper_can_be_killed_and_started_and_masters_and_agents_come_back(stack: LocalStack) -> None:
    stack.kill("zk-1")
    time.sleep(1.0)
    stack.start("zk-1")
    eventually(lambda: stack.leader() is not None, "a leader after the outage", 30.0)
    stack.up()  # waits until every agent is registered again


def test_zkcli_passes_json_with_spaces_lines_and_other_alphabets(stack: LocalStack) -> None:
    script = stack.state_dir / "bin" / "zkCli.sh"
    node, value = "/stack-test", '{"args": ["a  b", "größe", "水"],\n "n": 1}'
    subprocess.run([script, "-server", stack.zk, "create", node, value], check=True, capture_output=True)
    read = subprocess.run([script, "get", node], check=True, capture_output=True, text=True, encoding="utf-8")
    assert value in read.stdout
    missing = subprocess.run([script, "get", "/no-such-node"], capture_output=True, check=False)
    assert missing.returncode == 1
    subprocess.run([script, "delete", node], check=True, capture_output=True)


def test_a_second_up_reuses_what_runs_and_starts_what_does_not(stack: LocalStack) -> None:
    before = {status.name: status.pid for status in stack.status()}
    LocalStack(stack.config).up()
    assert {status.name: status.pid for status in stack.status()} == before
    stack.kill("agent-2")
    began = time.monotonic()
    LocalStack(stack.config).up()
    after = {status.name: status.pid for status in stack.status()}
    assert {name for name in after if after[name] != before[name]} == {"agent-2"}
    assert time.monotonic() - began < 15.0


def test_other_settings_for_a_running_stack_are_refused(stack: LocalStack) -> None:
    with pytest.raises(ConfigConflict, match=r"agents 5 refused.*runs with 2"):
        LocalStack(replace(stack.config, agents=5)).up()


def test_a_service_of_the_callers_is_supervised_like_the_others(stack: LocalStack) -> None:
    stack.add_service("replica-9", ["sh", "-c", 'echo "$GREETING"; exec sleep 1000'], {"GREETING": "grüß"})
    eventually(lambda: "grüß" in stack.logs("replica-9").read_text(), "its output in its log")
    pid = stack.service("replica-9").pid
    stack.kill("replica-9")
    stack.start("replica-9")
    assert stack.service("replica-9").pid not in (None, pid)
    stack.stop("replica-9")


def test_after_the_supervisor_is_killed_up_works_and_nothing_is_left(own: LocalStack) -> None:
    framework = Scheduler(own)
    framework.until(framework.launch({"value": "exec sleep 1000"}), "TASK_RUNNING")
    old = of_stack(own.state_dir)
    tasks = own.service("agent-1").tasks
    os.kill(control.call(own.state_dir, "ping")["pid"], signal.SIGKILL)
    eventually(lambda: {pid for pid in old if alive(pid)} <= set(tasks), "the servers die with their supervisor")
    LocalStack(own.config).up()
    assert not [pid for pid in old if alive(pid)], "what the crash left behind was ended"
    assert {status.state for status in own.status()} == {"running"}


def test_down_leaves_no_process_not_even_of_a_busy_task(own: LocalStack) -> None:
    framework = Scheduler(own)
    java = own.versions()["Java"] and "java"
    classpath = own.flink["2.2"].classpath
    # A JVM that never ends by itself, started as Flink tasks are, with an orphan beside it.
    jvm = f"setsid sleep 1000 & exec {java} -Xmx32m -cp '{classpath}' org.apache.flink.shaded.zookeeper3.org.apache"
    task = framework.launch({"value": f"{jvm}.zookeeper.ZooKeeperMain -server {own.zk} < /dev/zero > /dev/null"})
    framework.until(task, "TASK_RUNNING")
    eventually(lambda: len(own.service("agent-1").tasks) >= 4, "the task's processes")
    everything = of_stack(own.state_dir)
    assert len(everything) >= 8, "supervisor, three servers, containerizer, executor, JVM, orphan"
    began = time.monotonic()
    own.down()
    assert time.monotonic() - began < 15.0
    assert of_stack(own.state_dir) == set()
    assert not [pid for pid in everything if alive(pid)]
    LocalStack(own.config).up()  # and nothing that is left blocks the next start


def test_a_taken_port_is_refused_with_its_holder_before_anything_starts(small_config: LocalConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stack = LocalStack(replace(small_config, port_base=port - 50, task_port_base=12000))
        with pytest.raises(PortTaken, match=rf"port {port} for master-1 is taken: process {os.getpid()}"):
            stack.up()
    assert not control.alive(small_config.state_dir)
    assert of_stack(small_config.state_dir) == set()


def test_the_command_line_starts_shows_and_stops_a_stack(tmp_path: Path) -> None:
    def run(*args: str) -> tuple[int, str]:
        result = CliRunner().invoke(group, ["--state-dir", str(tmp_path), *args])
        return result.exit_code, result.stdout

    up = ("up", "--agents", "1", "--masters", "1", "--port-base", "auto", "--task-port-base", "auto")
    try:
        assert run(*up) == (0, ""), "messages go to stderr"
        code, table = run("status")
        assert code == 0
        assert "agent-1" in table
        assert "running, leads" in table
        assert run("kill", "agent-1")[0] == 0
        assert "killed" in run("status")[1]
        assert run("start", "agent-1")[0] == 0
        assert run("kill", "agent-7")[0] == 1
    finally:
        assert run("down", "--purge")[0] == 0
    assert of_stack(tmp_path) == set()
