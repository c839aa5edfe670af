"""Flink distributions from the Python package index, one virtual environment per version.

``pip install apache-flink`` puts a complete Flink (bin, lib, conf, opt, plugins) into ``site-packages/pyflink``.
Versions pin conflicting dependencies (protobuf, cloudpickle), so each has an environment of its own in the
cache, and none shares the operator's. The first JVM that needs a distribution is ZooKeeper itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import venv
from dataclasses import dataclass
from pathlib import Path

import structlog

from integration.local.cache import GIB, cache_dir, file_lock, make_dir, require_disk
from integration.local.errors import ArtefactError
from integration.local.progress import Progress, Silent

log = structlog.get_logger()

DEFAULT_SERIES = "2.2"
RELEASES = {"1.20": "1.20.5", "2.2": "2.2.1", "2.3": "2.3.0"}

_INSTALLED_SIZE = 830 << 20
_DISK_NEEDED = 3 * GIB
_MARKER = ".weir-complete.json"


@dataclass(frozen=True)
class FlinkDistribution:
    """A Flink on this machine.

    ``home`` holds bin, lib, conf, opt and plugins (Flink's FLINK_HOME); ``python`` is the interpreter whose
    environment has pyflink, to be given as ``-pyclientexec`` and ``-pyexec``.
    """

    version: str
    home: Path
    python: Path

    @property
    def series(self) -> str:
        """The version without its patch level, as specs name it: "2.2"."""
        return ".".join(self.version.split(".")[:2])

    @property
    def classpath(self) -> str:
        """The class path of Flink's own processes, for direct use of ``java -cp``."""
        return f"{self.home}/lib/*"


def resolve(version: str) -> str:
    """The exact release of "2.2" or "2.2.1"."""
    return RELEASES.get(version, version)


def ensure_flink(
    version: str = DEFAULT_SERIES, *, cache: Path | None = None, progress: Progress | None = None
) -> FlinkDistribution:
    """The distribution of ``version`` ("2.2" or "2.2.1"); installs it into the cache when needed (30 to 60 s).

    Safe to call from several processes at once; a half-finished installation is removed and repeated.
    Raises ArtefactError and NotEnoughDisk.
    """
    exact = resolve(version)
    home = (cache or cache_dir()) / "flink" / exact
    if (found := _installed(home)) is not None:
        return found
    make_dir(home.parent, "cache of artefacts")
    with file_lock(home.parent / f".{exact}.lock"):
        if (found := _installed(home)) is not None:
            return found
        shutil.rmtree(home, ignore_errors=True)
        require_disk(home, _DISK_NEEDED, f"Apache Flink {exact}")
        _install(home, exact, progress or Silent())
    found = _installed(home)
    if found is None:
        raise ArtefactError(
            f"Apache Flink {exact} did not install as expected",
            f"{home} holds no pyflink/lib/flink-dist-{exact}.jar",
            f"rm -r {home} and run the command again",
        )
    log.info("artefact.fetched", name="flink", version=exact, path=str(found.home))
    return found


def _installed(home: Path) -> FlinkDistribution | None:
    marker = home / _MARKER
    try:
        data = json.loads(marker.read_text())
        found = FlinkDistribution(data["version"], Path(data["home"]), Path(data["python"]))
    except (OSError, ValueError, KeyError):
        return None
    jar = found.home / "lib" / f"flink-dist-{found.version}.jar"
    return found if jar.exists() and found.python.exists() else None


def _install(home: Path, version: str, progress: Progress) -> None:
    # An environment does not survive a rename (scripts name its path), so it is built in place: the marker
    # comes last, and whoever finds an environment without one starts over.
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True, clear=True).create(home)
    except subprocess.CalledProcessError as error:
        raise ArtefactError(
            f"cannot create a virtual environment for Apache Flink {version}",
            str(error),
            "apt-get install -y python3-venv",
        ) from error
    python = home / "bin" / "python"
    log_path = home.parent / f"{version}.log"
    with progress.bar(f"Apache Flink {version} (pip)", _INSTALLED_SIZE) as bar, log_path.open("w") as out:
        argv = [str(python), "-m", "pip", "install", "--progress-bar", "off", f"apache-flink=={version}"]
        pip = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        done = threading.Event()
        try:
            while pip.poll() is None:
                bar.update(min(_size(home), _INSTALLED_SIZE))
                done.wait(0.7)
        except BaseException:
            pip.kill()
            pip.wait()
            raise
    if pip.returncode != 0:
        errors = [line for line in log_path.read_text().splitlines() if "ERROR" in line]
        raise ArtefactError(
            f"cannot install Apache Flink {version}",
            errors[-1] if errors else f"pip ended with code {pip.returncode}",
            f"read {log_path}, then run the command again",
        )
    pyflink = next((home / "lib").glob("python*/site-packages/pyflink"), home)
    marker = {"version": version, "home": str(pyflink), "python": str(python)}
    (home / f"{_MARKER}.new").write_text(json.dumps(marker))
    (home / f"{_MARKER}.new").rename(home / _MARKER)


def _size(path: Path) -> int:
    """Bytes below ``path``; files that vanish while pip works are skipped."""
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except OSError:
                continue
    return total
