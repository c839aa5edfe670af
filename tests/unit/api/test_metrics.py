"""/metrics: names, units and values, read as Prometheus reads them."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from reconciler.app.monitoring import collector
from reconciler.app.monitoring.measured import measured_store
from reconciler.model.observation import TaskState
from reconciler.ports import Fenced, StoreUnavailable
from tests.unit.api.conftest import Site

Sample = tuple[str, frozenset[tuple[str, str]]]


def samples(site: Site) -> dict[Sample, float]:
    found = {}
    for family in text_string_to_metric_families(site.text("/metrics")):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(site: Site, name: str, **labels: str) -> float | None:
    return samples(site).get((name, frozenset(labels.items())))


def test_names_and_units_follow_the_convention(leading: Site) -> None:
    for family in text_string_to_metric_families(leading.text("/metrics")):
        if not family.name.startswith("weir_"):
            continue
        assert re.fullmatch(r"weir_[a-z0-9_]+", family.name)
        assert family.documentation
        assert not re.search(r"_(ms|millis|minutes|mb|kb|percent)(_|$)", family.name), family.name
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples), family.name


def test_a_stable_job_is_reconciled_and_counted(leading: Site) -> None:
    assert value(leading, "weir_leader") == 1
    assert value(leading, "weir_acting") == 1
    assert value(leading, "weir_zookeeper_connected") == 1
    assert value(leading, "weir_mesos_connected") == 1
    assert value(leading, "weir_job_unreconciled_seconds", job="orders") == 0
    assert value(leading, "weir_job_lifecycle", job="orders", lifecycle="STABLE") == 1
    assert value(leading, "weir_jobs", lifecycle="STABLE") == 1
    assert value(leading, "weir_job_tasks", job="orders", role="taskmanager", state="running") == 1
    assert (value(leading, "weir_job_checkpoint_age_seconds", job="orders") or -1) >= 0
    assert (value(leading, "weir_reconciles_total", result="settled") or 0) > 0
    assert (value(leading, "weir_reconcile_duration_seconds_count") or 0) > 0
    assert (value(leading, "weir_job_events_total", code="STABLE") or 0) == 1
    assert value(leading, "weir_fence_rejections_total") == 0


def test_offers_are_counted_as_received_used_and_declined(leading: Site) -> None:
    leading.apply("hungry", taskManager={"cpus": 900.0})
    leading.let_pass(20)
    received = value(leading, "weir_offers_received_total") or 0
    used = value(leading, "weir_offers_used_total") or 0
    declined = value(leading, "weir_offers_declined_total") or 0

    assert used >= 1
    assert declined >= 1
    assert used + declined <= received
    assert value(leading, "weir_tasks_launched_total") == 3


def test_the_seconds_that_a_job_is_not_as_desired_grow_until_it_is(leading: Site) -> None:
    leading.apply(restartNonce=1)
    leading.let_pass(2)
    first = value(leading, "weir_job_unreconciled_seconds", job="orders") or 0
    leading.let_pass(2)
    second = value(leading, "weir_job_unreconciled_seconds", job="orders") or 0
    leading.let_pass(25)

    assert 0 < first < second
    assert value(leading, "weir_job_unreconciled_seconds", job="orders") == 0


def test_a_refused_version_counts_as_not_reconciled(leading: Site) -> None:
    leading.world.users.put_job("orders", b'{"flinkVersion": "2.2", "job": {"type": "cobol"}}')
    leading.let_pass(5)

    assert value(leading, "weir_job_accepted", job="orders") == 0
    assert (value(leading, "weir_job_unreconciled_seconds", job="orders") or 0) > 0
    assert value(leading, "weir_job_lifecycle", job="orders", lifecycle="STABLE") == 1


def test_a_savepoint_is_timed_and_its_age_grows(leading: Site) -> None:
    leading.apply(job={"type": "python", "uri": "file:///srv/job.py", "savepointTriggerNonce": 1})
    leading.let_pass(20)
    age = value(leading, "weir_job_savepoint_age_seconds", job="orders")
    leading.let_pass(10)

    assert value(leading, "weir_savepoint_duration_seconds_count") == 1
    assert value(leading, "weir_job_savepoints", job="orders") == 1
    assert value(leading, "weir_decisions_total", kind="trigger_savepoint") == 1
    assert age is not None
    assert (value(leading, "weir_job_savepoint_age_seconds", job="orders") or 0) >= age + 9


def test_a_lost_task_is_a_restart(leading: Site) -> None:
    task = next(task for task in leading.world.running() if ".tm." in task)
    leading.world.mesos.set_state(task, TaskState.FAILED, "REASON_COMMAND_EXECUTOR_FAILED", "killed")
    leading.let_pass(25)

    assert value(leading, "weir_job_restarts_total", job="orders") == 1
    assert value(leading, "weir_task_updates_total", state="failed") == 1
    assert value(leading, "weir_job_events_total", code="TASK_LOST") == 1


def test_a_follower_has_no_series_about_jobs(leading: Site) -> None:
    leading.monitor.end()

    names = {name for name, _ in samples(leading)}
    assert not any(name.startswith("weir_job_lifecycle") for name in names)
    assert value(leading, "weir_leader") == 0
    assert value(leading, "weir_mesos_connected") == 0


def test_jobs_beyond_the_bound_have_no_series_of_their_own(leading: Site, monkeypatch: object) -> None:
    leading.apply("clicks")
    leading.apply("views")
    leading.let_pass(5)
    before, collector.JOBS_SHOWN = collector.JOBS_SHOWN, 2
    try:
        shown = {dict(labels)["job"] for name, labels in samples(leading) if name == "weir_job_accepted"}
        assert shown == {"clicks", "orders"}
        assert value(leading, "weir_jobs_not_shown") == 1
    finally:
        collector.JOBS_SHOWN = before


def test_a_fenced_write_and_silence_are_counted_and_pass_through(site: Site) -> None:
    class Store:
        def commit(self, *_: object) -> int:
            raise Fenced("epoch 2")

        def load_jobs(self) -> object:
            raise StoreUnavailable("no answer")

    store = measured_store(Store(), site.monitor.instruments)  # type: ignore[arg-type]
    for call in (lambda: store.commit(None, None), store.load_jobs):  # type: ignore[arg-type]
        try:
            call()
        except (Fenced, StoreUnavailable):
            continue
        raise AssertionError("the error was swallowed")

    assert value(site, "weir_fence_rejections_total") == 1
    assert value(site, "weir_calls_total", port="zookeeper", call="commit", result="Fenced") == 1
    assert value(site, "weir_calls_total", port="zookeeper", call="load_jobs", result="StoreUnavailable") == 1


def test_every_metric_is_in_the_documentation(site: Site) -> None:
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    for family in site.monitor.instruments.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("weir_"):
            assert f"| `{name}` | {family.type} |" in text, name
