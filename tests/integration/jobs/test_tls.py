"""A job whose REST interface wants TLS, and a certificate of whoever asks."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
import pytest

from reconciler.model.record import SnapshotKind

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
PASSWORD = "only-the-jobs-own"


def test_a_job_with_tls_at_its_rest_interface_is_stable_and_makes_savepoints(made: World) -> None:
    layout = made.installation.stack.layout
    addresses = {layout.agent_address(number)[0] for number in range(1, layout.config.agents + 1)}
    password = made.directory / "rest-password"
    password.write_text(PASSWORD, encoding="utf-8")
    rest = {
        "enabled": "true",
        "authentication-enabled": "true",
        "keystore": made.authority.keystore("job-manager", PASSWORD, *addresses),
        "keystore-password": "${secret:rest}",
        "key-password": "${secret:rest}",
        "truststore": made.authority.truststore(PASSWORD),
        "truststore-password": "${secret:rest}",
    }
    configuration = {f"security.ssl.rest.{key}": value for key, value in rest.items()}
    job = made.jar_evens("over-tls", secrets={"rest": str(password)}, flinkConfiguration=configuration)

    job.put()
    stable = job.until("it is stable", lambda: _stable(job, 1))
    job.progresses()
    job.put("job", savepointTriggerNonce=1)
    job.until("a savepoint is there", lambda: _saved(job))

    assert stable.job_manager_url.startswith("https://")
    trusting = ssl.create_default_context(cafile=made.authority.ca_file)
    with pytest.raises(httpx.TransportError, match="BAD_CERTIFICATE"):  # who shows none is not served
        httpx.get(f"{stable.job_manager_url}/overview", verify=trusting, trust_env=False)
    leader = made.installation.leader()
    assert leader is not None
    checkpoints = httpx.get(f"{leader.api}/api/v1/jobs/over-tls/checkpoints", trust_env=False).json()
    assert checkpoints["available"], checkpoints["why"]
    assert "savepoint" in {each["kind"] for each in checkpoints["checkpoints"]}
    job.complete()
    job.delete()
    assert not job.tasks()


def _stable(job: Any, generation: int) -> Any:
    status = job.view.status()
    reached = status is not None and (status.lifecycle, status.generation) == ("STABLE", generation)
    return status if reached else None


def _saved(job: Any) -> bool:
    status = job.view.status()
    return (
        status is not None and status.last_snapshot is not None and status.last_snapshot.kind == SnapshotKind.SAVEPOINT
    )
