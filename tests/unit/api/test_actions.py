"""Acting through the API: with a token only, and as an edit of what the user wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import edit
from reconciler.app.api.tokens import Tokens, load
from reconciler.app.config import ConfigError
from tests.unit.api.conftest import OPERATE, READ, TEAM, Site


def act(site: Site, action: str, token: str | None = OPERATE, job: str = "orders", **headers: str) -> tuple[int, Any]:
    given = {"Authorization": f"Bearer {token}"} if token else {}
    answer = site.http.post(f"/api/v1/jobs/{job}/actions/{action}", headers={**given, **headers})
    return answer.status_code, answer.json()


def button(page: str, action: str) -> str:
    """Its tag on a job's page."""
    (tag,) = re.findall(rf'<button[^>]*data-action="{action}"[^>]*>', page)
    return str(tag)


def test_a_savepoint_that_is_asked_for_is_taken(leading: Site) -> None:
    status, body = act(leading, "savepoint")
    leading.let_pass(20)

    assert (status, body["version"]) == (200, 1)
    assert leading.get("/api/v1/jobs/orders")["lastSavepoint"]["reason"] == "manual"


def test_suspending_and_resuming_go_the_whole_way(leading: Site) -> None:
    assert act(leading, "suspend")[0] == 200
    leading.let_pass(25)
    assert leading.get("/api/v1/jobs/orders")["lifecycle"] == "SUSPENDED"
    assert act(leading, "suspend")[0] == 409
    assert act(leading, "resume")[0] == 200
    leading.let_pass(25)
    assert leading.get("/api/v1/jobs/orders")["lifecycle"] == "STABLE"


def test_a_suspended_job_has_nothing_to_take_a_savepoint_of(leading: Site) -> None:
    assert act(leading, "suspend")[0] == 200
    leading.let_pass(25)
    before = leading.world.users.load_job("orders")

    status, body = act(leading, "savepoint")
    assert status == 409
    assert body["error"] == "orders: it is suspended: it has no running job to take a savepoint of"
    assert body["hint"]
    assert leading.world.users.load_job("orders") == before
    page = leading.http.get("/jobs/orders", headers={"Authorization": f"Bearer {OPERATE}"}).text
    savepoint, resume = (button(page, name) for name in ("savepoint", "resume"))
    assert "disabled" in savepoint
    assert "disabled" not in resume
    assert "no running job to take a savepoint of" in page


def test_a_document_that_is_not_valid_is_not_edited_and_the_answer_says_what_is_wrong(leading: Site) -> None:
    leading.world.users.put_job("orders", b'{"flinkVersion": "2.2", "job": {"type": "cobol"}}')

    status, body = act(leading, "restart")
    assert status == 409
    assert "its desired state is not valid" in body["error"]
    assert "job.type" in body["error"]
    assert "weir apply" in body["hint"]


@pytest.mark.parametrize("action", ["savepoint", "suspend", "resume"])
def test_a_session_has_no_job_to_act_on(leading: Site, action: str) -> None:
    leading.world.users.put_job("shared", b'{"kind": "Session", "flinkVersion": "2.2"}')
    leading.let_pass(5)

    status, body = act(leading, action, job="shared")
    assert status == 409
    assert "has no job of its own" in body["error"]
    page = leading.http.get("/jobs/shared", headers={"Authorization": f"Bearer {OPERATE}"}).text
    assert "disabled" in button(page, "savepoint")
    assert "disabled" in button(page, "suspend")
    assert "disabled" not in button(page, "restart")
    assert "<dt>Program</dt>" not in page


def test_a_restart_opens_the_next_generation(leading: Site) -> None:
    assert act(leading, "restart")[0] == 200
    leading.let_pass(25)
    assert leading.get("/api/v1/jobs/orders")["generation"] == 2


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("wrong-token-0123456789", 401), (READ, 403), (TEAM, 403), (OPERATE + "x", 401)]
)
def test_f50_nobody_acts_without_a_token_that_may(leading: Site, token: str | None, status: int) -> None:
    before = leading.world.users.load_job("orders")

    assert act(leading, "suspend", token)[0] == status
    assert leading.world.users.load_job("orders") == before


def test_f50_a_token_with_a_prefix_acts_on_jobs_of_its_team(leading: Site) -> None:
    leading.apply("team-orders")
    leading.let_pass(5)
    assert act(leading, "restart", TEAM, job="team-orders")[0] == 200


def test_without_a_tokens_file_nobody_may_act(leading: Site) -> None:
    bare = Site()
    status, body = act(bare, "suspend")
    assert status == 403
    assert "tokens_file" in body["hint"]


def test_f50_the_cookie_of_the_pages_does_not_act_for_another_site(leading: Site) -> None:
    page = {"X-Weir-Request": "page"}
    assert leading.http.put("/api/v1/session", json={"token": OPERATE}).status_code == 403
    assert leading.http.put("/api/v1/session", json={"token": "no"}, headers=page).status_code == 401
    answer = leading.http.put("/api/v1/session", json={"token": OPERATE}, headers=page)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert OPERATE not in answer.text

    assert act(leading, "savepoint", None)[0] == 403  # what a form of another site would send
    assert act(leading, "savepoint", None, **page)[0] == 200
    leading.http.delete("/api/v1/session")
    assert act(leading, "savepoint", None, **page)[0] == 401


def test_an_edit_of_somebody_else_in_between_is_not_overwritten(leading: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def edited(name: str, data: bytes, change: edit.Change) -> edit.Edited:
        leading.apply(env={"A": "b"})
        return edit_document(name, data, change)

    edit_document = edit.edited
    monkeypatch.setattr(edit, "edited", edited)

    assert act(leading, "restart")[0] == 409
    raw = leading.world.users.load_job("orders")
    assert raw is not None
    assert json.loads(raw.data)["env"] == {"A": "b"}


def test_reading_can_need_a_token_too(leading: Site) -> None:
    leading.tokens.anonymous_read = False

    for path in ("/api/v1/jobs", "/metrics", "/", "/api/v1/live"):
        assert leading.http.get(path).status_code == 401, path
    assert leading.http.get("/api/v1/jobs", headers={"Authorization": f"Bearer {READ}"}).status_code == 200
    assert leading.http.get("/livez").status_code == 200


def test_a_token_that_is_taken_out_of_the_file_is_refused_at_once(leading: Site, tmp_path: Path) -> None:
    assert act(leading, "savepoint")[0] == 200
    (tmp_path / "tokens").write_text(f"read {READ}\n")
    assert act(leading, "savepoint")[0] == 401
    (tmp_path / "tokens").unlink()
    assert act(leading, "savepoint", READ)[0] == 401


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("admin token-0123456789012345", "read or operate"),
        ("operate short", "fewer than 16"),
        ("operate", "ROLE TOKEN"),
        ("read token-0123456789012345\noperate token-0123456789012345", "line 2"),
    ],
)
def test_a_tokens_file_that_is_wrong_is_refused_without_showing_a_token(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=says) as refused:
        load(path)
    assert "0123456789" not in str(refused.value)


def test_f50_a_tokens_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("read token-0123456789012345")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod o-rwx"):
        load(path)
    with pytest.raises(ConfigError, match=r"no api\.tokens_file"):
        Tokens(None, anonymous_read=False)
