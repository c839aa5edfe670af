"""Take out one guard after the other, in a copy of the tree, and see that its tests notice.

python -m tests.mutation            every guard
python -m tests.mutation --quick    those that CI runs
python -m tests.mutation 13 28      the guards of these faults
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.guards import ROOT, Guard, load, without

COPIED = ("reconciler", "state", "plugins", "integration", "tests", "examples", "docs", "deploy", "pyproject.toml")
LIMIT_S = 900.0
FAILED = 1
"""pytest's exit code for tests that ran and failed; others mean that nothing was proved."""


@contextmanager
def copies(count: int) -> Iterator[SimpleQueue[Path]]:
    """So many copies of the tree, for one run at a time each."""
    with tempfile.TemporaryDirectory(prefix="weir-mutation-") as folder:
        queue: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            copy = Path(folder) / str(number)
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, copy / name)
            queue.put(copy)
        yield queue


def run_tests(copy: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """pytest's exit code and its last lines."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    return done.returncode, "\n".join((done.stdout + done.stderr).splitlines()[-15:])


def try_out(guard: Guard, queue: SimpleQueue[Path]) -> str | None:
    """None when the loss of the guard was noticed, else what happened instead."""
    copy = queue.get()
    target = copy / guard.file
    source = target.read_text()
    try:
        target.write_text(without(guard, source))
        code, said = run_tests(copy, guard.tests)
    finally:
        target.write_text(source)
        queue.put(copy)
    if code == FAILED:
        return None
    return "no test noticed" if code == 0 else f"pytest ended with {code}:\n{said}"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("faults", nargs="*", type=int, help="numbers of faults; none: all")
    parser.add_argument("--quick", action="store_true", help="only the guards that CI takes out")
    parser.add_argument("--no-stack", action="store_true", help="not those whose tests need real servers")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    chosen = [
        guard
        for guard in load()
        if (not args.faults or guard.fault in args.faults)
        and (guard.quick or not args.quick)
        and not (guard.stack and args.no_stack)
    ]
    begun, survived = time.monotonic(), 0
    with copies(args.jobs) as queue:
        tests = tuple(sorted({test for guard in chosen for test in guard.tests}))
        code, said = run_tests(queue_peek(queue), tests)
        if code != 0:
            print(f"mutate: FAILED — the tests fail with every guard in place:\n{said}")
            return 1
        with ThreadPoolExecutor(args.jobs) as pool:
            for guard, problem in zip(chosen, pool.map(lambda each: try_out(each, queue), chosen), strict=True):
                survived += problem is not None
                print(
                    f"{'SURVIVED' if problem else 'noticed '}  {guard}{f': {problem}' if problem else ''}", flush=True
                )
    faults = len({guard.fault for guard in chosen})
    verdict = "FAILED" if survived else "ok"
    print(
        f"mutate: {verdict} — {len(chosen)} guards of {faults} faults taken out, {survived} not noticed, "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if survived else 0


def queue_peek(queue: SimpleQueue[Path]) -> Path:
    """Any copy; nobody else uses one yet."""
    copy = queue.get()
    queue.put(copy)
    return copy


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
