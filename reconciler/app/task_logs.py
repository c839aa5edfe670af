"""Which task's sandbox is meant, and reading a file of it to its end and beyond."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model.ids import TaskName, parse_task_id

if TYPE_CHECKING:
    from integration.mesos.sandbox import Sandbox, SandboxFiles

BLOCK = 64 << 10
MAX_TAIL = 16 << 20
"""Bytes from the end in which the lines of --tail are looked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What --task names: a role, or one of its tasks, or one attempt by its full id."""

    role: str = "jm"
    index: int | None = None
    task_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """`jm`, `tm`, `tm.1` or a task id. Raises ValueError."""
        whole = parse_task_id(text)
        if whole is not None:
            return cls(whole.role, whole.index, text)
        role, dot, index = text.partition(".")
        if role not in ("jm", "tm") or (dot and not index.isdecimal()):
            raise ValueError(f'"{text}" is no task; write jm, tm, tm.1 or a task id as weir describe shows it')
        return cls(role, int(index) if dot else None)

    @property
    def several(self) -> bool:
        """More than one task may be meant, now or later."""
        return self.role == "tm" and self.index is None

    def newest(self, known: Mapping[str, str], uid: str) -> list[tuple[str, str]]:
        """(task id, agent id) of the newest attempt of each task that is meant, by index, of one generation."""
        if self.task_id is not None:
            return [(self.task_id, known[self.task_id])] if self.task_id in known else []
        meant: list[tuple[TaskName, str]] = []
        for task_id in known:
            name = parse_task_id(task_id)
            if name is not None and (name.uid, name.role) == (uid, self.role) and self.index in (None, name.index):
                meant.append((name, task_id))
        last = max((name.generation for name, _ in meant), default=0)
        newest: dict[int, tuple[int, str]] = {}
        for name, task_id in meant:
            if name.generation == last:
                newest[name.index] = max(newest.get(name.index, (0, "")), (name.attempt, task_id))
        return [(task_id, known[task_id]) for _, (_, task_id) in sorted(newest.items())]


def short(task_id: str) -> str:
    """`tm.1`, as --task takes it."""
    name = parse_task_id(task_id)
    return f"{name.role}.{name.index}" if name is not None else task_id


class Stream:
    """One file of one sandbox, read from where the last reading ended."""

    def __init__(self, files: SandboxFiles, sandbox: Sandbox, name: str) -> None:
        self._files = files
        self._sandbox = sandbox
        self._name = name
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def task_id(self) -> str:
        return self._sandbox.task_id

    def skip_to_tail(self, lines: int) -> None:
        """Begin with the last `lines` lines. Raises NoSandbox."""
        end = start = self._files.size(self._sandbox, self._name)
        tail = b""
        while start > 0 and end - start < MAX_TAIL:
            before = max(start - BLOCK, 0)
            tail = b"".join(self._files.pages(self._sandbox, self._name, before, start)) + tail
            start = before
            cut = _cut(tail, lines)
            if cut is not None:
                start += cut
                break
        self._offset = end if lines == 0 else start

    def read(self) -> Iterator[str]:
        """What was written since, in pieces. A file that became shorter begins anew. Raises NoSandbox."""
        size = self._files.size(self._sandbox, self._name)
        if size < self._offset:
            self._offset = 0
        for page in self._files.pages(self._sandbox, self._name, self._offset, size):
            self._offset += len(page)
            yield self._decoder.decode(page)


def _cut(data: bytes, lines: int) -> int | None:
    """Where the last `lines` lines of `data` begin; None when it has no more than these."""
    at = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(lines):
        at = data.rfind(b"\n", 0, max(at, 0))
        if at < 0:
            return None
    return at + 1


class Lines:
    """Writes pieces of text as lines with a prefix, and keeps the unfinished one; without a prefix as they come."""

    def __init__(self, prefix: str, *, plain: bool) -> None:
        self._prefix = prefix
        self._plain = plain
        self._rest = ""

    def take(self, text: str) -> str:
        """What can be written now."""
        text = _harmless(text) if self._plain else text
        if not self._prefix:
            return text
        *whole, self._rest = (self._rest + text).split("\n")
        return "".join(f"{self._prefix}{line}\n" for line in whole)

    def end(self) -> str:
        """The unfinished line, when nothing more will come."""
        rest, self._rest = self._rest, ""
        return f"{self._prefix}{rest}\n" if rest else ""


def _harmless(text: str) -> str:
    """Without control characters: what jobs write must not drive a terminal."""
    return "".join(each if each.isprintable() or each in "\n\t" else "�" for each in text)
