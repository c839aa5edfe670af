"""The operator's configuration as text, for those who start replicas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Sections = Mapping[str, Mapping[str, Any]]


def document(settings: Sections, more: Sections) -> str:
    """TOML of both, section by section; what `more` says wins. Values are those that JSON and TOML write alike."""
    lines = []
    for section in {**settings, **more}:
        values = {**settings.get(section, {}), **more.get(section, {})}
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    return "\n".join(lines)
