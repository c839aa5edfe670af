"""The OpenAPI document, and requests that nobody would write by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from reconciler.app.api import document
from tests.unit.api.conftest import OPERATE, TOKENS, Site

DOCS = Path(__file__).parents[3] / "docs"
_SITES: list[Site] = []


def test_the_document_in_docs_is_current() -> None:
    assert (DOCS / "openapi.json").read_text() == document.text(), "run: make schemas"


def test_every_route_is_described_with_the_errors_that_it_gives(site: Site) -> None:
    described = site.get("/openapi.json")

    assert described["openapi"].startswith("3.")
    assert {"/livez", "/readyz", "/leader", "/metrics", "/api/v1/jobs/{name}/history"} <= set(described["paths"])
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation["description"] or operation["summary"], (method, path)
            assert "422" not in operation["responses"]
            if path.startswith("/api/v1/jobs"):
                assert {"307", "503"} <= set(operation["responses"]), path
    assert "X-Weir-Request" not in json.dumps(described["paths"]["/livez"])


@pytest.fixture(scope="module", autouse=True)
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One leader for all generated requests."""
    tokens = tmp_path_factory.mktemp("fuzz") / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    made = Site(str(tokens))
    made.apply()
    made.lead()
    made.let_pass(15)
    _SITES.append(made)
    yield
    _SITES.clear()


PATHS = sorted(json.loads((DOCS / "openapi.json").read_text())["paths"])
ENDLESS = "/api/v1/live"


@pytest.mark.parametrize("path", [path for path in PATHS if path != ENDLESS])
def test_no_request_ends_in_a_mistake(path: str) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", _SITES[0].app).include(path=path)
    for operation in described.get_all_operations():

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.ok().as_strategy(generation_mode=GenerationMode.POSITIVE))
        def fine(case: schemathesis.Case) -> None:
            _ask(case)

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.ok().as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def hostile(case: schemathesis.Case) -> None:
            _ask(case)

        fine()
        if operation.ok().path_parameters or operation.ok().query or operation.ok().body:
            hostile()


def _ask(case: schemathesis.Case) -> None:
    response = case.call(headers={"Authorization": f"Bearer {OPERATE}"})
    assert response.status_code < 500 or response.status_code == 503, response.text
    assert "Traceback" not in response.text
    if response.status_code not in (404, 405):  # of a path that is no longer the operation's
        case.validate_response(response, checks=[status_code_conformance, response_schema_conformance])


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs/%00", "/api/v1/jobs/..%2f..%2fetc", "/static/../application.py", "/static/%2e%2e/server.py",
        "/api/v1/jobs/a%0d%0aX: y", "/api/v1/jobs/orders/events?limit=-1", "/api/v1/jobs/orders/events?limit=1e999",
        "//evil.example/", "/api/v1/jobs?x=" + "a" * 5000,
    ],
)  # fmt: skip
def test_strange_paths_are_answered_plainly(path: str) -> None:
    answer = _SITES[0].http.get(path)

    assert answer.status_code in (200, 400, 404)
    assert "def build" not in answer.text
