"""Finding plugins: what cannot be used is left out, and nobody takes a name that Weir ships."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plugins import registry
from plugins.guard import BoundedRestart
from plugins.restart.fixed_delay import FixedDelay

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


class Point:
    """An entry point of a package that is not installed."""

    def __init__(self, name: str, made: Any, package: str = "other", value: str = "other:thing") -> None:
        self.name, self.value, self.made = name, value, made
        self.dist = SimpleNamespace(name=package)

    def load(self) -> Any:
        if isinstance(self.made, BaseException):
            raise self.made
        return self.made


def found(monkeypatch: pytest.MonkeyPatch, *points: Point, group: str = registry.RESTART) -> dict[str, Any]:
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    return registry.load(group)


def raises() -> Any:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    "made",
    [ImportError("gone"), SystemExit(1), SyntaxError("x"), raises, object, lambda needed: None, None, 3],
    ids=["import error", "exit", "syntax", "constructor raises", "no method", "wants arguments", "none", "a number"],
)
def test_f57_a_plugin_that_cannot_be_used_is_left_out(monkeypatch: pytest.MonkeyPatch, made: Any) -> None:
    assert set(found(monkeypatch, Point("bad", made), Point("good", FixedDelay, value="b"))) == {"good"}


def test_only_strategies_of_others_are_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    both = found(monkeypatch, Point("a", FixedDelay, "weir"), Point("b", FixedDelay, "other"))

    assert isinstance(both["a"], FixedDelay)
    assert isinstance(both["b"], BoundedRestart)


def test_a_name_that_weir_ships_cannot_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = found(monkeypatch, Point("none", raises, "aaa"), Point("none", FixedDelay, "weir", "plugins.x:Y"))

    assert isinstance(taken["none"], FixedDelay)


def test_of_two_packages_the_first_by_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Point("x", FixedDelay, "aaa", "a:A"), Point("x", raises, "bbb", "b:B")

    assert set(found(monkeypatch, other, one)) == set(found(monkeypatch, one, other)) == {"x"}


def test_what_is_named_but_not_there_says_what_there_is() -> None:
    with pytest.raises(registry.PluginError, match=r"no plugin pager in weir.notification; there are: log, webhook"):
        registry.factory(registry.NOTIFICATION, "pager")


def test_every_declared_entry_point_can_be_loaded() -> None:
    import tomllib

    groups = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]
    for group, points in groups.items():
        for name, value in points.items():
            assert callable(EntryPoint(name, value, group).load())
    assert set(groups[registry.RESTART]) == {"exponential-delay", "failure-rate", "fixed-delay", "none"}
    assert set(groups[registry.PLACEMENT]) == {"spread", "pack"}
    assert set(groups[registry.NOTIFICATION]) == {"log", "webhook"}
