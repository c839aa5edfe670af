"""The cache of artefacts: where it is, who may write it, and whether the disk has room.

The cache is shared by all stacks of a user. Whoever fills an entry holds the entry's file lock and writes a
marker last; an entry without its marker is a half-finished one and is built again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.local.errors import LocalStackError, NotEnoughDisk

GIB = 1 << 30


def cache_dir() -> Path:
    """``$WEIR_CACHE``, or ``weir`` under ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if chosen := os.environ.get("WEIR_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "weir"


def make_dir(path: Path, purpose: str) -> Path:
    """Creates a directory; says plainly why when that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalStackError(
            f"cannot create {path} ({purpose})",
            error.strerror or str(error),
            "choose another directory with --state-dir or WEIR_CACHE",
        ) from error
    return path


def require_disk(
    path: Path, need: int, purpose: str, remedy: str = "put the cache elsewhere: export WEIR_CACHE=/some/larger/place"
) -> None:
    """Refuses when the file system of ``path`` has less than ``need`` bytes free."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < need:
        raise NotEnoughDisk(
            f"not enough disk for {purpose}",
            f"{existing} has {free / GIB:.1f} GiB free and {need / GIB:.1f} GiB are needed",
            f"free some space, or {remedy}",
        )


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on ``path``; waits for whoever holds it. Released by the kernel on a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
