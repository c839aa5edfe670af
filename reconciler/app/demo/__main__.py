"""`python -m reconciler.app.demo [--keep | --down]`.

The last line of stdout is `demo: ok — …` and the exit code 0, or the reason and where the logs are, and the code is
not 0: 1 something did not come as it should, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

from rich.console import Console

from integration.local.errors import LocalStackError
from integration.local.progress import Terminal
from integration.local.stack import LocalStack
from reconciler.app.demo import command, ground
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.report import failure
from reconciler.app.demo.scenario import JOB, Outcome, Scenario
from reconciler.app.demo.story import DemoFailed, Story

NAME = "demo"


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(argv)
    directory: Path = options.dir.expanduser().absolute()
    keep: bool = options.keep
    work = (lambda: command.down(NAME, directory)) if options.down else (lambda: run(directory, keep=keep))
    return command.outcome(NAME, directory, work)


def run(directory: Path, *, keep: bool = False) -> int:
    """Set everything up, tell the story, clear up."""
    story = Story()
    console = story.console
    with ground.claimed(directory):
        console.print(f"[bold]Weir[/] — a Flink job on Mesos that misses no row. Everything is below {directory}")
        stack = ground.new_stack(directory, keep=keep)
        kept = False
        try:
            outcome = tell(stack, directory, story, keep=keep)
            kept = keep
        finally:
            if not kept:
                command.clear(directory, console)
        if not kept:
            ground.remove_sandboxes(directory)
        story.summary()
        if kept:
            _look_around(stack, directory, console)
    print(f"demo: ok — {outcome.line()}", flush=True)  # noqa: T201
    return 0


def tell(stack: LocalStack, directory: Path, story: Story, *, keep: bool = False) -> Outcome:
    """The story on a stack that is not up yet. What goes wrong is reported in full before it is raised."""
    with story.step("A local stack: ZooKeeper, two Mesos masters, two agents") as step:
        stack.up(Terminal(story.console))
        for name, version in stack.versions().items():
            story.say(f"{name} {version}")
        step.result = f"ZooKeeper {stack.zk}, Mesos {stack.master_url}"
    with Installation(stack, directory) as installation:
        try:
            installation.start()
            scenario = Scenario(installation, directory / "data", story)
            outcome = scenario.run()
            if not keep:
                scenario.delete()
        except (DemoFailed, LocalStackError) as error:
            story.summary()
            failure(installation, JOB, error, story.console)
            raise
    return outcome


def _look_around(stack: LocalStack, directory: Path, console: Console) -> None:
    state = stack.state_dir
    usual = directory == ground.default_directory()
    stop = "make demo-down" if usual else f"{sys.executable} -m reconciler.app.demo --down --dir {directory}"
    for line in (
        "the stack stays up. Look around:",
        f"  {Path(sys.executable).parent / 'weir'} --zk {stack.zk} get",
        f"  {state / 'bin' / 'zkCli.sh'} get /weir/status/{JOB}",
        f"  logs: {state / 'logs'}",
        f"and stop it: {stop}",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reconciler.app.demo", description="Weir's demo.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--down", action="store_true", help="stop whatever a demo left running")
    what.add_argument("--keep", action="store_true", help="leave the stack up at the end, and say how to look around")
    parser.add_argument(
        "--dir", type=Path, default=ground.default_directory(), help="where everything is kept (WEIR_DEMO_DIR)"
    )
    return parser


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        code = main()
        sys.stdout.flush()
        sys.exit(code)
    os._exit(1)
