"""One job's life with all of its state on an object store: real Flink, its S3 plugin, a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.app.demo import faults
from reconciler.app.demo.rows import compare
from reconciler.model.record import Lifecycle, SnapshotKind
from tests.integration.storage.conftest import SECRET_KEY, SERVER

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
Job = Any
Bucket = Any


@pytest.fixture(scope="module")
def job(world: World) -> Iterator[Job]:
    """One job for all tests, which run in this order."""
    with world.running(world.jar_evens("on-s3")) as made:
        yield made


def test_a_job_manager_that_is_killed_goes_on_from_its_ha_data_in_the_bucket(job: Job, bucket: Bucket) -> None:
    before = job.runs(1)
    assert [key for key in bucket.keys("ha/") if "completedCheckpoint" in key]
    [manager] = job.view.tasks("jm")
    faults.kill_task(job.installation, manager)

    def another() -> Any:
        status = job.view.running(1)
        return status if status is not None and list(job.view.tasks("jm")) != [manager] else None

    after = job.until("another JobManager runs it", another)
    assert after.job_id == before.job_id
    job.progresses()


def test_an_upgrade_starts_from_its_savepoint_in_the_bucket(job: Job, bucket: Bucket) -> None:
    job.put(restartNonce=1)

    status = job.runs(2)
    assert status.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
    assert status.restored_from == status.last_snapshot.path
    assert status.restored_from.startswith("s3://weir/storage/savepoints/")
    assert bucket.has(status.restored_from)
    job.progresses()


def test_f54_while_the_bucket_does_not_answer_nothing_is_started_and_then_the_newest_checkpoint(
    job: Job, bucket: Bucket
) -> None:
    stack = job.installation.stack
    job.has_a_checkpoint()
    stack.pause(SERVER)
    try:
        job.wanted["restartNonce"] = 2
        job.put("job", upgradeMode="last-state")

        def told() -> bool:
            status = job.view.status()
            return status is not None and "the object store does not answer" in status.why

        job.until("the silence is told", told)
        record = job.record()
        assert (record.generation.number, record.next_generation) == (2, 3)
        assert not record.generation.ending.restore_known
    finally:
        stack.resume(SERVER)

    status = job.runs(3)
    assert status.last_snapshot.kind == SnapshotKind.CHECKPOINT.value
    assert status.restored_from == status.last_snapshot.path
    assert "/chk-" in status.restored_from
    job.progresses()


def test_the_secret_key_is_in_no_znode_no_argument_and_no_environment(job: Job) -> None:
    installation = job.installation
    stored = installation.zkcli("get", f"{installation.root}/records/{job.name}")
    assert SECRET_KEY not in stored
    for sandbox in job.sandboxes(3):
        assert SECRET_KEY not in (sandbox / "stdout").read_text()
        assert SECRET_KEY in (sandbox / "conf" / "config.yaml").read_text()
        assert (sandbox / "conf" / "config.yaml").stat().st_mode & 0o077 == 0
    leader = installation.stack.leader()
    assert leader is not None
    tasks = installation._ask_master("/master/state", "frameworks")
    assert job.name in json.dumps(tasks)
    assert SECRET_KEY not in json.dumps(tasks)
    for log in Path(installation.stack.state_dir / "logs").glob("s3-replica-*.log"):
        assert SECRET_KEY not in log.read_text()


def test_a_deleted_job_leaves_a_savepoint_from_which_another_starts(job: Job, bucket: Bucket) -> None:
    ended = [old.cluster_id for old in job.record().retired] + [job.record().generation.cluster_id]
    job.complete()
    job.delete()
    record = job.record()
    assert record.lifecycle is Lifecycle.DELETED
    path = record.tombstones[-1].path
    assert path.startswith("s3://weir/storage/savepoints/")
    assert bucket.has(path)
    assert not [key for key in bucket.keys("ha/") if any(cluster in key for cluster in ended)]


def test_dispose_on_delete_removes_savepoints_but_not_the_final_one_and_nothing_of_another_job(
    job: Job, world: World, bucket: Bucket
) -> None:
    path = job.record().tombstones[-1].path
    other = world.jar_evens("from-s3", snapshots={"savepointDir": "s3://weir/storage/other", "disposeOnDelete": True})
    other.wanted["job"] |= {"initialSavepointPath": path, "allowNonRestoredState": True}
    other.put()
    assert other.runs(1).restored_from == path
    other.progresses()
    assert not compare(other.feeder.input, other.feeder.output).counts_continuous  # they go on from the other job's
    other.put("job", savepointTriggerNonce=1)
    [asked] = other.until("its savepoint is there", lambda: other.record().snapshots or None)
    assert bucket.has(asked.path)

    other.delete()

    final = other.record().tombstones[-1].path
    assert final.startswith("s3://weir/storage/other/")
    assert bucket.has(final)
    assert not bucket.keys(asked.path.removeprefix("s3://weir/storage/"))
    assert bucket.has(path)
