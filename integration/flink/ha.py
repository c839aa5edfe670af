"""Flink's HA data in ZooKeeper, read and removed from outside.

Below `<root>/<cluster id>` (Flink docs, "ZooKeeper HA Services"; the layout was read from running
clusters of 1.20, 2.2 and 2.3):

    jobgraphs | execution-plans/<job id>   the submitted job (`versions.graphs_node`)
    jobs/<job id>/checkpoints/<n>          Java-serialised; names a file `…/completedCheckpoint<hex>`,
                                           which holds the path `…/chk-N` or `…/savepoint-…`
    leader/rest_server/connection_info     Java-serialised; holds the elected JobManager's REST address

The values are Flink's internals, so they are only searched for paths: a value that holds none is
ignored, and the scan of the checkpoint directory (`storage`) decides alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from integration.flink import gate
from integration.flink.storage import Storage

# A path is preceded by its length, whose last byte may itself be a letter: only known schemes count.
_SCHEME = rb"(?:file|hdfs|viewfs|s3|s3a|s3n|s3p|gs|oss|abfss?|wasbs?):/"
_POINTER = re.compile(rb"(" + _SCHEME + rb"[^\x00-\x1f]*?/completedCheckpoint[0-9a-f]+)")
_SNAPSHOT = re.compile(rb"(" + _SCHEME + rb"[^\x00-\x1f]*?/(?:chk-\d+|savepoint-[0-9a-zA-Z]+-[0-9a-zA-Z]+))")
_URL_AT = 8
_MAX_POINTER_FILE = 64 << 20


class ZooKeeperSilent(Exception):
    """ZooKeeper did not answer. It never means that a node does not exist (fault 54)."""


class HaData:
    """HA data of all clusters below one root. The client is shared and kept by its owner."""

    def __init__(self, client: KazooClient, root: str = "/flink") -> None:
        self._client = client
        self._root = "/" + root.strip("/")

    def leader_url(self, cluster_id: str) -> str | None:
        """REST address of the elected JobManager; it may be of one that died within the session time-out."""
        data = self._get(f"{self._root}/{cluster_id}/leader/rest_server/connection_info")
        return None if data is None else decode_leader_url(data)

    def checkpoints(self, cluster_id: str, job_id: str) -> tuple[bytes, ...] | None:
        """Values of the pointers to completed checkpoints, oldest first; None: no HA metadata of the job."""
        node = f"{self._root}/{cluster_id}/jobs/{job_id}/checkpoints"
        names = self._children(node)
        if not names:
            return None
        found = [self._get(f"{node}/{name}") for name in sorted(names, key=_number)]
        return tuple(data for data in found if data is not None) or None

    def accepted(self, cluster_id: str, job_id: str, graphs_node: str) -> bool:
        """Whether the cluster keeps the submitted job: whichever JobManager leads it runs the job."""
        return self._get(f"{self._root}/{cluster_id}/{graphs_node}/{job_id}") is not None

    def open_gate(self, cluster_id: str, key: bytes) -> bytes | None:
        """Create the node that a waiting JobManager looks for; what lies there, which may be an older key.

        None: the JobManager has not begun to use ZooKeeper. The node is as open as what Flink keeps beside it.
        """
        cluster = f"{self._root}/{cluster_id}"
        acls = self._ask(lambda: self._client.get_acls(cluster))
        if acls is None:
            return None
        node = f"{cluster}/{gate.NODE}"
        with contextlib.suppress(NodeExistsError):
            self._ask(lambda: self._client.create(node, key, acl=acls[0]))
        return self._get(node)

    def remove(self, cluster_id: str) -> None:
        """Delete every node of a cluster; no error if there is none."""
        self._ask(lambda: self._client.delete(f"{self._root}/{cluster_id}", recursive=True))

    def _get(self, node: str) -> bytes | None:
        answer = self._ask(lambda: self._client.get(node))
        return None if answer is None else bytes(answer[0])

    def _children(self, node: str) -> list[str]:
        return self._ask(lambda: self._client.get_children(node)) or []

    def _ask(self, call: Callable[[], Any]) -> Any:
        """The answer, or None for "no such node"; ZooKeeperSilent for everything else.

        Not through kazoo's retry: a call that waits for a reconnection would block a worker for as
        long as ZooKeeper is away.
        """
        if not self._client.connected:
            raise ZooKeeperSilent("ZooKeeper is not connected")
        try:
            return call()
        except NoNodeError:
            return None
        except NodeExistsError:
            raise
        except (KazooException, KazooTimeoutError, OSError) as error:
            raise ZooKeeperSilent(f"ZooKeeper did not answer: {type(error).__name__} {error}".rstrip()) from error


def decode_leader_url(data: bytes) -> str | None:
    """The address in a `connection_info`: Java's writeUTF after the stream header (length, then bytes)."""
    length = int.from_bytes(data[_URL_AT - 2 : _URL_AT], "big")
    try:
        url = data[_URL_AT : _URL_AT + length].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return url if url.startswith(("http://", "https://")) else None


def pointer_path(data: bytes) -> str | None:
    """The `completedCheckpoint` file that a pointer names."""
    match = _POINTER.search(data)
    return match[1].decode("utf-8", "replace") if match else None


def snapshot_path(data: bytes) -> str | None:
    """The checkpoint or savepoint that a pointer, or the file it names, is about.

    Java writes the path of a checkpoint's directory last, so the last match is the checkpoint's own.
    """
    found = [match[1] for match in _SNAPSHOT.finditer(data)]
    return found[-1].decode("utf-8", "replace") if found else None


def resolve(storage: Storage, pointer: bytes) -> str | None:
    """Follow a pointer to its snapshot; None when it cannot be followed. Raises StorageError."""
    path = pointer_path(pointer)
    if path is None:
        return snapshot_path(pointer)
    data = storage.read(path, _MAX_POINTER_FILE)
    return None if data is None else snapshot_path(data)


def _number(name: str) -> int:
    return int(name) if name.isdigit() else -1
