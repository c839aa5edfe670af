"""One running job and what people do to it with ZooKeeper's own client. The tests share the job, in this order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.local.stack import LocalStack
from reconciler.app.demo import faults, report
from reconciler.app.demo.harness import Installation, JobView, Spec
from reconciler.app.demo.rows import Feeder, Sink, compare
from reconciler.app.demo.scenario import spec
from reconciler.app.demo.story import poll
from reconciler.model.record import Lifecycle
from reconciler.model.status import Status

pytestmark = pytest.mark.stack

WAIT_S = 180.0
NAME = "orders"


@dataclass
class Running:
    """The shared job and everything around it."""

    installation: Installation
    job: JobView
    feeder: Feeder
    sink: Sink

    def until(self, what: str, ready: Callable[[], object]) -> None:
        poll(what, ready, WAIT_S, tick=self.installation.check)

    def status(self, what: str, ready: Callable[[Status], bool]) -> Status:
        def look() -> Status | None:
            status = self.job.status()
            return status if status is not None and ready(status) else None

        return poll(what, look, WAIT_S, tick=self.installation.check)

    def runs(self, generation: int) -> Status:
        return poll("it runs", lambda: self.job.running(generation), WAIT_S, tick=self.installation.check)

    def progresses(self) -> None:
        """Rows that are fed from now on arrive."""
        wanted = self.feeder.evens + 1
        self.until(f"{wanted} rows are in the sink", lambda: self.sink.rows() >= wanted)

    def put(self, edited: Spec | str) -> None:
        self.installation.put(NAME, edited)


@pytest.fixture(scope="module")
def shared(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("job")
    with Installation(stack, directory, root="/weir-e2e", replicas=2, prefix="e2e-replica") as installation:
        feeder = Feeder(directory / "data", batch=10)
        job = JobView(installation, NAME)
        found = Running(installation, job, feeder, Sink(feeder.output))
        try:
            installation.start()
            poll("a replica leads", installation.leader, WAIT_S, tick=installation.check)
            feeder.start()
            found.put(spec(feeder))
            found.runs(1)
            found.progresses()
            yield found
        finally:
            feeder.finish()
            if installation.exists(f"/weir-e2e/jobs/{NAME}"):
                installation.delete(NAME)
                poll("its tasks have ended", lambda: not installation.live_tasks(), WAIT_S)
            installation.stop()


@pytest.fixture
def running(shared: Running) -> Iterator[Running]:
    """The shared job; a wait that ended in vain says all that is known."""
    try:
        yield shared
    finally:
        print("\n".join(report.lines(shared.installation, NAME)))


def edited(running: Running, **job: object) -> Spec:
    wanted = spec(running.feeder)
    wanted["job"].update(job)
    return wanted


def typed_at_the_prompt(running: Running) -> None:
    """Without quotes, the interactive client stores what stands before the first space."""
    said = running.installation.zkcli_typed(
        f'set /weir-e2e/jobs/{NAME} {{"flinkVersion": "2.2", "job": {{"type": "python"}}}}',
        f"get /weir-e2e/jobs/{NAME}",
    )
    assert '{"flinkVersion":\n' in said


def unknown_field(running: Running) -> None:
    running.put(edited(running, paralelism=2))


def missing_job_file(running: Running) -> None:
    running.put(edited(running, uri="file:///nowhere/job.py"))


def yaml(running: Running) -> None:
    running.put("flinkVersion: '2.2'\njob:\n  type: python\n")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (typed_at_the_prompt, "JSON"),
        (unknown_field, "parallelism"),
        (missing_job_file, "/nowhere/job.py"),
        (yaml, "weir apply"),
    ],
)
def test_a_bad_edit_changes_nothing_but_the_status(
    running: Running, edit: Callable[[Running], None], said: str
) -> None:
    before = running.runs(1)
    edit(running)
    status = running.status(
        "the edit is refused", lambda found: not found.accepted and found.observed != before.observed
    )
    assert said in (status.error or "")
    assert (status.generation, status.job_id) == (before.generation, before.job_id)
    running.progresses()
    after = running.runs(1)
    assert [task.id for task in after.task_list] == [task.id for task in before.task_list]


def test_a_good_edit_after_bad_ones_is_accepted_and_disturbs_nothing(running: Running) -> None:
    before = running.job.status()
    assert before is not None
    running.put(spec(running.feeder))
    status = running.status("it is accepted", lambda found: found.accepted)
    assert status.error is None
    assert (status.generation, status.task_list) == (1, before.task_list)


def test_a_killed_job_manager_is_replaced_within_its_generation(running: Running) -> None:
    before = running.runs(1)
    [victim] = running.job.tasks("jm")
    task_managers = running.job.tasks("tm")
    faults.kill_task(running.installation, victim)
    running.until("another one runs", lambda: running.job.tasks("jm") and victim not in running.job.tasks("jm"))
    after = running.runs(1)
    assert after.job_id == before.job_id
    assert running.job.tasks("tm") == task_managers
    running.progresses()


def test_suspend_and_resume_keep_the_count_continuous(running: Running) -> None:
    running.runs(1)
    running.put(edited(running, state="suspended"))
    suspended = running.status("it is suspended", lambda found: found.lifecycle == "SUSPENDED")
    running.until("no task is left", lambda: not running.installation.live_tasks())
    assert suspended.last_snapshot is not None
    assert suspended.last_snapshot.kind == "savepoint"
    assert compare(running.feeder.input, running.feeder.output).consistent

    running.put(spec(running.feeder))
    resumed = running.runs(2)
    assert resumed.restored_from == suspended.last_snapshot.path
    running.progresses()
    assert compare(running.feeder.input, running.feeder.output).consistent


def test_deleting_ends_the_job_with_a_savepoint_and_leaves_nothing_behind(running: Running) -> None:
    running.runs(2)
    running.feeder.finish()
    running.until("every row is in the sink", lambda: running.sink.rows() >= running.feeder.evens)
    assert compare(running.feeder.input, running.feeder.output).complete
    record = running.installation.record(NAME)
    assert record is not None
    assert record.generation is not None
    first, second = (f"/flink/{record.generation.cluster_id[:-1]}{number}" for number in (1, 2))
    assert running.installation.exists(second)

    running.installation.delete(NAME)

    running.until("it is deleted", lambda: deleted(running))
    assert not running.installation.live_tasks()
    assert [path for path in (first, second) if running.installation.exists(path)] == []
    final = running.installation.record(NAME)
    assert final is not None
    savepoint = final.tombstones[-1].path
    assert savepoint is not None
    assert (Path(savepoint.removeprefix("file:")) / "_metadata").is_file()


def deleted(running: Running) -> bool:
    record = running.installation.record(NAME)
    return record is not None and record.lifecycle is Lifecycle.DELETED
