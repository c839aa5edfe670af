"""What runs as `java` in the soak: a JobManager that answers Weir's REST calls, or a TaskManager that waits.

Its arguments are those of the JVM. Nothing but the standard library, because it is started thousands of times.
"""

from __future__ import annotations

import json
import shutil
import signal
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

MAGIC = bytes.fromhex("4960672d")
"""Of a checkpoint's `_metadata`; see `integration.flink.storage.checkpoint_id`."""


def settings(argv: list[str]) -> dict[str, str]:
    """The `-D key=value` of Flink, and its `--option value`; those of the JVM have no blank behind `-D`."""
    found = {}
    for option, value in pairwise(argv):
        if option == "-D":
            key, _, text = value.partition("=")
            found[key] = text
        elif option in ("--job-id", "--fromSavepoint"):
            found[option] = value
    return found


class Job:
    """The one job of a JobManager."""

    def __init__(self, given: dict[str, str], members: Path) -> None:
        self.id = given["--job-id"]
        self.cluster = given["high-availability.cluster-id"]
        self.state = "RUNNING"
        self._parallelism = int(given.get("parallelism.default", "1"))
        self._members = members
        self._lock = threading.Lock()
        self._saved: dict[str, str] = {}
        self._number = _checkpoint_id(given.get("--fromSavepoint"))

    def get(self, path: str) -> Any:
        """The answer, or None for 404."""
        job = f"/jobs/{self.id}"
        if path == "/jobs/overview":
            return {"jobs": [{"jid": self.id, "state": self.state}]}
        if path == job:
            running = self.state == "RUNNING" and bool(self._names())
            tasks = {"RUNNING" if running else "CREATED": self._parallelism}
            vertex = {"id": "v", "status": self.state, "parallelism": self._parallelism, "tasks": tasks}
            return {"state": self.state, "vertices": [vertex]}
        if path == "/taskmanagers":
            return {"taskmanagers": [{"id": name, "freeSlots": 0, "slotsNumber": 1} for name in self._names()]}
        if path == f"{job}/metrics":
            return []
        if path == f"{job}/exceptions":
            return {"exceptionHistory": {"entries": []}}
        if path == "/jobmanager/config":
            return [{"key": "high-availability.cluster-id", "value": self.cluster}]
        if path.startswith(f"{job}/savepoints/"):
            saved = self._saved.get(path.rpartition("/")[2])
            return saved and {"status": {"id": "COMPLETED"}, "operation": {"location": saved}}
        if path.startswith("/savepoint-disposal/"):
            return {"status": {"id": "COMPLETED"}, "operation": {}}
        return None

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer, or None for 404."""
        job = f"/jobs/{self.id}"
        if path in (f"{job}/stop", f"{job}/savepoints"):
            with self._lock:
                trigger = body["triggerId"]
                if trigger not in self._saved:
                    self._saved[trigger] = self._save(body.get("targetDirectory") or body["target-directory"], trigger)
                if path.endswith("/stop"):
                    self.state = "FINISHED"
            return {"request-id": trigger}
        if path == "/savepoint-disposal":
            shutil.rmtree(_local(body["savepoint-path"]), ignore_errors=True)
            return {"request-id": "0" * 32}
        return None

    def _save(self, directory: str, trigger: str) -> str:
        self._number += 1
        name = f"savepoint-{self.id[:6]}-{trigger[:12]}"
        target = _local(directory) / name
        target.mkdir(parents=True)
        (target / "_metadata").write_bytes(MAGIC + struct.pack(">iq", 4, self._number))
        return f"{directory.rstrip('/')}/{name}"

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._members.iterdir())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    job: Job

    def do_GET(self) -> None:
        self._answer(self.job.get(urlsplit(self.path).path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.job.post(urlsplit(self.path).path, body))

    def do_PATCH(self) -> None:
        self.job.state = "CANCELED"
        self._answer({})

    def _answer(self, found: Any) -> None:
        data = json.dumps({"errors": ["not found"]} if found is None else found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Sandboxes stay small."""


def _local(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _checkpoint_id(savepoint: str | None) -> int:
    if savepoint is None:
        return 0
    return int(struct.unpack(">q", (_local(savepoint) / "_metadata").read_bytes()[8:16])[0])


def main(argv: list[str]) -> None:
    given = settings(argv)
    # TaskManagers register here, as they would over RPC.
    members = _local(given["high-availability.storageDir"]).parent / "members" / given["high-availability.cluster-id"]
    members.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if "rest.port" not in given:
        me = members / given["taskmanager.resource-id"]
        me.touch()
        try:
            signal.pause()
        finally:
            me.unlink(missing_ok=True)
        return
    Handler.job = Job(given, members)
    server = ThreadingHTTPServer((given["rest.bind-address"], int(given["rest.port"])), Handler)
    server.daemon_threads = True
    try:
        server.serve_forever()
    finally:
        shutil.rmtree(members, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
