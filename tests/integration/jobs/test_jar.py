"""JAR jobs through the whole operator, and arguments of jobs of both kinds."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.record import Lifecycle, SnapshotKind

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent

AWKWARD = [
    "-p", "4", "", "--jars", "x.jar", "--", "-s", "--fromSavepoint", "/nowhere", "two  words", "-Dkey=value",
    "'quoted'", '"twice"', "a,b;c", "$HOME `id`", "ünï", "-", "--parallelism=9", "line\nbreak", "",
]  # fmt: skip
"""Each of these could be taken for an option of Flink's, split, unquoted or dropped."""

World = Any


def test_a_jar_job_runs_is_upgraded_with_a_savepoint_and_deleted(made: World) -> None:
    jar = made.jar(REPOSITORY / "examples" / "jar" / "EvenIds.java", made.installation.flink.home)
    job = made.job("jar-evens", {"type": "jar", "uri": jar.as_uri()})
    job.put("job", args=["--input", str(job.feeder.input), "--output", str(job.feeder.output)])
    job.runs(1)
    job.progresses()

    job.wanted["restartNonce"] = 1  # without it another parallelism would not be an upgrade
    job.put("job", parallelism=2)

    status = job.runs(2, parallelism=2)
    assert status.restored_from == status.last_snapshot.path
    assert status.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
    job.complete()
    job.delete()
    assert not job.tasks()


@pytest.mark.parametrize("kind", ["jar", "python"])
def test_every_argument_reaches_the_job_as_it_is(made: World, kind: str) -> None:
    program = (
        made.jar(HERE / "Arguments.java", made.installation.flink.home) if kind == "jar" else HERE / "arguments.py"
    )
    seen = made.directory / f"{kind}-arguments"
    job = made.job(f"arguments-{kind}", {"type": kind, "uri": program.as_uri(), "args": AWKWARD})
    job.put(env={"SEEN": str(seen)})

    job.lifecycle(Lifecycle.FINISHED)

    assert [base64.b64decode(line).decode() for line in seen.read_text().splitlines()] == AWKWARD
    job.until("its resources are given back", lambda: not job.tasks())
