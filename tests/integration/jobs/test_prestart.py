"""The next generation's processes are started while the job runs, and let in once its state is on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.model.record import SnapshotKind
from tests.integration.jobs.test_sql import sql_job

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
Job = Any


def jar_job(made: World, name: str, **top: Any) -> Job:
    job = made.jar_evens(name, **top)
    job.wanted["job"]["entryClass"] = "EvenIds"  # a gate calls it by name
    return job


def python_job(made: World, name: str, **top: Any) -> Job:
    return made.even_ids(name, **top)


@pytest.mark.parametrize(
    ("kind", "series"),
    [(python_job, "1.20"), (jar_job, "2.2"), (sql_job, "2.3")],
)
def test_an_upgrade_is_prepared_and_goes_on_from_the_savepoint(made: World, kind: Any, series: str) -> None:
    job = kind(made, f"early-{kind.__name__[:3]}-{series.replace('.', '-')}", flinkVersion=series)
    job.wanted["job"]["prestart"] = True
    job.put()
    job.runs(1)
    job.progresses()

    job.put(restartNonce=1)
    upgraded = job.runs(2)

    assert upgraded.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
    assert upgraded.restored_from == upgraded.last_snapshot.path
    assert (job.told("PRESTART"), job.told("PRESTART_SHORT"), job.told("PRESTART_DROPPED")) == (1, 0, 0)
    managers = [path for path in job.sandboxes(2) if ".jm." in str(path)]
    assert len(managers) == 1, "the one that was started beforehand is the one that runs"
    said = (Path(managers[0]) / "stdout").read_text(encoding="utf-8")
    assert said.index("weir: started beforehand") < said.index(f"state-recovery.path={upgraded.restored_from}")
    job.complete()
    job.delete()
    assert not job.tasks()
