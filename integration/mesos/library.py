"""The only import of pymesos, and what has to be undone right after it.

On import pymesos 0.3.15 replaces the SIGINT handler (so it must be imported on the main thread) and
writes its own lines to stderr. Every failure that it logs is logged by our driver, with its values.
"""

from __future__ import annotations

import logging
import signal
import threading

if threading.current_thread() is not threading.main_thread():  # pragma: no cover
    raise ImportError(
        "integration.mesos.driver must first be imported on the main thread: pymesos sets a signal handler"
    )

_handler = signal.getsignal(signal.SIGINT)

import pymesos  # noqa: E402
import pymesos.process  # noqa: E402

signal.signal(signal.SIGINT, _handler)
logging.getLogger("pymesos").handlers.clear()
logging.getLogger("pymesos").setLevel(logging.CRITICAL)

# Reading offers 4 KiB at a time is quadratic in their size: 13 MB took 10 s, with this 1 s.
pymesos.process.PIPE_BUF = 1 << 20

Connection = pymesos.process.Connection
MesosSchedulerDriver = pymesos.MesosSchedulerDriver
Process = pymesos.process.Process
Scheduler = pymesos.Scheduler

__all__ = ["Connection", "MesosSchedulerDriver", "Process", "Scheduler"]
