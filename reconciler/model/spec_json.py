"""The bytes of a znode as a JSON object, or why they are none.

People write znodes by hand, and the tools they use fail in known ways: the interactive zkCli stores
only the first word of an unquoted value, a file is YAML, a shell ate the quotes. Each of these gets
a message of its own instead of "Expecting value: line 1 column 1".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from reconciler.model.spec_errors import MAX_SPEC_BYTES, SHOWN, SpecInvalid, problem

_APPLY = "`weir apply -f FILE` reads YAML and JSON files and stores JSON"
_YAML_LINE = re.compile(r"^(---|[A-Za-z_][\w.-]*:(\s|$)|- )", re.MULTILINE)


def load_object(data: bytes, name: str = "NAME") -> dict[str, Any]:
    """The JSON object in `data`; raises `SpecInvalid`. `name` only makes the hints concrete."""
    if len(data) > MAX_SPEC_BYTES:
        raise _invalid(
            f"the znode holds {len(data)} bytes, a spec has at most {MAX_SPEC_BYTES}",
            "put data that the job needs into a file and name it in job.args",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid(
            f"the znode does not hold UTF-8 text (byte {error.start} is 0x{data[error.start]:02x})",
            f"run zkCli.sh with LC_ALL=C.UTF-8, or use weir: {_APPLY}",
        ) from None
    return load_text(text, name)


def load_text(text: str, name: str = "NAME") -> dict[str, Any]:
    """The JSON object in `text`; raises `SpecInvalid`."""
    if not text.strip():
        raise _invalid("the znode is empty", f"write the job's spec into it: {_APPLY}")
    duplicates: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            duplicates.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return found

    try:
        document = json.loads(text, object_pairs_hook=unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _explain(text, error, name) from None
    except _Constant as error:
        raise _invalid(f"{error} is not JSON", "write a number, or leave the field out for its default") from None
    except RecursionError:
        raise _invalid("the JSON is nested too deeply to be a spec") from None
    except ValueError:
        raise _invalid("the JSON holds a number with thousands of digits, which cannot be read") from None
    if duplicates:
        raise SpecInvalid(
            tuple(
                problem(
                    "",
                    f"the key {_quoted(key)} stands twice in the same object",
                    "JSON would keep the last one silently; remove one of them",
                )
                for key in dict.fromkeys(duplicates)
            )
        )
    if not isinstance(document, dict):
        raise _not_an_object(document)
    return document


def check_text(document: dict[str, Any]) -> None:
    r"""Refuse half surrogate pairs: JSON can escape them (`\ud800`), but nothing can store them again."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        found = json.dumps(error.object[error.start])
        raise _invalid(f"the spec holds {found}, half of a character (a lone surrogate)", "remove it") from None
    except RecursionError:
        raise _invalid("the JSON is nested too deeply to be a spec") from None


class _Constant(ValueError):
    pass


def _refuse_constant(constant: str) -> float:
    raise _Constant(constant)


def _explain(text: str, error: json.JSONDecodeError, name: str) -> SpecInvalid:
    stripped = text.strip()
    if stripped[0] in "'`" or (stripped[0] == '"' and stripped[-1] == '"' and "{" in stripped):
        return _invalid(
            f"the value is wrapped in quotes: {_quoted(stripped)}",
            "the JSON itself has to start with {; a shell or zkCli left its quotes in the value",
        )
    if stripped[0] not in '{["' and _YAML_LINE.search(stripped):
        return _invalid("the znode holds YAML", f"znodes hold JSON only; {_APPLY}")
    if _is_cut_off(stripped, error, text):
        return _cut_off(stripped, name)
    hint = "JSON wants double quotes around keys and strings, and no comma after the last entry"
    near = text[max(error.pos - 20, 0) : error.pos + 20].replace("\n", " ")
    return _invalid(
        f"the znode does not hold valid JSON: {error.msg} (line {error.lineno}, column {error.colno}), "
        f"near {_quoted(near)}",
        hint,
    )


def _is_cut_off(stripped: str, error: json.JSONDecodeError, text: str) -> bool:
    if stripped[0] not in "{[":
        return False
    return error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")


def _cut_off(stripped: str, name: str) -> SpecInvalid:
    if re.search(r"\s", stripped) is None:
        return _invalid(
            f"the JSON is cut off: the znode holds only {_quoted(stripped)}",
            "the interactive zkCli splits a value at spaces and stores the first piece; put it into single quotes "
            f"(set /weir/jobs/{name} '{{\"apiVersion\": …}}'), leave out the spaces, "
            "or run `zkCli.sh set` from a shell",
        )
    return _invalid(
        f"the JSON is cut off after {_quoted(stripped[-SHOWN:])}",
        f"its end is missing; store the whole document ({_APPLY})",
    )


def _not_an_object(document: object) -> SpecInvalid:
    if isinstance(document, str) and document.lstrip().startswith("{"):
        return _invalid(
            "the znode holds a JSON string that contains JSON",
            'it was encoded twice; store the object itself, beginning with {"job": …',
        )
    kind = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(document), "a number")
    return _invalid(f"the znode holds {kind}, a spec is a JSON object", f'it begins with {{"job": …; {_APPLY}')


def _invalid(message: str, hint: str | None = None) -> SpecInvalid:
    return SpecInvalid((problem("", message, hint),))


def _quoted(text: str) -> str:
    return f"`{text if len(text) <= SHOWN else text[:SHOWN] + '…'}`"
