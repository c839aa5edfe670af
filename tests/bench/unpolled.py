"""`weir` without polls of Flink: what a leader at rest costs by itself. Everything else is as shipped."""

from __future__ import annotations

from reconciler.app.cli import main
from reconciler.polling import Poller

if __name__ == "__main__":
    Poller.plan = lambda *_: None  # type: ignore[method-assign]
    main()
