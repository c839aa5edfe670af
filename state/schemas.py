"""JSON Schemas of what stands in ZooKeeper, generated from the models.

`python -m state.schemas docs/schemas` writes them; a test fails when the published files are stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from reconciler.model.control import ControlRequest
from reconciler.model.spec import JobSpec
from reconciler.model.status import JobEvent, LeaderInfo, Status
from state.codec import OPERATOR, RECORD

_PUBLISHED: dict[str, tuple[TypeAdapter[Any], str]] = {
    "spec": (TypeAdapter(JobSpec), "Weir job spec: desired state, written by users into /weir/jobs/<name>"),
    "status": (TypeAdapter(Status), "Weir job status: written by the operator into /weir/status/<name>"),
    "record": (RECORD, "Weir job record: the operator's memory in /weir/records/<name>"),
    "control": (
        TypeAdapter(ControlRequest),
        "Weir control request: written by people and tools into /weir/control/<name>, or _global for all jobs",
    ),
    "operator": (OPERATOR, "Weir operator record: the memory about all jobs in /weir/operator"),
    "event": (TypeAdapter(JobEvent), "Weir event: one element of the array in /weir/events/<name>"),
    "leader-info": (TypeAdapter(LeaderInfo), "Weir leader info: who leads, in /weir/leader/info"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Every published schema by file name."""
    published = {}
    for name, (adapter, title) in _PUBLISHED.items():
        schema = adapter.json_schema(by_alias=True)
        if "anyOf" in schema:  # the record's adapter takes null for technical reasons, the znode does not
            schema = {"$ref": schema["anyOf"][0]["$ref"], "$defs": schema["$defs"]}
        schema = _untitled(schema)
        schema["title"] = title
        published[f"{name}.json"] = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
    return published


def _untitled(node: Any) -> Any:
    """Without the titles that are generated from field names; they say nothing."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _untitled(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}


def render(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(directory: Path) -> list[Path]:
    """Write every schema into `directory`; the files that were written."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in schemas().items():
        path = directory / name
        path.write_text(render(schema), encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m state.schemas DIRECTORY")
    for path in write(Path(sys.argv[1])):
        sys.stdout.write(f"{path}\n")
