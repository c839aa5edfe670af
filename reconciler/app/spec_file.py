"""Spec files for `weir apply -f`: YAML or JSON in, a plain JSON object out.

YAML guesses types from how a value looks, and its guesses have stopped production systems: `no` is
false, `1:30` is ninety, `1.20` is 1.2. So the file is read as nodes, and a guess is accepted only
where it is also what JSON would say; otherwise it is reported with its line. Below the fields whose
values are text (`flinkConfiguration`, `env`, `secrets`) and for `flinkVersion`, what stands in the
file is taken as it stands.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import yaml

from reconciler.model.spec_errors import MAX_SPEC_BYTES, SpecInvalid, problem
from reconciler.model.spec_json import load_text
from reconciler.model.status import SpecError

_TEXT_MAPS = frozenset({"flinkConfiguration", "env", "secrets"})
_TEXT_FIELDS = frozenset({"flinkVersion"})
_MAX_NODES = 20_000
"""Aliases may make a small file huge; a spec has some dozens of nodes."""

_MAX_DIGITS = 400
_INT = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_TAG = "tag:yaml.org,2002:"


def parse_spec_file(text: str) -> dict[str, Any]:
    """The object in a YAML or JSON file. Raises `SpecInvalid` with lines and repairs."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SPEC_BYTES:
        raise _invalid(f"the file is larger than {MAX_SPEC_BYTES} bytes")
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        try:
            return load_text(text.lstrip("\ufeff"))
        except SpecInvalid as invalid:
            error = _of_a_file(invalid)
            # `{a: 1}` is YAML too; if it is not even that, the JSON message is the better one.
            try:
                return _parse_yaml(text)
            except SpecInvalid:
                raise error from None
    return _parse_yaml(text)


def _of_a_file(invalid: SpecInvalid) -> SpecInvalid:
    """What is said of a znode, said of a file: its ways of going wrong are not those of zkCli."""
    return SpecInvalid(
        tuple(
            problem(
                each.path,
                each.message.replace("the znode", "the file"),
                "its end is missing; save the whole document"
                if "cut off" in each.message
                else None
                if each.hint is not None and ("zkCli" in each.hint or "znode" in each.hint)
                else each.hint,
            )
            for each in invalid.errors
        )
    )


def _parse_yaml(text: str) -> dict[str, Any]:
    try:
        documents = list(yaml.compose_all(text.lstrip("\ufeff"), Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        hint = "YAML indents with spaces" if "\\t" in str(error.problem) else None
        raise _invalid(f"the file is not valid YAML: {error.problem}{where}", hint) from None
    except RecursionError:
        raise _invalid("the file is nested too deeply to be a spec") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _invalid(f"the file is not valid YAML: {error}") from None
    if not documents or documents[0] is None:
        raise _invalid("the file is empty")
    if len(documents) > 1:
        raise _invalid(f"the file holds {len(documents)} documents", "write one file for each job")
    if not isinstance(documents[0], yaml.MappingNode):
        raise _invalid("the file does not hold an object", "it begins with `flinkVersion:` or `job:`")
    reader = _Reader()
    try:
        document = reader.mapping(documents[0], (), as_text=False)
    except RecursionError:
        raise _invalid("the file is nested too deeply to be a spec") from None
    if reader.problems:
        raise SpecInvalid(tuple(reader.problems[:20]))
    return document


class _Reader:
    """Turns YAML nodes into JSON values and collects what YAML would have changed silently."""

    def __init__(self) -> None:
        self.problems: list[SpecError] = []
        self._nodes = 0

    def value(self, node: yaml.Node, path: tuple[str, ...], as_text: bool) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise _invalid(
                f"the file has more than {_MAX_NODES} values", "aliases (*name) may repeat far more than they show"
            )
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, as_text)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, str(index)), as_text) for index, item in enumerate(node.value)]
        return self._scalar(node, path, as_text)

    def mapping(self, node: yaml.MappingNode, path: tuple[str, ...], as_text: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, path, "a key has to be plain text")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key_node.tag == f"{_TAG}merge":
                self._report(key_node, path, "merge keys (<<) are not supported", "write the fields out")
            elif key in found:
                self._report(key_node, here, "stands twice", "YAML would keep the last one silently; remove one")
            else:
                text = as_text or (not path and (key in _TEXT_MAPS or key in _TEXT_FIELDS))
                found[key] = self.value(value_node, here, text)
        return found

    def _scalar(self, node: yaml.Node, path: tuple[str, ...], as_text: bool) -> Any:
        text = str(node.value)
        kind = str(node.tag).removeprefix(_TAG)
        quoted = getattr(node, "style", None) is not None
        if kind == "null" and not quoted:
            return None
        if quoted or kind == "str":
            return self._number_that_yaml_misses(node, text, path, quoted or as_text)
        if as_text and kind in ("bool", "int", "float", "timestamp"):
            return text
        return self._guess(node, kind, text, path)

    def _guess(self, node: yaml.Node, kind: str, text: str, path: tuple[str, ...]) -> Any:
        quotes = f"for the text, write {json.dumps(text)} with the quotes"
        if kind == "bool":
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
            meant = text.lower() in ("yes", "on")
            self._report(node, path, f"{text} is {str(meant).lower()} to YAML", f"write {str(meant).lower()}; {quotes}")
        elif kind == "int" and len(text) > _MAX_DIGITS:
            self._report(node, path, "is a number with thousands of digits, which cannot be read")
        elif kind == "int" and _INT.fullmatch(text):
            return int(text)
        elif kind in ("int", "float") and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        elif kind in ("int", "float"):
            self._report(
                node, path, f"{text} is another number to YAML than it looks", f"write it in decimal; {quotes}"
            )
        elif kind == "timestamp":
            self._report(node, path, f"{text} is a date to YAML", quotes)
        else:
            self._report(node, path, f"the YAML tag {node.tag} is not supported", quotes)
        return None

    def _number_that_yaml_misses(self, node: yaml.Node, text: str, path: tuple[str, ...], meant: bool) -> str:
        # YAML 1.1 reads 1e3 as text because it has no dot; everybody else reads a number.
        if not meant and _FLOAT.fullmatch(text):
            self._report(
                node, path, f"{text} is text to YAML and a number to JSON", f"write {float(text):g}, or quotes"
            )
        return text

    def _report(self, node: yaml.Node, path: tuple[str, ...], message: str, hint: str | None = None) -> None:
        self.problems.append(problem(".".join(path), f"line {node.start_mark.line + 1}: {message}", hint))


def _invalid(message: str, hint: str | None = None) -> SpecInvalid:
    return SpecInvalid((problem("", message, hint),))
