"""The diagrams of docs/architecture.md are those that the generator draws."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.unit.docs.loading import load

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "docs" / "images"
diagrams = load(ROOT / "deploy" / "docs" / "diagrams.py")


@pytest.mark.parametrize("name", sorted(diagrams.PICTURES))
def test_the_published_diagram_is_current_and_on_the_page(name: str) -> None:
    written = (IMAGES / f"{name}.svg").read_text(encoding="utf-8")

    assert written == diagrams.PICTURES[name]().svg(), "run: make schemas"
    assert f"](images/{name}.svg)" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(diagrams.PICTURES))
def test_a_diagram_has_a_name_and_nothing_in_it_leaves_its_ground(name: str) -> None:
    svg = ET.fromstring(diagrams.PICTURES[name]().svg())
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])

    assert svg.attrib["aria-label"]
    for box in svg.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, w, h = (float(box.attrib[each]) for each in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
