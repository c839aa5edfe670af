"""Finding plugins: each group is an entry point group, each name what a spec or a configuration says.

A plugin that cannot be loaded is reported and left out; it must not keep the operator from
reconciling the jobs that do not use it (fault 57). A name that Weir ships cannot be taken by another
package, and of two other packages the first by name wins: which one runs never depends on the order
in which they were installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog

from plugins.guard import BoundedRestart, TimedPlacement

log = structlog.get_logger("weir.plugins")

RESTART = "weir.restart"
PLACEMENT = "weir.placement"
NOTIFICATION = "weir.notification"
RETRY = "weir.retry"
OWN = "weir"

_METHOD: Mapping[str, str] = {RESTART: "delay", PLACEMENT: "rank"}
_GUARD: Mapping[str, Callable[[str, Any], Any]] = {RESTART: BoundedRestart, PLACEMENT: TimedPlacement}


class PluginError(Exception):
    """A plugin that was asked for by name and cannot be used; the message says why."""


def load(group: str) -> dict[str, Any]:
    """One instance of every restart or placement strategy, by name."""
    found: dict[str, Any] = {}
    for name, point in _points(group):
        try:
            strategy = point.load()()
            if not callable(getattr(strategy, _METHOD[group], None)):
                raise TypeError(f"it has no method {_METHOD[group]}")
        except (Exception, SystemExit) as error:
            log.error("plugin.unusable", group=group, plugin=name, package=_package(point), error=_text(error))
            continue
        found[name] = strategy if _package(point) == OWN else _GUARD[group](name, strategy)
    return found


def factory(group: str, name: str) -> Callable[..., Any]:
    """What one entry point names, for plugins that are made from settings. Raises PluginError."""
    points = dict(_points(group))
    if name not in points:
        raise PluginError(f"there is no plugin {name} in {group}; there are: {', '.join(sorted(points)) or 'none'}")
    try:
        made = points[name].load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"the plugin {name} cannot be loaded: {_text(error)}") from error
    if not callable(made):
        raise PluginError(f"the plugin {name} cannot be used: {points[name].value} is not callable")
    return made  # type: ignore[no-any-return]


def _points(group: str) -> Iterator[tuple[str, EntryPoint]]:
    """The entry point of each name; ours before those of other packages."""
    taken: dict[str, EntryPoint] = {}
    points = sorted(entry_points(group=group), key=lambda point: (_package(point) != OWN, _package(point), point.value))
    for point in points:
        first = taken.setdefault(point.name, point)
        if first is point:
            yield point.name, point
        elif first.value != point.value:
            log.error("plugin.name_taken", group=group, plugin=point.name, package=_package(point), by=_package(first))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
