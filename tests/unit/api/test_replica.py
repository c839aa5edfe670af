"""What a replica hands to its API."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from reconciler.app import replica
from reconciler.app.api import application
from reconciler.app.config import load
from tests.integration.tls import Authority, proxy
from tests.unit.api.conftest import CHECKPOINTS, Site


class _JobManager(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(CHECKPOINTS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def job_manager() -> Iterator[tuple[str, int]]:
    """Address of a server that answers as a JobManager does, without TLS."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _JobManager)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "127.0.0.1", server.server_address[1]
    server.shutdown()
    server.server_close()


def test_checkpoints_of_a_job_with_tls_are_asked_with_the_certificates_of_flink_rest(
    leading: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job_manager: tuple[str, int]
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("weir")
    file = tmp_path / "weir.toml"
    file.write_text(f"""
        [mesos]
        master = "localhost:5050"
        [storage]
        uri = "{tmp_path.as_uri()}"
        [flink.distributions."2.2"]
        home = "/opt/flink"
        [flink.rest]
        ca_file = "{authority.ca_file}"
        cert_file = "{certificate}"
        key_file = "{key}"
        [api]
        listen = "off"
    """)
    handed: dict[str, Any] = {}
    monkeypatch.setattr(replica, "connect", lambda *_, **__: KazooClient())
    monkeypatch.setattr(application, "build", lambda *_, **settings: handed.update(settings))
    replica.Replica(replica.check(load(file, {}, {})))._application()

    published = leading.monitor.current()
    assert published is not None
    job = published.view.jobs["orders"]
    assert job.status is not None
    with proxy(job_manager, authority.issue("job-manager", "127.0.0.1"), authority.ca_file) as before:
        status = job.status.model_copy(update={"job_manager_url": f"https://{before.address}"})
        found = handed["checkpoints"].of(replace(job, status=status))

    assert found.available, found.why
    assert [each.id for each in found.checkpoints] == [1, 2, 3]
