"""Small SVG bar plots, drawn by the server. Pure; every value is a number of ours, so nothing needs escaping."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from reconciler.app.api.models import CheckpointView
from reconciler.app.render_output import ago

WIDTH, HEIGHT, LEFT, FOOT = 460, 120, 62, 18
SHOWN = 40


def duration(checkpoints: Sequence[CheckpointView]) -> Markup:
    return _bars(checkpoints, "Duration of checkpoints", lambda each: each.duration_seconds, seconds)


def size(checkpoints: Sequence[CheckpointView]) -> Markup:
    return _bars(checkpoints, "Size of checkpoints", lambda each: float(each.size_bytes), bytes_)


def seconds(value: float) -> str:
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 60 else ago(value)


def bytes_(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def meter(used: float | None, whole: float | None) -> Markup:
    """A bar of how much of something is used; the numbers stand beside it."""
    if used is None or not whole:
        return Markup("")
    share = min(max(used / whole, 0.0), 1.0) * 100
    return Markup(
        '<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="full" width="100" height="8" rx="2"/><rect class="used" width="{}" height="8" rx="2"/></svg>'
    ).format(f"{share:.1f}")


def _bars(
    checkpoints: Sequence[CheckpointView],
    title: str,
    value_of: Callable[[CheckpointView], float],
    shown: Callable[[float], str],
) -> Markup:
    latest = checkpoints[-SHOWN:]
    if not latest:
        return Markup("")
    top = max(value_of(each) for each in latest) or 1.0
    room = (WIDTH - LEFT) / max(len(latest), 10)
    height = HEIGHT - FOOT - 8
    parts = [
        Markup('<line x1="{0}" y1="8" x2="{1}" y2="8"/><line x1="{0}" y1="{2}" x2="{1}" y2="{2}"/>').format(
            LEFT, WIDTH, HEIGHT - FOOT
        ),
        Markup('<text x="{}" y="12" text-anchor="end">{}</text>').format(LEFT - 6, shown(top)),
        Markup('<text x="{}" y="{}" text-anchor="end">0</text>').format(LEFT - 6, HEIGHT - FOOT),
    ]
    for index, each in enumerate(latest):
        value = value_of(each)
        tall = max(height * value / top, 1.5)
        kind = "f" if each.status == "FAILED" else "s" if each.kind == "savepoint" else "c"
        parts.append(
            Markup('<rect class="bar-{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                kind,
                f"{LEFT + index * room + room * 0.12:.1f}",
                f"{HEIGHT - FOOT - tall:.1f}",
                f"{room * 0.76:.1f}",
                f"{tall:.1f}",
                f"{each.kind} {each.id}, {each.status.lower()}: {shown(value)}",
            )
        )
    parts += [
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            f"{LEFT + (index + 0.5) * room:.1f}", HEIGHT - 4, latest[index].id
        )
        for index in sorted({0, len(latest) - 1})
    ]
    label = f"{title}: {len(latest)} shown, the latest {shown(value_of(latest[-1]))}, the most {shown(top)}"
    return Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join(parts)
    )
