"""The schedule is a function of the seed, and every class strikes in its first round."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.chaos.schedule import CLASSES, CONTROL, CUTS, steps


def test_the_same_seed_is_the_same_schedule_and_another_one_is_not() -> None:
    assert list(islice(steps(7), 50)) == list(islice(steps(7), 50))
    assert list(islice(steps(7), 50)) != list(islice(steps(8), 50))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_round_has_every_class_once(seed: int) -> None:
    seen: list[str] = []
    for step in steps(seed):
        seen += [blow.kind for blow in step.blows]
        if len(seen) >= len(CLASSES):
            break
    assert sorted(seen) == sorted(CLASSES)


def test_a_companion_is_of_the_control_plane() -> None:
    pairs = [step.blows for seed in range(20) for step in islice(steps(seed), 40) if len(step.blows) == 2]
    assert pairs
    assert {second.kind for _, second in pairs} <= set(CONTROL)


def test_without_root_the_rest_is_left() -> None:
    kinds = {blow.kind for step in islice(steps(3, CUTS), 60) for blow in step.blows}
    assert kinds == set(CLASSES) - CUTS
