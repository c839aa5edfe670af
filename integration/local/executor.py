"""The command executor of the local stack: what an agent starts to run one task.

Mesos' own ``mesos-executor`` is a program and not part of libmesos, so this one speaks the v1 executor API
(Mesos documentation, "Executor HTTP API") in its place. It runs as a plain script on the standard library
alone, since one of them lives beside every task.

What must hold:

- every status update is kept until the agent acknowledges it, and is sent again with a new subscription:
  an agent may be killed and restarted at any moment, and the task must not notice;
- the task cannot outlive the executor (parent death signal), and nothing that the task started can outlive
  the task (the executor is the subreaper of all of it, so every process stays its descendant);
- the task's stdout and stderr belong to the task: the executor's own lines go to ``executor.log``.
"""

# pathlib would cost start-up time and memory beside every task:
# ruff: noqa: PTH118, PTH123, PTH208

from __future__ import annotations

import base64
import contextlib
import ctypes
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_KILL_GRACE = 3.0  # seconds; Mesos' default of KillPolicy.grace_period
_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "secs": 1.0,
    "mins": 60.0,
    "hrs": 3600.0,
    "days": 86400.0,
    "weeks": 604800.0,
}

_libc = ctypes.CDLL(None, use_errno=True)


def seconds(text: str, default: float) -> float:
    """Reads a Mesos duration such as "15mins"."""
    for unit in sorted(_UNITS, key=len, reverse=True):
        if text.endswith(unit):
            try:
                return float(text[: -len(unit)]) * _UNITS[unit]
            except ValueError:
                return default
    return default


def descendants(root: int) -> list[int]:
    """All processes below ``root``, parents first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as handle:
                stat = handle.read()
        except OSError:
            continue
        children.setdefault(int(stat[stat.rindex(")") + 2 :].split()[1]), []).append(int(name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


class Agent:
    """The agent's executor endpoint."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.endpoint = environ["MESOS_AGENT_ENDPOINT"]
        self.path = f"/{environ['MESOS_SLAVE_PID'].split('@')[0]}/api/v1/executor"
        self.ids: Json = {
            "framework_id": {"value": environ["MESOS_FRAMEWORK_ID"]},
            "executor_id": {"value": environ["MESOS_EXECUTOR_ID"]},
        }

    def _request(
        self, call: Json, timeout: float | None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.endpoint, timeout=10.0)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        connection.request("POST", self.path, json.dumps({**self.ids, **call}), headers)
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection, connection.getresponse()

    def send(self, call: Json) -> None:
        """Sends one call; raises OSError when the agent did not accept it."""
        connection, response = self._request(call, 10.0)
        try:
            body = response.read()
        finally:
            connection.close()
        if response.status != 202:
            raise OSError(f"the agent answered {response.status}: {body[:200]!r}")

    def subscribe(self, call: Json, deliver: Callable[[Json], None]) -> None:
        """Subscribes and delivers events until the connection ends; raises OSError when it was refused."""
        connection, response = self._request(call, None)
        try:
            if response.status != 200:
                raise OSError(f"the agent answered {response.status}: {response.read()[:200]!r}")
            while header := response.readline():
                length = int(header)
                record = b""
                while len(record) < length:
                    piece = response.read(length - len(record))
                    if not piece:
                        return
                    record += piece
                deliver(json.loads(record))
        finally:
            connection.close()


class Executor:
    """The state machine. Everything but the subscription happens on the main thread."""

    def __init__(self, agent: Agent, environ: Mapping[str, str], log: Callable[[str], None]) -> None:
        self.agent = agent
        self.environ = environ
        self.log = log
        self.inbox: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self.lock = threading.Lock()  # guards `tasks` and `updates`, which the subscriber reads
        self.tasks: dict[str, Json] = {}  # launched and never acknowledged
        self.updates: dict[str, Json] = {}  # by uuid, in order; not acknowledged
        self.unsent: set[str] = set()
        self.task_id = ""
        self.task: Json = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.killed = False
        self.kill_at: float | None = None
        self.done = False  # the task reached a terminal state (or there will be none)
        self.closing = False
        self.connected = False
        self.disconnected_at = time.monotonic()
        self.checkpointing = environ.get("MESOS_CHECKPOINT") == "1"
        self.recovery_timeout = seconds(environ.get("MESOS_RECOVERY_TIMEOUT", ""), 900.0)
        self.shutdown_grace = seconds(environ.get("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", ""), 5.0)

    def subscribe_for_ever(self) -> None:
        """Keeps a subscription; each new one carries what the agent has not acknowledged."""
        pause = 0.05
        while not self.closing:
            with self.lock:
                call: Json = {
                    "type": "SUBSCRIBE",
                    "subscribe": {
                        "unacknowledged_tasks": list(self.tasks.values()),
                        "unacknowledged_updates": [{"status": status} for status in self.updates.values()],
                    },
                }
            try:
                self.agent.subscribe(call, self.inbox.put)
                pause = 0.05
                self.log("the agent closed the connection")
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.log(f"not subscribed: {error}")
            self.inbox.put({"type": "DISCONNECTED"})
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

    def handle(self, event: Json) -> None:
        """One event: from the agent, from the subscriber, or a signal."""
        kind = event.get("type", "")
        if kind == "SUBSCRIBED":
            self.connected = True
        elif kind == "DISCONNECTED":
            if self.connected:
                self.disconnected_at = time.monotonic()
            self.connected = False
            if not self.checkpointing:
                self.shutdown("the agent is gone and the framework does not checkpoint")
        elif kind == "LAUNCH":
            self.launch(event["launch"]["task"])
        elif kind == "KILL":
            policy = event["kill"].get("kill_policy") or self.task.get("kill_policy") or {}
            self.kill(policy.get("grace_period", {}).get("nanoseconds"))
        elif kind == "ACKNOWLEDGED":
            self.acknowledged(event["acknowledged"])
        elif kind == "SHUTDOWN":
            self.shutdown("the agent asked for it")
        elif kind == "ERROR":
            self.shutdown(f"the agent reported an error: {event.get('error', {}).get('message', '')}")

    def launch(self, task: Json) -> None:
        """Runs the task's command."""
        self.task, self.task_id = task, task["task_id"]["value"]
        with self.lock:
            self.tasks[self.task_id] = task
        self.update("TASK_STARTING")
        try:
            self.process = self.spawn(task.get("command", {}))
        except (OSError, ValueError) as error:
            self.done = True
            self.update("TASK_FAILED", f"Failed to launch command: {error}", "REASON_COMMAND_EXECUTOR_FAILED")
            return
        self.log(f"task {self.task_id} runs as process {self.process.pid}")
        self.update("TASK_RUNNING")

    def spawn(self, command: Json) -> subprocess.Popen[bytes]:
        """Starts the command in a session of its own that dies with this process."""
        if command.get("shell", True):
            argv, program = ["sh", "-c", command["value"]], "/bin/sh"
        else:
            argv, program = list(command.get("arguments", [])) or [command["value"]], command["value"]
        parent = os.getpid()

        def in_child() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        return subprocess.Popen(
            argv,
            executable=program,
            env=self.task_environment(command),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=in_child,
        )

    def task_environment(self, command: Json) -> dict[str, str]:
        """Mesos' variables of this container, and those of the command; nothing of the agent's own."""
        env = {k: v for k, v in self.environ.items() if not k.startswith(("LIBPROCESS_", "GLOG_"))}
        env.pop("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", None)
        env.pop("LC_CTYPE", None)  # Python sets it for itself where no locale is given; a real executor would not
        env.setdefault("PATH", DEFAULT_PATH)
        env["MESOS_TASK_ID"] = self.task_id
        for variable in command.get("environment", {}).get("variables", []):
            env[variable["name"]] = variable.get("value", "")
        return env

    def kill(self, grace_nanoseconds: Any = None) -> None:
        """SIGTERM now, SIGKILL after the grace period, to everything the task consists of."""
        if self.process is None or self.done:
            return
        grace = DEFAULT_KILL_GRACE if grace_nanoseconds is None else float(grace_nanoseconds) / 1e9
        if not self.killed:
            self.killed = True
            self.update("TASK_KILLING")
            self.signal_group(signal.SIGTERM)
        deadline = time.monotonic() + grace
        self.kill_at = deadline if self.kill_at is None else min(self.kill_at, deadline)

    def shutdown(self, why: str) -> None:
        """Ends task and executor."""
        if self.closing:
            return
        self.log(f"shutting down: {why}")
        self.closing = True
        if self.process is None:
            self.done = True
        self.kill(self.shutdown_grace * 1e9)

    def signal_group(self, number: int) -> None:
        """Signals the task's process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def sweep(self) -> None:
        """Kills whatever is left below this process, however it detached itself."""
        for _ in range(50):
            below = descendants(os.getpid())
            if not below:
                return
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            time.sleep(0.01)

    def reap(self) -> None:
        """Collects ended children; the task's end is a status update."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.process is not None and pid == self.process.pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.exited(self.process.returncode)

    def exited(self, code: int) -> None:
        """The task's process ended."""
        self.done = True
        self.kill_at = None
        how = f"exited with status {code}" if code >= 0 else f"terminated with signal {signal.strsignal(-code)}"
        state = "TASK_KILLED" if self.killed else "TASK_FINISHED" if code == 0 else "TASK_FAILED"
        reason = "REASON_COMMAND_EXECUTOR_FAILED" if state == "TASK_FAILED" else None
        self.sweep()
        self.update(state, f"Command {how}", reason)
        self.log(f"task {self.task_id}: command {how}")

    def update(self, state: str, message: str = "", reason: str | None = None) -> None:
        """Sends a status update and keeps it until it is acknowledged."""
        token = base64.b64encode(uuid.uuid4().bytes).decode()
        status: Json = {
            "task_id": {"value": self.task_id},
            "executor_id": self.agent.ids["executor_id"],
            "source": "SOURCE_EXECUTOR",
            "state": state,
            "uuid": token,
            "timestamp": time.time(),
        }
        if message:
            status["message"] = message
        if reason:
            status["reason"] = reason
        with self.lock:
            self.updates[token] = status
        self.unsent.add(token)
        self.flush()

    def flush(self) -> None:
        """Sends what was not sent yet, in order. What fails goes with the next attempt or subscription."""
        for token, status in list(self.updates.items()):
            if token not in self.unsent:
                continue
            try:
                self.agent.send({"type": "UPDATE", "update": {"status": status}})
            except (OSError, http.client.HTTPException) as error:
                self.log(f"{status['state']} not delivered: {error}")
                return
            self.unsent.discard(token)

    def acknowledged(self, ack: Json) -> None:
        """The agent has an update safely."""
        with self.lock:
            self.updates.pop(ack["uuid"], None)
            self.tasks.pop(ack["task_id"]["value"], None)
        self.unsent.discard(ack["uuid"])

    def tick(self) -> bool:
        """What is due by the clock; True when this process may end."""
        now = time.monotonic()
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            self.log("the grace period is over")
            self.sweep()
        if self.connected and self.unsent:
            self.flush()
        lonely = not self.connected and now - self.disconnected_at > self.recovery_timeout
        if lonely:
            self.shutdown(f"no agent for {self.recovery_timeout:.0f} s")
        return self.done and (not self.updates or (self.closing and not self.connected))

    def run(self) -> None:
        """Until the task ended and the agent knows it."""
        while True:
            due = 1.0 if self.kill_at is None else max(0.0, min(1.0, self.kill_at - time.monotonic()))
            try:
                event = self.inbox.get(timeout=due)
            except queue.Empty:
                event = {"type": "TICK"}
            if event["type"] == "CHILD":
                self.reap()
            else:
                self.handle(event)
            if self.tick():
                self.closing = True
                return


def main() -> int:
    """Entry point; everything comes from the environment that the agent prepared."""
    sandbox = os.environ.get("MESOS_SANDBOX") or os.environ["MESOS_DIRECTORY"]
    journal = open(os.path.join(sandbox, "executor.log"), "a", buffering=1)  # noqa: SIM115 - lives as long as we

    def log(text: str) -> None:
        journal.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}\n")

    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    executor = Executor(Agent(os.environ), dict(os.environ), log)
    signal.signal(signal.SIGCHLD, lambda *_: executor.inbox.put({"type": "CHILD"}))
    signal.signal(signal.SIGTERM, lambda *_: executor.inbox.put({"type": "SHUTDOWN"}))
    threading.Thread(target=executor.subscribe_for_ever, daemon=True).start()
    executor.run()
    executor.sweep()
    log("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
