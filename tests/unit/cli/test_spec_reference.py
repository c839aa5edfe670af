"""docs/spec.md says what the model does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.app import spec_reference
from reconciler.app.spec_file import parse_spec_file
from reconciler.app.spec_texts import EXAMPLES, FIELDS
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import parse_document

ROOT = Path(__file__).parents[3]


def test_the_reference_in_docs_is_current() -> None:
    written = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")

    assert written == "\n".join(spec_reference.write()) + "\n", (
        "run: python -m reconciler.app.spec_reference > docs/spec.md"
    )


def test_every_field_has_a_meaning_and_an_example() -> None:
    assert set(spec_reference.paths()) <= set(FIELDS) & set(EXAMPLES)


@pytest.mark.parametrize("path", sorted({*EXAMPLES} & {*spec_reference.paths()}))
def test_every_example_is_valid_and_not_the_default(path: str) -> None:
    document: dict[str, Any] = copy.deepcopy(dict(spec_reference.MINIMAL))
    for section, value in spec_reference.example(path).items():
        document[section] = {**document.get(section, {}), **value} if isinstance(value, dict) else value

    parsed = JobSpec.model_validate(document)

    only_one_value = {"apiVersion", "kind", "flinkVersion", "placement.strategy", "restart.strategy"}
    assert (parsed == JobSpec.model_validate(spec_reference.MINIMAL)) == (path in only_one_value)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_file_is_accepted(path: Path) -> None:
    document = parse_spec_file(path.read_text())

    parse_document(path.stem, document)
    assert document == yaml.safe_load(path.read_text()), "reads the same with any YAML parser"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.json")), ids=lambda path: path.name)
def test_every_example_json_is_accepted(path: Path) -> None:
    parse_document(path.stem, parse_spec_file(path.read_text()))
