"""The supervisor: one process per state directory that owns every server of the stack.

Servers are its foreground children, started from its main thread and with a parent death signal: when the
supervisor dies, however it dies, they die with it. It is also the subreaper of what they leave behind
(executors outlive their agent on purpose), so it sees and collects those too.

It does nothing on its own but two things: a service that ends by itself is noticed and, where its specification
says so, started again; and the whole stack stops when the process that owns it ends. Everything else is a command
on its socket.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from integration.local.control import SOCKET_NAME, ServiceSpec, socket_address
from integration.local.errors import LocalStackError, UnknownService
from integration.local.processes import STACK_MARK
from integration.local.service import Service, become_subreaper

log = structlog.get_logger()

_STOP_ORDER = ("extra", "agent", "master", "zookeeper")


class Supervisor:
    """Owns the services of one state directory. Single-threaded: commands are carried out one after another."""

    def __init__(self, state_dir: Path, owner: int | None = None) -> None:
        self.state_dir = state_dir
        self.services: dict[str, Service] = {}
        self.selector = selectors.DefaultSelector()
        self.ending = False
        self.commands: dict[str, Callable[..., Any]] = {
            "ping": lambda: {"pid": os.getpid()},
            "status": self.status,
            "add": self.add,
            "start": self.start,
            "stop": self.stop,
            "kill": self.kill,
            "restart": self.restart,
            "pause": self.pause,
            "resume": self.resume,
            "shutdown": self.shutdown,
        }
        self._listen()
        self._watch_signals()
        if owner is not None:
            self._watch_owner(owner)

    # --- set-up -------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        (self.state_dir / SOCKET_NAME).unlink(missing_ok=True)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with socket_address(self.state_dir) as address:
            self.server.bind(address)
        (self.state_dir / SOCKET_NAME).chmod(0o600)
        self.server.listen(16)
        self.selector.register(self.server, selectors.EVENT_READ, self._serve)

    def _watch_signals(self) -> None:
        receive, send = socket.socketpair()
        receive.setblocking(False)
        send.setblocking(False)
        signal.set_wakeup_fd(send.fileno(), warn_on_full_buffer=False)
        self._wakeup = (receive, send)
        self.selector.register(receive, selectors.EVENT_READ, lambda: receive.recv(4096))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "ending", True))

    def _watch_owner(self, owner: int) -> None:
        def gone() -> None:
            log.info("supervisor.owner_gone", owner=owner)
            self.ending = True

        try:
            self.selector.register(os.pidfd_open(owner), selectors.EVENT_READ, gone)
        except ProcessLookupError:
            gone()

    # --- the loop -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serves until a command, a signal or the owner's end stops the stack."""
        log.info("supervisor.started", pid=os.getpid(), state_dir=str(self.state_dir))
        while not self.ending:
            for key, _ in self.selector.select(timeout=self._next_restart()):
                key.data()
            self.reap()
            self._restart_due()
        if self.services:
            self.shutdown()
        (self.state_dir / SOCKET_NAME).unlink(missing_ok=True)
        log.info("supervisor.ended")

    def _serve(self) -> None:
        link, _ = self.server.accept()
        with link:
            link.settimeout(5.0)
            try:
                request = json.loads(link.makefile("rb").readline() or b"{}")
                answer = self._answer(request)
                link.sendall(json.dumps(answer).encode() + b"\n")
            except (OSError, ValueError) as error:
                log.warning("supervisor.bad_request", error=str(error))

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        op = request.pop("op", "")
        command = self.commands.get(op)
        if command is None:
            return {"error": LocalStackError(f"cannot {op}", "the supervisor knows no such command").to_wire()}
        try:
            return {"result": command(**request)}
        except LocalStackError as error:
            return {"error": error.to_wire()}
        except Exception as error:
            log.exception("supervisor.command_failed", op=op)
            return {"error": LocalStackError(f"cannot {op}", f"{type(error).__name__}: {error}").to_wire()}

    def reap(self) -> None:
        """Collects every ended child, also the adopted ones."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for service in self.services.values():
                service.child_ended(pid, os.waitstatus_to_exitcode(status))

    def _next_restart(self) -> float | None:
        due = [s.restart_at for s in self.services.values() if s.restart_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _restart_due(self) -> None:
        for service in self.services.values():
            if service.restart_at is not None and time.monotonic() >= service.restart_at and not self.ending:
                service.restart_by_itself()

    # --- commands -----------------------------------------------------------------------------------------

    def _find(self, name: str) -> Service:
        if (service := self.services.get(name)) is not None:
            return service
        raise UnknownService(
            f"no service {name}", f"known: {', '.join(self._names()) or 'none'}", "see them: weir local status"
        )

    def _names(self) -> list[str]:
        hosts = [s.host for s in self.services.values() if s.host]
        return [*self.services, *hosts]

    def _agent_of(self, name: str) -> Service | None:
        """The agent of "host-2": a host is an agent with its executors and tasks."""
        return next((s for s in self.services.values() if s.host == name), None)

    def status(self) -> list[dict[str, Any]]:
        """All services in the order in which they were added."""
        self.reap()
        return [service.status().to_json() for service in self.services.values()]

    def add(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Adds a service and starts it; one that runs already is left alone."""
        wanted = ServiceSpec(**spec)
        present = self.services.get(wanted.name)
        if present is not None and present.running:
            return {"started": False, "pid": present.pid}
        self.services[wanted.name] = Service(wanted, self.state_dir) if present is None else present.renewed(wanted)
        return {"started": True, "pid": self.services[wanted.name].start()}

    def start(self, name: str) -> dict[str, Any]:
        """Starts a service (or the agent of a host) that is down."""
        service = self._agent_of(name) or self._find(name)
        self.reap()
        return {"started": not service.running, "pid": service.pid if service.running else service.start()}

    def stop(self, name: str, grace: float = 5.0) -> dict[str, Any]:
        """SIGTERM, then SIGKILL; the service stays down until it is started."""
        if (agent := self._agent_of(name)) is not None:
            agent.stop(grace, self.reap)
            return {"killed": agent.end_sandboxes(grace, self.reap)}
        self._find(name).stop(grace, self.reap)
        return {"killed": []}

    def kill(self, name: str) -> dict[str, Any]:
        """SIGKILL; of an agent only its own process, of a host also executors and tasks."""
        if (agent := self._agent_of(name)) is not None:
            pid = agent.kill(self.reap)
            return {"pid": pid, "killed": agent.end_sandboxes(0.0, self.reap)}
        return {"pid": self._find(name).kill(self.reap), "killed": []}

    def restart(self, name: str, grace: float = 5.0) -> dict[str, Any]:
        """Stop and start."""
        self.stop(name, grace)
        return self.start(name)

    def pause(self, name: str) -> dict[str, Any]:
        """SIGSTOP: the process is there and silent; of a host also executors and tasks."""
        return self._pause(name, paused=True)

    def resume(self, name: str) -> dict[str, Any]:
        """SIGCONT."""
        return self._pause(name, paused=False)

    def _pause(self, name: str, *, paused: bool) -> dict[str, Any]:
        if (agent := self._agent_of(name)) is not None:
            return {"pids": [*agent.pause(paused), *agent.pause_sandboxes(paused)]}
        return {"pids": self._find(name).pause(paused)}

    def shutdown(self, grace: float = 5.0) -> dict[str, Any]:
        """Stops everything: what was added last first, agents before their tasks, ZooKeeper last."""
        self.ending = True
        for kind in _STOP_ORDER:
            group = [s for s in reversed(self.services.values()) if s.spec.kind == kind]
            for service in group:
                service.begin_stop()
            for service in group:
                service.stop(grace, self.reap)
            if kind == "agent":
                for service in group:
                    service.end_sandboxes(grace, self.reap)
        self.services.clear()
        return {"stopped": True}


def main(argv: list[str]) -> int:
    """``python -m integration.local.supervisor STATE_DIR [OWNER_PID]``."""
    state_dir = Path(argv[1])
    owner = int(argv[2]) if len(argv) > 2 else None
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    lock = (state_dir / "supervisor.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        log.error("supervisor.already_running", state_dir=str(state_dir))
        return 1
    os.environ[STACK_MARK] = str(state_dir)
    become_subreaper()
    Supervisor(state_dir, owner).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
