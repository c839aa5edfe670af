"""YAML files become plain JSON, and what YAML would change silently is reported with its line."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.app.spec_file import parse_spec_file
from reconciler.model.spec_parse import SpecInvalid, parse_document

FILE = """
# a comment
apiVersion: weir/v1
flinkVersion: 1.20
env: {DEBUG: on, LEVEL: 3}
flinkConfiguration:
  execution.checkpointing.interval: 2s
  taskmanager.memory.managed.fraction: 0.10
  state.backend.incremental: yes
job:
  type: python
  uri: file:///srv/jobs/even_ids.py
  args: [--input, /srv/in, "007"]
  parallelism: 2
taskManager:
  cpus: 1.5
  replicas: ~
"""


def problem(text: str) -> str:
    with pytest.raises(SpecInvalid) as refused:
        parse_spec_file(text)
    return refused.value.errors[0].sentence()


def test_a_yaml_file_becomes_plain_json() -> None:
    document = parse_spec_file(FILE)

    assert json.loads(json.dumps(document)) == document
    assert document["job"] == {
        "type": "python",
        "uri": "file:///srv/jobs/even_ids.py",
        "args": ["--input", "/srv/in", "007"],
        "parallelism": 2,
    }
    assert document["taskManager"] == {"cpus": 1.5, "replicas": None}
    assert parse_document("orders", document).flink_version == "1.20"


def test_text_fields_are_taken_as_they_stand() -> None:
    document = parse_spec_file(FILE)

    assert document["flinkVersion"] == "1.20"
    assert document["env"] == {"DEBUG": "on", "LEVEL": "3"}
    assert document["flinkConfiguration"]["taskmanager.memory.managed.fraction"] == "0.10"
    assert document["flinkConfiguration"]["state.backend.incremental"] == "yes"


def test_a_json_file_is_read_as_json() -> None:
    assert parse_spec_file('{"a": "1e3", "b": [1, 2.5, true, null]}') == {"a": "1e3", "b": [1, 2.5, True, None]}


def test_a_flow_mapping_is_yaml() -> None:
    assert parse_spec_file("{job: {type: jar}}") == {"job": {"type": "jar"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("health:\n  rollback: no\n", "health.rollback: line 2: no is false to YAML"),
        ("a: Yes", "a: line 1: Yes is true to YAML"),
        ("a: 1:30", "another number to YAML than it looks"),
        ("a: 0777", "another number to YAML than it looks"),
        ("a: 0x10", "another number to YAML than it looks"),
        ("a: 1_000", "another number to YAML than it looks"),
        ("a: .inf", "another number to YAML than it looks"),
        ("a: 1e3", "1e3 is text to YAML and a number to JSON (write 1000"),
        ("a: 2026-01-01", "is a date to YAML"),
        ("a: 1\na: 2", "a: line 2: stands twice"),
        ("b: &x {c: 1}\na:\n  <<: *x", "merge keys"),
        ("a: !!python/object:os.system {}", "job"),
        ("a: !!binary aGk=", "the YAML tag"),
        ("? [a, b]\n: 1", "a key has to be plain text"),
        ("a: 1\n---\nb: 2", "holds 2 documents"),
        ("- a", "does not hold an object"),
        ("", "is empty"),
        ("# nothing", "is empty"),
        ("a: [1", "not valid YAML"),
        ("a:\n\tb: 1", "not valid YAML"),
        ('{"a": 1', "cut off"),
        ("a: " + "x" * 300_000, "larger than"),
        ("a: &a [" + "1," * 200 + "]\n" + "".join(f"k{n}: *a\n" for n in range(200)), "more than"),
        ("a: &a [*a]", "more than|deeply|not valid"),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_what_yaml_would_change_silently_is_reported(text: str, expected: str) -> None:
    if expected == "job":
        assert parse_spec_file(text) == {"a": {}}  # the tag is not acted on; the field is unknown anyway
    else:
        assert any(part in problem(text) for part in expected.split("|"))


def test_quotes_make_text_of_everything() -> None:
    assert parse_spec_file("a: ['no', \"1e3\", '2026-01-01', \"~\"]") == {"a": ["no", "1e3", "2026-01-01", "~"]}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=120))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SpecInvalid):
        json.dumps(parse_spec_file(text), allow_nan=False)
