"""`make demo`, on the session's stack: the same code, the same story."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from integration.local.stack import LocalStack
from reconciler.app.demo import ground
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.report import failure
from reconciler.app.demo.rows import Feeder, Sink, compare
from reconciler.app.demo.scenario import JOB, Scenario
from reconciler.app.demo.story import DemoFailed, Story


@pytest.mark.stack
def test_a_job_survives_four_faults_and_an_upgrade_without_losing_or_repeating_a_row(
    stack: LocalStack, tmp_path: Path
) -> None:
    story = Story()
    with Installation(stack, tmp_path, root="/weir-demo", prefix="demo-replica") as installation:
        scenario = Scenario(installation, tmp_path / "data", story)
        try:
            installation.start()
            outcome = scenario.run()
            scenario.delete()
        except Exception as error:
            failure(installation, JOB, error, story.console)
            raise
        finally:
            scenario.feeder.finish()
            installation.stop()
    story.summary()
    assert outcome.comparison.complete, str(outcome.comparison)
    assert outcome.comparison.committed == scenario.feeder.evens > 0
    assert outcome.faults == 4


def test_a_second_demo_in_a_directory_is_refused_with_the_command_to_end_the_first(tmp_path: Path) -> None:
    with (
        ground.claimed(tmp_path),
        pytest.raises(DemoFailed, match=f"process {os.getpid()}.*make demo-down"),
        ground.claimed(tmp_path),
    ):
        pass
    with ground.claimed(tmp_path):
        pass


def test_a_lock_that_a_crashed_demo_left_names_nobody_to_end(tmp_path: Path) -> None:
    (tmp_path / "demo.lock").write_text(str(os.getpid()))
    assert ground.end_running(tmp_path) is None


def test_clearing_up_where_nothing_ever_ran_does_nothing(tmp_path: Path) -> None:
    ground.clear(tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_what_was_fed_and_not_committed_counts_as_lost(tmp_path: Path) -> None:
    feeder = Feeder(tmp_path, batch=10, every=0.01)
    feeder.start()
    rows = feeder.finish()
    (feeder.output / ".part-0.inprogress").write_text('{"id": 2}\n')
    assert Sink(feeder.output).rows() == 0
    found = compare(feeder.input, feeder.output)
    assert (found.rows, found.missing, found.complete) == (rows, rows // 2, False)
