"""Requests of people: the bytes of `/weir/control/<name>`, and what they ask for.

    zkCli.sh create /weir/control/orders '{"action": "pause", "by": "ann"}'

One node holds one request; the leader answers it and removes the node in the write that persists what
follows from it, so a request is carried out exactly once whatever dies in between. The answer stands
in `/weir/status/<name>` (`lastRequest`) and in the events. Names that no job can have, such as
`_global`, ask for something about all jobs.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.model import spec_messages
from reconciler.model.record import SpecRef

GLOBAL = "_global"
"""The name of requests about all jobs."""
MAX_REQUEST_BYTES = 16 * 1024


class Action(StrEnum):
    """What can be asked for; `confirm` of many jobs at once, a pause of all, and drains go to `_global`."""

    PAUSE = "pause"
    UNPAUSE = "unpause"
    CONFIRM = "confirm"
    FENCE = "fence"
    RESTORE_FROM = "restore-from"
    ROLLBACK = "rollback"
    FORCE = "force"
    DRAIN = "drain"
    UNDRAIN = "undrain"


ALLOWED: Mapping[bool, tuple[Action, ...]] = {
    True: (Action.PAUSE, Action.UNPAUSE, Action.CONFIRM, Action.DRAIN, Action.UNDRAIN),
    False: tuple(action for action in Action if action not in (Action.DRAIN, Action.UNDRAIN)),
}
"""By whether the request is about all jobs."""

_Text = Annotated[str, Field(max_length=200)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RequestArgs(_Document):
    """Arguments; each action takes its own."""

    generation: int | None = Field(
        default=None, ge=1, description="fence: which generation is dead; rollback: to which one's spec"
    )
    path: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None, description="restore-from: the savepoint or checkpoint to start from"
    )
    latest: bool = Field(default=False, description="restore-from: the newest known state that is really there")
    empty: bool = Field(default=False, description="restore-from: no state at all")
    held: _Text | None = Field(default=None, description="confirm: the mark of what is held, as the status names it")
    agent: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="drain, undrain: the agent, by its id or its hostname"
    )
    reason: _Text = Field(default="", description="why, for the events and the status")


class ControlRequest(_Document):
    """The document in `/weir/control/<name>`."""

    id: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="the same id is never carried out twice; left out, the znode's own identity is used"
    )
    action: Action = Field(strict=False)
    args: RequestArgs = RequestArgs()
    by: _Text = Field(default="", description="who asks")
    time: Annotated[str, Field(max_length=40)] = Field(default="", description="when it was asked, for people")


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The bytes of one control node and which version of it they are."""

    name: str
    ref: SpecRef
    data: bytes
    unreadable: bool = False
    """Its ACL keeps the bytes from Weir; `data` is empty then."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood; `request` None: it was not, and `error` says why."""

    name: str
    ref: SpecRef
    id: str
    request: ControlRequest | None
    error: str = ""

    @property
    def action(self) -> str:
        return self.request.action.value if self.request is not None else "?"

    @property
    def by(self) -> str:
        return self.request.by if self.request is not None else ""


def parse_request(raw: RawRequest) -> Asked:
    """Understand a request; never raises, whatever the bytes are."""
    own_id = f"{raw.ref.czxid:x}.{raw.ref.version}"
    if raw.unreadable:
        return Asked(raw.name, raw.ref, own_id, None, "its ACL does not let Weir read it; write it without an ACL")
    if len(raw.data) > MAX_REQUEST_BYTES:
        said = f"it has {len(raw.data)} bytes, the most is {MAX_REQUEST_BYTES}"
        return Asked(raw.name, raw.ref, own_id, None, said)
    try:
        request = ControlRequest.model_validate_json(raw.data)
    except ValidationError as invalid:
        return Asked(raw.name, raw.ref, own_id, None, _explain(invalid))
    wrong = _misfit(request, raw.name == GLOBAL)
    if wrong is not None:
        return Asked(raw.name, raw.ref, request.id or own_id, None, wrong)
    return Asked(raw.name, raw.ref, request.id or own_id, request)


def _misfit(request: ControlRequest, everything: bool) -> str | None:
    """What no single field shows; one sentence or None."""
    action, args = request.action, request.args
    if action not in ALLOWED[everything] and not everything:
        return f'"{action}" is asked of all jobs, in /control/{GLOBAL}, not of one'
    if action not in ALLOWED[everything]:
        return f'"{action}" is asked of one job, in /control/<name>, not of all'
    given = {name for name in args.model_fields_set if getattr(args, name) not in (None, False, "")}
    surplus = given - _TAKES[action] - {"reason"}
    if surplus:
        takes = ", ".join(sorted(_TAKES[action])) or "none but reason"
        return f'"{action}" takes no argument {_listed(sorted(surplus))}; it takes: {takes}'
    if action in (Action.DRAIN, Action.UNDRAIN) and args.agent is None:
        return f'"{action}" needs args.agent: the id or the hostname of an agent'
    if action is Action.FENCE and args.generation is None:
        return '"fence" needs args.generation: the number of the generation that is dead'
    if action is Action.RESTORE_FROM and len(given & _TAKES[action]) != 1:
        return '"restore-from" needs exactly one of args.path, args.latest (true) and args.empty (true)'
    if action is Action.CONFIRM and everything and args.held is None:
        return '"confirm" of many jobs needs args.held: the mark that the status of each held job names'
    return None


_TAKES: Mapping[Action, frozenset[str]] = {
    Action.PAUSE: frozenset(),
    Action.UNPAUSE: frozenset(),
    Action.CONFIRM: frozenset({"held"}),
    Action.FENCE: frozenset({"generation"}),
    Action.RESTORE_FROM: frozenset({"path", "latest", "empty"}),
    Action.ROLLBACK: frozenset({"generation"}),
    Action.FORCE: frozenset(),
    Action.DRAIN: frozenset({"agent"}),
    Action.UNDRAIN: frozenset({"agent"}),
}


def _explain(invalid: ValidationError) -> str:
    """The first thing that is wrong, in words; never the whole value."""
    first: Mapping[str, Any] = invalid.errors(include_url=False)[0]
    loc: Sequence[str] = [str(part) for part in first["loc"]]
    where, kind, value = ".".join(loc), str(first["type"]), first.get("input")
    if kind == "json_invalid":
        return """it is no JSON; write for example '{"action": "pause", "by": "ann"}', in single quotes"""
    if kind == "extra_forbidden":
        known = RequestArgs.model_fields if loc[:-1] else ControlRequest.model_fields
        return f'{where}: there is no field "{loc[-1][:60]}"{_did_you_mean(loc[-1], list(known))}'
    if kind == "missing":
        return f"{where}: is required; one of: {_listed(list(Action))}"
    if kind == "enum":
        shown = str(value)[:60]
        return (
            f'{where}: "{shown}" is no action{_did_you_mean(shown, list(Action))}; known are: {_listed(list(Action))}'
        )
    if not where:
        return 'it is no JSON object; write for example {"action": "pause", "by": "ann"}'
    return spec_messages.translate(first).sentence()


def _did_you_mean(value: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(value.lower().replace("_", "-"), [str(choice) for choice in choices], n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def _listed(values: Sequence[str]) -> str:
    return ", ".join(str(value) for value in values)
