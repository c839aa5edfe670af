"""The time line as a picture: faults, epochs of leaders, the job's state and rows, one below the other. Plain SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path

from tests.chaos.run import Result
from tests.chaos.schedule import CONTROL
from tests.chaos.timeline import Sample

WIDTH, LEFT, RIGHT = 1200, 130, 20
ROW, GAP = 16, 26
ROWS_HEIGHT = 160
_COLOURS = {
    "RUNNING": "#4c9f70", "STABLE": "#4c9f70", "DEPLOYED": "#a7c957", "RECONCILING": "#9a8c98", "UPGRADING": "#3d6fb6",
    "CREATED": "#e0a030", "RESTARTING": "#e0a030", "INITIALIZING": "#e0a030", "": "#dddddd",
}  # fmt: skip
_EPOCHS = ("#264653", "#2a9d8f", "#8ab17d", "#e9c46a", "#f4a261", "#e76f51")


def write(result: Result, samples: list[Sample], path: Path) -> None:
    path.write_text(render(result, samples), encoding="utf-8")


def render(result: Result, samples: list[Sample]) -> str:
    """The whole picture."""
    kinds = sorted({blow.kind for item in result.done for blow in item.step.blows}, key=lambda kind: kind in CONTROL)
    end = max([sample.t for sample in samples] + [item.until for item in result.done] + [1.0])

    def x(seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / end, 1)

    faults, top = _faults(result, kinds, x), 40 + GAP
    bands_top = top + ROW * len(kinds) + GAP
    bands = [
        *_band("leader epoch", samples, lambda s: str(s.epoch or ""), x, bands_top),
        *_band("lifecycle", samples, lambda s: s.lifecycle, x, bands_top + ROW + 6),
        *_band("Flink's job", samples, lambda s: s.job_state, x, bands_top + 2 * (ROW + 6)),
    ]
    rows_top = bands_top + 3 * (ROW + 6) + GAP
    height = rows_top + ROWS_HEIGHT + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="15">Weir under chaos, seed {result.seed}: {escape(result.line())}</text>',
        *faults, *bands, *_rows(samples, x, rows_top), *_axis(end, x, rows_top + ROWS_HEIGHT), "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _faults(result: Result, kinds: list[str], x: Callable[[float], float]) -> Iterator[str]:
    """A bar from the blow to the end of its step, on the line of its class."""
    for line, kind in enumerate(kinds):
        y = 40 + GAP + ROW * line
        yield f'<text x="10" y="{y + 11}">{kind}</text>'
        for item in result.done:
            if any(blow.kind == kind for blow in item.step.blows):
                colour = "#3d6fb6" if kind in CONTROL else "#c8553d"
                width = max(2.0, x(item.until) - x(item.at))
                title = escape("; ".join(item.what))
                yield (
                    f'<rect x="{x(item.at)}" y="{y + 2}" width="{width:.1f}" height="{ROW - 4}" fill="{colour}">'
                    f"<title>{item.step.number}. {title}</title></rect>"
                )


def _band(
    name: str, samples: list[Sample], value: Callable[[Sample], str], x: Callable[[float], float], y: float
) -> Iterator[str]:
    """Stretches of one value, with the value where there is room."""
    yield f'<text x="10" y="{y + 11}">{name}</text>'
    stretches = [(key, list(group)) for key, group in groupby(samples, value)]
    for number, (key, group) in enumerate(stretches):
        begin = x(group[0].t)
        last = stretches[number + 1][1][0].t if number + 1 < len(stretches) else group[-1].t
        width = max(1.0, x(last) - begin)
        colour = _EPOCHS[int(key) % len(_EPOCHS)] if key.isdigit() else _COLOURS.get(key, "#c8553d")
        yield (
            f'<rect x="{begin}" y="{y}" width="{width:.1f}" height="{ROW}" fill="{colour}">'
            f"<title>{escape(key)}</title></rect>"
        )
        if width > 7 * len(key):
            yield f'<text x="{begin + 3}" y="{y + 12}" fill="white">{escape(key)}</text>'


def _rows(samples: list[Sample], x: Callable[[float], float], top: float) -> Iterator[str]:
    most = max([sample.rows_fed for sample in samples] + [1])
    yield f'<text x="10" y="{top + 11}">rows (0 to {most})</text>'
    yield f'<text x="10" y="{top + 27}" fill="#888888">wanted</text>'
    yield f'<text x="10" y="{top + 43}" fill="#4c9f70">committed</text>'
    for colour, read in (("#888888", lambda s: s.rows_fed), ("#4c9f70", lambda s: s.rows_committed)):
        points = " ".join(f"{x(s.t)},{top + ROWS_HEIGHT * (1 - read(s) / most):.1f}" for s in samples)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _axis(end: float, x: Callable[[float], float], y: float) -> Iterator[str]:
    yield f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="black"/>'
    every = next(step for step in (10, 30, 60, 300, 600, 3600, 10**9) if end / step <= 20)
    for seconds in range(0, int(end) + 1, every):
        yield f'<text x="{x(seconds)}" y="{y + 16}" text-anchor="middle">{seconds} s</text>'
        yield f'<line x1="{x(seconds)}" y1="{y}" x2="{x(seconds)}" y2="{y + 4}" stroke="black"/>'
