"""An installation of Weir on a local stack: replicas as supervised services, and ZooKeeper's own client.

Desired state is written with `zkCli` alone, as a person without Weir's command line would do it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
from kazoo.client import KazooClient

from integration import toml
from integration.local.flink_dist import DEFAULT_SERIES, FlinkDistribution
from integration.local.packages import find_java
from integration.local.services import last_line
from integration.local.stack import LocalStack
from integration.local.zkcli import zkcli_argv, zkcli_env
from reconciler.app.config import ENVIRONMENT
from reconciler.app.demo.story import DemoFailed, poll
from reconciler.model.events import StoredRecord
from reconciler.model.record import Record
from reconciler.model.status import LeaderInfo, Status
from reconciler.ports import StoreError
from state.zookeeper import ZooKeeperStore, connect

SESSION_S = 4.0
"""Sessions of the replicas: how soon another takes over from one that was killed."""
_ZKCLI_S = 120.0

T = TypeVar("T")
Spec = dict[str, Any]


class Installation:
    """Replicas `<prefix>-1..N` that share one root. The stack is up before and stays up after."""

    def __init__(
        self,
        stack: LocalStack,
        directory: Path,
        *,
        root: str = "/weir",
        replicas: int = 3,
        prefix: str = "replica",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`settings` are added to the operator's configuration, section by section."""
        self.stack = stack
        self.root = root
        self.replicas = [f"{prefix}-{number}" for number in range(1, replicas + 1)]
        self.config = directory / f"{prefix}.toml"
        self.flink: FlinkDistribution = stack.flink[DEFAULT_SERIES]
        self._settings = settings or {}
        java = find_java()
        self._java = java.path if java else "java"
        self._client: KazooClient = connect(stack.zk, session_timeout=10.0)
        self.store = ZooKeeperStore(self._client, root)

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The connection only; replicas go on."""
        self._client.stop()
        self._client.close()

    # replicas

    def start(self) -> None:
        """Write the operator's configuration and start every replica."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self._toml(), encoding="utf-8")
        # The environment wins over the file, and a shell may name another installation.
        nothing = dict.fromkeys(ENVIRONMENT, "")
        for name in self.replicas:
            self.stack.add_service(name, self.command(name), nothing)

    def stop(self) -> None:
        """Stop every replica; tasks go on."""
        for name in self.replicas:
            self.stack.stop(name)

    def command(self, replica: str) -> list[str]:
        """The command line of one replica."""
        script = Path(sys.executable).parent / "weir"
        weir = (
            [str(script)] if script.exists() else [sys.executable, "-c", "from reconciler.app.cli import main; main()"]
        )
        return [*weir, "run", "--config", str(self.config), "--replica", replica]

    def check(self) -> None:
        """Raise DemoFailed when a replica ended by itself."""
        for service in self.stack.status():
            if service.name in self.replicas and service.state == "exited":
                why = last_line(Path(service.log))
                raise DemoFailed(f"{service.name} ended by itself ({service.exit_code}): {why}; see {service.log}")

    def _toml(self) -> str:
        flink = self.flink
        settings: Mapping[str, Mapping[str, Any]] = {
            "zookeeper": {"hosts": self.stack.zk, "root": self.root, "session_timeout_s": SESSION_S},
            "mesos": {"master": self.stack.master_url, "framework_name": f"weir{self.root.replace('/', '-')}"},
            "storage": {"uri": self.stack.storage_dir.as_uri()},
            "flink": {"zookeeper_session_timeout_s": 5.0},
            f'flink.distributions."{flink.series}"': {
                "version": flink.version,
                "home": str(flink.home),
                "python": str(flink.python),
                "java": self._java,
            },
            # An unreachable host is given this long to come back before its tasks are replaced elsewhere.
            "jobs": {"lost_grace_s": 2.0},
        }
        return toml.document(settings, self._settings)

    # what is stored

    def leader(self) -> LeaderInfo | None:
        """Who leads; None when nobody does, or ZooKeeper does not answer."""
        return self._read(self.store.load_leader)

    def contenders(self) -> list[str]:
        """Election nodes of the replicas that live. Raises when ZooKeeper does not answer."""
        found: list[str] = self._client.get_children(self.store.layout.election)
        return found

    def status(self, job: str) -> Status | None:
        """`/weir/status/<job>`."""
        return self._read(lambda: self.store.load_status(job))

    def record(self, job: str) -> Record | None:
        """`/weir/records/<job>`."""
        found = self._read(lambda: self.store.load_record(job))
        return found.record if isinstance(found, StoredRecord) else None

    def exists(self, path: str) -> bool:
        """Whether a znode is there. Raises when ZooKeeper does not answer."""
        return self._client.exists(path) is not None

    @staticmethod
    def _read(read: Callable[[], T | None]) -> T | None:
        try:
            return read()
        except StoreError:
            return None

    # ZooKeeper's own command line client

    def zkcli(self, *args: str) -> str:
        """One command, as in `zkCli.sh get /weir/jobs/x`; what it printed. Raises DemoFailed when it failed."""
        argv = zkcli_argv(self.flink, args, java=self._java, server=self.stack.zk)
        done = subprocess.run(
            argv,
            env=zkcli_env(),
            capture_output=True,
            text=True,
            timeout=_ZKCLI_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            lines = (done.stderr + done.stdout).strip().splitlines()
            raise DemoFailed(f"zkCli {args[0]} {args[1]} failed: {lines[-1] if lines else 'no message'}")
        return done.stdout

    def zkcli_typed(self, *lines: str) -> str:
        """Lines typed at the prompt of the interactive client, which splits arguments at spaces."""
        argv = zkcli_argv(self.flink, (), java=self._java, server=self.stack.zk)
        done = subprocess.run(
            argv,
            env=zkcli_env(),
            capture_output=True,
            text=True,
            timeout=_ZKCLI_S,
            check=False,
            input="".join(f"{line}\n" for line in (*lines, "quit")),
        )
        return done.stdout + done.stderr

    def put(self, job: str, spec: Spec | str) -> None:
        """Create or replace desired state."""
        path = f"{self.root}/jobs/{job}"
        text = spec if isinstance(spec, str) else json.dumps(spec)
        self.zkcli("set" if self.exists(path) else "create", path, text)

    def delete(self, job: str) -> None:
        """Remove desired state."""
        self.zkcli("delete", f"{self.root}/jobs/{job}")

    # Mesos

    def framework_id(self) -> str | None:
        """Our framework, once it is registered."""
        return self._read(self.store.load_framework_id)

    def live_tasks(self) -> set[str]:
        """Task ids that Mesos says may still run."""
        live = ("TASK_RUNNING", "TASK_STARTING", "TASK_STAGING", "TASK_KILLING", "TASK_UNREACHABLE")
        return {task for task, state in self.mesos_tasks().items() if state in live}

    def mesos_tasks(self) -> dict[str, str]:
        """Task states by id, as the leading master reports them; empty when none leads."""
        return {task["id"]: task["state"] for task in self._ask_master("/master/tasks?limit=1000", "tasks")}

    def framework_active(self) -> bool:
        """Whether the leading master has our framework, connected."""
        wanted = self.framework_id()
        found = self._ask_master("/master/frameworks", "frameworks")
        return any(item["id"] == wanted and item.get("active") and item.get("connected") for item in found)

    def active_agents(self) -> set[str]:
        """Host names of the agents that are registered with the leading master."""
        return {agent["hostname"] for agent in self._ask_master("/master/slaves", "slaves") if agent.get("active")}

    def _ask_master(self, path: str, field: str) -> list[dict[str, Any]]:
        leader = self.stack.leader()
        if leader is None:
            return []
        found: list[dict[str, Any]] = (ask(f"{leader.url}{path}") or {}).get(field, [])
        ours = self.framework_id() if field == "tasks" else None
        return [item for item in found if ours is None or item.get("framework_id") == ours]


class JobView:
    """One job as it is seen from outside: its znodes, Flink's REST API and Mesos."""

    def __init__(self, installation: Installation, name: str) -> None:
        self.installation = installation
        self.name = name

    def status(self) -> Status | None:
        return self.installation.status(self.name)

    def why(self) -> str:
        """One sentence: what the job waits for."""
        status = self.status()
        return f"{status.lifecycle}: {status.why}" if status else "no status yet"

    def tasks(self, role: str) -> dict[str, str | None]:
        """Host names of the running tasks of a role ("jm", "tm"), by task id."""
        status = self.status()
        listed = status.task_list if status else ()
        return {task.id: task.hostname for task in listed if task.role == role and task.state == "TASK_RUNNING"}

    def running(self, generation: int | None = None) -> Status | None:
        """The status, if everything that is wanted runs: tasks in Mesos, and every vertex in Flink."""
        status = self.status()
        if status is None or status.job_state != "RUNNING" or (status.tasks is None and status.session is None):
            return None
        if generation is not None and status.generation != generation:
            return None
        counts = (status.tasks.job_manager, status.tasks.task_manager) if status.tasks is not None else ()
        if not all(_complete(count) for count in counts):
            return None
        vertices = self.vertices(status)
        return status if vertices and all(state == "RUNNING" for state, _ in vertices) else None

    def vertices(self, status: Status | None = None) -> list[tuple[str, int]]:
        """State and parallelism of every vertex, asked of Flink itself; empty when it does not answer."""
        status = status or self.status()
        if status is None or status.job_manager_url is None:
            return []
        found = ask(f"{status.job_manager_url}/jobs/{status.job_id}") or {}
        return [(vertex["status"], vertex["parallelism"]) for vertex in found.get("vertices", [])]

    def checkpoints(self) -> int | None:
        """How many checkpoints the JobManager has completed; None when it does not answer."""
        status = self.status()
        if status is None or status.job_manager_url is None:
            return None
        found = ask(f"{status.job_manager_url}/jobs/{status.job_id}/checkpoints")
        return int(found["counts"]["completed"]) if found else None

    def await_running(self, generation: int | None = None, timeout: float = 180.0) -> Status:
        """Wait without a display. Raises DemoFailed."""
        return poll(f"{self.name} runs", lambda: self.running(generation), timeout, tick=None)

    def sandboxes(self) -> list[Path]:
        """Sandboxes of the job's tasks, newest last: each has the task's stdout, stderr and flink.log."""
        agents = self.installation.stack.state_dir / "agents"
        pattern = f"*/work/slaves/*/frameworks/*/executors/{self.name}.*/runs/*"
        found = [path for path in agents.glob(pattern) if not path.is_symlink()]
        return sorted(found, key=lambda path: path.stat().st_mtime)


def _complete(count: str) -> bool:
    running, _, wanted = count.partition("/")
    return int(running) >= int(wanted)


def ask(url: str) -> dict[str, Any] | None:
    """A JSON object from a server of this machine, past any proxy; None for whatever else it answers."""
    try:
        answer = httpx.get(url, timeout=3.0, trust_env=False)
        found = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return None
    return found if isinstance(found, dict) else None
