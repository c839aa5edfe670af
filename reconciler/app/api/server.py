"""The thread that serves HTTP. It is bound before the election, so that the leader's address can be told.

Nothing of it may end the replica: when serving ends in an error it is begun again, and jobs are
operated meanwhile. The web framework is imported on the thread, so that a replica starts quickly.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from reconciler.app.config import Api, ConfigError

if TYPE_CHECKING:
    import uvicorn

log = structlog.get_logger("weir.api")

AGAIN_S = 2.0
STOP_S = 3.0
OFF = "off"
CONNECTIONS = 512


class ApiServer:
    """One replica's HTTP server; `url` is where others reach it."""

    def __init__(self, settings: Api, build: Callable[[], Any]) -> None:
        self._build = build
        self._socket = bind(settings)
        self.url = settings.advertise or _url(self._socket)
        self._stop = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="weir-api", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; open streams are cut."""
        self._stop.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        self._socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._serve()
            except BaseException as error:  # uvicorn ends with SystemExit when it cannot start
                log.error("api.crashed", error=f"{type(error).__name__}: {error}", exc_info=error)
            self._stop.wait(AGAIN_S)

    def _serve(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            self._build(),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        if self._stop.is_set():
            return
        log.info("api.listening", url=self.url)
        self._server.run(sockets=[self._socket])


def bind(settings: Api) -> socket.socket:
    """The listening socket. The default port is given up for a free one when another replica of this host has it."""
    host, port = split(settings.listen)
    try:
        return _listen(host, port)
    except OSError as error:
        if "listen" in settings.model_fields_set:
            raise ConfigError(
                f"configuration: api.listen {settings.listen}: {error.strerror or error}; "
                f"choose another address, or switch the API off: --api {OFF}"
            ) from None
        return _listen(host, 0)


def split(listen: str) -> tuple[str, int]:
    """`HOST:PORT`; `[::1]:8480` for IPv6. Raises ConfigError."""
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f'configuration: api.listen "{listen}": write HOST:PORT, such as 0.0.0.0:8480, or {OFF}')
    return host.strip("[]") or "0.0.0.0", int(port)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.getfqdn()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
