"""Every command of docs/tutorial.md, in its order, by a new user with an empty home directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.local.cache import cache_dir
from integration.local.config import LocalConfig
from tests.e2e.tutorial import ADDRESS, PAGES, Shell, missing, steps

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
BLOCK_S = 180.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home, but for the ports of the stack, which other stacks of this machine must not have."""
    made = tmp_path / "home"
    state = made / ".local" / "state" / "weir" / "local"
    state.mkdir(parents=True)
    config = LocalConfig(state_dir=state, port_base=None, cache=cache_dir())
    (state / "stack.json").write_text(json.dumps(config.to_json()))
    return made


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Iterator[Shell]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_") and name != "VIRTUAL_ENV"}
    kept["PATH"] = os.pathsep.join(
        each for each in kept["PATH"].split(os.pathsep) if each != str(Path(sys.executable).parent)
    )
    config = kept.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))  # of pip
    env = {**kept, "HOME": str(home), "WEIR_CACHE": str(cache_dir()), "XDG_CONFIG_HOME": config}
    made = Shell(tmp_path, env)
    try:
        yield made
    finally:
        made.run("cd; weir local down --purge", BLOCK_S)
        made.close()


def repository(directory: Path) -> Path:
    """What lies in the working tree, as a repository to clone, also where the tree itself is none."""
    directory.mkdir()
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "--git-dir", str(directory / ".git")]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--no-verify", "--message", "all"]):
        subprocess.run([*git, "--work-tree", str(ROOT), *command], check=True, cwd=ROOT, capture_output=True)
    return directory


def prepare(clone: Path) -> None:
    """`make setup` of the clone installs what it lacks: not again, over the net, what the suite itself runs with."""
    venv.create(clone / ".venv", with_pip=True, symlinks=True)
    (site,) = (clone / ".venv" / "lib").glob("python*/site-packages")
    (ours,) = (Path(sys.prefix) / "lib").glob("python*/site-packages")
    (site / "suite.pth").write_text(f"{ours}\n")


def test_the_tutorial_works_as_it_is_written(shell: Shell, home: Path, tmp_path: Path) -> None:
    source = repository(tmp_path / "repository")
    pages = PAGES
    for step in steps((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")):
        commands = step.commands.replace(PAGES, pages)
        if ADDRESS in commands:
            clone, rest = commands.split("\n", 1)
            cloned, printed = shell.run(clone.replace(ADDRESS, source.as_uri()), BLOCK_S)
            assert cloned, printed
            prepare(home / "weir")
            commands = rest
        done, printed = shell.run(commands, BLOCK_S)
        print(f"--- line {step.line}\n{commands}{printed}", flush=True)
        assert done, f"docs/tutorial.md, line {step.line}: a command failed:\n{printed}"
        absent = missing(step.printed, printed.replace(pages, PAGES), str(home))
        assert absent == [], f"docs/tutorial.md, line {step.line}: it does not print {absent}, but\n{printed}"
        if found := re.search(r"http://127\.0\.0\.1:\d+$", printed, re.MULTILINE):
            pages = found[0]
