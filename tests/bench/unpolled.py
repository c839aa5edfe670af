"""`weir` without polls of Flink, which writes down how long its loop takes for an event. Everything else is as shipped.

python tests/bench/unpolled.py TURNS run ...    TURNS gets a line for each turn of more than 10 ms: milliseconds
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.app.cli import main
from reconciler.app.monitoring.monitor import Monitor
from reconciler.model.events import Event
from reconciler.polling import Poller
from reconciler.view import LeaderView

LEAST_MS = 10.0
_handled = Monitor.handled


def timed(turns: Path) -> None:
    """Write down the turns of the loop, each with the view of its memory that is taken in it."""

    def handled(monitor: Monitor, event: Event, seconds: float, view: Callable[[], LeaderView]) -> None:
        began = time.perf_counter()
        _handled(monitor, event, seconds, view)
        took = (seconds + time.perf_counter() - began) * 1000
        if took >= LEAST_MS:
            with turns.open("a") as file:
                file.write(f"{took:.1f}\n")

    Monitor.handled = handled  # type: ignore[method-assign]


if __name__ == "__main__":
    Poller.plan = lambda *_: None  # type: ignore[method-assign]
    timed(Path(sys.argv.pop(1)))
    main()
