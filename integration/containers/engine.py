"""The container engine: finding one, and on a machine of one's own (root, apt) installing and starting it.

`connect` is what a stack does; it changes nothing on the machine. `ensure_engine` is what `make test-containers`
does on a machine that has nothing yet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import docker
import structlog
from docker.errors import DockerException

from integration.containers.errors import EngineUnavailable
from integration.local.cache import cache_dir, file_lock
from integration.local.errors import LocalStackError
from integration.local.packages import provide
from integration.local.progress import Progress, Silent

log = structlog.get_logger()

PACKAGES = ("docker.io", "iptables")
_STALE = ("/var/run/docker.pid", "/var/run/docker/containerd/containerd.pid")
_START_TIMEOUT = 60.0  # seconds


def connect() -> Any:
    """A client of the engine that ``DOCKER_HOST`` or the default socket names. Raises EngineUnavailable.

    The result is a ``docker.DockerClient``; docker-py has no types.
    """
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except (DockerException, OSError) as error:
        where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        raise EngineUnavailable(
            "no container engine answers",
            f"{where}: {_reason(error)}",
            "start it (systemctl start docker), set DOCKER_HOST to another one, or as root on Debian and Ubuntu: "
            "python -m integration.containers engine",
        ) from error
    return client


def _reason(error: BaseException) -> str:
    """The innermost message: docker-py wraps what matters several times."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return " ".join(str(error).split()) or type(error).__name__


def ensure_engine(progress: Progress | None = None) -> Any:
    """A client of a running engine; installs and starts one where this process is root. Raises EngineUnavailable."""
    progress = progress or Silent()
    try:
        return connect()
    except EngineUnavailable as error:
        if os.environ.get("DOCKER_HOST"):
            raise
        if os.geteuid() != 0:
            raise EngineUnavailable(error.what, error.why, "start it as root: systemctl start docker") from error
    with file_lock(cache_dir() / "containers" / "engine.lock"):
        with contextlib.suppress(EngineUnavailable):
            return connect()
        if shutil.which("dockerd") is None:
            try:
                provide(PACKAGES, "run containers", progress, install=True, why="no container engine is installed")
            except LocalStackError as error:
                raise EngineUnavailable(error.what, error.why, error.next) from error
        return _start(progress)


def _start(progress: Progress) -> Any:
    """Starts the daemon in a session of its own, so that it outlives this process."""
    for path in _STALE:  # of an engine that was killed; a new one refuses to start while they are there
        pid = _pid_in(Path(path))
        if pid is not None and not Path(f"/proc/{pid}").exists():
            Path(path).unlink(missing_ok=True)
    log_path = cache_dir() / "containers" / "dockerd.log"
    with log_path.open("ab") as out:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            client = connect()
        except EngineUnavailable as error:
            if daemon.poll() is not None or time.monotonic() > deadline:
                lines = log_path.read_text(errors="replace").strip().splitlines()
                raise EngineUnavailable(
                    "the container engine does not start",
                    lines[-1][:300] if lines else error.why,
                    f"read {log_path}; a container without privileges cannot run an engine of its own",
                ) from error
            time.sleep(0.1)
            continue
        progress.note(f"started the container engine; its log is {log_path}")
        log.info("engine.started", pid=daemon.pid, log=str(log_path))
        return client


def _pid_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
