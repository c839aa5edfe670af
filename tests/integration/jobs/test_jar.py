"""JAR jobs through the whole operator, and arguments of jobs of both kinds."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.record import Lifecycle, SnapshotKind

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

HERE = Path(__file__).parent

AWKWARD = [
    "-p", "4", "", "--jars", "x.jar", "--", "-s", "--fromSavepoint", "/nowhere", "two  words", "-Dkey=value",
    "'quoted'", '"twice"', "a,b;c", "$HOME `id`", "ünï", "-", "--parallelism=9", "line\nbreak", "",
]  # fmt: skip
"""Each of these could be taken for an option of Flink's, split, unquoted or dropped."""

World = Any


def test_a_jar_job_is_upgraded_with_a_savepoint_to_a_distribution_that_the_fetcher_brings(made: World) -> None:
    job = made.jar_evens("jar-evens")
    job.put()
    job.runs(1)
    job.progresses()

    job.wanted["flinkVersion"] = "2.2.1"  # the packed one; see `distributions` in conftest.py
    job.put("job", parallelism=2)

    status = job.runs(2, parallelism=2)
    assert status.restored_from == status.last_snapshot.path
    assert status.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
    assert [(path / "flink-2.2.1" / "lib").is_dir() for path in job.sandboxes(2)] == [True] * 3
    job.complete()
    job.delete()
    assert not job.tasks()


@pytest.mark.parametrize("kind", ["jar", "python"])
def test_every_argument_and_secret_reaches_the_job_as_it_is(made: World, kind: str) -> None:
    program = (
        made.jar(HERE / "Arguments.java", made.installation.flink.home) if kind == "jar" else HERE / "arguments.py"
    )
    seen = made.directory / f"{kind}-arguments"
    job = made.job(f"arguments-{kind}", {"type": kind, "uri": program.as_uri(), "args": AWKWARD})
    token = made.directory / "a token"
    token.write_text("s3cret\n", encoding="utf-8")
    job.wanted["flinkConfiguration"]["my.token"] = "${secret:token}"
    job.put(env={"SEEN": str(seen)}, secrets={"token": str(token)})

    job.lifecycle(Lifecycle.FINISHED)

    assert [base64.b64decode(line).decode() for line in seen.read_text().splitlines()] == AWKWARD
    # Secrets: the path in the environment, the content in the configuration of the process and nowhere else.
    assert Path(f"{seen}-token").read_text() == str(token)
    configurations = [path / "conf" / "config.yaml" for path in job.sandboxes(1)]
    assert {'"my.token": "s3cret"' in path.read_text() for path in configurations} == {True}
    assert "s3cret" not in made.installation.zkcli("get", f"/weir-jobs/records/{job.name}")
    job.until("its resources are given back", lambda: not job.tasks())
