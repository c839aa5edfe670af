"""What a session's JobManager does for jobs that it did not bring along: take them, list them, refuse them.

A job is submitted as a JAR (Flink docs, "REST API": /jars/upload, /jars/:jarid/run). Flink accepts a job
id once in the life of a session's generation, because its job result store keeps every result
(`job-result-store.delete-on-commit: false`); that is what makes a repeated or late submission harmless.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import structlog

from integration.flink import observe
from integration.flink.rest import RestClient
from integration.flink.storage import Storage
from reconciler.model.observation import FlinkObservation
from reconciler.ports import FlinkError, FlinkRefused, FlinkTarget, FlinkUnreachable, JobSubmission

log = structlog.get_logger("weir.flink")

UPLOAD_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 60.0
"""The program's main() runs inside of this call."""
SETTLED_S = 5.0
"""From Flink's look at the job result store until the job is in its HA data: both inside of one call."""
MAX_JAR = 2 << 30
_PROGRAM = "org.apache.flink.client.program."
_DUPLICATE = ("DuplicateJobSubmissionException", "already been submitted", "already reached a globally-terminal")


def cluster_of(rest: RestClient, url: str) -> str | None:
    """The cluster id of the JobManager that answers at `url`."""
    entries = rest.get(url, "/jobmanager/config")
    return next((str(entry["value"]) for entry in entries if entry["key"] == "high-availability.cluster-id"), None)


def observed(rest: RestClient, target: FlinkTarget, now: float, leader: str | None) -> FlinkObservation:
    """The session's TaskManagers; FlinkRefused when another cluster answers."""
    cluster = cluster_of(rest, target.url)
    if cluster != target.cluster_id:
        raise FlinkRefused(f"{target.url} is the JobManager of another cluster ({cluster})")
    registered, busy = observe.task_managers(rest.get(target.url, "/taskmanagers"))
    return FlinkObservation(now, reachable=True, leader_url=leader, task_managers=registered, busy_task_managers=busy)


def submit(rest: RestClient, target: FlinkTarget, submission: JobSubmission) -> None:
    """Upload the JAR, run it under the target's job id, and remove the JAR again."""
    with _jar(submission.uri) as (name, file):
        answer = rest.upload(target.url, "/jars/upload", name, file, UPLOAD_TIMEOUT_S)
    jar = quote(str(answer["filename"]).rpartition("/")[2], safe="")
    body: dict[str, Any] = {
        "jobId": target.job_id,
        "parallelism": submission.parallelism,
        "programArgsList": list(submission.args),
        "flinkConfiguration": dict(submission.configuration),
    }
    if submission.entry_class is not None:
        body["entryClass"] = submission.entry_class
    if submission.restore is not None:
        body["savepointPath"] = submission.restore
        body["allowNonRestoredState"] = submission.allow_non_restored_state
    try:
        rest.post(target.url, f"/jars/{jar}/run", body, RUN_TIMEOUT_S)
    except FlinkRefused as error:
        if not any(word in str(error) for word in _DUPLICATE):
            raise
        log.info("flink.submitted_before", job_id=target.job_id)
        return
    except FlinkUnreachable as error:
        if _PROGRAM not in str(error):
            raise
        # What is wrong with a JAR itself, such as a missing class, is an HTTP 500.
        raise FlinkRefused(str(error)) from error
    finally:
        with contextlib.suppress(FlinkError):
            rest.delete(target.url, f"/jars/{jar}")
    log.info("flink.submitted", job_id=target.job_id, cluster_id=target.cluster_id)


def plant(files: Storage, uri: str, job_id: str) -> None:
    """Put a result of the job into the store, in Flink's own format, and see that it has lain there for a while.

    Raises FlinkUnreachable until then. A result that Flink wrote itself is as good. `net-runtime` says when
    it was planted: the format has no place of its own for that.
    """
    data = files.read(uri, 1 << 20)
    if data is None:
        result = {
            "id": job_id, "application-status": "UNKNOWN", "accumulator-results": {},
            "net-runtime": int(time.time() * 1000),
        }  # fmt: skip
        files.write(uri, json.dumps({"result": result, "version": 1}).encode())
        log.warning("flink.job_forbidden", job_id=job_id, result=uri)
        raise FlinkUnreachable(f"job {job_id} is forbidden from now on; waiting for submissions under way")
    try:
        result = json.loads(data)["result"]
        ours, at = result["application-status"] == "UNKNOWN", result["net-runtime"] / 1000
    except (ValueError, KeyError, TypeError):
        return
    if ours and not SETTLED_S <= time.time() - at < 3600.0 * 24 * 365:
        raise FlinkUnreachable(f"job {job_id} is forbidden; waiting for submissions under way")


@contextlib.contextmanager
def _jar(uri: str) -> Iterator[tuple[str, IO[bytes]]]:
    """The JAR's file name and content. Session jobs are read by Weir itself, not by the agents."""
    parts = urlsplit(uri)
    name = Path(unquote(parts.path)).name
    name = name if name.endswith(".jar") else f"{name}.jar"
    if parts.scheme in ("file", ""):
        try:
            with Path(unquote(parts.path)).open("rb") as file:
                yield name, file
        except OSError as error:
            raise FlinkRefused(f"{uri} cannot be read by Weir: {error.strerror}") from error
        return
    with tempfile.TemporaryFile() as file:
        _download(uri, file)
        file.seek(0)
        yield name, file


def _download(uri: str, file: IO[bytes]) -> None:
    try:
        with httpx.stream("GET", uri, follow_redirects=True, timeout=30.0) as response:
            if response.status_code != 200:
                raise FlinkRefused(f"{uri}: HTTP {response.status_code}")
            for chunk in response.iter_bytes():
                file.write(chunk)
                if file.tell() > MAX_JAR:
                    raise FlinkRefused(f"{uri} is larger than {MAX_JAR >> 30} GiB")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FlinkUnreachable(f"{uri}: {error or type(error).__name__}") from error
