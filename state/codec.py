"""Bytes of our own znodes: JSON with camelCase keys, enums by value, durations and sizes with a unit.

A record that cannot be read must never look like a job that does not exist, and must never be
overwritten by what an older version understood of it. So everything here either returns the value
that was written or raises `CodecError` with one sentence for the status of the quarantined job
(fault 12): not JSON, another shape, an unknown field, a newer schema, another job's record.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from reconciler.model.operator import OperatorRecord
from reconciler.model.record import SCHEMA_VERSION, Record
from reconciler.model.sharing import share_specs
from reconciler.model.status import JobEvent, LeaderInfo, Status

_Model = TypeVar("_Model", bound=BaseModel)


class CodecError(ValueError):
    """Bytes that are not what they should be; the message is one sentence for people."""


class NewerSchema(CodecError):
    """The bytes were written by a newer version; only that version may touch them."""


# The union is what lets an adapter carry a configuration for stdlib dataclasses (their JSON names);
# `null` is refused by hand. Unknown fields are refused too: dropping one silently would lose memory
# at the next write.
RECORD: TypeAdapter[Record | None] = TypeAdapter(
    Record | None,
    config=ConfigDict(alias_generator=to_camel, extra="forbid", ser_json_inf_nan="constants"),
)
OPERATOR: TypeAdapter[OperatorRecord | None] = TypeAdapter(
    OperatorRecord | None,
    config=ConfigDict(alias_generator=to_camel, extra="forbid", ser_json_inf_nan="constants"),
)
_EVENTS: TypeAdapter[tuple[JobEvent, ...]] = TypeAdapter(tuple[JobEvent, ...])


def encode_record(record: Record) -> bytes:
    """The znode value of `/weir/records/<name>`, compact."""
    return RECORD.dump_json(record, by_alias=True)


def decode_record(data: bytes, name: str | None = None) -> Record:
    """Read a record back; `name` is the znode's name, which the record has to carry too.

    Raises `NewerSchema` for a record of a newer version, whatever its shape, and `CodecError` for junk.
    """
    try:
        record = RECORD.validate_json(data)
    except ValidationError as error:
        _refuse_newer(data)
        raise CodecError(f"the record cannot be read: {_first(error)}") from None
    if record is None:
        raise CodecError("the record cannot be read: it is null")
    if record.schema > SCHEMA_VERSION:
        raise _newer(record.schema)
    if record.schema < 1:
        raise CodecError(f"the record cannot be read: schema version {record.schema} does not exist")
    if name is not None and record.name != name:
        raise CodecError(f'the record at "{name}" belongs to the job "{record.name}"')
    return share_specs(record)


def encode_operator(record: OperatorRecord) -> bytes:
    """The znode value of `/weir/operator`, indented because people read it with `get`."""
    return OPERATOR.dump_json(record, by_alias=True, indent=1)


def decode_operator(data: bytes) -> OperatorRecord:
    """Read it back. Raises `CodecError` for junk and for a newer schema."""
    try:
        record = OPERATOR.validate_json(data)
    except ValidationError as error:
        _refuse_newer(data)
        raise CodecError(f"the operator's record cannot be read: {_first(error)}") from None
    if record is None:
        raise CodecError("the operator's record cannot be read: it is null")
    if record.schema > SCHEMA_VERSION:
        raise _newer(record.schema)
    return record


def encode_status(status: Status) -> bytes:
    """The znode value of `/weir/status/<name>`, indented because people read it with `get`."""
    return status.model_dump_json(by_alias=True, indent=1).encode()


def decode_status(data: bytes) -> Status:
    return _decode(Status, data, "status")


def encode_events(events: tuple[JobEvent, ...]) -> bytes:
    """The znode value of `/weir/events/<name>`: a JSON array, oldest first."""
    return _EVENTS.dump_json(events, by_alias=True)


def decode_events(data: bytes) -> tuple[JobEvent, ...]:
    if not data:
        return ()
    try:
        return _EVENTS.validate_json(data)
    except ValidationError as error:
        raise CodecError(f"the event history cannot be read: {_first(error)}") from None


def encode_leader(info: LeaderInfo, contender: str | None = None) -> bytes:
    """The znode value of `/weir/leader/info`; `contender` is the leader's election node.

    The node is ephemeral, so its presence tells whether the leader named here still leads.
    """
    fields = info.model_dump(mode="json", by_alias=True)
    return json.dumps(fields | {"contender": contender}).encode()


def decode_leader(data: bytes) -> tuple[LeaderInfo, str | None]:
    """The leader and the name of its election node."""
    info = _decode(LeaderInfo, data, "leader info")
    contender = json.loads(data).get("contender")
    return info, contender if isinstance(contender, str) else None


def _decode(model: type[_Model], data: bytes, what: str) -> _Model:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise CodecError(f"the {what} cannot be read: {_first(error)}") from None


def _refuse_newer(data: bytes) -> None:
    """A newer record rarely fits our model; its number explains more than the first odd field."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise _newer(schema)


def _newer(schema: int) -> NewerSchema:
    return NewerSchema(
        f"the record has schema version {schema}, this Weir reads up to {SCHEMA_VERSION}: "
        "a newer version wrote it; run that version"
    )


_SAID = 500
"""Characters of an explanation; a key of somebody's document may be as long as the document."""


def _first(error: ValidationError) -> str:
    """The first thing that is wrong; never the value, which may be long."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    text = f"{where}: {first['msg']}" if where else first["msg"]
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text[:_SAID])
