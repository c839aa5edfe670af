"""structlog set up once: dotted constant events with bound values, on stderr, secrets left out."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

MASK = "***"
_SECRET_NAME = re.compile(r"secret|password|passwd|token|credential|authorization|cookie|api_?key", re.IGNORECASE)
_WORDS = r"[\w.-]{0,40}(?:secret|password|passwd|token|credential)[\w.-]{0,40}"
_IN_TEXT = (
    (re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]+(?=@)"), MASK),  # user:password of a URL
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9+/=._~-]{8,}"), rf"\1 {MASK}"),
    (
        re.compile(r"(\bdigest:[^:\s\"',]+:)[A-Za-z0-9+/]{27}="),
        rf"\1{MASK}",
    ),  # an identity of ZooKeeper, with a password's hash
    (re.compile(rf"""(?i)({_WORDS})(["']?\s*=\s*["']?|["']\s*:\s*["']?)[^\s"',;&}}]+"""), rf"\1\2{MASK}"),
    (re.compile(r"""(?i)\b(secret|password|passwd|token|credentials?)(\s*:\s*)[^\s"',;&}]+"""), rf"\1\2{MASK}"),
)
DEEPEST = 6


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what speaks of a secret: values by their name, at any depth, and what texts carry along.

    The event's own name is a constant of ours and stays.
    """
    for key, value in event.items():
        if key != "event":
            event[key] = _masked(key, value, DEEPEST)
    return event


def _masked(key: str, value: Any, depth: int) -> Any:
    if _SECRET_NAME.search(key):
        return MASK
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bytes):
        return mask(value.decode("utf-8", "replace"))
    if isinstance(value, BaseException):
        return mask(f"{type(value).__name__}: {value}")
    if depth <= 0:
        return MASK if isinstance(value, Mapping | list | tuple | set | frozenset) else value
    if isinstance(value, Mapping):
        return {name: _masked(str(name), each, depth - 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", each, depth - 1) for each in value]
    return value


def speaks_of_a_secret(name: str) -> bool:
    """True for the name of a setting whose value is one."""
    return _SECRET_NAME.search(name) is not None


def mask(text: str) -> str:
    """A text without the credentials that stand in it in one of the usual forms."""
    for pattern, put in _IN_TEXT:
        text = pattern.sub(put, text)
    return text


def harmless(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For lines on a terminal: no text of a user ends a line or drives it. JSON escapes by itself."""
    for key, value in event.items():
        if isinstance(value, str) and key not in ("exception", "stack"):
            event[key] = "".join(each if each.isprintable() else repr(each)[1:-1] for each in value)
    return event


def configure(form: str, level: str) -> None:
    """Console lines for people, JSON lines for machines."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    # kazoo and pymesos log through the standard library; what they repeat on each attempt is ours to say once.
    logging.basicConfig(stream=sys.stderr, level=max(numeric, logging.ERROR), format="%(name)s: %(message)s")
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            *([harmless] if form == "console" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
