"""Two replicas and one running job on the real stack, for everything that looks at them over HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from integration.local.stack import LocalStack
from reconciler.app.demo.harness import Installation, JobView
from reconciler.app.demo.rows import JOB_FILE, Feeder
from reconciler.app.demo.story import poll
from reconciler.model.status import LeaderInfo

WAIT_S = 180.0
JOB = "even-ids"
WAITING = "word-count"
"""A job that needs more than is free."""
ROOT = "/weir-api"
TOKENS = """\
# role  token  [name prefix of jobs]
operate operate-token-0123456789
read    read-token-0123456789
operate team-token-0123456789 team-
"""


@dataclass
class Site:
    """An installation, its job, and HTTP to its leader."""

    installation: Installation
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10.0, trust_env=False))

    def leader(self) -> LeaderInfo:
        info: LeaderInfo = poll("a replica leads", self.installation.leader, WAIT_S, tick=self.installation.check)
        assert info.api is not None
        return info

    @property
    def url(self) -> str:
        return self.leader().api or ""

    def get(self, path: str) -> httpx.Response:
        return self.http.get(f"{self.url}{path}", follow_redirects=True)

    def job(self) -> dict[str, Any]:
        answer = self.get(f"/api/v1/jobs/{JOB}")
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found

    def act(self, action: str) -> None:
        """An action with a token that may."""
        headers = {"Authorization": "Bearer operate-token-0123456789"}
        answer = self.http.post(f"{self.url}/api/v1/jobs/{JOB}/actions/{action}", headers=headers)
        assert answer.status_code == 200, answer.text

    def put(self, name: str, spec: dict[str, Any]) -> None:
        """Without a JVM of zkCli, which takes its time on a busy machine."""
        self.installation.store.put_job(name, json.dumps(spec).encode())

    def delete(self, name: str) -> None:
        self.installation.store.delete_job(name)


@pytest.fixture(scope="package")
def site(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The job is STABLE, has taken a savepoint on demand, and has checkpoints every second."""
    directory = tmp_path_factory.mktemp("api")
    feeder = Feeder(directory)
    tokens = directory / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    settings = {"api": {"tokens_file": str(tokens), "listen": "127.0.0.1:0"}}
    spec: dict[str, Any] = {
        "flinkVersion": "2.2",
        "flinkConfiguration": {"execution.checkpointing.interval": "1s"},
        "job": {
            "type": "python",
            "uri": Path(shutil.copy(JOB_FILE, directory)).as_uri(),
            "args": ["--input", str(feeder.input), "--output", str(feeder.output)],
            "parallelism": 2,
        },
        "taskManager": {"slots": 2},
        "health": {"stableAfter": "2s"},
        "onDelete": "cancel",
    }
    with Installation(stack, directory, root=ROOT, replicas=2, prefix="api-replica", settings=settings) as installation:
        made = Site(installation)
        view = JobView(installation, JOB)
        try:
            installation.start()
            made.leader()
            feeder.start()
            made.put(JOB, spec)
            poll("the job runs", lambda: view.running(1), WAIT_S, tick=installation.check)
            greedy = {**spec, "taskManager": {"slots": 1, "cpus": 4.0, "memory": "1g"}, "jobManager": {"cpus": 0.5}}
            made.put(WAITING, greedy)
            poll("it is stable", lambda: made.job().get("lifecycle") == "STABLE", WAIT_S, tick=installation.check)
            made.act("savepoint")
            poll("it has a savepoint", lambda: made.job().get("lastSavepoint"), WAIT_S, tick=installation.check)
            yield made
        finally:
            made.http.close()
            feeder.finish()
            for name in (JOB, WAITING):
                if installation.exists(f"{ROOT}/jobs/{name}"):
                    made.delete(name)
            poll("its tasks have ended", lambda: not installation.live_tasks(), WAIT_S)
            installation.stop()
