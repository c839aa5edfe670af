"""The demo's comparison of what went in with what came out."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    path = Path(__file__).parents[3] / "examples" / "check_even_ids.py"
    spec = importlib.util.spec_from_file_location("check_even_ids", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows(*ids: int) -> list[dict[str, Any]]:
    return [{"id": number, "value": f"v{number}"} for number in ids]


def numbered(*counts: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"id": number, "value": f"v{number}", "count": count} for number, count in counts]


@pytest.mark.parametrize(
    ("committed", "verdict"),
    [
        ([(2, 1), (4, 2)], "OK: 2/2 rows committed (of 5 read), lost 0, duplicated 0"),
        ([(2, 1)], "INCOMPLETE: 1/2 rows committed (of 5 read), 1 not committed yet, duplicated 0"),
        ([(2, 1), (4, 2), (4, 3)], "WRONG: 3/2 rows committed (of 5 read), lost 0, duplicated 1"),
        ([(2, 1), (4, 3)], "counts with gaps"),
        ([(2, 1), (3, 2)], "unexpected 1"),
    ],
)
def test_what_differs_is_counted(
    checker: ModuleType, tmp_path: Path, committed: list[tuple[int, int]], verdict: str
) -> None:
    write(tmp_path / "in" / "a.json", rows(1, 2, 3, 4, 5))
    write(tmp_path / "out" / "part-1", numbered(*committed))

    assert verdict in str(checker.compare(tmp_path / "in", tmp_path / "out"))


def test_files_that_are_not_committed_do_not_count(checker: ModuleType, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.json", rows(2))
    write(tmp_path / "out" / ".part-1.inprogress.x", numbered((2, 1)))

    assert checker.compare(tmp_path / "in", tmp_path / "out").committed == 0


def test_directories_that_are_not_there_yet_are_empty(checker: ModuleType, tmp_path: Path) -> None:
    assert checker.compare(tmp_path / "in", tmp_path / "out").complete
