"""A script of SQL statements is a job: several statements, stable operator ids, on every version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.model.record import SnapshotKind

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).resolve().parents[3] / "examples" / "sql" / "even_ids.sql"

World = Any
Job = Any


def sql_job(made: World, name: str, **top: Any) -> Job:
    """The example, with its paths replaced: a script has no arguments."""
    script = made.directory / f"{name}.sql"
    job = made.job(name, {"type": "sql", "uri": script.as_uri()}, **top)
    text = SCRIPT.read_text(encoding="utf-8")
    for path, own in (("/srv/weir/in", job.feeder.input), ("/srv/weir/out", job.feeder.output)):
        assert path in text
        text = text.replace(path, str(own))
    script.write_text(text, encoding="utf-8")
    return job


def test_a_script_keeps_its_state_over_a_restart_and_a_rescale_at_another_parallelism(made: World) -> None:
    job = sql_job(made, "sql-evens")
    job.put()
    job.runs(1, parallelism=1)
    job.progresses()

    job.wanted["restartNonce"] = 1
    job.put("job", parallelism=2)
    upgraded = job.runs(2, parallelism=2)
    assert upgraded.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
    assert upgraded.restored_from == upgraded.last_snapshot.path
    job.progresses()

    managers = job.view.tasks("jm")
    job.put("job", parallelism=1)
    rescaled = job.runs(2, parallelism=1)
    assert (rescaled.job_id, job.view.tasks("jm")) == (upgraded.job_id, managers)
    job.complete()
    job.delete()


@pytest.mark.parametrize("series", ["1.20", "2.3"])
def test_the_same_script_runs_on_other_versions(made: World, series: str) -> None:
    job = sql_job(made, f"sql-{series.replace('.', '-')}", flinkVersion=series, onDelete="cancel")
    job.put()

    job.progresses()

    assert job.runs(1).flink_version == series
    job.delete()
