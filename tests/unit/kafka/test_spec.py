"""The desired state of the demo is one that Weir accepts, and the upgrade in it is one."""

from __future__ import annotations

from pathlib import Path

from reconciler.app.demo_kafka.rows import Comparison
from reconciler.app.demo_kafka.scenario import JOB, Outcome, spec
from reconciler.diff import DiffClass, changes, diff_class
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import parse_document

CONNECTOR = Path("/srv/connector.jar")


def parsed(parallelism: int = 1, restart_nonce: int = 0) -> JobSpec:
    document = spec("127.0.0.1:9092", CONNECTOR, parallelism=parallelism, restart_nonce=restart_nonce)
    return parse_document(JOB, document)


def test_it_is_accepted_and_every_agent_is_told_where_the_connector_is() -> None:
    assert parsed().flink_configuration["pipeline.classpaths"] == "file:///srv/connector.jar"


def test_the_second_spec_is_an_upgrade_and_not_just_a_change_of_scale() -> None:
    before, after = parsed(), parsed(parallelism=2, restart_nonce=1)
    assert {change.path for change in changes(before, after)} == {"job.parallelism", "restartNonce"}
    assert diff_class(before, after) is DiffClass.UPGRADE


def test_both_specs_use_the_same_transactional_ids() -> None:
    one, two = parsed().job.args, parsed(parallelism=2, restart_nonce=1).job.args
    assert one == two
    assert one[one.index("--transactional-id-prefix") + 1] == JOB


def test_the_last_line_counts_rows_that_nobody_put_in_as_duplicated() -> None:
    outcome = Outcome(Comparison(10, 5, 6, 1, 1, 1), aborted=0)
    assert outcome.line() == "10 in, 6 out, 1 lost, 2 duplicated"
    assert not outcome.ok


def test_nothing_out_is_not_ok() -> None:
    assert not Outcome(Comparison(0, 0, 0, 0, 0, 0), aborted=0).ok
