"""An open page in a real browser while the leader changes: replicas on the shipped fakes, nothing else has to run."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from playwright.sync_api import expect

from reconciler.app.monitoring import monitor as monitoring
from reconciler.model.status import LeaderInfo
from tests.integration.api.browser import browser
from tests.unit.api.conftest import Site

WAIT_MS = 60_000


@contextmanager
def served() -> Iterator[tuple[Site, str]]:
    """A leader with a job, and where it listens."""
    site = Site()
    site.apply()
    site.lead()
    site.let_pass(15)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(site.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield site, f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@pytest.fixture(autouse=True)
def _always_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "VIEW_EVERY_S", 0.0)
    monkeypatch.setattr(monitoring, "SHARE", 0)
    monkeypatch.setattr("reconciler.app.api.context.LEADER_FRESH_S", 0.0)


def test_an_open_page_goes_to_the_leader_when_another_replica_leads() -> None:
    """Nobody leads for a while, which the stream and the page are refused for; then a follower redirects both."""
    with served() as (before, here), served() as (_, there), browser() as chromium:
        page = chromium.new_page()
        page.set_default_timeout(WAIT_MS)
        state = page.locator("#live-state")
        page.goto(f"{here}/jobs/orders")
        expect(state).to_have_text("live", timeout=WAIT_MS)

        before.monitor.end()
        before.tree.other = LeaderInfo(replica="r", host="h", pid=1, api=here)
        expect(state).to_have_text("no answer now (HTTP 503), trying again", timeout=WAIT_MS)
        expect(page.get_by_role("heading", level=1)).to_have_text("orders")

        before.tree.other = LeaderInfo(replica="r2", host="h", pid=2, api=there)
        page.wait_for_url(re.compile(f"^{there}/jobs/orders$"))
        expect(state).to_have_text("live", timeout=WAIT_MS)


def test_the_page_of_an_error_that_passes_is_loaded_again() -> None:
    with served() as (site, here), browser() as chromium:
        published = site.monitor.current()
        assert published is not None
        site.monitor.published = None
        page = chromium.new_page()
        page.goto(f"{here}/jobs/orders")
        expect(page.get_by_role("heading", level=1)).to_contain_text("taking over")
        site.monitor.published = published
        expect(page.get_by_role("heading", level=1)).to_have_text("orders", timeout=WAIT_MS)
