"""What thousands of jobs have in memory, in less of it: equal specs once, and models without what nobody asks of them.

What is read from JSON is a copy, however often the same was written there: a record has its spec up to three times,
and desired state has it once more. And a model of pydantic remembers which of its fields were given, in a set that is
larger than the fields. Models are never changed in place, so nobody can tell one object from two equal ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from reconciler.model.record import Generation, Record
from reconciler.model.spec import JobSpec

_Model = TypeVar("_Model", bound=BaseModel)

_DEFAULTS = {
    name: field.default for name, field in JobSpec.model_fields.items() if isinstance(field.default, BaseModel)
}
_NO_FIELDS: set[str] = set()
"""In place of the names of the fields that were given, for every model."""


def lean(model: _Model) -> _Model:
    """An equal model, its parts too, that does not say which of its fields were given (pydantic, "model_construct")."""
    values = {name: _lean(value) for name, value in model.__dict__.items()}
    return type(model).model_construct(_fields_set=_NO_FIELDS, **values)


def _lean(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return lean(value)
    return tuple(_lean(each) for each in value) if isinstance(value, tuple) else value


def share_specs(record: Record) -> Record:
    """The same record, in which equal specs are one object; parts that are as by default are the default itself."""
    kept: list[tuple[JobSpec, JobSpec]] = []

    def one(spec: JobSpec) -> JobSpec:
        for other, shared in kept:
            if other == spec:
                return shared
        shared = _with_defaults(spec)
        kept.append((spec, shared))
        return shared

    def maybe(spec: JobSpec | None) -> JobSpec | None:
        return None if spec is None else one(spec)

    def of(generation: Generation | None) -> Generation | None:
        return None if generation is None else replace(generation, spec=one(generation.spec))

    return replace(
        record,
        spec=maybe(record.spec),
        stable_spec=maybe(record.stable_spec),
        generation=of(record.generation),
        upcoming=of(record.upcoming),
        rolled_back=maybe(record.rolled_back),
        rollback_to=maybe(record.rollback_to),
        history=tuple(replace(past, spec=one(past.spec)) for past in record.history),
    )


def _with_defaults(spec: JobSpec) -> JobSpec:
    plain = {name: default for name, default in _DEFAULTS.items() if getattr(spec, name) == default}
    values: dict[str, Any] = {
        name: plain[name] if name in plain else _lean(value) for name, value in spec.__dict__.items()
    }
    return JobSpec.model_construct(_fields_set=_NO_FIELDS, **values)
