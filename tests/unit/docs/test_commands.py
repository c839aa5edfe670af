"""What the pages show exists: commands with their options, make targets, files, modules, variables, documents."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from integration.containers.recipes import recipes
from reconciler.app.cli import cli
from reconciler.app.config import Config
from reconciler.app.spec_file import parse_spec_file
from reconciler.app.spec_reference import MINIMAL
from reconciler.model.control import ControlRequest
from reconciler.model.spec_parse import parse_document, parse_spec

ROOT = Path(__file__).parents[3]
WRITTEN = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/**/README.md", "integration/**/README.md")
PAGES = sorted(path for pattern in WRITTEN for path in ROOT.glob(pattern))
FOLDERS = ("deploy", "docs", "examples", "integration", "plugins", "reconciler", "state", "tests")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

_FENCED = re.compile(r"^\s*```(\w*)\n(.*?)^\s*```$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"^(\.\.\.|…|[A-Z]+)$")


def blocks(page: Path, *languages: str) -> list[str]:
    found = _FENCED.findall(page.read_text(encoding="utf-8"))
    return [text for language, text in found if language in languages]


def code(page: Path) -> Iterator[str]:
    """Every line of a block, and every piece of code within a sentence."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page, "sh", "console"):
        yield from block.replace("\\\n", " ").splitlines()
    rest = _FENCED.sub("", text)
    yield from (line.strip() for line in rest.splitlines() if line.startswith("    "))
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", rest))


def shown(page: Path) -> Iterator[list[str]]:
    """The arguments of each `weir ...` that the page shows; docs/cli.md, which is made from them, shows usages."""
    if page == ROOT / "docs" / "cli.md":
        return
    for line in code(page):
        line = re.sub(r"\$\([^)]*\)", "VALUE", line)
        for found in re.finditer(r"(?:^|[;|&(] ?|\buntil |\bexec )\s*\$? ?weir (?P<rest>[^;|&)>]*)", line):
            text = re.split(r" #| {2,}", found["rest"].replace("\\|", "|"))[0]
            try:
                words = shlex.split(re.sub(r"[\[\]]", "", text))
            except ValueError:  # a quote that the cut above left open
                words = re.sub(r"[\[\]'\"]", "", text).split()
            if words and not _PLACEHOLDER.match(words[0]):
                yield words


def refuse_unknown(words: list[str]) -> None:
    """Raises click.UsageError for a command, an option or an argument that does not exist, or an option too many."""
    command: click.Command = cli
    parent: click.Context | None = None
    while True:
        context = click.Context(command, parent, info_name=command.name)
        _, words, order = command.make_parser(context).parse_args(list(words))
        for parameter in order:
            if isinstance(parameter, click.Option) and not parameter.multiple and order.count(parameter) > 1:
                raise click.UsageError(f"{parameter.opts[0]} counts once, only the last would")
        if not isinstance(command, click.Group):
            break
        if not words or _PLACEHOLDER.match(words[0]):
            return
        found = command.get_command(context, words[0])
        if found is None:
            raise click.UsageError(f"there is no command {words[0]}")
        command, words, parent = found, words[1:], context
    if words and "..." not in words:
        raise click.UsageError(f"too many arguments: {words}")


@each_page
def test_every_weir_command_that_is_shown_exists_with_its_options(page: Path) -> None:
    wrong = []
    for words in shown(page):
        try:
            refuse_unknown(words)
        except click.UsageError as error:
            wrong.append(f"weir {shlex.join(words)}: {error.format_message()}")
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    [
        "weir aply -f FILE",
        "weir get --al",
        "weir local frobnicate",
        "weir scale a 2 3",
        "weir local up --agent 2",
        "weir savepoint a --timeout 5s --timeout 9s",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(tmp_path: Path, line: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Say `{line}`.\n")
    (words,) = shown(page)

    with pytest.raises(click.UsageError):
        refuse_unknown(words)


def test_commands_are_found_wherever_they_are_shown(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`weir get`\n```sh\nweir apply -f FILE \\\n  --wait   # a remark\nuntil weir leader; do sleep 1; done\n"
        "weir plan -f x || echo\n```\n```console\n$ weir describe orders\n```\n\n    weir run &\n"
    )

    assert sorted(words[0] for words in shown(page)) == ["apply", "describe", "get", "leader", "plan", "run"]


@each_page
def test_every_make_target_that_is_shown_exists(page: Path) -> None:
    there = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {found for line in code(page) for found in re.findall(r"^(?:\$ )?make ([a-z][a-z-]*)", line)}

    assert named - there == set()


@each_page
def test_every_file_of_the_repository_that_is_named_exists(page: Path) -> None:
    path = re.compile(rf"(?<![\w/.:-])(?:\./)?((?:{'|'.join(FOLDERS)})/[\w./-]*)(?![\w*{{])")
    named = {found.rstrip(".") for line in code(page) for found in path.findall(line)}

    named -= {"plugins/metrics-prometheus"}  # of Flink's distribution
    assert [name for name in sorted(named) if not (ROOT / name).exists() and not (page.parent / name).exists()] == []


@each_page
def test_every_module_that_is_shown_exists(page: Path) -> None:
    named = {found for line in code(page) for found in re.findall(r"python3? -m ([\w.]+)", line)}

    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []


def variables() -> set[str]:
    """What the code reads or sets: every variable that it names, and those that it puts together."""
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "tests/unit" not in str(path)]
    sources += [*(ROOT / "deploy").rglob("*.yaml"), ROOT / "Makefile"]
    named = {name for path in sources for name in re.findall(r"WEIR_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))}
    return named | {recipe.variable for recipe in recipes().values()}


@each_page
def test_every_variable_that_is_named_is_known(page: Path) -> None:
    named = set(re.findall(r"\bWEIR_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))

    assert named - variables() == set()


@each_page
def test_every_spec_and_request_that_is_shown_is_accepted(page: Path) -> None:
    written = [json.loads(block) for block in blocks(page, "json")]
    written += [yaml.safe_load(block) for block in blocks(page, "yaml")]
    for line in code(page):
        for name, text in re.findall(r"(?:create|set) (\S+)\s+'(\{.*?\})'", line):
            if "/control/" in name:
                ControlRequest.model_validate_json(text)
            else:
                parse_spec(name.rpartition("/")[2], text.encode())
    for document in written:
        # What shows some fields only, is a part of the smallest spec.
        parse_document("shown", document if "flinkVersion" in document else {**MINIMAL, **document})


@each_page
def test_every_configuration_that_is_shown_is_accepted(page: Path) -> None:
    (text,) = blocks(ROOT / "docs" / "operations.md", "toml")
    whole = tomllib.loads(text)
    for block in blocks(page, "toml"):
        shown: dict[str, Any] = tomllib.loads(block)
        if "project" in shown:  # the pyproject.toml of a package of plugins
            continue
        merged = {key: {**whole.get(key, {}), **value} for key, value in shown.items()}
        Config.model_validate({**whole, **merged})


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/*.yaml")), ids=lambda path: path.name)
def test_every_example_in_a_folder_of_its_own_is_accepted(path: Path) -> None:
    parse_document(path.stem, parse_spec_file(path.read_text()))
