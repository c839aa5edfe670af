"""One supervised process: starting, ending and describing it. Used by the supervisor's main thread only."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from integration.local import processes
from integration.local.control import ServiceSpec, ServiceStatus
from integration.local.errors import ServiceFailed

log = structlog.get_logger()

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LARGEST_LOG = 50 << 20  # bytes; a larger one is put aside at the next start

_RESTART_DELAY = 0.5  # seconds
_RESTART_LIMIT = (10, 60.0)  # starts by itself within seconds; then it stays down
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Makes this process the parent of its descendants' orphans."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Service:
    """A child process and what is known of it."""

    def __init__(self, spec: ServiceSpec, state_dir: Path) -> None:
        self.spec = spec
        self.state_dir = state_dir
        self.state = "stopped"
        self.pid: int | None = None
        self.since = time.time()
        self.exit_code: int | None = None
        self.restarts = 0
        self.restart_at: float | None = None  # monotonic
        self._recent: deque[float] = deque(maxlen=_RESTART_LIMIT[0])
        self._wanted_down = ""  # the state to take when the child ends on request
        self._child: subprocess.Popen[bytes] | None = None

    def renewed(self, spec: ServiceSpec) -> Service:
        """The same service with a new specification."""
        self.spec = spec
        return self

    @property
    def host(self) -> str:
        """The name of the host that an agent stands for; empty for other services."""
        return self.spec.name.replace("agent-", "host-") if self.spec.sandboxes else ""

    @property
    def running(self) -> bool:
        """Whether the process is there (it may be paused)."""
        return self.pid is not None

    def start(self) -> int:
        """Starts the process; its output is appended to its log."""
        log_path = Path(self.spec.log)
        if log_path.exists() and log_path.stat().st_size > LARGEST_LOG:
            log_path.replace(log_path.with_suffix(".log.1"))
        parent = os.getpid()

        def in_child() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        env = {**self.spec.env, processes.STACK_MARK: str(self.state_dir)}
        try:
            with log_path.open("ab") as out:
                self._child = subprocess.Popen(
                    self.spec.argv,
                    env=env,
                    cwd=self.spec.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=in_child,
                )
        except OSError as error:
            raise ServiceFailed(f"cannot start {self.spec.name}", f"{self.spec.argv[0]}: {error.strerror}") from error
        self.pid = self._child.pid
        self._wanted_down, self.restart_at, self.exit_code = "", None, None
        self._enter("running")
        return self.pid

    def _enter(self, state: str) -> None:
        self.state, self.since = state, time.time()
        log.info("service.state", service=self.spec.name, state=state, pid=self.pid, exit_code=self.exit_code)

    def child_ended(self, pid: int, code: int) -> None:
        """Told of every child that the supervisor collected."""
        if pid != self.pid:
            return
        if self._child is not None:
            self._child.returncode = code
        self.pid, self.exit_code = None, code
        if self._wanted_down:
            self._enter(self._wanted_down)
            return
        now = time.monotonic()
        often = len(self._recent) == self._recent.maxlen and now - self._recent[0] < _RESTART_LIMIT[1]
        if self.spec.restart_on_exit and code >= 0 and not often:
            self._recent.append(now)
            self.restart_at = now + _RESTART_DELAY
            self._enter("restarting")
        else:
            self._enter("exited")

    def restart_by_itself(self) -> None:
        """Starts a service again that ended by itself."""
        self.restarts += 1
        try:
            self.start()
        except ServiceFailed as error:
            self.restart_at = None
            self._enter("exited")
            log.warning("service.restart_failed", service=self.spec.name, error=str(error))

    # --- ending -------------------------------------------------------------------------------------------

    def _signal(self, number: int) -> None:
        """To the process group, except for agents: only the agent's own process is the agent."""
        if self.pid is None:
            return
        try:
            if self.spec.sandboxes:
                os.kill(self.pid, number)
            else:
                os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def _await_end(self, timeout: float, reap: Callable[[], None]) -> bool:
        deadline = time.monotonic() + timeout
        while True:
            reap()
            if self.pid is None:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)

    def kill(self, reap: Callable[[], None]) -> int | None:
        """SIGKILL; returns the pid that was killed."""
        pid = self.pid
        self._down("killed", pid)
        self._signal(signal.SIGKILL)
        self._await_end(10.0, reap)
        return pid

    def _down(self, state: str, pid: int | None) -> None:
        self.restart_at = None
        self._wanted_down = state
        if pid is None and self.state != state:
            self._enter(state)

    def begin_stop(self) -> None:
        """SIGTERM without waiting; SIGCONT too, since a stopped process handles no signal."""
        self._down("stopped", self.pid)
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def stop(self, grace: float, reap: Callable[[], None]) -> None:
        """SIGTERM, and SIGKILL after ``grace`` seconds."""
        self.begin_stop()
        if not self._await_end(grace, reap):
            self._signal(signal.SIGKILL)
            self._await_end(10.0, reap)

    def end_sandboxes(self, grace: float, reap: Callable[[], None]) -> list[int]:
        """Ends all executors and tasks of this agent; returns the pids that were found."""
        found: set[int] = set()
        deadline = time.monotonic() + grace
        for _ in range(2000):
            left = processes.of_sandboxes(Path(self.spec.sandboxes)) if self.spec.sandboxes else set()
            if not left:
                break
            late = time.monotonic() >= deadline
            if late or left - found:
                processes.send(left if late else left - found, signal.SIGKILL if late else signal.SIGTERM)
                processes.send(left, signal.SIGCONT)
            found |= left
            reap()
            time.sleep(0.01 if late else 0.05)
        return sorted(found)

    def pause(self, paused: bool) -> list[int]:
        """SIGSTOP or SIGCONT."""
        if self.pid is None:
            raise ServiceFailed(
                f"cannot {'pause' if paused else 'resume'} {self.spec.name}",
                f"it is {self.state}",
                f"start it: weir local start {self.spec.name}",
            )
        self._signal(signal.SIGSTOP if paused else signal.SIGCONT)
        self._enter("paused" if paused else "running")
        return [self.pid]

    def pause_sandboxes(self, paused: bool) -> list[int]:
        """SIGSTOP or SIGCONT to executors and tasks of this agent."""
        found = sorted(processes.of_sandboxes(Path(self.spec.sandboxes)))
        processes.send(found, signal.SIGSTOP if paused else signal.SIGCONT)
        return found

    def status(self) -> ServiceStatus:
        """For people and programs."""
        tasks = sorted(processes.of_sandboxes(Path(self.spec.sandboxes))) if self.spec.sandboxes else []
        return ServiceStatus(
            name=self.spec.name,
            kind=self.spec.kind,
            state=self.state,
            pid=self.pid,
            address=self.spec.address,
            since=self.since,
            log=self.spec.log,
            exit_code=self.exit_code,
            restarts=self.restarts,
            tasks=tasks,
        )
