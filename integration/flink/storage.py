"""What Flink leaves in storage: checkpoints, savepoints, HA data, job results.

A checkpoint or savepoint is complete when its directory has `_metadata` (Flink docs, "Checkpoints",
"Savepoints"): Flink writes that file last. Ids and names are compared, file times never.

`Storage` is the seam: directories (`FileStorage`) and object stores (`s3.S3Storage`) behind one small
set of questions, and `Storages` chooses by the scheme of a URI. "Cannot tell" is a StorageError, never
"there is nothing" (faults 43, 54).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

S3_SCHEMES = frozenset({"s3", "s3a", "s3p"})
"""Flink's schemes for S3: `s3` of both plugins, `s3a` of the Hadoop one, `s3p` of the Presto one."""

_S3_URI = re.compile(r"s3[ap]?://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<key>(?:/[^/]+)*)/?")
_CHECKPOINT = re.compile(r"^chk-(\d+)$")
METADATA = "_metadata"
_MAGIC = bytes.fromhex("4960672d")


class StorageError(Exception):
    """Storage did not answer; nothing may be concluded."""


class Storage(Protocol):
    """The few things that have to be known about a directory tree. Safe to use from several threads."""

    def require_root(self, uri: str) -> None:
        """Raises StorageError when storage is not there: not mounted, no such bucket, no access."""
        ...

    def names(self, uri: str) -> list[str]:
        """Names in a directory, sorted; empty when it does not exist. Raises StorageError."""
        ...

    def is_file(self, uri: str) -> bool:
        """Raises StorageError when nobody can tell."""
        ...

    def read(self, uri: str, limit: int) -> bytes | None:
        """The first `limit` bytes, or None when there is no such file. Raises StorageError."""
        ...

    def write(self, uri: str, data: bytes) -> None:
        """Create a file, at once or not at all, with the directories above it. Raises StorageError."""
        ...

    def remove(self, uri: str) -> None:
        """Remove a file or a directory tree; no error if there is none. Raises StorageError."""
        ...


class FileStorage:
    """`file:` URIs and absolute paths."""

    def require_root(self, uri: str) -> None:
        """An absent root is storage that is not mounted, not storage that is empty."""
        if not self.names(uri) and not _path(uri).is_dir():
            raise StorageError(f"{uri} does not exist here; is the storage mounted?")

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

    def write(self, uri: str, data: bytes) -> None:
        path = _path(uri)
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
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


class Storages:
    """Storage of whatever scheme; each question goes to the one that its URI names."""

    def __init__(self, s3: Storage | None = None) -> None:
        """`s3` answers for S3 URIs; without it they are refused."""
        self._file = FileStorage()
        self._s3 = s3

    def require_root(self, uri: str) -> None:
        self._of(uri).require_root(uri)

    def names(self, uri: str) -> list[str]:
        return self._of(uri).names(uri)

    def is_file(self, uri: str) -> bool:
        return self._of(uri).is_file(uri)

    def read(self, uri: str, limit: int) -> bytes | None:
        return self._of(uri).read(uri, limit)

    def write(self, uri: str, data: bytes) -> None:
        self._of(uri).write(uri, data)

    def remove(self, uri: str) -> None:
        self._of(uri).remove(uri)

    def _of(self, uri: str) -> Storage:
        require_supported(uri, s3=self._s3 is not None)
        return self._s3 if self._s3 is not None and urlsplit(uri).scheme in S3_SCHEMES else self._file


def require_supported(uri: str, *, s3: bool) -> None:
    """StorageError for a URI in which the newest state could not be found. `s3`: an object store is configured."""
    scheme = urlsplit(uri).scheme
    if scheme in ("file", ""):
        return
    if s3 and scheme in S3_SCHEMES:
        split_s3(uri)
        return
    if scheme in S3_SCHEMES:
        raise StorageError(f"{uri}: the operator's configuration has no object store; add a section [storage.s3] to it")
    raise StorageError(
        f"{uri}: this kind of storage is not supported, because the newest state has to be found by listing; "
        "use s3:// or a file: URI of a directory that every agent and replica reaches"
    )


def split_s3(uri: str) -> tuple[str, str]:
    """(bucket, key) of an S3 URI; the key is empty for the bucket itself. StorageError if it is not one."""
    found = _S3_URI.fullmatch(uri)
    if found is None:
        raise StorageError(f"{uri} is not an S3 URI; write s3://bucket/prefix, without empty parts in the prefix")
    return found["bucket"], found["key"].lstrip("/")


def normal(uri: str) -> str:
    """`file:` URIs in the one form that Flink reports (`file:/a/b`); others unchanged but for a trailing slash."""
    parts = urlsplit(uri)
    if parts.scheme in ("file", ""):
        return f"file:{quote(unquote(parts.path).rstrip('/') or '/')}"
    return uri.rstrip("/")


def is_complete(storage: Storage, path: str) -> bool:
    """A savepoint or checkpoint that can be restored; a path to the `_metadata` file itself is one too."""
    path = path.rstrip("/")
    return storage.is_file(f"{path}/{METADATA}") or (path.endswith(f"/{METADATA}") and storage.is_file(path))


def checkpoint_id(storage: Storage, path: str) -> int:
    """The id in the header of `_metadata`, which orders snapshots; 0 when it cannot be read from there.

    Header (MetadataV2V3SerializerBase, unchanged up to version 6): magic, version, checkpoint id.
    """
    data = storage.read(f"{path.removesuffix(METADATA).rstrip('/')}/{METADATA}", 16) or b""
    if len(data) < 16 or data[:4] != _MAGIC:
        return 0
    return int.from_bytes(data[8:16], "big", signed=True)


def newest_checkpoint(storage: Storage, directory: str) -> tuple[int, str] | None:
    """(id, path) of the highest complete `chk-N` of a directory, normally `<checkpoint dir>/<job id>`."""
    numbers = (int(match[1]) for name in storage.names(directory) if (match := _CHECKPOINT.match(name)))
    for number in sorted(numbers, reverse=True):
        path = f"{directory.rstrip('/')}/chk-{number}"
        if is_complete(storage, path):
            return number, normal(path)
    return None


def checkpoint_number(path: str) -> int | None:
    """The N of `.../chk-N`; None for the directory of anything else."""
    match = _CHECKPOINT.match(path.rstrip("/").rpartition("/")[2])
    return int(match[1]) if match else None


def names_newer(named: Iterable[str], newest: int | None) -> bool:
    """Whether a checkpoint that HA data names is newer than the newest that is stored, by its id.

    What is older does not stand in for it: older checkpoints stay behind when somebody deletes HA data
    and the next checkpoint writes it anew (faults 43 and 45).
    """
    return any((checkpoint_number(path) or 0) > (newest or 0) for path in named)


def savepoints(storage: Storage, directory: str) -> tuple[tuple[int, str], ...]:
    """(checkpoint id, path) of complete savepoints directly below a trigger's own directory, oldest first."""
    names = storage.names(directory)
    paths = (f"{directory.rstrip('/')}/{name}" for name in names if name.startswith("savepoint-"))
    found = (path for path in paths if is_complete(storage, path))
    return tuple(sorted((checkpoint_id(storage, path), normal(path)) for path in found))


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
