"""Jars from Maven repositories, by the ordinary `mvn`, into the cache of artefacts.

Which repository, mirror or proxy that is, is the business of the user's own Maven settings; what Maven has
already downloaded it does not download again. Each entry of the cache is one directory of jars: a class path.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import structlog

from integration.local import packages
from integration.local.cache import GIB, cache_dir, file_lock, make_dir, require_disk
from integration.local.errors import ArtefactError, MissingRequirement
from integration.local.progress import Bar, Progress, Silent

log = structlog.get_logger()

KAFKA_VERSION = "4.2.2"
"""The broker: the newest fix of the line whose client the connector bundles (4.2.0)."""
LOG4J_VERSION = "2.25.5"
"""The log4j that this Kafka depends on; it leaves the binding of slf4j to whoever starts it."""
CONNECTORS = {"2.2": "5.0.0-2.2"}
"""Releases of the Flink SQL connector for Kafka, by the Flink series that each is made for."""

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_MARKER = ".weir-complete.json"
_TRANSFER = re.compile(r"Downloaded from .*\(([\d.]+) (B|kB|MB|GB) at ")
_UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_ERROR = "[ERROR] "


@dataclass(frozen=True)
class Coordinates:
    """What Maven is asked for."""

    group: str
    artefact: str
    version: str

    def __str__(self) -> str:
        return f"{self.artefact} {self.version}"


def fetch_kafka(cache: Path | None = None, progress: Progress | None = None, *, install: bool = True) -> Path:
    """The directory with all jars of a Kafka broker (44 MB)."""
    wanted = (
        Coordinates("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        Coordinates("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    )
    name = f"kafka-{KAFKA_VERSION}"
    return Entry(cache or cache_dir(), name, wanted, f"Apache Kafka {KAFKA_VERSION}", 46 << 20).fetch(
        progress or Silent(), install=install
    )


def fetch_connector(
    series: str, cache: Path | None = None, progress: Progress | None = None, *, install: bool = True
) -> Path:
    """The one jar of the Flink SQL connector for Kafka for a Flink series such as "2.2" (11 MB)."""
    version = CONNECTORS.get(series)
    if version is None:
        raise ArtefactError(
            f"no Kafka connector for Flink {series}",
            f"there are releases for {', '.join(CONNECTORS)}",
            "use one of them",
        )
    wanted = Coordinates("org.apache.flink", "flink-sql-connector-kafka", version)
    name = f"{wanted.artefact}-{version}"
    entry = Entry(cache or cache_dir(), name, (wanted,), f"Flink's Kafka connector {version}", 11 << 20)
    return entry.fetch(progress or Silent(), transitive=False, install=install) / f"{name}.jar"


class Entry:
    """One directory of the cache."""

    def __init__(self, cache: Path, name: str, wanted: Sequence[Coordinates], title: str, size: int) -> None:
        self._parent = cache / "maven"
        self._home = self._parent / name
        self._wanted = wanted
        self._title = title
        self._size = size

    def fetch(self, progress: Progress, *, transitive: bool = True, install: bool = True) -> Path:
        """The directory, filled. Safe to call from several processes at once. Raises ArtefactError and others."""
        if self._complete():
            return self._home
        make_dir(self._parent, "cache of artefacts")
        with file_lock(self._parent / f".{self._home.name}.lock"):
            if self._complete():
                return self._home
            require_disk(self._parent, GIB // 4, self._title)
            maven = _ensure_maven(self._title, progress, install=install)
            partial = self._parent / f".{self._home.name}.partial"
            for left in (partial, self._home):
                shutil.rmtree(left, ignore_errors=True)
            partial.mkdir()
            self._copy(maven, partial, progress, transitive=transitive)
            sizes = {jar.name: jar.stat().st_size for jar in sorted(partial.glob("*.jar"))}
            (partial / _MARKER).write_text(json.dumps(sizes, indent=1))
            partial.rename(self._home)
        log.info("artefact.fetched", name=self._home.name, jars=len(sizes), path=str(self._home))
        return self._home

    def _complete(self) -> bool:
        """Whether every jar that was copied is there still, in its size."""
        try:
            sizes: dict[str, int] = json.loads((self._home / _MARKER).read_text())
            return bool(sizes) and all((self._home / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError):
            return False

    def _copy(self, maven: str, target: Path, progress: Progress, *, transitive: bool) -> None:
        log_path = self._parent / f"{self._home.name}.log"
        pom = target / "pom.xml"
        pom.write_text(pom_text(self._wanted))
        argv = [maven, "--batch-mode", "--strict-checksums", "--file", str(pom), _PLUGIN]
        argv += [f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
        argv += [] if transitive else ["-DexcludeTransitive=true"]
        with progress.bar(f"{self._title} (mvn)", self._size) as bar, log_path.open("w") as out:
            code = _watched(argv, bar, self._size, out.write)
        jars = list(target.glob("*.jar"))
        if code != 0 or not jars:
            raise ArtefactError(
                f"cannot download {self._title}",
                _complaint(log_path.read_text()) or f"mvn ended with code {code}",
                f"check the network and Maven's settings, read {log_path}, then run the command again",
            )
        pom.unlink()


def pom_text(wanted: Sequence[Coordinates]) -> str:
    """The smallest project that depends on `wanted`."""
    lines = [
        f"<dependency><groupId>{escape(one.group)}</groupId><artifactId>{escape(one.artefact)}</artifactId>"
        f"<version>{escape(one.version)}</version></dependency>"
        for one in wanted
    ]
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>weir</groupId><artifactId>artefacts</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{''.join(lines)}</dependencies></project>\n"
    )


def transferred(line: str) -> int:
    """Bytes that a line of Maven's output says were downloaded; 0 for every other line."""
    found = _TRANSFER.search(line)
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0


def _watched(argv: Sequence[str], bar: Bar, size: int, write: Callable[[str], object]) -> int:
    """Run `argv`, show what it downloads, keep what it says; its exit code."""
    done = 0
    child = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert child.stdout is not None
    try:
        for line in child.stdout:
            write(line)
            done += transferred(line)
            bar.update(min(done, size))
        return child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise


def _complaint(output: str) -> str:
    """The first thing that Maven calls an error."""
    lines = [line.removeprefix(_ERROR) for line in output.splitlines() if line.startswith(_ERROR)]
    return lines[0][:300] if lines else ""


def _ensure_maven(title: str, progress: Progress, *, install: bool) -> str:
    """`mvn`; installed like the stack's other system packages when it is missing."""
    if shutil.which("mvn") is None:
        packages.provide(["maven"], f"download {title}", progress, install, "mvn is not on PATH")
    found = shutil.which("mvn")
    if found is None:
        raise MissingRequirement(f"cannot download {title}", "mvn is not on PATH", "apt-get install -y maven")
    return found
