"""Downloads the real Mesos 1.11.0: Apache's own build, published to the Python package index.

The project ``mesos.scheduler`` carries an egg for Linux x86-64 whose one shared object is the complete
libmesos. Package managers refuse eggs of other Python versions, so it is fetched by name and digest.
"""

from __future__ import annotations

import hashlib
import platform
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import structlog
from pypi_simple import DistributionPackage, ProgressTracker, PyPISimple

from integration.local.cache import GIB, file_lock, make_dir, require_disk
from integration.local.errors import ArtefactError, MissingRequirement
from integration.local.progress import Bar, Progress

log = structlog.get_logger()

MESOS_VERSION = "1.11.0"
MESOS_PROJECT = "mesos.scheduler"
MESOS_EGG = "mesos.scheduler-1.11.0-py2.7-linux-x86_64.egg"
MESOS_SHA256 = "4940ebb70894ee004cf8a12b7b66b52a351be1070ec2a4e6f7dae4ec04f8cb61"
MESOS_MEMBER = "mesos/scheduler/_scheduler.so"
MESOS_MEMBER_SIZE = 122_540_776


class _Tracker:
    """Lets pypi-simple drive one of our bars."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._done = 0

    def __enter__(self) -> _Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, increment: int) -> None:
        self._done += increment
        self._bar.update(self._done)


def verify_digest(path: Path, expected: str) -> None:
    """Raises ArtefactError and removes the file when its sha256 is not the expected one."""
    with path.open("rb") as handle:
        actual = hashlib.file_digest(handle, "sha256").hexdigest()
    if actual == expected:
        return
    path.unlink()
    raise ArtefactError(
        f"{path.name} is not the file that was published",
        f"its sha256 is {actual}, expected {expected}",
        "it was removed; run the command again, and distrust your package index if this repeats",
    )


def fetch_mesos(cache: Path, progress: Progress) -> Path:
    """The path of libmesos.so in the cache; downloads, checks and unpacks it when it is not there yet."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise MissingRequirement(
            "the local stack cannot run here",
            f"Apache's build of Mesos is for Linux x86-64 and this is {platform.system()} {platform.machine()}",
            "use a Linux x86-64 machine or container",
        )
    home = make_dir(cache / "mesos" / MESOS_VERSION, "cache of artefacts")
    library = home / "libmesos.so"
    with file_lock(home / ".lock"):
        if library.exists() and library.stat().st_size == MESOS_MEMBER_SIZE:
            return library
        require_disk(home, GIB // 2, "Apache Mesos")
        egg = home / MESOS_EGG
        if not egg.exists():
            _download(egg, progress)
        verify_digest(egg, MESOS_SHA256)
        partial = home / "libmesos.so.partial"
        with zipfile.ZipFile(egg) as archive:
            partial.write_bytes(archive.read(MESOS_MEMBER))
        partial.chmod(0o755)
        partial.rename(library)
        egg.unlink()
        log.info("artefact.fetched", name="mesos", version=MESOS_VERSION, path=str(library))
    return library


def _download(egg: Path, progress: Progress) -> None:
    partial = egg.with_suffix(".partial")
    try:
        with PyPISimple() as index:
            package = _find(index)
            with progress.bar(f"Apache Mesos {MESOS_VERSION}", package.size) as bar:
                index.download_package(package, partial, verify=True, progress=_progress_factory(bar))
    except ArtefactError:
        raise
    except Exception as error:  # the index's client has many: network, TLS, HTTP status, digest
        partial.unlink(missing_ok=True)
        raise ArtefactError(
            f"cannot download Apache Mesos {MESOS_VERSION}",
            " ".join(str(error).split()) or type(error).__name__,
            f"check the network and run again, or put {MESOS_EGG} at {egg}",
        ) from error
    partial.rename(egg)


def _progress_factory(bar: Bar) -> Callable[[int | None], ProgressTracker]:
    return lambda _size: _Tracker(bar)


def _find(index: PyPISimple) -> DistributionPackage:
    for package in index.get_project_page(MESOS_PROJECT).packages:
        if package.filename == MESOS_EGG:
            return package
    raise ArtefactError(
        f"cannot download Apache Mesos {MESOS_VERSION}",
        f"the package index does not list {MESOS_EGG}",
        "configure an index that mirrors the whole project",
    )
