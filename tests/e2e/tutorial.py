"""docs/tutorial.md as a program: its blocks of commands, each with what it is to print.

A block ```sh is typed into one shell, in the order of the page; the block ```text behind it is what the shell is to
say. What differs between two runs (numbers, times, ids, the reader's home) is compared by its form, `…` stands for
anything, and lines that the page leaves out are allowed between those that it shows.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

HOME = "/home/ann"
"""Where the reader of the page lives."""
ADDRESS = "ADDRESS"
"""What the page says instead of the address of the repository."""
PAGES = "http://127.0.0.1:8480"
"""Where the pages are on a machine on which nothing else runs."""

_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# In this order: what is longer first.
_FORMS = (
    (
        re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?"),
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?",
    ),
    (re.compile(r"part-[0-9a-f-]+"), r"part-[0-9a-f-]+"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,32}\b"), r"[0-9a-f]+"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:ms|s|m|h)?\b"), r"\d+(?:\.\d+)?(?:ms|s|m|h)?(?:\d+s)?"),
    (re.compile(r"\b[a-z]+@[a-z]+\b"), r"\S+@\S+"),
    (re.compile(r"\s+"), r"\s+"),
)


@dataclass(frozen=True)
class Step:
    """One block of commands; `line` is where it stands on the page."""

    line: int
    commands: str
    printed: tuple[str, ...]


def steps(text: str) -> list[Step]:
    """The blocks of the page. Raises ValueError for an output that belongs to no command."""
    found: list[Step] = []
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        if block[1] == "sh":
            found.append(Step(line, block[2], ()))
        elif not found or found[-1].printed:
            raise ValueError(f"line {line}: this output stands behind no command")
        else:
            printed = tuple(each for each in block[2].splitlines() if each.strip() not in ("", "…"))
            found[-1] = Step(found[-1].line, found[-1].commands, printed)
    return found


def pattern(line: str, home: str) -> re.Pattern[str]:
    """What a line of the page stands for; `home` is that of whoever runs it."""
    said, at = "", 0
    line = line.strip()
    while at < len(line):
        if line.startswith(HOME, at):
            said, at = said + re.escape(home), at + len(HOME)
            continue
        if line[at] == "…":
            said, at = said + ".*", at + 1
            continue
        for form, stands_for in _FORMS:
            # A word is matched as a whole: never the digits in its middle.
            if found := form.match(line, at):
                said, at = said + stands_for, found.end()
                break
        else:
            said, at = said + re.escape(line[at]), at + 1
    return re.compile(rf"\s*{said}\s*")


def missing(expected: tuple[str, ...], printed: str, home: str) -> list[str]:
    """The lines of the page that were not printed, or not in this order."""
    rest = iter(printed.splitlines())
    found = []
    for line in expected:
        wanted = pattern(line, home)
        before = list(rest)
        hits = [index for index, each in enumerate(before) if wanted.fullmatch(each)]
        rest = iter(before[hits[0] + 1 :] if hits else before)
        if not hits:
            found.append(line)
    return found


class Shell:
    """One bash, as a reader has one terminal: directories, variables and background jobs last from block to block."""

    def __init__(self, directory: Path, env: dict[str, str]) -> None:
        self.directory = directory
        self.output = directory / "output"
        self.number = 0
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                cwd=env["HOME"],
                env=env,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.run("trap 'echo \"this failed ($?): $BASH_COMMAND\"; failed=yes' ERR; failed=no", 10.0)

    def run(self, commands: str, timeout: float) -> tuple[bool, str]:
        """Whether every command ended with 0, and what all of them printed. Raises TimeoutError after `timeout` s."""
        self.number += 1
        script = self.directory / f"block-{self.number}"
        script.write_text(commands)
        begin = self.output.stat().st_size
        end = re.compile(rf"\n=== {self.number} (\w*) ===\n")
        assert self.process.stdin is not None
        self.process.stdin.write(f'. {script}\necho; echo "=== {self.number} $failed ==="; failed=no\n'.encode())
        self.process.stdin.flush()
        deadline = time.monotonic() + timeout
        while True:
            printed = self.output.read_bytes()[begin:].decode(errors="replace")
            if found := end.search(printed):
                return found[1] == "no", printed[: found.start()]
            if self.process.poll() is not None:
                return False, f"{printed}\nthe shell ended with {self.process.returncode}"
            if time.monotonic() >= deadline:
                raise TimeoutError(f"after {timeout:g} s it had printed:\n{printed}")
            time.sleep(0.05)

    def close(self) -> None:
        """End the shell and what it still runs."""
        for each in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, each)
            except ProcessLookupError:
                break
            time.sleep(2.0 if each is signal.SIGTERM else 0.0)
        self.process.wait()
