"""What Flink leaves in storage: checkpoints, savepoints, HA data, job results.

A checkpoint or savepoint is complete when its directory has `_metadata` (Flink docs, "Checkpoints",
"Savepoints"): Flink writes that file last. Ids and names are compared, file times never.

Only `file:` URIs can be listed; `open_storage` is the one place to add other schemes. "Cannot list"
is an error, never "there is nothing" (fault 54).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

_CHECKPOINT = re.compile(r"^chk-(\d+)$")
METADATA = "_metadata"
_MAGIC = bytes.fromhex("4960672d")


class StorageError(Exception):
    """Storage did not answer; nothing may be concluded."""


class Storage(Protocol):
    """The few things that have to be known about a directory tree."""

    def names(self, uri: str) -> list[str]:
        """Names in a directory, sorted; empty when it does not exist. Raises StorageError."""
        ...

    def is_file(self, uri: str) -> bool:
        """Raises StorageError when nobody can tell."""
        ...

    def read(self, uri: str, limit: int) -> bytes | None:
        """The first `limit` bytes, or None when there is no such file. Raises StorageError."""
        ...

    def remove(self, uri: str) -> None:
        """Remove a file or a directory tree; no error if there is none. Raises StorageError."""
        ...


class FileStorage:
    """`file:` URIs and absolute paths."""

    def names(self, uri: str) -> list[str]:
        try:
            return sorted(path.name for path in _path(uri).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageError(f"{uri}: {error}") from error

    def is_file(self, uri: str) -> bool:
        try:
            _path(uri).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StorageError(f"{uri}: {error}") from error
        return _path(uri).is_file()

    def read(self, uri: str, limit: int) -> bytes | None:
        try:
            with _path(uri).open("rb") as file:
                return file.read(limit)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(f"{uri}: {error}") from error

    def remove(self, uri: str) -> None:
        path = _path(uri)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"{uri}: {error}") from error


def open_storage(uri: str) -> Storage:
    """Storage for a URI's scheme; StorageError when it is not supported."""
    if urlsplit(uri).scheme in ("file", ""):
        return FileStorage()
    raise StorageError(
        f"{uri}: this kind of storage is not supported yet, because the newest state has to be found by listing; "
        "use a file: URI of a directory that every agent and replica reaches"
    )


def require_root(uri: str) -> None:
    """An absent root is storage that is not mounted, not storage that is empty."""
    if not open_storage(uri).names(uri) and not _path(uri).is_dir():
        raise StorageError(f"{uri} does not exist here; is the storage mounted?")


def normal(uri: str) -> str:
    """`file:` URIs in the one form that Flink reports (`file:/a/b`); others unchanged but for a trailing slash."""
    parts = urlsplit(uri)
    if parts.scheme in ("file", ""):
        return f"file:{quote(unquote(parts.path).rstrip('/') or '/')}"
    return uri.rstrip("/")


def is_complete(path: str) -> bool:
    """A savepoint or checkpoint that can be restored; a path to the `_metadata` file itself is one too."""
    storage = open_storage(path)
    path = path.rstrip("/")
    return storage.is_file(f"{path}/{METADATA}") or (path.endswith(f"/{METADATA}") and storage.is_file(path))


def checkpoint_id(path: str) -> int:
    """The id in the header of `_metadata`, which orders snapshots; 0 when it cannot be read from there.

    Header (MetadataV2V3SerializerBase, unchanged up to version 6): magic, version, checkpoint id.
    """
    data = open_storage(path).read(f"{path.removesuffix(METADATA).rstrip('/')}/{METADATA}", 16) or b""
    if len(data) < 16 or data[:4] != _MAGIC:
        return 0
    return int.from_bytes(data[8:16], "big", signed=True)


def newest_checkpoint(directory: str) -> tuple[int, str] | None:
    """(id, path) of the highest complete `chk-N` of a directory, normally `<checkpoint dir>/<job id>`."""
    numbers = (int(match[1]) for name in open_storage(directory).names(directory) if (match := _CHECKPOINT.match(name)))
    for number in sorted(numbers, reverse=True):
        path = f"{directory.rstrip('/')}/chk-{number}"
        if is_complete(path):
            return number, normal(path)
    return None


def savepoints(directory: str) -> tuple[tuple[int, str], ...]:
    """(checkpoint id, path) of complete savepoints directly below a trigger's own directory, oldest first."""
    names = open_storage(directory).names(directory)
    paths = (f"{directory.rstrip('/')}/{name}" for name in names if name.startswith("savepoint-"))
    return tuple(sorted((checkpoint_id(path), normal(path)) for path in paths if is_complete(path)))


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
