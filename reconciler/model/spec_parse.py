"""From the bytes of `/weir/jobs/<name>` to a valid spec, or to everything that is wrong with them.

The messages are the product here: whoever edits desired state by hand sees them in the status, in
`weir apply` and in the log. Each says where, what, why, and what to do. All of them are reported at
once (up to `MAX_ERRORS`), so that nobody has to fix a spec one error at a time.

Steps: bytes → JSON (`spec_json`) → fields of its kind (`spec_kinds`) → known fields (`spec_fields`) →
types (pydantic) → rules that no single field shows (`spec_rules`). A field that is wrong is replaced by
its default for the steps after it, and rules that read it are left out, so that one mistake is reported once.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from reconciler.model import spec_fields, spec_json, spec_kinds, spec_messages, spec_rules
from reconciler.model.spec import JOB_NAME_MAX, JOB_NAME_PATTERN, JobSpec
from reconciler.model.spec_errors import DEFAULT_LIMITS, MAX_SPEC_BYTES, SpecInvalid, SpecLimits, problem, shown
from reconciler.model.status import SpecError

__all__ = [
    "MAX_ERRORS",
    "MAX_SPEC_BYTES",
    "SpecInvalid",
    "SpecLimits",
    "check_job_name",
    "parse_document",
    "parse_spec",
]

MAX_ERRORS = 20
_ROUNDS = 3
"""Replacing what is wrong may bring up what it hid; each round replaces something."""


def parse_spec(name: str, data: bytes, limits: SpecLimits = DEFAULT_LIMITS) -> JobSpec:
    """The spec that the znode `name` holds. Raises `SpecInvalid` and nothing else."""
    problems = list(check_job_name(name))
    try:
        document = spec_json.load_object(data, name)
        spec_json.check_text(document)
    except SpecInvalid as invalid:
        raise SpecInvalid((*problems, *invalid.errors)[:MAX_ERRORS]) from None
    return _parse(document, limits, problems)


def parse_document(name: str, document: dict[str, Any], limits: SpecLimits = DEFAULT_LIMITS) -> JobSpec:
    """The same for a document that was read already (`weir apply -f`)."""
    spec_json.check_text(document)
    return _parse(copy.deepcopy(document), limits, list(check_job_name(name)))


def check_job_name(name: str) -> Iterable[SpecError]:
    """The name becomes part of Mesos task ids, host names and paths, so its letters are few."""
    rule = f"lower-case letters, digits and dashes, a letter or digit first and last, at most {JOB_NAME_MAX} characters"
    if re.fullmatch(JOB_NAME_PATTERN.strip("^$"), name) is None:
        better = re.sub(r"[^a-z0-9]+", "-", name.lower())[:JOB_NAME_MAX].strip("-") or "my-job"
        yield problem("", f"{shown(name)} cannot be a job's name: {rule}", f"store it under the name {better} instead")
    elif len(name) > JOB_NAME_MAX:
        yield problem("", f"the job's name has {len(name)} characters: {rule}", "store it under a shorter name")


def _parse(document: dict[str, Any], limits: SpecLimits, problems: list[SpecError]) -> JobSpec:
    problems += spec_kinds.check(document)
    problems += spec_fields.unknown_fields(document)
    problems += spec_fields.plain_values(document)
    spec = _validated(document, problems)
    if spec is not None:
        problems += spec_rules.check(spec, limits, broken=frozenset(error.path for error in problems))
    if problems or spec is None:
        raise SpecInvalid(tuple(problems[:MAX_ERRORS]))
    return spec


def _validated(document: dict[str, Any], problems: list[SpecError]) -> JobSpec | None:
    """The spec, with what is wrong (it is added to `problems`) replaced by defaults."""
    for _ in range(_ROUNDS):
        try:
            return JobSpec.model_validate(document)
        except ValidationError as invalid:
            known = {error.path for error in problems}
            for detail in invalid.errors(include_url=False):
                found = spec_messages.translate(detail)
                if found.path not in known:
                    problems.append(found)
                    known.add(found.path)
                spec_fields.take_out(document, [str(part) for part in detail["loc"]])
    return None
