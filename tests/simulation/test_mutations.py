"""The simulation catches what it is there to catch."""

from __future__ import annotations

import pytest

from tests.simulation import runs
from tests.simulation.mutations import MUTATIONS, Mutation

SEEDS = range(1, 160)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name.replace(" ", "-"))
def test_the_simulation_catches_the_loss_of(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.apply(monkeypatch)
    seen: set[str] = set()
    for seed in SEEDS:
        seen |= {
            line.partition(":")[0] for line in runs.run(seed, until_broken=True, prestart=mutation.prestart).violations
        }
        if seen & set(mutation.shows_as):
            return
    pytest.fail(f"without {mutation.name} {len(SEEDS)} seeds showed {seen or 'nothing'}, not {mutation.shows_as}")
