"""A Kafka broker beside a local stack: the real one, KRaft, broker and controller in one process.

    broker = KafkaBroker(stack)
    broker.start(progress)      # fresh data, a service "kafka" of the stack, ready for clients
    ... broker.bootstrap ...    # "127.0.0.1:22598"
    broker.stop()

It is a service of the stack like the others: it stops with the stack, can be killed, paused and started again, and
its log is among the stack's. There is one broker, so everything that Kafka would replicate three times is stored once.
"""

from __future__ import annotations

import base64
import re
import shutil
import socket
import struct
import subprocess
import time
import uuid
from pathlib import Path

import structlog

from integration.local.errors import PortTaken, ServiceFailed, UnknownService
from integration.local.kafka_maven import fetch_kafka
from integration.local.packages import find_java
from integration.local.ports import is_free
from integration.local.progress import Progress, Silent
from integration.local.services import last_line
from integration.local.stack import LocalStack

log = structlog.get_logger()

MAX_TRANSACTION_TIMEOUT_MS = 900_000
"""`transaction.max.timeout.ms`: Kafka's default. A producer that asks for more is refused."""

_PORTS = range(19, 9, -1)  # of the stack's ports for callers, from the end: those in front are the replicas'
_READY_S = 90.0
_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_API_VERSIONS = 18

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    # One broker: what is usually stored three times is stored once.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.max.timeout.ms": str(MAX_TRANSACTION_TIMEOUT_MS),
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A topic that nobody created is a mistake, not a wish.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "controlled.shutdown.enable": "false",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(8 << 20),
}

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""


class KafkaBroker:
    """The broker as a service of `stack`, which is up."""

    def __init__(self, stack: LocalStack, name: str = "kafka") -> None:
        self._stack = stack
        self.name = name
        self.home = stack.state_dir / name
        self.port = 0

    @property
    def bootstrap(self) -> str:
        """`bootstrap.servers` of clients. Raises ServiceFailed before `start`."""
        if not self.port:
            raise ServiceFailed(f"{self.name} has no port yet", "it was never started")
        return f"127.0.0.1:{self.port}"

    def start(self, progress: Progress | None = None) -> KafkaBroker:
        """Fetch what is missing, format fresh storage and wait until the broker answers. Raises LocalStackError.

        Whatever an earlier run left in its directory is removed: topics begin empty.
        """
        progress = progress or Silent()
        jars = fetch_kafka(self._stack.config.cache, progress, install=self._stack.config.install_packages)
        self._refuse_second()
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.port, controller = self._free_ports()
        (self.home / "log4j2.properties").write_text(_LOG4J)
        settings = self.home / "server.properties"
        settings.write_text(server_properties(self.home / "data", self.port, controller))
        progress.note(f"starting {self.name} on {self.bootstrap}")
        self._format(jars, settings)
        argv = [*self._java(jars), "kafka.Kafka", str(settings)]
        self._stack.add_service(self.name, argv, cwd=self.home, address=self.bootstrap)
        self._await()
        log.info("kafka.up", bootstrap=self.bootstrap, version=self.version())
        return self

    def stop(self, *, purge: bool = True) -> None:
        """Stop it; with `purge`, remove its data. The log stays."""
        self._stack.stop(self.name, grace=10.0)
        if purge:
            shutil.rmtree(self.home / "data", ignore_errors=True)

    def version(self) -> str:
        """What the broker itself says that it is; empty when its log does not tell."""
        try:
            text = self._stack.logs(self.name).read_text(errors="replace")
        except UnknownService:
            return ""
        found = re.findall(r"AppInfoParser - Kafka version: (\S+)", text)
        return found[-1] if found else ""

    def _refuse_second(self) -> None:
        """Formatting below a running broker would pull the ground from under it."""
        for status in self._stack.status():
            if status.name == self.name and status.state in ("running", "paused", "restarting"):
                raise ServiceFailed(f"{self.name} runs already", f"as process {status.pid}", "stop it first")

    def _free_ports(self) -> tuple[int, int]:
        free = [port for number in _PORTS if is_free(("127.0.0.1", port := self._stack.port(number)))]
        if len(free) < 2:
            raise PortTaken(f"no ports for {self.name}", "all that the stack has for such services are in use")
        return free[0], free[1]

    def _java(self, jars: Path) -> list[str]:
        java = find_java()
        log4j = f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}"
        return [java.path if java else "java", *_JVM, "-XX:+ExitOnOutOfMemoryError", log4j, "-cp", f"{jars}/*"]

    def _format(self, jars: Path, settings: Path) -> None:
        """`kafka-storage.sh format`: KRaft wants its directory named after a cluster before it starts."""
        argv = [*self._java(jars), "kafka.tools.StorageTool", "format", "--cluster-id", cluster_id(), "--config"]
        done = subprocess.run(
            [*argv, str(settings)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            lines = (done.stderr + done.stdout).strip().splitlines()
            raise ServiceFailed(
                f"storage of {self.name} cannot be formatted", lines[-1] if lines else f"exit code {done.returncode}"
            )

    def _await(self) -> None:
        deadline = time.monotonic() + _READY_S
        while not serves(("127.0.0.1", self.port)):
            service = self._stack.service(self.name)
            path = Path(service.log)
            if service.state == "exited":
                raise ServiceFailed(f"{self.name} ended by itself", last_line(path), f"read {path}")
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{self.name} is not ready after {_READY_S:.0f} s", last_line(path), f"read {path}")
            time.sleep(0.1)


def server_properties(data: Path, port: int, controller: int) -> str:
    """`server.properties` of a broker that is its own controller, on the loopback interface alone."""
    own = {
        "log.dirs": str(data),
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
    }
    return "".join(f"{key}={value}\n" for key, value in {**_SETTINGS, **own}.items())


def cluster_id() -> str:
    """A new cluster id in Kafka's form: 16 random bytes, URL-safe base64 without padding, no leading dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def serves(address: tuple[str, int], timeout: float = 2.0) -> bool:
    """Whether a broker answers requests there: ApiVersions, the first thing that every client asks."""
    request = struct.pack(">hhih", _API_VERSIONS, 0, 7, -1)
    try:
        with socket.create_connection(address, timeout=timeout) as link:
            link.sendall(struct.pack(">i", len(request)) + request)
            answer = _receive(link, 10)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (7, 0)


def _receive(link: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := link.recv(size - len(found))):
        found += piece
    return found
