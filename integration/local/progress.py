"""How long-running steps of the local stack report themselves: a port with two implementations.

Everything goes to stderr: stdout belongs to data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichBars


class Bar(Protocol):
    """One running step."""

    def update(self, done: float, total: float | None = None) -> None:
        """Sets the amount done so far; ``total`` when it became known."""


class Progress(Protocol):
    """Where steps are shown."""

    def note(self, text: str) -> None:
        """Says one thing that happened, e.g. that a system package was installed."""

    def bar(self, text: str, total: float | None = None, *, steps: bool = False) -> AbstractContextManager[Bar]:
        """Shows a bar while the context lasts; ``total`` in bytes (or ``steps``), None when unknown."""


class _NoBar:
    def update(self, done: float, total: float | None = None) -> None:
        """Shows nothing."""


class Silent:
    """Shows nothing; for tests and for callers that have their own display."""

    def note(self, text: str) -> None:
        """Drops it."""

    @contextmanager
    def bar(self, text: str, total: float | None = None, *, steps: bool = False) -> Iterator[Bar]:
        """A bar that is not shown."""
        del text, total, steps
        yield _NoBar()


class _RichBar:
    def __init__(self, bars: RichBars, text: str, total: float | None) -> None:
        self._bars = bars
        self._task = bars.add_task(text, total=total)

    def update(self, done: float, total: float | None = None) -> None:
        if total is not None:
            self._bars.update(self._task, total=total)
        self._bars.update(self._task, completed=done)


class Terminal:
    """Progress bars on a terminal; one line per step when stderr is not one."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)

    def note(self, text: str) -> None:
        """Prints one line."""
        self.console.print(text, markup=False)

    @contextmanager
    def bar(self, text: str, total: float | None = None, *, steps: bool = False) -> Iterator[Bar]:
        """A bar with size and elapsed time."""
        if not self.console.is_terminal:
            self.note(f"{text} ...")
            yield _NoBar()
            return
        amount = MofNCompleteColumn() if steps else DownloadColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
        with RichBars(*columns, console=self.console) as bars:
            yield _RichBar(bars, text, total)
