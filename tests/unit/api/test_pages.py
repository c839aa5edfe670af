"""The pages, as HTML: complete, escaped, and without a script of anybody else."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx
import pytest

from reconciler.app.api import plots
from reconciler.app.api.models import CheckpointView
from tests.unit.api.conftest import CHECKPOINTS, Site

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Tags that are open, ids, and what assistive technology needs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.problems: list[str] = []
        self.feed(html)
        assert not self.open, self.open
        assert len(self.ids) == len(set(self.ids)), "an id stands there twice"
        assert not self.problems, self.problems

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag == "img" and "alt" not in given:
            self.problems.append("an image without alt")
        if "style" in given or any(name.startswith("on") for name in given):
            self.problems.append(f"inline style or script in {tag}")
        if tag == "script" and not given.get("src"):
            self.problems.append("an inline script")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """SVG's own."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("path", ["/", "/jobs/orders", "/cluster"])
def test_a_page_is_whole_and_its_part_is_in_it(leading: Site, path: str) -> None:
    page = Page(leading.text(path))
    part = Page(leading.text(f"{path}?part=1"))

    assert "orders" in page.text
    assert "orders" in part.text
    assert "Skip to the content" in page.text
    assert "Skip to the content" not in part.text


def test_what_users_write_is_text_and_never_markup(leading: Site) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=y>"
    leading.apply(env={"X": evil}, job={"type": "jar", "uri": f"file:///srv/{evil}", "args": [evil]})
    leading.let_pass(20)
    leading.world.users.put_job("broken", f'{{"job": {{"{"<b>x</b>"}": 1}}}}'.encode())
    leading.let_pass(5)

    for path in ("/", "/jobs/orders", "/jobs/broken", "/cluster"):
        html = leading.text(path)
        Page(html)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "<b>x" not in html


@pytest.mark.parametrize("name", ["Bad_Name", "with space", "a?b", "$(touch x)", "a#b", '"><b>x'])
def test_a_job_whose_name_is_refused_has_a_page_that_says_so(leading: Site, name: str) -> None:
    leading.world.users.put_job(name, b'{"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///j.py"}}')
    leading.let_pass(5)

    (link,) = [href for href in Page(leading.text("/")).links if href.startswith("/jobs/") and href != "/jobs/orders"]
    page = Page(leading.http.get(link, headers={"Accept": "text/html"}).text)
    assert name in page.text
    assert "cannot be a job's name" in page.text
    job = leading.get(f"/api/v1{link}")
    assert (job["name"], job["accepted"]) == (name, False)
    assert leading.get(f"/api/v1{link}/events")["job"] == name


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_links_to_the_master_have_the_scheme_that_it_has(leading: Site, scheme: str) -> None:
    leading.context.master_scheme = scheme

    links = [link for link in Page(leading.text("/cluster")).links if "10.0.0.1:5050" in link]
    assert f"{scheme}://10.0.0.1:5050/" in links
    assert all(link.startswith(f"{scheme}://10.0.0.1:5050/") for link in links)


def test_a_request_of_a_person_that_cannot_be_used_is_answered_with_a_page(leading: Site) -> None:
    answer = leading.http.get("/jobs/" + "n" * 1001, headers={"Accept": "text/html"})

    assert answer.status_code == 400
    assert "at most 1000 characters" in Page(answer.text).text


def test_a_page_that_is_not_there_is_a_page(leading: Site) -> None:
    answer = leading.http.get("/jobs/nothing", headers={"Accept": "text/html"})

    assert answer.status_code == 404
    assert "there is no job nothing" in Page(answer.text).text
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")


def test_the_page_of_an_error_that_passes_is_loaded_again_by_itself(site: Site) -> None:
    answer = site.http.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "data-again" in answer.text
    site.lead()
    site.let_pass(5)
    assert "data-again" not in site.http.get("/jobs/nothing", headers={"Accept": "text/html"}).text


def test_a_job_without_checkpoints_or_a_job_manager_that_is_silent_has_a_page(leading: Site) -> None:
    leading.flink_answer = lambda _: httpx.Response(404, json={"errors": ["Checkpointing is not enabled"]})
    assert "takes no checkpoints" in Page(leading.text("/jobs/orders")).text


def test_a_savepoint_has_its_size_and_duration_while_its_job_manager_knows_them(leading: Site) -> None:
    leading.apply(job={"type": "python", "uri": "file:///srv/job.py", "savepointTriggerNonce": 1})
    leading.let_pass(15)
    number = leading.get("/api/v1/jobs/orders/snapshots")["newest"]["checkpointId"]
    told = {**CHECKPOINTS["history"][0], "id": number, "end_to_end_duration": 1234, "state_size": 5 << 20}
    leading.flink_answer = lambda _: httpx.Response(200, json={"history": [told]})
    page = leading.text("/jobs/orders?part=1")
    assert '<td data-label="Took" class="num">1.2 s</td><td data-label="Size" class="num">5.0 MiB</td>' in page

    leading.apply(job={"type": "python", "uri": "file:///srv/job.py", "savepointTriggerNonce": 1}, env={"A": "b"})
    leading.let_pass(25)
    assert leading.get("/api/v1/jobs/orders")["generation"] == 2
    page = leading.text("/jobs/orders?part=1")
    assert '<td data-label="Size" class="num">5.0 MiB</td>' not in page, "that was another JobManager's"
    assert '<td data-label="Size" class="num">not known</td>' in page


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_plots_are_drawn_for_any_number_of_checkpoints(count: int) -> None:
    found = [
        CheckpointView(
            id=number,
            kind="checkpoint",
            status="COMPLETED",
            triggered_at="",
            duration_seconds=number * 0.1,
            size_bytes=0,
        )
        for number in range(count)
    ]
    for draw in (plots.duration, plots.size):
        drawn = draw(found)
        assert drawn.count("<rect") == min(count, plots.SHOWN)
        assert "nan" not in drawn


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5e12, "4.5 TiB")])
def test_sizes_are_readable(value: float, text: str) -> None:
    assert plots.bytes_(value) == text
