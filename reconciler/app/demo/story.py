"""Narration: steps with their time, waits that show how long they may still take, the table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

T = TypeVar("T")
Ready = Callable[[], T | None]
"""Answers None (or False) until what is waited for is there; raises to give the wait up."""


class DemoFailed(Exception):
    """What was expected did not come: one sentence for the person who watches."""


def poll(what: str, ready: Ready[T], timeout: float, every: float = 0.1, tick: Callable[[], None] | None = None) -> T:
    """The first answer of `ready` that is neither None nor False. Raises DemoFailed after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = ready()
        if found is not None and found is not False:
            return found
        if time.monotonic() >= deadline:
            raise DemoFailed(f"{what}: not within {timeout:.0f} s")
        if tick is not None:
            tick()
        time.sleep(every)


def new_console() -> Console:
    """Stdout; wide enough for the table where it is not a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


@dataclass
class Step:
    """One line of the final table."""

    number: int
    title: str
    began: float
    took: float | None = None
    result: str = ""
    measured: list[tuple[str, float]] = field(default_factory=list)


class Story:
    """Prints to `console`. `guard` is asked during waits and raises when going on waiting is pointless."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or new_console()
        self.steps: list[Step] = []
        self.began = time.monotonic()
        self.guard: Callable[[], None] = lambda: None
        self.why: Callable[[], str] = lambda: ""
        """What the job itself says that it waits for; shown beside the bar."""

    def say(self, text: str) -> None:
        """One indented line."""
        self.console.print(f"   {text}", markup=False, soft_wrap=True)

    def quote(self, text: str) -> None:
        """A command line or a value, set apart."""
        self.console.print(f"   [cyan]{escape(text)}[/]", soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A numbered step; its time is taken whether it works or not."""
        step = Step(len(self.steps) + 1, title, time.monotonic())
        self.steps.append(step)
        self.console.print(f"\n[bold]{step.number}. {escape(title)}[/]")
        yield step
        step.took = time.monotonic() - step.began
        self.console.print(f"   [green]done[/] in {step.took:.1f} s: {escape(step.result)}", soft_wrap=True)

    def wait(self, what: str, ready: Ready[T], timeout: float, every: float = 0.1) -> T:
        """`poll` that shows itself, and says how long it took. Raises DemoFailed."""
        began = time.monotonic()
        found = self._wait(what, ready, timeout, every)
        took = time.monotonic() - began
        self.say(f"{what}: {took:.1f} s")
        if self.steps:
            self.steps[-1].measured.append((what, took))
        return found

    def _wait(self, what: str, ready: Ready[T], timeout: float, every: float) -> T:
        checked = 0.0
        if not self.console.is_terminal or self.console.is_dumb_terminal:

            def quiet() -> None:
                nonlocal checked
                checked = self._check(checked)

            return poll(what, ready, timeout, every, quiet)
        why = TextColumn("[dim]{task.fields[why]}")
        columns = (TextColumn("   {task.description}"), BarColumn(24), TimeElapsedColumn(), why)
        with Bars(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(escape(what), total=timeout, why="")
            began = time.monotonic()

            def show() -> None:
                nonlocal checked
                before, checked = checked, self._check(checked)
                bars.update(task, completed=time.monotonic() - began)
                if checked != before:
                    bars.update(task, why=escape(self.why()[:70]))

            return poll(what, ready, timeout, every, show)

    def _check(self, last: float) -> float:
        """Ask the guard about once a second."""
        now = time.monotonic()
        if now - last < 1.0:
            return last
        self.guard()
        return now

    def summary(self) -> None:
        """The table of all steps."""
        table = Table(box=box.SIMPLE, title="What happened", title_justify="left")
        table.add_column("", justify="right")
        table.add_column("step")
        table.add_column("outcome", overflow="fold")
        table.add_column("took", justify="right")
        for step in self.steps:
            took = f"{step.took:.1f} s" if step.took is not None else "[red]failed[/]"
            table.add_row(str(step.number), escape(step.title), escape(step.result), took)
        table.add_row("", "[bold]all[/]", "", f"[bold]{time.monotonic() - self.began:.0f} s[/]")
        self.console.print()
        self.console.print(table)
