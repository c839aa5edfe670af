"""The ASGI application: routes, errors as sentences, redirects to the leader, the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from reconciler.app.api import actions, cluster, health, jobs, live, logs, pages
from reconciler.app.api.checkpoints import CheckpointReader
from reconciler.app.api.context import Context, Elsewhere, Refused
from reconciler.app.api.models import Problem
from reconciler.app.api.tokens import Tokens

log = structlog.get_logger("weir.api")

DESCRIPTION = """Reads what a replica of Weir knows about jobs, and acts with a token. Reads below `/api/v1` are \
answered by the leader; another replica redirects to it (307)."""
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}


def build(
    context: Context,
    tokens: Tokens,
    writes: actions.Writes,
    *,
    checkpoints: CheckpointReader,
    secure: bool = False,
) -> FastAPI:
    """The application of one replica. `secure`: cookies are for https only."""
    app = FastAPI(title="Weir", version=version("weir"), description=DESCRIPTION, docs_url=None, redoc_url=None)

    def may_read(request: Request) -> None:
        tokens.may_read(request)

    app.include_router(health.router(context, may_read))
    app.include_router(actions.router(context, tokens, writes, secure))
    for router in (
        jobs.router(context, checkpoints),
        cluster.router(context),
        live.router(context),
        logs.router(context),
        pages.router(context, tokens, checkpoints),
    ):
        app.include_router(router, dependencies=[Depends(may_read)])
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    _errors(app, context, tokens)
    _counted(app, context)
    _document(app)
    return app


def _errors(app: FastAPI, context: Context, tokens: Tokens) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        if _for_people(request):
            return pages.problem(context, error.status, error.error, error.hint, tokens.anonymous_read)
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
        return _problem(error.status, error.error, error.hint, headers)

    @app.exception_handler(Elsewhere)
    async def elsewhere(request: Request, error: Elsewhere) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        path = request.scope.get("raw_path", b"").decode("ascii", "replace") or request.url.path
        return Response(status_code=307, headers={"Location": f"{error.base}{path.partition('?')[0]}{query}"})

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        where = ".".join(str(part) for part in found[0]["loc"]) if found else "request"
        message = found[0]["msg"] if found else "cannot be used"
        if _for_people(request):
            return pages.problem(context, 400, f"{where}: {message}", None, tokens.anonymous_read)
        return _problem(400, f"{where}: {message}", "GET /openapi.json describes every request")

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if _for_people(request):
            return pages.problem(context, error.status_code, str(error.detail), None, tokens.anonymous_read)
        hint = "GET /openapi.json lists what there is" if error.status_code in (404, 405) else None
        return _problem(error.status_code, str(error.detail), hint, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def mistake(request: Request, error: Exception) -> Response:
        log.error("api.mistake", path=request.url.path, exc_info=error)
        return _problem(500, "a mistake in weir, please report it", "the replica's log has the details")


def _for_people(request: Request) -> bool:
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/api/", "/static/"))


def _problem(status: int, error: str, hint: str | None, headers: dict[str, str] | None = None) -> Response:
    body = Problem(error=error, hint=hint).model_dump(mode="json", by_alias=True)
    return JSONResponse(body, status_code=status, headers=headers)


def _counted(app: FastAPI, context: Context) -> None:
    requests = context.monitor.instruments.requests

    @app.middleware("http")
    async def count(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call(request)
        route = request.scope.get("route")
        # The pattern, not the path: a label must not be whatever a client makes up.
        requests.labels(getattr(route, "path", "none"), str(response.status_code)).inc()
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _document(app: FastAPI) -> None:
    """The document that FastAPI makes, with the answers that are really given to bad requests."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for path in document["paths"].values():
            for operation in path.values():
                if operation["responses"].pop("422", None) is not None:
                    operation["responses"]["400"] = {"description": "The request cannot be used", "content": problem}
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
