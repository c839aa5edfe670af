"""The fetcher: what it puts where, and what it says when it cannot."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from integration.local import fetcher


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    path = tmp_path / "sandbox"
    path.mkdir()
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    (path / "job.py").write_text("print('ü')\n")
    (path / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (path / "run.sh").chmod(0o755)
    with tarfile.open(path / "app.tar.gz", "w:gz") as archive:
        archive.add(path / "run.sh", "app/run.sh")
    with zipfile.ZipFile(path / "app.zip", "w") as archive:
        archive.write(path / "run.sh", "zipped/run.sh")
    return path


def fetch(sandbox: Path, *uris: dict[str, Any], action: str = "BYPASS_CACHE", **info: Any) -> None:
    items = [{"uri": uri, "action": action, "cache_filename": "c1"} for uri in uris]
    fetcher.fetch({"sandbox_directory": str(sandbox), "items": items, **info})


def test_a_path_and_a_file_uri_are_copied(sandbox: Path, source: Path) -> None:
    fetch(sandbox, {"value": str(source / "job.py")}, {"value": f"file://{source}/run.sh"})
    assert (sandbox / "job.py").read_text() == "print('ü')\n"
    assert os.access(sandbox / "run.sh", os.X_OK)


@pytest.mark.parametrize(("archive", "content"), [("app.tar.gz", "app/run.sh"), ("app.zip", "zipped/run.sh")])
def test_archives_are_extracted_with_their_modes(sandbox: Path, source: Path, archive: str, content: str) -> None:
    fetch(sandbox, {"value": str(source / archive)})
    assert os.access(sandbox / content, os.X_OK)


def test_an_archive_stays_packed_when_asked_to(sandbox: Path, source: Path) -> None:
    fetch(sandbox, {"value": str(source / "app.zip"), "extract": False})
    assert [path.name for path in sandbox.iterdir()] == ["app.zip"]


def test_output_file_and_executable(sandbox: Path, source: Path) -> None:
    fetch(sandbox, {"value": str(source / "job.py"), "output_file": "bin/tool", "executable": True})
    assert os.access(sandbox / "bin" / "tool", os.X_OK)


def test_a_cached_item_is_downloaded_once(sandbox: Path, source: Path, tmp_path: Path) -> None:
    uri = {"value": str(source / "job.py")}
    cache = tmp_path / "cache"
    fetch(sandbox, uri, action="DOWNLOAD_AND_CACHE", cache_directory=str(cache))
    (source / "job.py").unlink()
    (sandbox / "job.py").unlink()
    fetch(sandbox, uri, action="RETRIEVE_FROM_CACHE", cache_directory=str(cache))
    assert (sandbox / "job.py").exists()


@pytest.fixture
def server(source: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(source)))
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    http.server_close()


def test_http_is_downloaded_and_extracted(sandbox: Path, server: str) -> None:
    fetch(sandbox, {"value": f"{server}/app.tar.gz"})
    assert (sandbox / "app" / "run.sh").exists()


def test_a_missing_file_is_named(sandbox: Path, server: str) -> None:
    with pytest.raises(fetcher.FetchError, match=r"cannot fetch /no/such\.jar"):
        fetch(sandbox, {"value": "/no/such.jar"})
    with pytest.raises(fetcher.FetchError, match="404"):
        fetch(sandbox, {"value": f"{server}/no.jar"})


def test_an_unknown_scheme_is_refused_with_the_known_ones(sandbox: Path) -> None:
    with pytest.raises(fetcher.FetchError, match=r"knows paths, file://"):
        fetch(sandbox, {"value": "s3://bucket/job.jar"})


def test_the_program_is_silent_when_all_went_well_and_one_line_when_not(sandbox: Path, source: Path) -> None:
    def run(value: str) -> subprocess.CompletedProcess[str]:
        info = {"sandbox_directory": str(sandbox), "items": [{"uri": {"value": value}, "action": "BYPASS_CACHE"}]}
        env = {"MESOS_FETCHER_INFO": json.dumps(info), "PATH": os.environ["PATH"]}
        argv = [sys.executable, "-I", "-S", fetcher.__file__]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    good, bad = run(str(source / "job.py")), run("/no/such/file")
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert (bad.returncode, bad.stderr.count("\n")) == (1, 1)
