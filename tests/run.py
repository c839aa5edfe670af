"""Run the named suites one after another, and print how long each took and what it may take.

    python -m tests.run check unit contract stack e2e

The budgets are those of CONTRIBUTING.md. All suites run even if one fails; the exit code says
whether all of them passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Suite:
    """Commands that make up one suite, and the minutes it may take on two cores."""

    budget_min: float
    commands: tuple[tuple[str, ...], ...]
    beside: tuple[tuple[str, ...], ...] = ()
    """Run at the same time as `commands`, one after the other: what mostly waits leaves a core to others."""
    alone: tuple[tuple[str, ...], ...] = ()
    """Run after both, with the machine to themselves: faults that are injected by time."""
    left_out_by: str = ""
    """An environment variable that a person may set to 1 where this suite cannot run."""


def _pytest(*args: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", *args)


def _real(*args: str) -> tuple[str, ...]:
    """Real servers on a shared machine: a test that fails is run once more, and the summary names it as RERUN."""
    return _pytest("--reruns", "1", "-rR", *args)


def _each_directory(path: str, *, but: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
    """One run for each: what a directory's tests share (a stack, replicas, running jobs) ends with them."""
    found = {test.parent for test in (ROOT / path).glob("*/test_*.py")}
    return tuple(_real(str(each.relative_to(ROOT))) for each in sorted(found) if each.name not in but)


SUITES = {
    "check": Suite(
        1,
        (
            (str(BIN / "ruff"), "check", "."),
            (str(BIN / "ruff"), "format", "--check", "."),
            (str(BIN / "mypy"),),
            (str(BIN / "lint-imports"),),
        ),
    ),
    "simulation": Suite(
        4,
        (
            _pytest("tests/simulation"),
            (sys.executable, "-m", "tests.simulation", "run", "--n", "2000"),
            (sys.executable, "-m", "tests.simulation", "run", "--n", "500", "--prestart"),
        ),
    ),
    "unit": Suite(2, (_pytest("tests/unit"),)),
    "mutation": Suite(3, ((sys.executable, "-m", "tests.mutation", "--no-stack"),)),
    "contract": Suite(6, (_real("tests/contract"),)),
    "stack": Suite(
        24,
        (_real("tests/integration/jobs"),),
        beside=_each_directory("tests/integration", but=("jobs", "ha")),
        alone=(_real("tests/integration/ha"),),
    ),
    "containers": Suite(
        9,
        (
            (sys.executable, "-m", "integration.containers", "engine"),
            (sys.executable, "-m", "integration.containers", "images"),
            _pytest("tests/containers"),
            _pytest("examples/testcontainers"),
        ),
        left_out_by="WEIR_SKIP_CONTAINERS",
    ),
    "e2e": Suite(8, (_real("-s", "tests/e2e"),)),
    "chaos": Suite(6, ((sys.executable, "-m", "tests.chaos", "--minutes", "4", "--seed", "1"),)),
    "soak": Suite(4, ((sys.executable, "-m", "tests.soak", "--minutes", "3"),)),
}


def run(name: str) -> tuple[bool, float]:
    """Run one suite; whether it passed, and its minutes."""
    print(f"\n=== {name} ===", flush=True)
    start = time.monotonic()
    if os.environ.get(SUITES[name].left_out_by) == "1":
        print(f"{name}: left out, because {SUITES[name].left_out_by}=1 is set")
        return True, 0.0
    suite = SUITES[name]
    if suite.beside:
        with ThreadPoolExecutor(2) as pool:
            codes = [*pool.map(_one_after_the_other, (suite.commands, suite.beside))]
    else:
        codes = [_call(command) for command in suite.commands]
    codes += [_call(command) for command in suite.alone]
    return not any(codes), (time.monotonic() - start) / 60


def _call(command: tuple[str, ...]) -> int:
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _one_after_the_other(commands: tuple[tuple[str, ...], ...]) -> int:
    """Each with its output in one piece, because others print at the same time; 0 if all passed."""
    worst = 0
    for command in commands:
        print(f"--- {command[-1]} begins", flush=True)
        with tempfile.TemporaryFile() as output:
            begun = time.monotonic()
            code = subprocess.run(command, cwd=ROOT, check=False, stdout=output, stderr=subprocess.STDOUT).returncode
            output.seek(0)
            text = output.read().decode(errors="replace")
        with _PRINTING:
            print(f"\n--- {command[-1]}: {(time.monotonic() - begun) / 60:.1f} minutes\n{text}", flush=True)
        worst = worst or code
    return worst


_PRINTING = Lock()


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in SUITES]
    if unknown or not names:
        print(
            f"error: unknown suite {', '.join(unknown) or '(none given)'}; there are: {', '.join(SUITES)}",
            file=sys.stderr,
        )
        return 2
    results = {name: run(name) for name in names}
    print("\nsuite        minutes  budget  result")
    for name, (passed, minutes) in results.items():
        print(f"{name:<12} {minutes:7.1f}  {SUITES[name].budget_min:6.1f}  {'passed' if passed else 'FAILED'}")
    total = sum(minutes for _, minutes in results.values())
    print(f"{'all':<12} {total:7.1f}  {sum(SUITES[name].budget_min for name in names):6.1f}")
    return 0 if all(passed for passed, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
