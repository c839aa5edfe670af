"""`python -m reconciler.app.demo_kafka [--down]`.

The last line of stdout is `demo-kafka: ok — …` and the exit code 0, or the reason and where the logs are, and the
code is not 0: 1 something did not come as it should, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

from integration.local.kafka import KafkaBroker
from integration.local.kafka_maven import CONNECTORS, fetch_connector
from integration.local.progress import Terminal
from integration.local.stack import LocalStack
from reconciler.app.demo import command, ground
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.report import failure
from reconciler.app.demo.rows import REPOSITORY
from reconciler.app.demo.story import Story
from reconciler.app.demo_kafka import topics
from reconciler.app.demo_kafka.scenario import JOB, Outcome, Scenario

NAME = "demo-kafka"


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(argv)
    directory: Path = options.dir.expanduser().absolute()
    work = (lambda: command.down(NAME, directory)) if options.down else (lambda: run(directory))
    return command.outcome(NAME, directory, work)


def run(directory: Path) -> int:
    """Set everything up, tell the story, clear up."""
    topics.library()
    story = Story()
    with ground.claimed(directory, end="make demo-kafka-down"):
        story.console.print(f"[bold]Weir[/] — a Flink job between two Kafka topics. Everything is below {directory}")
        stack = ground.new_stack(directory, keep=False)
        try:
            outcome = tell(stack, directory, story)
        finally:
            command.clear(directory, story.console)
        story.summary()
    print(f"demo-kafka: {'ok' if outcome.ok else 'failed'} — {outcome.line()}", flush=True)  # noqa: T201
    return 0 if outcome.ok else 1


def tell(stack: LocalStack, directory: Path, story: Story) -> Outcome:
    """The story on a stack that is not up yet. What goes wrong is reported in full before it is raised."""
    progress = Terminal(story.console)
    with story.step("A local stack: ZooKeeper, two Mesos masters, two agents") as step:
        stack.up(progress)
        for name, version in stack.versions().items():
            story.say(f"{name} {version}")
        step.result = f"ZooKeeper {stack.zk}, Mesos {stack.master_url}"
    with story.step("A Kafka broker beside it, and the connector") as step:
        connector = fetch_connector("2.2", stack.config.cache, progress, install=stack.config.install_packages)
        broker = KafkaBroker(stack).start(progress)
        story.say(f"Kafka {broker.version()}")
        story.say(f"Flink SQL connector for Kafka {CONNECTORS['2.2']}")
        step.result = f"Kafka {broker.version()} on {broker.bootstrap}"
    with Installation(stack, directory) as installation:
        try:
            installation.start()
            return Scenario(installation, broker, connector, story).run()
        except Exception as error:
            story.summary()
            failure(installation, JOB, error, story.console)
            raise


def _default_directory() -> Path:
    """``$WEIR_DEMO_KAFKA_DIR``, or ``build/demo-kafka`` of the repository."""
    chosen = os.environ.get("WEIR_DEMO_KAFKA_DIR")
    return Path(chosen).expanduser().absolute() if chosen else REPOSITORY / "build" / "demo-kafka"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reconciler.app.demo_kafka", description="Weir's demo on Kafka.")
    parser.add_argument("--down", action="store_true", help="stop whatever a demo left running")
    parser.add_argument(
        "--dir", type=Path, default=_default_directory(), help="where everything is kept (WEIR_DEMO_KAFKA_DIR)"
    )
    return parser


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        code = main()
        sys.stdout.flush()
        sys.exit(code)
    os._exit(1)
