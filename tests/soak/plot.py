"""Each measured series over the cycles, with the fitted line after the warm-up. Plain SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tests.soak.judge import PER, Finding, Series

WIDTH, LEFT, RIGHT, HEIGHT, GAP = 1000, 70, 20, 110, 46


def render(samples: Series, findings: Sequence[Finding], warm_up: float, title: str) -> str:
    """One panel for each finding, one below the other."""
    height = 40 + len(findings) * (HEIGHT + GAP) + 20
    most = max([cycles for cycles, _ in samples] + [1.0])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
    ]
    for number, finding in enumerate(findings):
        parts += _panel(samples, finding, warm_up, most, 50 + number * (HEIGHT + GAP))
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{height - 6}" text-anchor="end">{most:.0f} cycles</text></svg>')
    return "\n".join(parts) + "\n"


def _panel(samples: Series, finding: Finding, warm_up: float, most: float, top: float) -> Iterator[str]:
    name = finding.bound.name
    values = [measured[name] for _, measured in samples]
    highest = max([*values, 1e-9])

    def x(cycles: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * cycles / most, 1)

    def y(value: float) -> float:
        return round(top + HEIGHT * (1 - value / highest), 1)

    colour = "#4c9f70" if finding.ok else "#c8553d"
    points = " ".join(f"{x(cycles)},{y(measured[name])}" for cycles, measured in samples)
    yield f'<text x="10" y="{top - 6}" font-size="12" fill="{colour}">{escape(finding.sentence())}</text>'
    yield f'<text x="{LEFT - 6}" y="{top + 9}" text-anchor="end">{highest:.4g}</text>'
    yield f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>'
    yield f'<rect x="{LEFT}" y="{top}" width="{x(min(warm_up, most)) - LEFT}" height="{HEIGHT}" fill="#f0f0f0"/>'
    yield f'<line x1="{LEFT}" y1="{top + HEIGHT}" x2="{WIDTH - RIGHT}" y2="{top + HEIGHT}" stroke="black"/>'
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    after = [(cycles, measured[name]) for cycles, measured in samples if cycles >= warm_up]
    if after:
        middle = sum(cycles for cycles, _ in after) / len(after), sum(value for _, value in after) / len(after)
        ends = [(at, middle[1] + finding.growth / PER * (at - middle[0])) for at in (after[0][0], after[-1][0])]
        line = " ".join(f"{x(at)},{y(value)}" for at, value in ends)
        yield f'<polyline points="{line}" fill="none" stroke="black" stroke-dasharray="4 3"/>'
