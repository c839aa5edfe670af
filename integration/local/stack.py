"""The local stack: real ZooKeeper, real Mesos masters and agents, real Flink distributions, on this machine.

    stack = LocalStack(LocalConfig(agents=2))
    stack.up()
    ... stack.zk, stack.master_url, stack.flink["2.2"] ...
    stack.kill("agent-2")      # the process only: its tasks live on
    stack.kill("host-2")       # agent, executors and tasks
    stack.start("agent-2")
    stack.down()

Everything lives under one state directory. The object holds no processes: it talks to the supervisor of the
state directory, so that any number of objects, in any number of processes, can use one stack.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from integration.local import control, mesos_api, ports, zkcli, zookeeper
from integration.local.artefacts import fetch_mesos
from integration.local.cache import file_lock, make_dir, require_disk
from integration.local.config import Layout, LocalConfig, load_config
from integration.local.control import ServiceStatus
from integration.local.errors import ConfigConflict, LocalStackError, NotRunning, ServiceFailed, UnknownService
from integration.local.flink_dist import FlinkDistribution, ensure_flink, resolve
from integration.local.flink_plugins import fetch_plugin
from integration.local.native_build import build_launchers
from integration.local.packages import Java, ensure_java, ensure_native, find_java
from integration.local.processes import STACK_MARK, of_stack, sweep_stack, wait_gone
from integration.local.progress import Progress, Silent
from integration.local.services import extra_spec, last_line, mesos_specs, zookeeper_specs

log = structlog.get_logger()

_STATE_DISK = 1 << 30  # what a stack may write before its own clean-up sets in
_READY_TIMEOUT = 60.0  # seconds; everything is up within 5 on an idle machine


class FlinkVersions(Mapping[str, FlinkDistribution]):
    """The distributions of a stack by "2.2" or "2.2.1"; a version that is not there yet is installed on demand."""

    def __init__(self, config: LocalConfig, progress: Progress) -> None:
        self._config = config
        self._progress = progress
        self._found: dict[str, FlinkDistribution] = {}

    def __getitem__(self, version: str) -> FlinkDistribution:
        exact = resolve(version)
        if exact not in self._found:
            self._found[exact] = ensure_flink(exact, cache=self._config.cache, progress=self._progress)
        return self._found[exact]

    def __iter__(self) -> Any:
        return iter(self._config.flink_versions)

    def __len__(self) -> int:
        return len(self._config.flink_versions)


class LocalStack:
    """A stack of real servers in one state directory."""

    def __init__(self, config: LocalConfig | None = None) -> None:
        self.config = config or LocalConfig()
        self._progress: Progress = Silent()
        self._layout: Layout | None = None

    @classmethod
    def attach(cls, state_dir: Path | None = None) -> LocalStack:
        """The stack that was started in ``state_dir``; raises NotRunning when there never was one."""
        where = (state_dir or LocalConfig().state_dir).expanduser().absolute()
        config = load_config(where)
        if config is None:
            raise NotRunning("no local stack here", f"none was ever started in {where}", "start it: weir local up")
        return cls(config)

    def __enter__(self) -> LocalStack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    # --- what it offers -----------------------------------------------------------------------------------

    @property
    def state_dir(self) -> Path:
        """Everything of the stack: logs, sandboxes, data."""
        return self.config.state_dir

    @property
    def layout(self) -> Layout:
        """Names, addresses and directories; raises NotRunning before ports are chosen."""
        if self._layout is None:
            stored = load_config(self.state_dir)
            if stored is None:
                raise NotRunning("the stack has no ports yet", "it was never started", "start it: weir local up")
            self.config = stored
            self._layout = Layout(stored)
        return self._layout

    @property
    def zk(self) -> str:
        """ZooKeeper's connection string, "127.0.0.1:PORT"."""
        return self.layout.zk

    @property
    def master_url(self) -> str:
        """ "zk://127.0.0.1:PORT/mesos"."""
        return self.layout.master_url

    @property
    def flink(self) -> FlinkVersions:
        """Flink distributions by version."""
        return FlinkVersions(self.config, self._progress)

    def flink_plugins(self, series: str) -> list[Path]:
        """JARs of the plugins that the stack was configured with, for one series; fetched when they are missing."""
        config = self.config
        return [
            fetch_plugin(name, series, config.cache, self._progress, install=config.install_packages)
            for name in config.flink_plugins
        ]

    @property
    def storage_dir(self) -> Path:
        """A durable directory that all tasks reach: HA data, checkpoints, savepoints. Survives `down`."""
        return self.layout.storage

    def port(self, number: int) -> int:
        """A port for a caller's own service (replicas, feeders), from 0 to 19; free of the stack's own."""
        if not 0 <= number < 20:
            raise ValueError("0 to 19")
        return self.layout.base + 80 + number

    def masters(self) -> list[mesos_api.MasterInfo]:
        """All masters with their addresses and which of them leads; one that does not answer is not up."""
        addresses = [self.layout.master_address(n) for n in range(1, self.config.masters + 1)]
        return mesos_api.masters(dict(zip(self.layout.masters, addresses, strict=True)))

    def leader(self) -> mesos_api.MasterInfo | None:
        """The leading master, if one leads."""
        return next((master for master in self.masters() if master.leading), None)

    def zookeeper_leader(self) -> str | None:
        """The name of the ZooKeeper server that leads ("zk-2"), if one does."""
        names = enumerate(self.layout.zookeepers, start=1)
        return next((name for n, name in names if zookeeper.leads(("127.0.0.1", self.layout.zk_port(n)))), None)

    def versions(self) -> dict[str, str]:
        """What really runs, asked of the servers themselves."""
        java = find_java()
        return {
            "ZooKeeper": next((v for n in self._numbers("zk") if (v := self._zookeeper_version(n))), ""),
            "Mesos": next((v for m in self.masters() if (v := mesos_api.version(m.address))), ""),
            "Flink": ", ".join(resolve(version) for version in self.config.flink_versions),
            "Java": java.version if java else "",
        }

    def logs(self, name: str) -> Path:
        """The log of a service ("agent-1", "supervisor")."""
        path = self.state_dir / "logs" / f"{name}.log"
        if not path.exists():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.log"))) or "none"
            raise UnknownService(f"no log of {name}", f"there are: {known}", "see them: weir local status")
        return path

    # --- up and down --------------------------------------------------------------------------------------

    def up(self, progress: Progress | None = None) -> LocalStack:
        """Starts what does not run yet and waits until all of it works; a second call reuses what runs.

        Raises a LocalStackError that says what to do.
        """
        self._progress = progress = progress or Silent()
        make_dir(self.state_dir, "state of the local stack")
        require_disk(self.state_dir, _STATE_DISK, "the local stack", "choose another place: --state-dir DIR")
        install = self.config.install_packages
        java = ensure_java(progress, install=install)
        ensure_native(progress, install=install)
        launchers = build_launchers(fetch_mesos(self.config.cache, progress), progress)
        flink = {version: self.flink[version] for version in self.config.flink_versions}
        for each in flink.values():
            self.flink_plugins(each.series)
        first = next(iter(flink.values()))
        with file_lock(self.state_dir / "up.lock"):
            fresh = self._ensure_supervisor()
            zkcli.write_script(self.layout.bin, first, java.path, self.zk)
            started = self._start_services(java, first, launchers, only_missing=not fresh)
            self._await_ready()
        log.info("stack.up", state_dir=str(self.state_dir), started=started, zk=self.zk, master=self.master_url)
        return self

    def down(self, *, clean: bool = False, purge: bool = False) -> None:
        """Stops everything. Data stays, so that the next `up` continues where this one ended.

        ``clean`` removes sandboxes, logs and what masters and agents remember of each other; ``purge`` also ZooKeeper's
        data, the durable storage and the settings.
        """
        with contextlib.suppress(NotRunning):
            control.call(self.state_dir, "shutdown", timeout=60.0)
        wait_gone(of_stack(self.state_dir), 10.0)
        left = sweep_stack(self.state_dir)
        if left:
            log.warning("stack.leftovers_killed", pids=left)
        (self.state_dir / control.SOCKET_NAME).unlink(missing_ok=True)
        doomed = ["agents", "masters", "logs"] if clean or purge else []
        doomed += ["zookeeper", "storage", "bin"] if purge else []
        for name in doomed:
            shutil.rmtree(self.state_dir / name, ignore_errors=True)
        if purge:
            (self.state_dir / "stack.json").unlink(missing_ok=True)

    def _ensure_supervisor(self) -> bool:
        """Makes sure that a supervisor runs, with ports chosen; True when it is a new one."""
        if control.alive(self.state_dir):
            self._require_same_ports()
            return False
        if left := sweep_stack(self.state_dir):
            log.warning("stack.leftovers_killed", pids=left)
            self._progress.note(f"ended {len(left)} processes that an earlier run left behind")
        self.config, claim = ports.choose(self.config)
        self._layout = Layout(self.config)
        try:
            ports.require_free(self._layout.service_addresses())
            for directory in (self._layout.logs, self._layout.storage, self._layout.registry.parent):
                make_dir(directory, "state of the local stack")
            self._layout.save()
            self._spawn_supervisor(claim)
        finally:
            if claim is not None:
                claim.close()
        return True

    def _require_same_ports(self) -> None:
        stored = load_config(self.state_dir)
        wanted = self.config
        if stored is None:
            raise ConfigConflict("cannot reuse the running stack", "its stack.json is gone", "weir local down")
        for name in ("port_base", "task_port_base", "masters", "agents", "zookeepers"):
            asked, running = getattr(wanted, name), getattr(stored, name)
            if asked is not None and asked != running:
                raise ConfigConflict(
                    f"{name.replace('_', '-')} {asked} refused",
                    f"the stack in {self.state_dir} runs with {running}",
                    "stop it first (weir local down) or use another --state-dir",
                )
        self.config = stored
        self._layout = Layout(stored)

    def _spawn_supervisor(self, claim: ports.Claim | None) -> None:
        argv = [sys.executable, "-m", "integration.local.supervisor", str(self.state_dir)]
        if self.config.owner_pid is not None:
            argv.append(str(self.config.owner_pid))
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        log_path = self.layout.logs / "supervisor.log"
        with log_path.open("ab") as out:
            child = subprocess.Popen(
                argv,
                env={**os.environ, STACK_MARK: str(self.state_dir), "PYTHONPATH": path},
                cwd=self.state_dir,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[claim.handle] if claim is not None else [],
            )
        self._await(
            lambda: child.poll() is not None or control.alive(self.state_dir, 1.0), "the supervisor", log_path, 15.0
        )
        if child.poll() is not None:
            raise ServiceFailed(
                "the supervisor did not start", f"it ended with code {child.returncode}", f"read {log_path}"
            )

    def _start_services(self, java: Java, flink: FlinkDistribution, launchers: Path, *, only_missing: bool) -> int:
        """Starts ZooKeeper, waits for it, then masters and agents; returns how many were started."""
        states = {status.name: status.state for status in self.status()} if only_missing else {}
        started = 0
        for specs in (zookeeper_specs(self.layout, java, flink), mesos_specs(self.layout, launchers)):
            for spec in specs:
                if states.get(spec.name) not in ("running", "paused", "restarting"):
                    self._progress.note(f"starting {spec.name} on {spec.address}")
                    control.call(self.state_dir, "add", spec=spec.to_json())
                    started += 1
            if specs[0].kind == "zookeeper":
                self._await(self._zookeeper_ready, "ZooKeeper", self.layout.logs / "zk-1.log")
        return started

    # --- waiting ------------------------------------------------------------------------------------------

    def _zookeeper_ready(self) -> bool:
        return all(zookeeper.serves(("127.0.0.1", self.layout.zk_port(n))) for n in self._numbers("zk"))

    def _zookeeper_version(self, number: int) -> str:
        return zookeeper.version(("127.0.0.1", self.layout.zk_port(number)))

    def _numbers(self, kind: str) -> list[int]:
        """Numbers of the services of a kind that are running, so that one that was killed is not waited for."""
        running = {status.name for status in self.status() if status.state == "running"}
        names = {"zk": self.layout.zookeepers, "agent": self.layout.agents}[kind]
        return [n for n, name in enumerate(names, start=1) if name in running]

    def _await_ready(self) -> None:
        leader_log = self.layout.logs / "master-1.log"
        self._await(lambda: self.leader() is not None, "a leading master", leader_log)
        for name in self.layout.agents:
            self._await(lambda name=name: name in self._registered(), name, self.layout.logs / f"{name}.log")  # type: ignore[misc]

    def _registered(self) -> set[str]:
        leader = self.leader()
        return mesos_api.active_agents(leader.address) if leader is not None else set()

    def _await(self, ready: Callable[[], bool], what: str, log_path: Path, timeout: float = _READY_TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                raise ServiceFailed(
                    f"{what} is not ready after {timeout:.0f} s", last_line(log_path), f"read {log_path}"
                )
            self._refuse_dead()
            time.sleep(0.05)

    def _refuse_dead(self) -> None:
        """Ends a wait early when a server of the stack ended by itself."""
        if not control.alive(self.state_dir):
            return
        for status in self.status():
            if status.state == "exited" and status.kind != "extra":
                raise ServiceFailed(
                    f"{status.name} ended by itself",
                    f"exit code {status.exit_code}: {last_line(Path(status.log))}",
                    f"read {status.log}",
                )

    # --- services -----------------------------------------------------------------------------------------

    def status(self) -> list[ServiceStatus]:
        """All services; raises NotRunning when the stack is down."""
        return [ServiceStatus(**item) for item in control.call(self.state_dir, "status")]

    def service(self, name: str) -> ServiceStatus:
        """One service."""
        for status in self.status():
            if status.name == name:
                return status
        raise UnknownService(f"no service {name}", "the stack does not run it", "see them: weir local status")

    def kill(self, name: str) -> None:
        """SIGKILL: "agent-2" is its process only (its tasks live on), "host-2" also executors and tasks."""
        control.call(self.state_dir, "kill", name=name)

    def stop(self, name: str, grace: float = 5.0) -> None:
        """SIGTERM, and SIGKILL after ``grace`` seconds. The service stays down until it is started."""
        control.call(self.state_dir, "stop", name=name, grace=grace, timeout=grace + 60.0)

    def start(self, name: str) -> None:
        """Starts a service that is down."""
        control.call(self.state_dir, "start", name=name)

    def restart(self, name: str, grace: float = 5.0) -> None:
        """Stops and starts a service."""
        control.call(self.state_dir, "restart", name=name, grace=grace, timeout=grace + 60.0)

    def pause(self, name: str) -> None:
        """SIGSTOP: the process keeps its connections and says nothing."""
        control.call(self.state_dir, "pause", name=name)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        control.call(self.state_dir, "resume", name=name)

    def add_service(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
        address: str = "",
        restart_on_exit: bool = False,
    ) -> None:
        """Has the supervisor run a process of the caller: killed and started like the others, stopped first.

        ``env`` is added to the caller's environment. A service of that name that runs already is left alone.
        """
        spec = extra_spec(self.layout, name, argv, env, cwd=cwd, address=address, restart_on_exit=restart_on_exit)
        control.call(self.state_dir, "add", spec=spec.to_json())


__all__ = ["LocalConfig", "LocalStack", "LocalStackError"]
