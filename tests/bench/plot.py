"""The figures as an SVG: a bar for each ratio to its floor, on a logarithmic axis, and the numbers beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tests.bench.figures import Figure, shown

_ROW, _LEFT, _WIDTH, _RIGHT, _TOP = 26, 330, 300, 400, 44
_MET, _MISSED, _INK = "#2a7f62", "#b8502f", "#333333"


def plot(figures: Sequence[Figure], path: Path) -> None:
    """Write the plot; a figure without a floor is numbers only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drawn(figures), encoding="utf-8")


def drawn(figures: Sequence[Figure]) -> str:
    """The SVG document."""
    largest = max([one.ratio for one in figures if one.ratio is not None], default=10.0)
    decades = max(1, math.ceil(math.log10(max(largest, 1.0))))
    height = _TOP + _ROW * len(figures) + 16
    width = _LEFT + _WIDTH + _RIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        _text(_LEFT, 16, "median : floor of the same run (logarithmic); green: the goal is met"),
    ]
    for decade in range(decades + 1):
        x = _LEFT + _WIDTH * decade / decades
        lines.append(f'<line x1="{x:g}" y1="{_TOP - 8}" x2="{x:g}" y2="{height - 12}" stroke="#dddddd"/>')
        lines.append(_text(x, _TOP - 12, f"{10**decade:,}", "middle"))
    for number, one in enumerate(figures):
        lines += _row(one, _TOP + _ROW * number, decades)
    return "\n".join([*lines, "</svg>", ""])


def _row(one: Figure, top: int, decades: int) -> list[str]:
    colour, middle = (_MET if one.met else _MISSED), top + _ROW / 2 + 4
    found = [_text(_LEFT - 8, middle, one.name, "end")]
    if one.ratio is not None:
        share = min(1.0, max(0.0, math.log10(max(one.ratio, 1.0)) / decades))
        length = max(2.0, _WIDTH * share)
        found.append(f'<rect x="{_LEFT}" y="{top + 5}" width="{length:.1f}" height="{_ROW - 10}" fill="{colour}"/>')
    floor = f", floor {shown(one.floor)}" if one.floor is not None else ""
    ratio = f"{shown(one.ratio)} x; " if one.ratio is not None else ""
    said = f"{ratio}{shown(one.median)} {one.unit}{floor}; goal {one.goal}"
    return [*found, _text(_LEFT + _WIDTH + 8, middle, said, colour=colour)]


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = _INK) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="12" fill="{colour}">{escape(text)}</text>'
