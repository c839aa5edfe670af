"""What the operating system has to provide, and how it gets there.

With root and apt the missing packages are installed, and that is said; otherwise the exact command is
part of the error.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from integration.local.errors import MissingRequirement
from integration.local.progress import Progress

log = structlog.get_logger()

JAVA_MINIMUM = 11  # Flink 1.20 and 2.x; 17 is what they recommend
JAVA_PACKAGE = "openjdk-17-jre-headless"

# Shared libraries that libmesos needs for real, and Debian's package of each.
LIBRARIES = {
    "libsvn_delta-1.so.1": "libsvn1",
    "libsvn_subr-1.so.1": "libsvn1",
    "libapr-1.so.0": "libapr1",
    "libsasl2.so.2": "libsasl2-2",
    "libz.so.1": "zlib1g",
}
TOOLS = {"g++": "g++", "gcc": "g++", "nm": "binutils"}


@dataclass(frozen=True)
class Java:
    """A Java runtime that is new enough."""

    path: str
    major: int
    version: str


def ensure_native(progress: Progress, *, install: bool = True) -> None:
    """Makes sure that libmesos' own dependencies and a compiler are there."""
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool) is None}
    missing |= {package for name, package in LIBRARIES.items() if not _loads(name)}
    if missing:
        provide(sorted(missing), "start Apache Mesos", progress, install)


def ensure_java(progress: Progress, *, install: bool = True) -> Java:
    """The Java to use: ``$JAVA_HOME`` or ``java`` on PATH; installs one when there is none."""
    found = find_java()
    if found is None:
        provide([JAVA_PACKAGE], "run ZooKeeper and Flink", progress, install, "no Java runtime was found")
        found = find_java()
    if found is None:
        raise MissingRequirement(
            "cannot run ZooKeeper and Flink",
            f"{JAVA_PACKAGE} was installed but `java` is still not on PATH",
            "set JAVA_HOME to the directory of a Java 17 runtime",
        )
    if found.major < JAVA_MINIMUM:
        raise MissingRequirement(
            "cannot run ZooKeeper and Flink",
            f"{found.path} is Java {found.version}, and at least {JAVA_MINIMUM} is needed",
            f"apt-get install -y {JAVA_PACKAGE}, then set JAVA_HOME to it",
        )
    return found


def find_java() -> Java | None:
    """The Java on this machine, if any."""
    home = os.environ.get("JAVA_HOME")
    candidate = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if candidate is None or not os.access(candidate, os.X_OK):
        return None
    done = subprocess.run([candidate, "-version"], capture_output=True, text=True, check=False)
    return parse_java(candidate, done.stderr + done.stdout)


def parse_java(path: str, output: str) -> Java | None:
    """Reads `java -version`: both "1.8.0_402" and "17.0.15" forms."""
    match = re.search(r'version "([^"]+)"', output)
    if match is None:
        return None
    version = match.group(1)
    parts = re.split(r"[._+-]", version)
    major = parts[1] if parts[0] == "1" and len(parts) > 1 else parts[0]
    return Java(path=path, major=int(major), version=version) if major.isdigit() else None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def provide(packages: Sequence[str], purpose: str, progress: Progress, install: bool, why: str = "") -> None:
    names = " ".join(packages)
    command = f"apt-get install -y --no-install-recommends {names}"
    reason = why or f"missing system packages: {names}"
    if not install or shutil.which("apt-get") is None:
        raise MissingRequirement(f"cannot {purpose}", reason, f"install them: {command}")
    if os.geteuid() != 0:
        raise MissingRequirement(f"cannot {purpose}", reason, f"sudo {command}")
    progress.note(f"installing system packages: {names}")
    log.info("packages.installing", packages=list(packages))
    if any(name.endswith("-jre-headless") for name in packages):
        # Images without documentation lack this directory, and the package's script fails on it.
        Path("/usr/share/man/man1").mkdir(parents=True, exist_ok=True)
    failure = _apt(["install", "-y", "--no-install-recommends", *packages])
    if failure:  # usually package lists that are too old
        _apt(["update"])
        failure = _apt(["install", "-y", "--no-install-recommends", *packages])
    if failure:
        raise MissingRequirement(f"cannot {purpose}", f"apt-get failed: {failure}", command)
    progress.note(f"installed system packages: {names}")


def _apt(arguments: Sequence[str]) -> str:
    """Runs apt-get; the last line it complained with, or nothing."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-q", *arguments], capture_output=True, text=True, env=env, check=False)
    if done.returncode == 0:
        return ""
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"
