"""A whole installation as one file: taking it from the tree, writing and reading the file.

The file is JSON with a format name, a version and a checksum over everything else in it (docs/operations.md,
"Backups"). Values are carried byte for byte: text as it is, anything else as {"base64": ...}.

What is not in it, because it belongs to the moment: election nodes and leader info, requests that wait for an
answer, and statuses, which the leader writes anew. The epoch is not in it because it must only ever grow (S5).

Not everything is of one moment. A job's desired state and record are: both are read again until neither has
changed between two readings. Different jobs may be some milliseconds apart.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from reconciler.model.control import GLOBAL
from reconciler.model.record import SCHEMA_VERSION
from reconciler.ports import StoreError
from state.layout import Layout, check_name, check_schema
from state.znodes import Znode, Znodes

FORMAT = "weir-backup"
FORMAT_VERSION = 1
ATTEMPTS = 10
"""How often a job whose record changes between two readings is read again."""
CHUNK = 100
"""Jobs that are read at once, so that two readings of one are close together."""


class BackupError(ValueError):
    """A file that cannot be restored: one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a file holds. Keys are names of jobs; in `events` also `_global`, about all of them."""

    root: str
    schema: int
    time: str
    """When it was taken, as ISO 8601 in UTC."""
    weir: str
    """The version that took it."""
    framework_id: str | None = None
    operator: bytes | None = None
    jobs: Mapping[str, Znode] = field(default_factory=dict)
    """Desired state, with the identity of its node: a record says by it which version it has taken up."""
    records: Mapping[str, bytes] = field(default_factory=dict)
    events: Mapping[str, bytes] = field(default_factory=dict)


def take(znodes: Znodes, layout: Layout, time: str, weir: str) -> Backup:
    """Read the installation. Raises StoreError when there is none, and `SchemaTooNew`."""
    znodes.sync(layout.root)
    schema, operator, framework = znodes.read([layout.schema, layout.operator, layout.framework])
    if schema is None:
        raise StoreError(f"no installation was set up at {layout.root}: there is no {layout.schema}; see --root")
    check_schema(schema.data)
    desired, recorded = znodes.children(layout.jobs), znodes.children(layout.records)
    if desired is None or recorded is None:
        missing = layout.jobs if desired is None else layout.records
        raise StoreError(
            f"{missing} is missing: a tree of which a part vanished is not worth keeping; put it back first"
        )
    jobs: dict[str, Znode] = {}
    records: dict[str, bytes] = {}
    events: dict[str, bytes] = {}
    names = iter(sorted({*desired, *recorded}))
    while chunk := list(islice(names, CHUNK)):
        for name, (job, record, history) in _jobs(znodes, layout, chunk).items():
            if job is not None:
                jobs[name] = job
            if record is not None:
                records[name] = record.data
            if history is not None:
                events[name] = history.data
    (about_all,) = znodes.read([f"{layout.events}/{GLOBAL}"])
    if about_all is not None:
        events[GLOBAL] = about_all.data
    return Backup(
        layout.root,
        int(schema.data),
        time,
        weir,
        framework.data.decode(errors="replace") if framework is not None and framework.data else None,
        operator.data if operator is not None else None,
        jobs,
        records,
        events,
    )


_Job = tuple[Znode | None, Znode | None, Znode | None]


def _jobs(znodes: Znodes, layout: Layout, names: Sequence[str]) -> dict[str, _Job]:
    """Desired state, record and history of each, the first two as they stood at one moment."""
    folders = (layout.jobs, layout.records, layout.events)
    found: dict[str, _Job] = {}
    remaining = list(names)
    for _ in range(ATTEMPTS):
        first = znodes.read([f"{folder}/{name}" for name in remaining for folder in folders])
        again = znodes.read([f"{folder}/{name}" for name in remaining for folder in folders[:2]])
        changed = []
        for n, name in enumerate(remaining):
            job, record, events = first[3 * n : 3 * n + 3]
            if [_identity(job), _identity(record)] == [_identity(each) for each in again[2 * n : 2 * n + 2]]:
                found[name] = (job, record, events)
            else:
                changed.append(name)
        if not changed:
            return found
        remaining = changed
    raise StoreError(f'"{remaining[0]}" changes all the time, so its record and desired state do not match; try again')


def _identity(node: Znode | None) -> tuple[int, int] | None:
    return (node.czxid, node.version) if node is not None else None


def encode(backup: Backup) -> bytes:
    """The file."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "weir": backup.weir,
        "time": backup.time,
        "root": backup.root,
        "schema": backup.schema,
        "frameworkId": backup.framework_id,
        "operator": _pack(backup.operator) if backup.operator is not None else None,
        "jobs": {
            name: {"czxid": node.czxid, "version": node.version, "data": _pack(node.data)}
            for name, node in sorted(backup.jobs.items())
        },
        "records": {name: _pack(data) for name, data in sorted(backup.records.items())},
        "events": {name: _pack(data) for name, data in sorted(backup.events.items())},
    }
    document["checksum"] = checksum(document)
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def decode(data: bytes) -> tuple[Backup, str]:
    """The backup and its checksum. Raises BackupError: damaged, of another format, or of a newer version."""
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BackupError(f"it is damaged, or no backup: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BackupError(f'it is no backup of Weir: "format" is not "{FORMAT}"')
    if _number(document.get("version")) > FORMAT_VERSION:
        raise BackupError(
            f"its format is newer than {FORMAT_VERSION}, which this weir reads; use the weir that wrote it"
        )
    said = document.pop("checksum", None)
    found = checksum(document)
    if said != found:
        raise BackupError(f"it is damaged: its checksum is {found}, but it says {said!r:.80}; use another backup")
    schema = _number(document.get("schema"))
    if schema > SCHEMA_VERSION:
        raise BackupError(
            f"it has schema version {schema}, this weir knows up to {SCHEMA_VERSION}; install a newer weir"
        )
    try:
        return _backup(document), found
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupError(f"it is no backup of Weir: {error!r:.200}") from None


def checksum(document: Mapping[str, Any]) -> str:
    """Over everything but itself, however the file is indented."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _backup(document: Mapping[str, Any]) -> Backup:
    jobs, records, events = document["jobs"], document["records"], document["events"]
    for name in (*jobs, *records, *events):
        check_name(name)
    framework, operator = document["frameworkId"], document["operator"]
    if framework is not None and not isinstance(framework, str):
        raise TypeError("frameworkId is no text")
    return Backup(
        str(document["root"]),
        document["schema"],
        str(document["time"]),
        str(document["weir"]),
        framework,
        _unpack(operator) if operator is not None else None,
        {name: Znode(_unpack(node["data"]), int(node["czxid"]), int(node["version"])) for name, node in jobs.items()},
        {name: _unpack(packed) for name, packed in records.items()},
        {name: _unpack(packed) for name, packed in events.items()},
    )


def _pack(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _unpack(packed: Any) -> bytes:
    if isinstance(packed, str):
        return packed.encode("utf-8")
    return base64.b64decode(packed["base64"], validate=True)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BackupError(f"it is no backup of Weir: {value!r:.20} is no version")
    return value


def summary(backup: Backup) -> Iterator[str]:
    """What is in it, in words."""
    yield f"{len(backup.jobs)} jobs"
    yield f"{len(backup.records)} records"
    yield f"framework id {backup.framework_id}" if backup.framework_id else "no framework id"
