"""Where things stand below the root, and how one znode's bytes are read.

/weir/jobs/<name>       desired state; users write it, the operator never does (S3)
/weir/status/<name>     what people and scripts read
/weir/records/<name>    the operator's memory
/weir/events/<name>     bounded history
/weir/leader/election   contenders;  epoch: the fencing counter;  info: who leads
/weir/control/<name>    requests of people and tools; `_global`: about all jobs
/weir/operator          the operator's memory about all jobs
/weir/framework         Mesos framework id
/weir/schema            schema version of the tree
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from reconciler.model.events import StoredOperator, StoredRecord, UnreadableRecord
from reconciler.model.record import SCHEMA_VERSION
from reconciler.model.status import JobEvent, Status
from reconciler.ports import SchemaTooNew, StoreError
from state.codec import CodecError, decode_events, decode_operator, decode_record, decode_status

_log = structlog.get_logger(__name__)

RESTORING = b"restoring "
"""In place of the schema version while a backup is being restored, with the backup's checksum behind it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one installation; many can share an ensemble."""

    root: str = "/weir"

    def __post_init__(self) -> None:
        if not self.root.startswith("/") or self.root.endswith("/"):
            raise ValueError(f'the root "{self.root}" has to start with a slash and must not end with one')

    @property
    def jobs(self) -> str:
        return f"{self.root}/jobs"

    @property
    def status(self) -> str:
        return f"{self.root}/status"

    @property
    def records(self) -> str:
        return f"{self.root}/records"

    @property
    def events(self) -> str:
        return f"{self.root}/events"

    @property
    def control(self) -> str:
        return f"{self.root}/control"

    @property
    def operator(self) -> str:
        return f"{self.root}/operator"

    @property
    def election(self) -> str:
        return f"{self.root}/leader/election"

    @property
    def epoch(self) -> str:
        return f"{self.root}/leader/epoch"

    @property
    def leader_info(self) -> str:
        return f"{self.root}/leader/info"

    @property
    def framework(self) -> str:
        return f"{self.root}/framework"

    @property
    def schema(self) -> str:
        return f"{self.root}/schema"


def check_schema(data: bytes) -> None:
    """Refuse a tree of a newer Weir, one that is being restored, and one whose schema node is junk."""
    if data.startswith(RESTORING):
        raise StoreError("a backup is being restored here, or was in part; nobody leads until weir restore has ended")
    try:
        schema = int(data)
    except ValueError:
        raise StoreError(f"the schema node holds {data[:20]!r} instead of a number; is the root right?") from None
    if schema > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the tree has schema version {schema}, this Weir knows {SCHEMA_VERSION}; run the newer version"
        )


def check_name(name: str) -> None:
    """Refuse a name that would leave its folder; which names are good jobs is the parser's business."""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise ValueError(f'"{name}" cannot be the name of a znode')


def read_record(name: str, data: bytes, version: int) -> StoredRecord | UnreadableRecord:
    """A record, or why its job is quarantined (fault 12)."""
    try:
        return StoredRecord(decode_record(data, name), version)
    except CodecError as error:
        _log.warning("store.record_unreadable", job=name, version=version, error=str(error))
        return UnreadableRecord(name, str(error))


def read_operator(data: bytes, version: int) -> StoredOperator:
    """The operator's own record, or why it cannot be read: everything is left alone then."""
    try:
        return StoredOperator(decode_operator(data), version)
    except CodecError as error:
        said = f"{error}; everything is left as it is. Correct /operator or put it back from a backup"
        return StoredOperator(None, version, said)


def read_status(name: str, data: bytes) -> Status | None:
    """A status; junk counts as none, because the operator writes it anew."""
    try:
        return decode_status(data)
    except CodecError as error:
        _log.warning("store.status_unreadable", job=name, error=str(error))
        return None


def read_events(name: str, data: bytes) -> tuple[JobEvent, ...]:
    """A history; junk counts as none, because nothing is decided from it."""
    try:
        return decode_events(data)
    except CodecError as error:
        _log.warning("store.events_unreadable", job=name, error=str(error))
        return ()
