"""structlog set up once: dotted constant events with bound values, on stderr, secrets left out."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_WORDS = ("secret", "password", "token", "credential")


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Values bound under a name that speaks of a secret never reach the output."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "***"
    return event


def configure(form: str, level: str) -> None:
    """Console lines for people, JSON lines for machines."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    # kazoo and pymesos log through the standard library; what they repeat on each attempt is ours to say once.
    logging.basicConfig(stream=sys.stderr, level=max(numeric, logging.ERROR), format="%(name)s: %(message)s")
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
