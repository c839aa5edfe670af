"""A fixed set of seeds, the seeds that once failed, and proof that a seed fixes everything."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import runs

HERE = Path(__file__).parent
CHUNK = 20
BASES = range(1, 241, CHUNK)


def regressions() -> list[int]:
    lines = (HERE / "regressions.txt").read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def check(seed: int, session: bool = False, prestart: bool = False) -> None:
    result = runs.run(seed, session=session, prestart=prestart)
    kind = " --session" if session else " --prestart" if prestart else ""
    replay = f"replay with: python -m tests.simulation replay {seed}{kind}"
    assert not result.violations, "\n".join([replay, *result.violations])


@pytest.mark.parametrize("base", BASES)
def test_every_invariant_holds_for_the_seeds_from(base: int) -> None:
    for seed in range(base, base + CHUNK):
        check(seed)


@pytest.mark.parametrize("base", BASES[:4])
def test_every_invariant_holds_for_a_session_and_its_jobs_for_the_seeds_from(base: int) -> None:
    for seed in range(base, base + CHUNK):
        check(seed, session=True)


@pytest.mark.parametrize("base", BASES[:6])
def test_every_invariant_holds_with_generations_that_are_started_beforehand_for_the_seeds_from(base: int) -> None:
    for seed in range(base, base + CHUNK):
        check(seed, prestart=True)


def test_s2_a_checkpoint_that_only_its_loss_tells_of_is_not_passed_over() -> None:
    check(184, session=True)


@pytest.mark.parametrize("seed", regressions())
def test_a_seed_that_once_failed_stays_fixed(seed: int) -> None:
    check(seed)


def test_a_seed_fixes_everything_that_happens_whatever_the_order_of_sets() -> None:
    program = "import sys; from tests.simulation import test_seeds; print(test_seeds.digest(7), test_seeds.digest(9))"
    found = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=HERE.parent.parent,
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    ]
    assert found[0] == found[1]


def digest(seed: int) -> str:
    """Of everything that a run of this seed says."""
    return hashlib.sha256("\n".join(runs.run(seed, trace=True).trace).encode()).hexdigest()
