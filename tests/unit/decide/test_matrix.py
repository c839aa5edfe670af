"""The table of docs/upgrades.md, cell by cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.decide.matrix import HEADER, Cell, cells, outcome

DOCUMENT = Path(__file__).parents[3] / "docs" / "upgrades.md"


def documented() -> dict[Cell, tuple[str, ...]]:
    rows = [
        tuple(part.strip() for part in line.strip().strip("|").split("|"))
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("|")
    ]
    return {
        Cell(*row[:5]): row[5:]
        for row in rows
        if len(row) == len(HEADER) and row[0] in ("stateless", "savepoint", "last-state")
    }


TABLE = documented()


def test_every_possible_combination_is_documented() -> None:
    assert set(TABLE) == set(cells())


@pytest.mark.parametrize("cell", list(TABLE), ids=lambda cell: "-".join(cell.row()[:5]))
def test_an_upgrade_does_what_the_table_says(cell: Cell) -> None:
    assert outcome(cell) == TABLE[cell]


def test_no_mode_but_stateless_starts_from_nothing_when_a_checkpoint_is_known() -> None:
    degraded = [
        cell
        for cell, (_, start) in TABLE.items()
        if cell.mode != "stateless" and cell.checkpoint != "none" and start == "nothing"
    ]
    assert degraded == []
