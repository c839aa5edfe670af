"""The command line of the simulation.

python -m tests.simulation run --n 200 --seed-base 1
python -m tests.simulation replay 17
python -m tests.simulation crashpoints
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from multiprocessing import Pool

from tests.simulation import crashpoints, runs

CHUNK = 10
PROGRESS = 500


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="simulate many seeds")
    run.add_argument("--n", type=int, default=200, help="how many seeds")
    run.add_argument("--seed-base", type=int, default=1, help="the first seed")
    run.add_argument("--jobs", type=int, default=2, help="processes")
    run.add_argument("--keep-going", type=int, default=20, help="stop after so many seeds that failed")
    run.add_argument("--session", action="store_true", help="a session cluster and two jobs in it")
    run.add_argument("--prestart", action="store_true", help="jobs whose next generation is started beforehand")
    replay = commands.add_parser("replay", help="simulate one seed and print everything that happens")
    replay.add_argument("seed", type=int)
    replay.add_argument("--session", action="store_true", help="as for run")
    replay.add_argument("--prestart", action="store_true", help="as for run")
    commands.add_parser("crashpoints", help="crash the leader after every single call of a few workloads")
    args = parser.parse_args(argv)
    if args.command == "replay":
        return _replay(args.seed, args.session, args.prestart)
    if args.command == "crashpoints":
        return _crashpoints()
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    count, base = args.n, args.seed_base
    begun, faults = time.monotonic(), 0
    broken: list[runs.Result] = []
    one = partial(runs.run, session=args.session, prestart=args.prestart)
    with Pool(args.jobs) as pool:
        for done, result in enumerate(pool.imap_unordered(one, range(base, base + count), CHUNK), start=1):
            faults += result.faults
            if result.violations:
                broken.append(result)
                print(f"seed {result.seed}: {result.violations[0]}", flush=True)
                if len(broken) >= args.keep_going:
                    break
            if done % PROGRESS == 0:
                rate = done / (time.monotonic() - begun)
                print(f"simulate: {done} of {count} seeds, {faults} faults, {rate:.0f} seeds/s", flush=True)
    if broken:
        seeds = " ".join(str(seed) for seed in sorted(result.seed for result in broken))
        violations = sum(len(result.violations) for result in broken)
        print(f"simulate: FAILED — {count} seeds, {faults} faults, {violations} violations in seeds {seeds}")
        kind = " SESSION=1" if args.session else " PRESTART=1" if args.prestart else ""
        print(f"replay one with: make simulate SEED={broken[0].seed}{kind}")
        return 1
    print(f"simulate: ok — {count} seeds, {faults} faults, 0 violations")
    return 0


def _replay(seed: int, session: bool, prestart: bool) -> int:
    result = runs.run(seed, trace=True, session=session, prestart=prestart)
    print("\n".join(result.trace))
    print(f"seed {seed}: {result.faults} faults, {result.elapsed:.0f} virtual seconds, {result.steps} steps")
    for line in result.violations:
        print(f"BROKEN {line}")
    return 1 if result.violations else 0


def _crashpoints() -> int:
    points, broken = 0, 0
    for steps in crashpoints.WORKLOADS:
        results = crashpoints.enumerate_points(steps)
        points += len(results)
        for number, result in results.items():
            if result.violations:
                broken += 1
                print(f"{' '.join(steps)}, crash after call {number}: {result.violations[0]}", flush=True)
        print(f"crashpoints: {' '.join(steps)}: {len(results)} points", flush=True)
    print(f"crashpoints: {'FAILED' if broken else 'ok'} — {points} crash points, {broken} violations")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
