"""`python -m reconciler.app.demo_kafka [--down]`.

The last line of stdout is `demo-kafka: ok — …` and the exit code 0, or the reason and where the logs are, and the
code is not 0: 1 something did not come as it should, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path

import structlog

from integration.local.errors import LocalStackError
from integration.local.kafka import KafkaBroker
from integration.local.kafka_maven import CONNECTORS, fetch_connector
from integration.local.progress import Terminal
from integration.local.stack import LocalStack
from reconciler.app.demo import ground
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.report import failure
from reconciler.app.demo.rows import REPOSITORY
from reconciler.app.demo.story import DemoFailed, Story
from reconciler.app.demo_kafka import topics
from reconciler.app.demo_kafka.scenario import JOB, Outcome, Scenario
from reconciler.ports import StoreError

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(argv)
    directory: Path = options.dir.expanduser().absolute()
    # The demo narrates; what its parts log goes to the logs of the stack.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in ("kazoo", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # SIGTERM ends the demo as Ctrl-C does: by way of clearing up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return down(directory) if options.down else run(directory)
    except KeyboardInterrupt:
        print("demo-kafka: interrupted; nothing is left running", flush=True)  # noqa: T201
        return INTERRUPTED
    except (DemoFailed, LocalStackError, StoreError, OSError) as error:
        print(f"demo-kafka: failed — {error}; logs: {ground.stack_directory(directory) / 'logs'}", flush=True)  # noqa: T201
        return 1


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
            _clear(directory, story)
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


def down(directory: Path) -> int:
    """End a demo that runs, and whatever one has left; logs stay."""
    if (pid := ground.end_running(directory)) is not None:
        print(f"demo-kafka: process {pid} was told to end, and did")  # noqa: T201
    ground.clear(directory, purge=False)
    print("demo-kafka: nothing is running")  # noqa: T201
    return 0


def _clear(directory: Path, story: Story) -> None:
    """Nothing may interrupt this: what it leaves running, nobody else would stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    began = time.monotonic()
    ground.clear(directory, purge=False)
    story.console.print(f"\n[dim]everything was stopped in {time.monotonic() - began:.1f} s[/]")


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
