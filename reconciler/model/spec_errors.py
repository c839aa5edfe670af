"""What a spec is refused with, and what the installation allows."""

from __future__ import annotations

import json
from dataclasses import dataclass

from reconciler.model.status import SpecError

MAX_SPEC_BYTES = 256 * 1024
SHOWN = 60
"""Characters of a user's text that a message repeats."""


class SpecInvalid(ValueError):
    """Desired state that cannot be accepted, with everything that is wrong with it."""

    def __init__(self, errors: tuple[SpecError, ...]) -> None:
        super().__init__("; ".join(error.sentence() for error in errors))
        self.errors = errors


def problem(path: str, message: str, hint: str | None = None) -> SpecError:
    """A `SpecError` that can always be stored: bounded, and without lone surrogates of bad input."""
    return SpecError(path=_text(path, 200), message=_text(message, 1000), hint=_text(hint, 1000) if hint else None)


def shown(value: object) -> str:
    """A value as JSON, short enough for a message."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = "…"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _text(text: str, limit: int) -> str:
    clean = text.encode("utf-8", "backslashreplace").decode()
    # Keys are a user's text too: what drives a terminal or ends a line of a log is shown, not done.
    clean = "".join(each if each.isprintable() else repr(each)[1:-1] for each in clean)
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"


@dataclass(frozen=True, slots=True)
class SpecLimits:
    """What this installation has and allows. None: not checked."""

    flink_versions: frozenset[str] | None = None
    """Versions with a distribution, as `major.minor` or in full."""
    restart_strategies: frozenset[str] | None = None
    placement_strategies: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    """Mesos roles that the framework has; "*" means any offer of the default role."""
    uri_schemes: frozenset[str] = frozenset({"file", "http", "https", "s3", "hdfs"})
    artefacts: tuple[str, ...] | None = None
    """Places below which a job's files have to be: prefixes of URIs, or absolute paths."""
    state: tuple[str, ...] | None = None
    """The same for savepoints that a spec names."""
    gpus: bool = True
    """Whether Mesos offers GPUs to the framework."""
    max_task_cpus: float | None = None
    """Cpus of the largest task that an agent could ever take."""
    max_task_mem: int | None = None
    """MiB of the largest task that an agent could ever take."""


DEFAULT_LIMITS = SpecLimits()
