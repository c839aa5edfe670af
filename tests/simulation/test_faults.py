"""Faults of `docs/failure-modes.md`, each kind by itself and often, under the shipped loop.

A storm of random seeds may hide what one kind of fault alone would break; here every run has only the
faults of one number. The invariants are checked at every step, as in any run.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation import faults, runs
from tests.simulation.faults import Fault

SEEDS = range(9_000, 9_008)
OFTEN = 8


def under(*kinds: Fault, edits: int = 4, seeds: Sequence[int] = SEEDS) -> None:
    """Runs with edits at any moment and `OFTEN` faults of these kinds hold every invariant."""
    for seed in seeds:
        result = runs.run_under(seed, kinds, OFTEN, edits)
        assert result.faults >= OFTEN
        assert not result.violations, f"seed {seed}: " + "\n".join(result.violations)


def test_f01_reads_that_lag() -> None:
    under(faults.lag_behind, faults.crash_leader)


def test_f02_leaders_that_were_paused() -> None:
    under(faults.pause_leader, faults.pause_soon)


def test_f03_f05_f06_connections_with_zookeeper_that_break() -> None:
    under(faults.lose_zookeeper)


def test_f04_f05_sessions_that_expire() -> None:
    under(faults.expire_session)


def test_f09_writes_whose_outcome_is_unknown() -> None:
    under(faults.store_fails)


def test_f10_writes_that_arrive_late() -> None:
    under(faults.pause_soon, faults.slow_down)


def test_f13_desired_trees_that_vanish() -> None:
    under(faults.hide_tree, faults.lose_tree, edits=6)


def test_f15_watch_events_that_are_lost() -> None:
    under(faults.lose_watches, edits=6)


def test_f17_a_crash_after_an_intent() -> None:
    under(faults.crash_soon, edits=6)


def test_f18_f24_everybody_is_away_for_a_while() -> None:
    under(faults.crash_everybody)


def test_f19_f34_f36_calls_to_mesos_that_are_lost() -> None:
    under(faults.lose_calls, edits=6)


def test_f20_f31_agents_that_come_back_after_their_tasks_were_replaced() -> None:
    under(faults.partition_agent)


def test_f21_updates_that_come_twice_or_out_of_order() -> None:
    under(faults.lose_updates, faults.fail_task)


def test_f22_a_crash_before_an_acknowledgement() -> None:
    under(faults.fail_task, faults.crash_soon)


def test_f26_masters_that_fail_over() -> None:
    under(faults.fail_over_master)


def test_f27_an_agent_that_is_partitioned() -> None:
    under(faults.partition_agent, faults.reboot_agent, edits=6)


def test_f29_offers_that_are_rescinded() -> None:
    under(faults.rescind_offers, edits=6)


def test_f30_masters_that_cannot_be_reached() -> None:
    under(faults.cut_from_master, faults.half_open_stream)


def test_f32_agents_that_reboot() -> None:
    under(faults.reboot_agent, faults.lose_updates)


def test_f38_f46_requests_to_flink_that_are_lost() -> None:
    under(faults.lose_rest, faults.silence_flink, edits=6)


def test_f40_f63_results_that_flink_forgets() -> None:
    under(faults.forget_results, faults.crash_everybody, edits=6)


def test_f41_stops_that_fail_after_their_savepoint() -> None:
    under(faults.break_stops, faults.fail_savepoints, edits=6)


def test_f43_f45_state_that_is_lost() -> None:
    under(faults.lose_snapshot, faults.lose_ha_data, faults.fail_task)


def test_f54_zookeeper_or_storage_that_does_not_answer() -> None:
    under(faults.blind_flink, faults.fail_task)


def test_f56_jobs_that_fail_or_finish() -> None:
    under(faults.fail_job, faults.finish_job)


def test_f59_clocks_that_differ() -> None:
    under(faults.jump_clock, faults.fail_task)
