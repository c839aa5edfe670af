"""Finding plugins: each group is an entry point group, each name what a spec says.

A plugin that cannot be loaded is reported and left out; it must not keep the operator from
reconciling the jobs that do not use it (fault 57).
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import structlog

log = structlog.get_logger("weir.plugins")

RESTART = "weir.restart"
PLACEMENT = "weir.placement"


def load(group: str) -> dict[str, Any]:
    """One instance of every plugin of the group, by name."""
    found: dict[str, Any] = {}
    for point in entry_points(group=group):
        try:
            found[point.name] = point.load()()
        except Exception as error:
            log.error("plugin.unusable", group=group, plugin=point.name, error=f"{type(error).__name__}: {error}")
    return found
