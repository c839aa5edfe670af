"""`make docs`: the pages are built, and whatever is broken in them is noticed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.unit.docs.loading import load

ROOT = Path(__file__).parents[3]
HOOK = ROOT / "deploy" / "docs" / "hook.py"


hook = load(HOOK)


def build(repository: Path, site: Path) -> subprocess.CompletedProcess[str]:
    # As `make docs` does. Not with --quiet: MkDocs counts the warnings that it logs, and would log none.
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    result = build(ROOT, made)
    assert result.returncode == 0, result.stderr
    return made


def test_every_page_of_the_docs_is_on_the_site(site: Path) -> None:
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    pages = [path.with_name("index.html" if path.name == "README.md" else f"{path.stem}.html") for path in sources]

    assert pages
    assert [str(page) for page in pages if not (site / page).is_file()] == []


def test_every_address_on_the_built_pages_leads_to_a_file_and_its_anchor(site: Path) -> None:
    """Also those that stand in raw HTML, which MkDocs does not look at."""
    broken = []
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"]*)"', page.read_text(encoding="utf-8")):
            path, _, anchor = unquote(target).partition("#")
            if "://" in target or target.startswith("mailto:") or page.name == "404.html":
                continue
            file = (page.parent / path).resolve() if path else page
            if file.is_dir():
                file = file / "index.html"
            named = not anchor or file.suffix != ".html" or f'id="{anchor}"' in file.read_text(encoding="utf-8")
            if not file.is_file() or not named:
                broken.append(f"{page.relative_to(site)}: {target}")
    assert broken == []


def test_the_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="(?:https?:)?//[^"]*"')

    assert [found for page in site.rglob("*.html") for found in loaded.findall(page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("[x](nowhere.md)", "nowhere.md"),
        ("[x](concepts.md#no-such-heading)", "no-such-heading"),
        ("[x](#no-such-heading)", "no-such-heading"),
        ("[x](/absolute.md)", "absolute"),
        ("![x](img/nothing.png)", "nothing.png"),
        ("[x](../examples/nothing.yaml)", "there is no examples/nothing.yaml in the repository"),
        ("[x](https://nodots/page)", "is no address of a page"),
    ],
)
def test_a_broken_link_fails_the_build(tmp_path: Path, broken: str, said: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# One page\n\n{broken}\n")
    (tmp_path / "docs" / "concepts.md").write_text("# Concepts\n")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("deploy/docs/hook.py", str(HOOK))
    settings = settings[: settings.index("# In the order")].replace("  - stylesheets/weir.css", "  - index.md")
    (tmp_path / "mkdocs.yml").write_text(settings)

    result = build(tmp_path, tmp_path / "site")

    assert result.returncode != 0
    assert said in result.stderr + result.stdout


def test_a_sound_page_passes_the_same_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "stylesheets", tmp_path / "docs" / "stylesheets")
    (tmp_path / "docs" / "index.md").write_text("# One page\n\n[itself](#one-page)\n")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("deploy/docs/hook.py", str(HOOK))
    (tmp_path / "mkdocs.yml").write_text(settings[: settings.index("# In the order")])

    result = build(tmp_path, tmp_path / "site")

    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr


def test_a_link_out_of_the_docs_becomes_its_path_in_the_repository(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "one.yaml").write_text("")

    def resolve(text: str) -> str:
        resolved: str = hook.resolve(text, "page.md", tmp_path / "docs", tmp_path)
        return resolved

    assert resolve("see [the example](../examples/one.yaml).") == "see the example (`examples/one.yaml`)."
    assert resolve("see [`examples/one.yaml`](../examples/one.yaml)") == "see `examples/one.yaml`"
    assert resolve("```\n[x](../nothing)\n```\n[y](z.md)") == "```\n[x](../nothing)\n```\n[y](z.md)"


@pytest.mark.parametrize("address", ["https://", "https://nodots/x", "http://a.example:port/"])
def test_an_address_elsewhere_has_to_be_one(tmp_path: Path, address: str) -> None:
    with pytest.raises(hook.BrokenLink, match="is no address of a page"):
        hook.resolve(f"[x]({address})", "page.md", tmp_path / "docs", tmp_path)
