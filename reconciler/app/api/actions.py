"""Acting on a job, with a token: an edit of `/weir/jobs/<name>`, as a person would make it.

The operator never writes desired state by itself (S3). What is done here is the caller's edit: the
document as somebody wrote it with one field changed, stored only if nobody changed it meanwhile.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from reconciler.app import edit
from reconciler.app.api.context import Context, Refused
from reconciler.app.api.jobs import ABOUT_A_JOB, WritableName
from reconciler.app.api.models import ActionDone, Answer, Problem
from reconciler.app.api.tokens import COOKIE, HEADER, Tokens
from reconciler.model.events import RawSpec
from reconciler.ports import StoreError, VersionConflict

log = structlog.get_logger("weir.api")

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "A token is needed"},
    403: {"model": Problem, "description": "This token may not"},
}


class Action(StrEnum):
    """What can be done to a job."""

    SAVEPOINT = "savepoint"
    RESTART = "restart"
    SUSPEND = "suspend"
    RESUME = "resume"


EDITS: dict[Action, edit.Change] = {
    Action.SAVEPOINT: edit.savepoint,
    Action.RESTART: edit.restart,
    Action.SUSPEND: edit.suspend,
    Action.RESUME: edit.resume,
}
SAID = {
    Action.SAVEPOINT: "a savepoint is asked for",
    Action.RESTART: "a restart is asked for",
    Action.SUSPEND: "it is to be suspended",
    Action.RESUME: "it is to run",
}


class Writes(Protocol):
    """As much of the tree as a user writes."""

    def load_job(self, name: str) -> RawSpec | None: ...

    def put_job(self, name: str, data: bytes, expected: int | None = None) -> int: ...


class Credentials(BaseModel):
    """A token, as the pages send it once."""

    model_config = ConfigDict(extra="forbid")
    token: str = Field(min_length=1, max_length=1024)


class Session(Answer):
    """Who the pages act as."""

    role: str | None
    prefix: str = ""


def router(context: Context, tokens: Tokens, writes: Writes, secure: bool) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["actions"])

    @routes.post(
        "/jobs/{name}/actions/{action}",
        operation_id="actOnJob",
        responses={
            **ABOUT_A_JOB,
            **REFUSALS,
            409: {"model": Problem, "description": "Its desired state cannot be changed like this now"},
        },
    )
    def act(request: Request, name: WritableName, action: Action) -> ActionDone:
        """Change the desired state of a job as the action says. Needs a token with the role operate."""
        caller = tokens.may_operate(request, name)
        context.leading()
        version = carry_out(writes, name, EDITS[action])
        log.info("api.acted", job=name, action=action.value, caller=caller.fingerprint, version=version)
        message = f"{name}: {SAID[action]}; version {version} of its desired state says so"
        return ActionDone(job=name, action=action.value, version=version, message=message)

    @routes.get("/session", operation_id="getSession")
    def whoami(request: Request) -> Session:
        """What the token of this request may do."""
        caller = tokens.caller(request)
        return Session(role=caller.role if caller else None, prefix=caller.prefix if caller else "")

    @routes.put("/session", operation_id="openSession", responses=dict(REFUSALS))
    def open_session(request: Request, response: Response, credentials: Credentials) -> Session:
        """Exchange a token for a cookie that scripts of the pages cannot read."""
        if HEADER not in request.headers:
            raise Refused(403, f"the header {HEADER} is missing", "this is for the pages; others send Authorization")
        caller = tokens.known(credentials.token)
        if caller is None:
            raise Refused(401, "there is no such token", None)
        response.set_cookie(COOKIE, credentials.token, httponly=True, samesite="strict", secure=secure, path="/")
        return Session(role=caller.role, prefix=caller.prefix)

    @routes.delete("/session", operation_id="closeSession")
    def close_session(response: Response) -> Session:
        """Forget the cookie."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure, path="/")
        return Session(role=None)

    return routes


def carry_out(writes: Writes, name: str, change: edit.Change) -> int:
    """Read, edit, compare and set; the new version. Raises Refused."""
    try:
        raw = writes.load_job(name)
        if raw is None:
            raise Refused(404, f"there is no job {name}", "GET /api/v1/jobs lists them")
        after = edit.edited(name, raw.data, change)
        if not after.value:
            raise Refused(409, f"{name} is so already; nothing was written", None)
        return writes.put_job(name, after.data, raw.ref.version)
    except edit.CannotEdit as error:
        raise Refused(409, f"{name}: {error}", error.hint) from None
    except VersionConflict:
        raise Refused(
            409, f"{name}: somebody else changed its desired state just now", "look again, and repeat"
        ) from None
    except StoreError as error:
        raise Refused(503, f"ZooKeeper did not take it: {error}", "look at the job before you repeat it") from None
