"""The fetcher of the local stack: puts a task's URIs into its sandbox before the task starts.

An agent starts ``mesos-fetcher`` with a JSON description in ``MESOS_FETCHER_INFO`` (Mesos documentation,
"Mesos Fetcher"). Plain paths, ``file://``, ``http://`` and ``https://`` are known; archives are extracted unless the
URI says otherwise. It runs as a plain script on the standard library alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_TIMEOUT = 60.0  # seconds without a byte


class FetchError(Exception):
    """An item could not be fetched; its text is what the task's owner reads."""


def fetch(info: Json) -> None:
    """Fetches all items of a FetcherInfo; raises FetchError at the first that fails."""
    sandbox = Path(info["sandbox_directory"])
    cache = Path(info["cache_directory"]) if info.get("cache_directory") else None
    for item in info.get("items", []):
        uri = item["uri"]
        name = base_name(uri["value"])
        action = item.get("action", "BYPASS_CACHE")
        if action == "BYPASS_CACHE" or cache is None:
            source = sandbox / (uri.get("output_file") or name)
            download(uri["value"], source, info.get("frameworks_home", ""))
            place(source, sandbox, uri, name, move=True)
            continue
        cached = cache / item["cache_filename"]
        if action == "DOWNLOAD_AND_CACHE":
            download(uri["value"], cached, info.get("frameworks_home", ""))
        place(cached, sandbox, uri, name, move=False)


def base_name(uri: str) -> str:
    """The file name that a URI ends with."""
    path = urllib.parse.urlsplit(uri).path if "://" in uri else uri
    name = Path(urllib.parse.unquote(path) if "://" in uri else path).name
    if not name:
        raise FetchError(f"{uri} names no file")
    return name


def download(uri: str, target: Path, frameworks_home: str = "") -> None:
    """Copies or downloads ``uri`` to ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scheme = uri.split("://", 1)[0].lower() if "://" in uri else ""
    try:
        if scheme in ("http", "https"):
            request = urllib.request.urlopen(uri, timeout=_TIMEOUT)  # noqa: S310 - the scheme was just checked
            with request as response, target.open("wb") as out:
                shutil.copyfileobj(response, out, 1 << 20)
        elif scheme in ("", "file"):
            source = Path(urllib.request.url2pathname(urllib.parse.urlsplit(uri).path) if scheme else uri)
            if not source.is_absolute():
                source = Path(frameworks_home) / source
            shutil.copyfile(source, target)
            target.chmod(source.stat().st_mode & 0o777)
        else:
            raise FetchError(f"cannot fetch {uri}: the local stack knows paths, file://, http:// and https://")
    except (OSError, ValueError) as error:
        raise FetchError(f"cannot fetch {uri}: {error}") from error


def place(source: Path, sandbox: Path, uri: Json, name: str, *, move: bool) -> None:
    """Brings a fetched file to its place: extracted, executable, or just there."""
    target = sandbox / (uri.get("output_file") or name)
    if uri.get("extract", True) and not uri.get("executable", False) and extract(source, sandbox, name):
        return
    if not move:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if uri.get("executable", False):
        target.chmod(target.stat().st_mode | 0o755)


def extract(archive: Path, into: Path, name: str) -> bool:
    """Unpacks an archive, told by its name; False when it is none."""
    if name.endswith(_TAR):
        done = subprocess.run(["tar", "-C", str(into), "-xf", str(archive)], capture_output=True, text=True)
        if done.returncode != 0:
            raise FetchError(f"cannot extract {name}: {done.stderr.strip()}")
        return True
    if name.endswith(".zip"):
        try:
            _unzip(archive, into)
        except (OSError, zipfile.BadZipFile) as error:
            raise FetchError(f"cannot extract {name}: {error}") from error
        return True
    return False


def _unzip(archive: Path, into: Path) -> None:
    with zipfile.ZipFile(archive) as handle:
        for entry in handle.infolist():
            path = Path(handle.extract(entry, into))
            mode = (entry.external_attr >> 16) & 0o777
            if mode and path.is_file():
                path.chmod(mode)


def main() -> int:
    """Entry point; silent when all went well, since its output is in the task's own files."""
    try:
        fetch(json.loads(os.environ["MESOS_FETCHER_INFO"]))
    except FetchError as error:
        sys.stderr.write(f"mesos-fetcher: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
