"""`weir config show` and `weir config check`: what a replica would run with, and where each setting comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from reconciler.app import render_output
from reconciler.app.cli_errors import USAGE, Problem
from reconciler.app.cli_run import effective, settings_options
from reconciler.app.cli_services import Services
from reconciler.app.config import ConfigError, Loaded
from reconciler.app.logs import MASK, mask, speaks_of_a_secret


@click.group("config")
def group() -> None:
    """Show or check the configuration of a replica.

    Both take the flags of `weir run`, and read the same environment and file.
    """


@group.command()
@settings_options
@render_output.output_option()
@click.pass_obj
def show(
    services: Services, /, path: Path | None, zk: str | None, root: str | None, output: str, **options: Any
) -> None:
    """Print every setting, its value, and where it comes from.

    Secrets are named by the paths of their files, whose contents are not read. A value that looks like a secret
    itself is masked.
    """
    loaded = effective(services, path, zk, root, options)
    found = list(settings(loaded))
    if output == "table":
        rows = [[name, "" if value is None else _text(value), origin] for name, value, origin in found]
        render_output.write_table(("SETTING", "VALUE", "FROM"), rows)
    else:
        render_output.write_data({name: {"value": value, "from": origin} for name, value, origin in found}, output)


@group.command()
@settings_options
@click.pass_obj
def check(services: Services, /, path: Path | None, zk: str | None, root: str | None, **options: Any) -> None:
    """Say whether a replica would start with this configuration.

    Nothing is connected with. Files of secrets have to be there and readable for you.
    """
    from reconciler.app import replica

    loaded = effective(services, path, zk, root, options)
    replica.check(loaded.config)
    loaded.config.zookeeper.access()
    wrong = list(_unreadable(loaded))
    if wrong:
        raise Problem(wrong, USAGE)
    click.echo(f"{path or services.config or 'the configuration'}: valid")


def settings(loaded: Loaded) -> Iterator[tuple[str, Any, str]]:
    """(path, value, origin) of every setting in the order of the sections, secrets masked."""
    for name, value in _flat(loaded.config.model_dump(mode="json")):
        yield name, value, loaded.origin(name)


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{name}.")
        elif speaks_of_a_secret(key) and not key.endswith("_file") and value:
            yield name, MASK
        else:
            yield name, _masked(value)


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return mask(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _unreadable(loaded: Loaded) -> Iterator[str]:
    """What a replica reads only when it serves; all other files were looked at before."""
    config = loaded.config
    if config.api.tokens_file is not None:
        from reconciler.app.api.tokens import Tokens

        try:
            Tokens(config.api.tokens_file, anonymous_read=config.api.anonymous_read)
        except ConfigError as error:
            yield from error.lines
