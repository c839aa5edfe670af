"""Links of the documentation that MkDocs does not look at.

MkDocs checks links between pages, and their anchors. Pages also name files of the repository, such as
`../examples/even_ids.py`, which are not part of the site: each has to be there, and stands on the page as its path in
the repository. Addresses elsewhere are checked for their form only, because CI has no internet.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_CELL = re.compile(r"<td.*?</td>", re.DOTALL)
_ELSEWHERE = re.compile(r"https?:")


class BrokenLink(ValueError):
    """A link that leads nowhere. The text says on which page, and what would have to be there."""


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Called by MkDocs for each page, before its Markdown is rendered. Raises PluginError for a link that is broken."""
    from mkdocs.exceptions import PluginError

    docs = Path(config.docs_dir)
    try:
        return resolve(markdown, page.file.src_uri, docs, docs.parent)
    except BrokenLink as error:
        raise PluginError(str(error)) from error


def on_page_content(html: str, **_: object) -> str:
    """Called by MkDocs for each page as HTML.

    Python-Markdown keeps the backslash of `\\|` in the code of a table's cell.
    """
    return _CELL.sub(lambda cell: cell[0].replace("\\|", "|"), html)


def resolve(markdown: str, page: str, docs: Path, repository: Path) -> str:
    """`markdown` of the page `page` (a path in `docs`), with links out of `docs` as plain text. Raises BrokenLink."""

    def replaced(link: re.Match[str]) -> str:
        text, target = link["text"], link["target"]
        if _ELSEWHERE.match(target):
            _check_address(target, page)
            return link[0]
        path = target.partition("#")[0]
        named = normpath(PurePosixPath(docs.name, page).parent / path)
        if not path or named.startswith(f"{docs.name}/"):
            return link[0]  # MkDocs itself looks at it
        if not (repository / named).exists():
            raise BrokenLink(
                f"{docs.name}/{page}: there is no {named} in the repository, which [{text}]({target}) names"
            )
        return text if named.endswith(text.strip("`/")) else f"{text} (`{named}`)"

    return outside_of_code(markdown, lambda line: _LINK.sub(replaced, line))


def outside_of_code(markdown: str, change: Callable[[str], str]) -> str:
    """`markdown` with `change` made to each line that is not in a fenced block."""
    lines, fence = [], ""
    for line in markdown.split("\n"):
        found = _FENCE.match(line)
        if fence:
            fence = "" if found and line.strip() == fence else fence
        elif found:
            fence = found[1]
        else:
            line = change(line)
        lines.append(line)
    return "\n".join(lines)


def _check_address(target: str, page: str) -> None:
    try:
        address = urlsplit(target)
        well_formed = "." in (address.hostname or "") and address.port != 0
    except ValueError:  # a port that is no number
        well_formed = False
    if not well_formed:
        raise BrokenLink(f"{page}: {target} is no address of a page: correct it")
