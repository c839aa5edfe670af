"""The demo's job through the whole operator on every version; 2.2 is what all other suites run on too."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.record import SnapshotKind

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any


@pytest.mark.parametrize("series", ["2.2", "1.20", "2.3"])
def test_a_job_runs_and_is_upgraded_by_savepoint_and_by_last_state(made: World, series: str) -> None:
    job = made.even_ids(f"even-ids-{series.replace('.', '-')}", flinkVersion=series)
    job.put()
    assert job.runs(1).flink_version == series
    job.progresses()

    job.put(restartNonce=1)
    by_savepoint = job.runs(2)
    assert by_savepoint.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
    assert by_savepoint.restored_from == by_savepoint.last_snapshot.path
    job.progresses()  # rows are committed by a checkpoint of this generation
    job.has_a_checkpoint()

    job.wanted["restartNonce"] = 2
    job.put("job", upgradeMode="last-state")
    by_last_state = job.runs(3)
    assert by_last_state.last_snapshot.kind == SnapshotKind.CHECKPOINT.value
    assert by_last_state.restored_from == by_last_state.last_snapshot.path
    assert "/chk-" in by_last_state.restored_from

    job.complete()
    job.delete()
    assert not job.tasks()
