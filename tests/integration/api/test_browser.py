"""The pages in a real browser, on the real stack: they show what is there, follow it, and act with a token only.

`WEIR_SCREENSHOTS=docs/img` keeps the pictures of the README.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from reconciler.app.demo.story import poll
from tests.integration.api.browser import browser as started
from tests.integration.api.conftest import JOB, WAIT_S, WAITING, Site

pytestmark = pytest.mark.stack
SLOW_MS = 120_000
SIZES = {"wide": (1280, 1800), "phone": (390, 844)}
CONTRAST = 4.5
_CONTRAST_JS = """() => {
  const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const parse = (s) => s.match(/[\\d.]+/g).map(Number);
  const lum = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0.99) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest("svg, [disabled], .visually-hidden, .skip")) continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < LIMIT) poor.push([e.tagName, e.className, e.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return poor;
}"""
_UNNAMED_JS = """() => [...document.querySelectorAll("a, button, input, summary")]
  .filter((e) => e.checkVisibility())
  .filter((e) => !e.textContent.trim() && !e.getAttribute("aria-label"))
  .filter((e) => !document.querySelector(`label[for="${e.id}"]`))
  .map((e) => e.outerHTML)"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(SLOW_MS)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which no script failed."""
    made = context.new_page()
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    yield made
    assert not problems


def go(page: Page, site: Site, path: str) -> None:
    page.goto(f"{site.url}{path}", wait_until="load", timeout=SLOW_MS)
    expect(page.locator("#live-state")).to_have_attribute("data-state", "on", timeout=SLOW_MS)


def test_the_list_leads_to_the_job_and_the_job_to_its_flink(site: Site, page: Page) -> None:
    go(page, site, "/")
    row = page.locator("tr", has=page.get_by_role("link", name=JOB, exact=True))
    expect(row).to_contain_text("STABLE", timeout=SLOW_MS)
    expect(row).to_contain_text("running and stable")
    expect(row).to_contain_text("agent-")
    waiting = page.locator("tr", has=page.get_by_role("link", name=WAITING, exact=True))
    expect(waiting).to_contain_text("waiting for an offer", timeout=SLOW_MS)

    page.get_by_label("Filter").fill(WAITING)
    expect(row).to_be_hidden()
    page.get_by_label("Filter").fill("")
    page.get_by_role("link", name=JOB, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(JOB)
    expect(page.get_by_text("What runs is what is desired")).to_be_visible()
    expect(page.locator(".agent").first).to_contain_text("JobManager")
    assert "/executors/" in (page.get_by_role("link", name=re.compile("^sandbox")).first.get_attribute("href") or "")
    expect(page.locator("svg.plot").first).to_be_visible(timeout=SLOW_MS)
    expect(page.locator(".timeline").first).to_contain_text("STABLE")
    logs = page.get_by_role("link", name=re.compile("^logs of")).first.get_attribute("href") or ""
    flink = page.get_by_role("link", name="Flink UI").get_attribute("href") or ""
    assert page.request.get(flink.partition("#")[0]).ok
    page.goto(f"{site.url}{logs}")
    expect(page.locator("pre.log").first).to_contain_text("org.apache.flink", timeout=SLOW_MS)


def test_the_cluster_page_has_replicas_agents_and_declined_offers(site: Site, page: Page) -> None:
    go(page, site, "/cluster")
    expect(page.get_by_text("leads", exact=True)).to_be_visible()
    expect(page.get_by_text("stands by")).to_be_visible()
    agents = page.locator("section", has=page.get_by_role("heading", name="Agents"))
    expect(agents).to_contain_text("agent-1")
    expect(agents).to_contain_text("agent-2")
    expect(agents).to_contain_text(JOB)
    declined = page.locator("section", has=page.get_by_role("heading", name="Offers that were declined"))
    expect(declined).to_contain_text(WAITING, timeout=SLOW_MS)


def test_a_page_follows_what_happens_without_being_loaded_again(site: Site, page: Page) -> None:
    go(page, site, "/")
    page.evaluate("window.same = true")
    name = "live-one"
    site.put(name, {"flinkVersion": "2.2", "job": {"type": "cobol"}})
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible(timeout=SLOW_MS)
    site.delete(name)
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0, timeout=SLOW_MS)
    assert page.evaluate("window.same")


def test_acting_needs_a_token_and_then_it_works(site: Site, page: Page) -> None:
    go(page, site, f"/jobs/{JOB}")
    savepoint = page.get_by_role("button", name="Take a savepoint")
    expect(savepoint).to_be_disabled()
    page.get_by_role("button", name="Token").click()
    page.get_by_label("Token", exact=True).fill("not-the-right-token")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("alert")).to_contain_text("no such token")
    page.get_by_label("Token", exact=True).fill("operate-token-0123456789")
    page.keyboard.press("Enter")
    expect(savepoint).to_be_enabled()
    assert not page.evaluate("document.cookie")

    before = len(site.get(f"/api/v1/jobs/{JOB}/snapshots").json()["snapshots"])
    savepoint.click()
    expect(page.locator("#told")).to_contain_text("a savepoint is asked for")
    poll(
        "there is one savepoint more",
        lambda: len(site.get(f"/api/v1/jobs/{JOB}/snapshots").json()["snapshots"]) > before,
        WAIT_S,
        tick=site.installation.check,
    )


def test_pages_work_with_the_keyboard_alone(site: Site, page: Page) -> None:
    go(page, site, "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.textContent === {JOB!r}"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(JOB)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_every_page_is_readable_at_every_width_in_dark_and_light(
    site: Site, chromium: Browser, tmp_path: Path, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    try:
        for name, path in (("jobs", "/"), ("job", f"/jobs/{JOB}"), ("cluster", "/cluster")):
            go(page, site, path)
            expect(page.locator("main")).to_contain_text(JOB)
            picture(page, tmp_path, f"{name}-{size}-{scheme}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
            assert page.evaluate(_CONTRAST_JS.replace("LIMIT", str(CONTRAST))) == []
            assert page.evaluate(_UNNAMED_JS) == []
            assert page.evaluate("document.documentElement.lang") == "en"
            assert page.locator("h1").count() == 1
    finally:
        context.close()


def picture(page: Page, tmp_path: Path, name: str) -> None:
    directory = Path(os.environ.get("WEIR_SCREENSHOTS") or tmp_path)
    directory.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    assert size is not None
    # A short page makes a short picture, without the empty ground below it.
    bottom = page.evaluate(
        "Math.max(...[...document.querySelectorAll('main, footer')].map((e) => e.getBoundingClientRect().bottom))"
    )
    height = min(size["height"], round(bottom) + 16)
    page.screenshot(path=directory / f"{name}.png", clip={"x": 0, "y": 0, "width": size["width"], "height": height})
