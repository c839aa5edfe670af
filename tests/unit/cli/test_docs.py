"""What the documentation promises is there: links, examples, commands, exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from reconciler.app.cli import COMMANDS
from reconciler.app.cli_errors import FAILED, INTERRUPTED, NO_ZOOKEEPER, NOT_FOUND, TIMED_OUT, USAGE
from reconciler.app.config import Config, Distribution, load
from reconciler.model.record import Lifecycle
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import parse_spec
from tests.unit.cli.conftest import World

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_the_readme_begins_with_the_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in blocks("README.md", "sh")[0].splitlines()] == [
        "make demo",
        "make test",
    ]


def test_every_command_in_the_readme_exists() -> None:
    for command in re.findall(r"weir ([a-z]+)", "\n".join(blocks("README.md", "sh"))):
        assert command in COMMANDS


def test_the_table_of_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`weir .*?) \|", text.partition("## Commands")[2], re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"[`\s]([a-z-]+)", row)}

    assert set(COMMANDS) - named == set()


@pytest.mark.parametrize(("page", "row"), [("README.md", r"\b{} "), ("docs/failure-modes.md", r"^\| {} \|"),
                                           ("docs/cli.md", r"^\| {} \|")])  # fmt: skip
def test_every_exit_code_is_named(page: str, row: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    codes = text.partition("Exit codes:")[2].split("\n\n")[0] if page == "README.md" else text

    for code in (FAILED, USAGE, NOT_FOUND, TIMED_OUT, NO_ZOOKEEPER, INTERRUPTED):
        assert re.search(row.format(code), codes, re.MULTILINE), code


def test_what_the_readme_starts_it_ends() -> None:
    (steps,) = (block for block in blocks("README.md", "sh") if "weir run &" in block)
    lines = [line.split("#")[0].strip() for line in steps.splitlines()]

    assert lines[lines.index("weir run &") + 1] == "replica=$!"
    assert lines[-2:] == ['kill "$replica"', "weir local down"]


def test_the_flag_for_flink_says_all_that_it_takes(world: World) -> None:
    said = re.sub(r"\s+", "", world.weir("run", "--help").stdout)

    for field in Distribution.model_fields:
        assert {"home": "=HOME", "plugins": "plugin="}.get(field, f"{field}=") in said or field == "configuration"


def test_the_specs_of_the_readme_are_accepted() -> None:
    found = re.findall(r"create /weir/jobs/(\S+) '(\{.*?\})'", (ROOT / "README.md").read_text(encoding="utf-8"))

    assert found
    for name, text in found:
        parse_spec(name, text.encode())


def test_the_configuration_of_the_operations_page_is_accepted_and_complete(tmp_path: Path) -> None:
    (text,) = blocks("docs/operations.md", "toml")
    path = tmp_path / "weir.toml"
    path.write_text(text)

    assert load(path, {}, {}).jobs.max_task_cpus == 16.0
    for section, field in Config.model_fields.items():
        for setting in getattr(field.annotation, "model_fields", {}):
            assert setting in text or f"{section}.{setting}" == "flink.configuration", f"{section}.{setting}"


def test_every_lifecycle_is_explained() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")

    for lifecycle in Lifecycle:
        assert lifecycle.value in text


def test_every_field_that_the_migration_page_names_exists() -> None:
    """The second column of its tables; what is said to be the operator's is a setting of its configuration."""
    fields = set(spec_paths(JobSpec))
    settings = {f"{section}.{name}" for section, field in Config.model_fields.items()
                for name in getattr(field.annotation, "model_fields", {})}  # fmt: skip
    rows = re.findall(
        r"^\| .*? \| (.*?) \| .*?\|$", (ROOT / "docs/migration.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    named = [(name, row) for row in rows for name in re.findall(r"`([a-z]\w*(?:\.\w+)?)`", row)]

    assert len(named) > 60
    for name, row in named:
        assert name in fields | settings | {"plugins"}, row


def spec_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every field of a spec by its JSON name, `job.uri`."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or to_camel(name))
        yield path
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from spec_paths(part, f"{path}.")
