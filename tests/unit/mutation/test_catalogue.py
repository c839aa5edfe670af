"""The catalogue of faults, the tests that carry its numbers, and the guards that are taken out stay in step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutation.guards import ROOT, Guard, load, without

NUMBERS = range(1, 66)
PAGE = ROOT / "docs" / "failure-modes.md"
_ROW = re.compile(r"^\| (\d+) \|.*$", re.MULTILINE)
_LINK = re.compile(r"\[(test_\w+)\]\(\.\./([\w/]+\.py)\)")
_NUMBER = re.compile(r"(?:^test|_)_?f(\d\d)(?=_)")
GUARDS = load()


def catalogue() -> str:
    """The part of the page that has the numbers."""
    return PAGE.read_text().partition("## The catalogue")[2].partition("\n## ")[0]


def rows() -> dict[int, str]:
    return {int(match[1]): match[0] for match in _ROW.finditer(catalogue())}


def numbers_of(test: str) -> set[int]:
    return {int(number) for number in _NUMBER.findall(test)}


def defines(file: Path, test: str) -> bool:
    return f"def {test}(" in file.read_text()


def test_every_fault_has_one_row_in_order() -> None:
    assert [int(match[1]) for match in _ROW.finditer(catalogue())] == list(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_tests_of_a_row_exist_and_carry_its_number(number: int) -> None:
    links = _LINK.findall(rows()[number])
    assert links
    for test, file in links:
        assert defines(ROOT / file, test), f"{file} has no {test}"
        assert number in numbers_of(test)


def test_every_fault_has_a_guard_that_is_taken_out() -> None:
    assert {guard.fault for guard in GUARDS} == set(NUMBERS)


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_a_guard_is_in_the_code_and_its_tests_exist(guard: Guard) -> None:
    source = (ROOT / guard.file).read_text()
    assert without(guard, source) != source
    assert guard.tests
    for node in guard.tests:
        file, _, test = node.partition("::")
        assert not test or defines(ROOT / file, test.partition("[")[0]), node
    assert any(f"f{guard.fault:02}" in node or guard.fault == 1 for node in guard.tests), guard.tests
