"""Operations on a running job that take more than one request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog

from integration.flink.rest import NotFound, RestClient
from integration.flink.storage import Storage, is_complete
from reconciler.ports import FlinkRefused, FlinkTarget, FlinkUnreachable

log = structlog.get_logger("weir.flink")

DISPOSAL_TIMEOUT_S = 60.0
_DISPOSAL_POLL_S = 0.2


def rescale(rest: RestClient, target: FlinkTarget, parallelism: int) -> None:
    """Ask the adaptive scheduler for another parallelism (Flink docs, "Elastic Scaling").

    Every vertex has to be named, and none may be asked for more than its maximum: a global
    aggregate has a maximum of 1 and stays there. FlinkRefused when the scheduler cannot do it.
    """
    vertices = rest.get(target.url, f"/jobs/{target.job_id}")["vertices"]
    wanted = {
        vertex["id"]: {"parallelism": {"lowerBound": 1, "upperBound": _bound(vertex, parallelism)}}
        for vertex in vertices
    }
    path = f"/jobs/{target.job_id}/resource-requirements"
    if _same(rest.get(target.url, path), wanted):
        return
    rest.put(target.url, path, wanted)
    log.info("flink.rescale_requested", job_id=target.job_id, parallelism=parallelism)


def _bound(vertex: Mapping[str, Any], parallelism: int) -> int:
    most = int(vertex.get("maxParallelism") or parallelism)
    return min(parallelism, most) if most > 0 else parallelism


def _same(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return {key: value["parallelism"]["upperBound"] for key, value in now.items()} == {
        key: value["parallelism"]["upperBound"] for key, value in wanted.items()
    }


def dispose(rest: RestClient, storage: Storage, target: FlinkTarget, path: str) -> None:
    """Have the JobManager delete a savepoint with everything it refers to; poll to the end.

    An operation that is not polled to its end blocks the JobManager's exit for minutes.
    """
    if not is_complete(storage, path):
        return
    request = rest.post(target.url, "/savepoint-disposal", {"savepoint-path": path})["request-id"]
    deadline = time.monotonic() + DISPOSAL_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            answer = rest.get(target.url, f"/savepoint-disposal/{request}")
        except NotFound as error:
            raise FlinkUnreachable(f"the JobManager forgot the disposal of {path}") from error
        if answer["status"]["id"] == "COMPLETED":
            cause = (answer.get("operation") or {}).get("failure-cause")
            if cause:
                raise FlinkRefused(f"{path} cannot be disposed of: {cause.get('class', 'no reason given')}")
            log.info("flink.savepoint_disposed", path=path)
            return
        time.sleep(_DISPOSAL_POLL_S)
    raise FlinkUnreachable(f"the disposal of {path} did not end within {DISPOSAL_TIMEOUT_S:g} s")
