"""What suites and people need around stacks.

python -m integration.containers engine        install and start a container engine (root, apt)
python -m integration.containers images        build what is missing, and print every image's name
python -m integration.containers sweep [--all] remove what ended suites left (--all: every stack)
"""

from __future__ import annotations

import argparse
import sys

from integration.containers.cleanup import sweep, watch
from integration.containers.engine import connect, ensure_engine
from integration.containers.errors import ContainersError
from integration.containers.images import Images
from integration.local.flink_dist import DEFAULT_SERIES
from integration.local.progress import Silent


class _Notes(Silent):
    """Says on stderr what takes long."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command's output


def main() -> int:
    """Entry point; one line on stderr says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m integration.containers", description=__doc__)
    parser.add_argument("command", choices=["engine", "images", "sweep", "watch"])
    parser.add_argument("stack", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help="sweep: also stacks whose suite runs")
    parser.add_argument("--flink", default=DEFAULT_SERIES, help="images: series of Flink on agents")
    options = parser.parse_args()
    try:
        if options.command == "engine":
            ensure_engine(_Notes())
        elif options.command == "images":
            for name, image in Images(ensure_engine(_Notes()), series=options.flink, progress=_Notes()).all().items():
                print(f"{name:<14} {image}")  # noqa: T201
        elif options.command == "watch":
            watch(connect(), str(options.stack))
        else:
            removed = sweep(connect(), everything=options.all)
            print(f"removed {removed} containers")  # noqa: T201
    except ContainersError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
