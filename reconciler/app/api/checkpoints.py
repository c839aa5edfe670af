"""The latest checkpoints of a running job, asked of its JobManager when somebody looks."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from integration.flink.rest import NotFound, RestClient
from reconciler.app.api.models import Checkpoints, CheckpointView
from reconciler.ports import FlinkError
from reconciler.report import timestamp
from reconciler.view import JobSnapshot

MOST = 100


class CheckpointReader:
    """GET /jobs/:id/checkpoints (Flink docs, "REST API"); one client for all jobs.

    `tls` is that of [flink.rest]: a job may have TLS at its REST interface.
    """

    def __init__(self, rest: RestClient | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._rest = rest or RestClient(connect_timeout_s=1.0, timeout_s=3.0, connections=4, tls=tls)

    def of(self, job: JobSnapshot) -> Checkpoints:
        generation = job.record.generation if job.record is not None else None
        url = job.status.job_manager_url if job.status is not None else None
        if generation is None or url is None or generation.spec.is_session:
            return self._none(job, "no JobManager runs")
        try:
            body = self._rest.get(url, f"/jobs/{generation.job_id}/checkpoints")
            found = [_checkpoint(raw) for raw in body["history"][:MOST]]
        except NotFound:
            return self._none(job, "the job takes no checkpoints, or has not started yet")
        except FlinkError as error:
            return self._none(job, f"the JobManager does not answer: {error}")
        except (KeyError, TypeError, ValueError) as error:
            return self._none(job, f"the JobManager gave an answer that is not Flink's: {error!r}")
        return Checkpoints(job=job.name, available=True, why=None, checkpoints=sorted(found, key=lambda each: each.id))

    def close(self) -> None:
        self._rest.close()

    @staticmethod
    def _none(job: JobSnapshot, why: str) -> Checkpoints:
        return Checkpoints(job=job.name, available=False, why=why, checkpoints=[])


def _checkpoint(raw: Mapping[str, Any]) -> CheckpointView:
    return CheckpointView(
        id=int(raw["id"]),
        kind="savepoint" if raw.get("is_savepoint") else "checkpoint",
        status=str(raw["status"]),
        triggered_at=timestamp(raw["trigger_timestamp"] / 1000),
        duration_seconds=max(float(raw["end_to_end_duration"]) / 1000, 0.0),
        size_bytes=max(int(raw["state_size"]), 0),
    )
