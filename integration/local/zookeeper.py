"""ZooKeeper servers: the real one (3.7) that Flink's distribution carries, so that nothing else is needed.

Ticks are short: a client may then ask for a session time-out of two ticks, and failures are noticed fast.
"""

from __future__ import annotations

import socket
from pathlib import Path

from integration.local.config import ZK_ELECTION, ZK_PEER, Layout
from integration.local.flink_dist import FlinkDistribution

_MAIN = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.quorum.QuorumPeerMain"

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""


def write_config(layout: Layout, number: int) -> Path:
    """Writes the configuration and the identity of a server, from 1; returns the configuration's path."""
    home = layout.state / "zookeeper" / f"zk-{number}"
    data = home / "data"
    data.mkdir(parents=True, exist_ok=True)
    lines = [
        f"tickTime={round(layout.config.zk_tick * 1000)}",
        "initLimit=20",
        "syncLimit=10",
        f"dataDir={data}",
        f"clientPort={layout.zk_port(number)}",
        "clientPortAddress=127.0.0.1",
        "maxClientCnxns=0",
        "maxSessionTimeout=60000",
        "4lw.commands.whitelist=*",
        "admin.enableServer=false",
        "autopurge.purgeInterval=1",
    ]
    if layout.config.zookeepers > 1:
        for n in range(1, layout.config.zookeepers + 1):
            peer, election = (layout.base + offset + n - 1 for offset in (ZK_PEER, ZK_ELECTION))
            lines.append(f"server.{n}=127.0.0.1:{peer}:{election}")
        (data / "myid").write_text(f"{number}\n")
    (home / "log4j2.properties").write_text(_LOG4J)
    path = home / "zoo.cfg"
    path.write_text("\n".join(lines) + "\n")
    return path


def server_argv(java: str, flink: FlinkDistribution, config: Path) -> list[str]:
    """The command line of a server; small and quick to start."""
    return [
        java,
        "-Xmx96m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j2.configurationFile={config.parent / 'log4j2.properties'}",
        "-cp",
        flink.classpath,
        _MAIN,
        str(config),
    ]


def four_letter(address: tuple[str, int], word: str, timeout: float = 2.0) -> str:
    """Asks a server one of ZooKeeper's four-letter words; raises OSError when it does not answer."""
    with socket.create_connection(address, timeout=timeout) as link:
        link.sendall(word.encode())
        answer = b""
        while piece := link.recv(65536):
            answer += piece
    return answer.decode(errors="replace")


def serves(address: tuple[str, int]) -> bool:
    """Whether a server answers clients: alone, as leader, or as follower."""
    try:
        return "Mode: " in four_letter(address, "srvr")
    except OSError:
        return False


def leads(address: tuple[str, int]) -> bool:
    """Whether a server leads its ensemble, or serves alone."""
    try:
        return any(mode in four_letter(address, "srvr") for mode in ("Mode: leader", "Mode: standalone"))
    except OSError:
        return False


def version(address: tuple[str, int]) -> str:
    """ZooKeeper's version as the server reports it; empty when it does not answer."""
    try:
        first = four_letter(address, "srvr").splitlines()[0]
    except (OSError, IndexError):
        return ""
    return first.removeprefix("Zookeeper version: ").partition("-")[0]
