"""The command executor against an agent that is an HTTP server of this file: the real program, the real protocol."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from integration.local import executor
from integration.local.processes import alive

Json = dict[str, Any]
DEADLINE = 10.0


class FakeAgent:
    """An agent's executor endpoint: records calls, streams events, acknowledges updates when told to."""

    def __init__(self, port: int = 0) -> None:
        self.subscriptions: queue.Queue[Json] = queue.Queue()
        self.updates: queue.Queue[Json] = queue.Queue()
        self.acknowledging = True
        self._streams: list[queue.Queue[Json | None]] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/slave(1)/api/v1/executor"
                assert call["framework_id"] == {"value": "f"}
                if call["type"] == "SUBSCRIBE":
                    agent._stream(self, call)
                    return
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                agent._updated(call["update"]["status"])

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _stream(self, handler: BaseHTTPRequestHandler, call: Json) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        events: queue.Queue[Json | None] = queue.Queue()
        events.put({"type": "SUBSCRIBED", "subscribed": {}})
        self._streams.append(events)
        self.subscriptions.put(call["subscribe"])
        while (event := events.get()) is not None:
            body = json.dumps(event).encode()
            record = str(len(body)).encode() + b"\n" + body
            handler.wfile.write(f"{len(record):x}\r\n".encode() + record + b"\r\n")
        handler.close_connection = True

    def _updated(self, status: Json) -> None:
        self.updates.put(status)
        if self.acknowledging:
            self.acknowledge(status)

    def acknowledge(self, status: Json) -> None:
        self.send({"type": "ACKNOWLEDGED", "acknowledged": {"task_id": status["task_id"], "uuid": status["uuid"]}})

    def send(self, event: Json) -> None:
        self._streams[-1].put(event)

    def launch(self, command: Json, **task: Any) -> None:
        self.send({"type": "LAUNCH", "launch": {"task": {"task_id": {"value": "t"}, "command": command, **task}}})

    def kill(self, grace: float | None = None) -> None:
        policy = {} if grace is None else {"kill_policy": {"grace_period": {"nanoseconds": int(grace * 1e9)}}}
        self.send({"type": "KILL", "kill": {"task_id": {"value": "t"}, **policy}})

    def next_state(self) -> Json:
        return self.updates.get(timeout=DEADLINE)

    def states_until(self, last: str) -> list[str]:
        states = [self.next_state()["state"]]
        while states[-1] != last:
            states.append(self.next_state()["state"])
        return states

    def stop(self) -> None:
        """The agent's process is gone: nothing listens and streams are cut."""
        self.server.shutdown()
        self.server.server_close()
        for events in self._streams:
            events.put(None)


class Running:
    """The executor's process."""

    def __init__(self, sandbox: Path, agent: FakeAgent, **environ: str) -> None:
        self.sandbox = sandbox
        env = {
            "MESOS_AGENT_ENDPOINT": f"127.0.0.1:{agent.port}",
            "MESOS_SLAVE_PID": f"slave(1)@127.0.0.1:{agent.port}",
            "MESOS_FRAMEWORK_ID": "f",
            "MESOS_EXECUTOR_ID": "e",
            "MESOS_SANDBOX": str(sandbox),
            "MESOS_CHECKPOINT": "1",
            "LIBPROCESS_IP": "127.0.0.1",
            **environ,
        }
        with (sandbox / "stdout").open("wb") as out, (sandbox / "stderr").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", executor.__file__], env=env, cwd=sandbox, stdout=out, stderr=err
            )

    def stdout(self) -> str:
        return (self.sandbox / "stdout").read_text()


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    fake = FakeAgent()
    yield fake
    fake.stop()


@pytest.fixture
def start(tmp_path: Path, agent: FakeAgent) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def go(**environ: str) -> Running:
        started.append(Running(tmp_path, agent, **environ))
        agent.subscriptions.get(timeout=DEADLINE)
        return started[-1]

    yield go
    for running in started:
        running.process.terminate()
        try:
            running.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_a_command_runs_through_to_finished_and_the_executor_ends(
    agent: FakeAgent, start: Callable[..., Running]
) -> None:
    running = start()
    agent.launch({"value": 'echo "hello $NAME"', "environment": {"variables": [{"name": "NAME", "value": "welt"}]}})
    assert agent.states_until("TASK_FINISHED") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert running.process.wait(DEADLINE) == 0
    assert running.stdout() == "hello welt\n", "the task's output is the task's alone"


def test_a_failing_command_names_its_exit_status(agent: FakeAgent, start: Callable[..., Running]) -> None:
    start()
    agent.launch({"value": "exit 3"})
    agent.next_state(), agent.next_state()
    last = agent.next_state()
    assert (last["state"], last["message"]) == ("TASK_FAILED", "Command exited with status 3")
    assert last["reason"] == "REASON_COMMAND_EXECUTOR_FAILED"


def test_without_a_shell_arguments_pass_unharmed(agent: FakeAgent, start: Callable[..., Running]) -> None:
    running = start()
    agent.launch({"shell": False, "value": "/bin/echo", "arguments": ["echo", "a  b", "$HOME", "ü"]})
    agent.states_until("TASK_FINISHED")
    assert running.stdout() == "a  b $HOME ü\n"


def test_a_program_that_is_not_there_is_a_failed_task(agent: FakeAgent, start: Callable[..., Running]) -> None:
    start()
    agent.launch({"shell": False, "value": "/no/such/program"})
    assert agent.states_until("TASK_FAILED") == ["TASK_STARTING", "TASK_FAILED"]


def test_the_task_sees_its_sandbox_and_a_path_but_not_libprocess(
    agent: FakeAgent, start: Callable[..., Running], tmp_path: Path
) -> None:
    running = start()
    agent.launch({"value": "env"})
    agent.states_until("TASK_FINISHED")
    env = dict(line.split("=", 1) for line in running.stdout().splitlines())
    assert env["MESOS_SANDBOX"] == str(tmp_path)
    assert env["MESOS_TASK_ID"] == "t"
    assert "/usr/bin" in env["PATH"]
    assert not [name for name in env if name.startswith("LIBPROCESS_") or name == "LC_CTYPE"]


def test_a_kill_is_answered_with_killing_and_killed(agent: FakeAgent, start: Callable[..., Running]) -> None:
    start()
    agent.launch({"value": "exec sleep 100"})
    agent.states_until("TASK_RUNNING")
    agent.kill()
    assert agent.next_state()["state"] == "TASK_KILLING"
    last = agent.next_state()
    assert (last["state"], last["message"]) == ("TASK_KILLED", "Command terminated with signal Terminated")


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace_period_with_all_it_started(
    agent: FakeAgent, start: Callable[..., Running], tmp_path: Path
) -> None:
    start()
    detached = tmp_path / "detached.pid"
    # A grandchild in a session of its own, with an empty environment: nothing but descent tells whose it is.
    agent.launch({"value": f"trap '' TERM; env -i setsid sh -c 'echo $$ > {detached}; exec sleep 100' & sleep 100; :"})
    agent.states_until("TASK_RUNNING")
    eventually(lambda: detached.exists() and detached.read_text().strip() != "", "the grandchild did not start")
    began = time.monotonic()
    agent.kill(grace=0.4)
    agent.states_until("TASK_KILLED")
    assert 0.4 <= time.monotonic() - began < 3.0
    assert not alive(int(detached.read_text()))


def test_the_task_dies_with_its_executor(agent: FakeAgent, start: Callable[..., Running]) -> None:
    running = start()
    agent.launch({"value": "echo $$; exec sleep 100"})
    agent.states_until("TASK_RUNNING")
    eventually(lambda: running.stdout().strip() != "", "the task did not start")
    running.process.send_signal(signal.SIGKILL)
    running.process.wait(DEADLINE)
    eventually(lambda: not alive(int(running.stdout())), "the task outlived its executor")


def test_shutdown_ends_the_task_and_then_the_executor(agent: FakeAgent, start: Callable[..., Running]) -> None:
    running = start()
    agent.launch({"value": "exec sleep 100"})
    agent.states_until("TASK_RUNNING")
    agent.send({"type": "SHUTDOWN"})
    agent.states_until("TASK_KILLED")
    assert running.process.wait(DEADLINE) == 0


def test_after_an_agent_restart_unacknowledged_tasks_and_updates_come_with_the_subscription(
    agent: FakeAgent, start: Callable[..., Running]
) -> None:
    running = start()
    agent.acknowledging = False
    agent.launch({"value": "exec sleep 100"})
    agent.states_until("TASK_RUNNING")
    agent.stop()
    fresh = FakeAgent(agent.port)
    try:
        subscription = fresh.subscriptions.get(timeout=DEADLINE)
        states = [update["status"]["state"] for update in subscription["unacknowledged_updates"]]
        assert states == ["TASK_STARTING", "TASK_RUNNING"]
        assert [task["task_id"]["value"] for task in subscription["unacknowledged_tasks"]] == ["t"]
        assert running.process.poll() is None
        fresh.kill()
        fresh.states_until("TASK_KILLED")
    finally:
        fresh.stop()


def test_an_acknowledged_update_is_not_sent_again(agent: FakeAgent, start: Callable[..., Running]) -> None:
    start()
    agent.launch({"value": "exec sleep 100"})
    agent.states_until("TASK_RUNNING")
    time.sleep(0.1)  # the acknowledgement is on its way
    agent.stop()
    fresh = FakeAgent(agent.port)
    try:
        assert fresh.subscriptions.get(timeout=DEADLINE) == {"unacknowledged_tasks": [], "unacknowledged_updates": []}
    finally:
        fresh.stop()


def test_a_task_that_ends_while_the_agent_is_away_is_reported_when_it_is_back(
    agent: FakeAgent, start: Callable[..., Running], tmp_path: Path
) -> None:
    running = start()
    agent.launch({"value": "while [ ! -e go ]; do sleep 0.02; done"})
    agent.states_until("TASK_RUNNING")
    agent.stop()
    (tmp_path / "go").touch()
    eventually(lambda: "exited with status 0" in (tmp_path / "executor.log").read_text(), "the task did not end")
    fresh = FakeAgent(agent.port)
    try:
        subscription = fresh.subscriptions.get(timeout=DEADLINE)
        last = subscription["unacknowledged_updates"][-1]["status"]
        assert last["state"] == "TASK_FINISHED"
        assert running.process.poll() is None, "it waits for the acknowledgement"
        fresh.acknowledge(last)
        for update in subscription["unacknowledged_updates"][:-1]:
            fresh.acknowledge(update["status"])
        assert running.process.wait(DEADLINE) == 0
    finally:
        fresh.stop()


def test_without_checkpointing_the_task_ends_with_the_agent(agent: FakeAgent, start: Callable[..., Running]) -> None:
    running = start(MESOS_CHECKPOINT="0")
    agent.launch({"value": "exec sleep 100"})
    agent.states_until("TASK_RUNNING")
    agent.stop()
    assert running.process.wait(DEADLINE) == 0


def test_without_an_agent_for_the_recovery_timeout_the_executor_gives_up(
    agent: FakeAgent, start: Callable[..., Running]
) -> None:
    running = start(MESOS_RECOVERY_TIMEOUT="300ms")
    agent.launch({"value": "exec sleep 100"})
    agent.states_until("TASK_RUNNING")
    agent.stop()
    assert running.process.wait(DEADLINE) == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("15mins", 900.0), ("5secs", 5.0), ("300ms", 0.3), ("1.5hrs", 5400.0), ("", 7.0), ("x", 7.0)]
)
def test_durations_are_read_as_mesos_writes_them(text: str, expected: float) -> None:
    assert executor.seconds(text, 7.0) == pytest.approx(expected)


def test_descendants_are_found_however_deep() -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 100 & wait"], start_new_session=True)
    try:
        eventually(lambda: len(executor.descendants(child.pid)) == 1, "no grandchild")
        assert child.pid in executor.descendants(os.getpid())
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
