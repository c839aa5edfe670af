"""`python -m tests.chaos [--minutes M] [--seed N] [--dir DIR]`, or `make chaos MINUTES=… SEED=…`.

The last line of stdout is `chaos: ok — …` and the exit code 0, or `chaos: FAILED — …` and 1 (130 when interrupted).
The time line and what was done are written below DIR in either case.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from functools import partial
from pathlib import Path

from reconciler.app.demo.rows import REPOSITORY
from tests.chaos import plot, timeline
from tests.chaos.ground import Ground
from tests.chaos.run import Result, Run
from tests.judged import verdict

_LARGEST_SEED = 10**6


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(argv)
    directory: Path = options.dir.absolute()
    _say(f"chaos: seed {options.seed}, at least {options.minutes:g} minutes; everything is below {directory}")
    again = f"make chaos MINUTES={options.minutes:g} SEED={options.seed}"
    return verdict("chaos", directory, again, partial(run, directory, options.seed, options.minutes), ChaosFailed)


class ChaosFailed(Exception):
    """The run came to its end, and something is not as it should be."""


def run(directory: Path, seed: int, minutes: float) -> str:
    """The last line's numbers. Raises what the module's docstring calls FAILED."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with Ground(directory) as ground:
        _say(f"chaos: a stack, three replicas and a job are started; logs: {ground.stack.state_dir / 'logs'}")
        if ground.uncuttable is not None:
            _say(f"chaos: no partitions: {ground.uncuttable}")
        ground.begin()
        made = Run(ground, seed, minutes, _say)
        try:
            result = made.run()
        except Exception:
            (directory / "report.txt").write_text(ground.report())
            raise
        finally:
            _write(made, directory)
        if problems := result.problems():
            (directory / "report.txt").write_text(ground.report())
            raise ChaosFailed(f"{', '.join(problems)}: {result.line()}")
    # Hundreds of MiB of unpacked jars; the logs, the rows and the time line stay.
    shutil.rmtree(directory / "stack" / "agents", ignore_errors=True)
    return result.line()


def _write(made: Run, directory: Path) -> None:
    samples = list(made.timeline.samples)
    timeline.write_csv(samples, directory / "timeline.csv")
    (directory / "faults.md").write_text(table(made.result), encoding="utf-8")
    plot.write(made.result, samples, directory / "timeline.svg")


def table(result: Result) -> str:
    """What was done, as Markdown."""
    lines = [
        f"# Chaos run, seed {result.seed}", "", result.line(), "",
        "| step | at | faults | what was done | take-over | launched | started | unneeded | settled after |",
        "| ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for item in result.done:
        taken, found = ", ".join(f"{seconds:.1f} s" for seconds in item.takeovers_s), item.verdict
        lines.append(
            f"| {item.step.number} | {item.at:.0f} s | {item.step} | {'; '.join(item.what)} | {taken} "
            f"| {found.launched} | {found.started} | {found.unneeded} | {item.until - item.at:.0f} s |"
        )
    return "\n".join(lines) + "\n"


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Faults on the real stack, by a seed.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long at least (10)")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(_LARGEST_SEED), help="the schedule's; default: any"
    )
    parser.add_argument("--dir", type=Path, default=REPOSITORY / "build" / "chaos", help="where everything is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
