"""One job as people ask about it: what is wanted, what was last said of it, and one sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.events import RawSpec
from reconciler.model.record import SpecRef
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import SpecInvalid, parse_spec
from reconciler.model.status import SpecError, Status

DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class JobView:
    """Desired state and status of one job; at least one of them exists."""

    name: str
    raw: RawSpec | None
    status: Status | None
    spec: JobSpec | None = None
    """The desired state, when it is valid as far as this side can tell."""
    errors: tuple[SpecError, ...] = ()

    @property
    def ref(self) -> SpecRef | None:
        return self.raw.ref if self.raw else None

    @property
    def deleted(self) -> bool:
        """Gone, and only remembered."""
        return self.raw is None and self.status is not None and self.status.lifecycle == DELETED

    @property
    def seen(self) -> bool:
        """Whether the status speaks of the newest version of the desired state."""
        observed = self.status.observed if self.status else None
        if self.raw is None or observed is None:
            return self.raw is None and self.status is not None
        return observed.czxid == self.raw.ref.czxid and observed.version >= self.raw.ref.version

    @property
    def accepted(self) -> bool | None:
        """What the leader said of the newest version; None: nothing yet."""
        return self.status.accepted if self.seen and self.status and self.raw else None

    @property
    def earlier_life(self) -> bool:
        """Whether the status is that of a deleted job whose name is used again."""
        return self.raw is not None and self.status is not None and self.status.lifecycle == DELETED


def view(name: str, raw: RawSpec | None, status: Status | None) -> JobView:
    """Put one job together; never raises for what users wrote."""
    if raw is None:
        return JobView(name, raw, status)
    try:
        return JobView(name, raw, status, parse_spec(name, raw.data))
    except SpecInvalid as invalid:
        return JobView(name, raw, status, None, invalid.errors)


def views(specs: Mapping[str, RawSpec], statuses: Mapping[str, Status]) -> list[JobView]:
    """Every job that is wanted or remembered, by name."""
    return [view(name, specs.get(name), statuses.get(name)) for name in sorted({*specs, *statuses})]


def why(job: JobView) -> str:
    """What the job waits for, or how it is, in one sentence."""
    status = None if job.earlier_life else job.status
    said = status.why if status is not None else ""
    if job.raw is None:
        if status is not None and status.error:
            return f"{status.error}; {said}"
        pending = status is not None and status.lifecycle not in ("DELETING", DELETED)
        return f"its deletion was not taken up yet; until then: {said}" if pending else said
    if not job.seen or status is None:
        refused = f"; it will be refused: {job.errors[0].sentence()}" if job.errors else ""
        new = f"version {job.raw.ref.version} of the desired state was not taken up yet{refused}"
        return f"{new}; until then: {said}" if said else new
    if not status.accepted:
        return f"version {job.raw.ref.version} of the desired state is refused: {status.error}; {_goes_on(status)}"
    return f"{status.error}; {said}" if status.error else said


def _goes_on(status: Status) -> str:
    if status.generation == 0:
        return "nothing runs yet"
    return f"the last valid version goes on: {status.why}"


def as_json(job: JobView) -> dict[str, Any]:
    """One element of `weir get -o json`."""
    return {
        "name": job.name,
        "why": why(job),
        "desired": None if job.raw is None else _desired(job),
        "status": None if job.status is None else job.status.model_dump(mode="json", by_alias=True),
    }


def _desired(job: JobView) -> dict[str, Any]:
    assert job.raw is not None
    return {
        "czxid": job.raw.ref.czxid,
        "version": job.raw.ref.version,
        "accepted": job.accepted,
        "errors": [error.model_dump(mode="json", by_alias=True) for error in job.errors],
        "spec": None if job.spec is None else job.spec.model_dump(mode="json", by_alias=True),
    }
