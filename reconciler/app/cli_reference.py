"""The reference of the commands, made from the commands themselves so that it cannot say something else.

    python -m reconciler.app.cli_reference > docs/cli.md

A test fails when the file in `docs/` is not what this prints.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from reconciler.app.cli import COMMANDS, cli

INTRODUCTION = """# Commands

`weir [--zk HOSTS] [--root PATH] [--config FILE] COMMAND ...`. What stands here is what `weir COMMAND --help` says,
made by `python -m reconciler.app.cli_reference > docs/cli.md` (or `make schemas`).

Commands need ZooKeeper's address and nothing else: `--zk` or `WEIR_ZK`, and `--root` or `WEIR_ROOT` (`/weir`), before
or behind the command; or the file that `--config` or `WEIR_CONFIG` names, with the same sections `[zookeeper]` and
`[mesos]` as that of a replica. Flags win over the environment, that over the file, whose other sections, and ACLs, are
not looked at. Without an address or a file, a local stack that is up is used, and said, else `127.0.0.1:2181`. Where
Mesos is, `weir logs` reads from what the leader wrote. How replicas are configured is in
[operations](operations.md#configuration).

Data goes to stdout, messages to stderr. Tables are for people: scripts use `-o json` or `-o yaml`. In a pipe nothing is
cut off or coloured.

| exit code | meaning |
| --- | --- |
| 0 | done; `weir plan`: nothing would change |
| 1 | refused, or it failed; `weir plan`: something would change |
| 2 | wrong usage, or a wrong configuration, or a yes is missing; `weir plan`: refused |
| 3 | there is no such job, task or leader |
| 4 | a time-out passed; what was asked for is worked on further |
| 5 | ZooKeeper does not answer |
| 130 | interrupted with Ctrl-C; so ends everything that goes on until then (`--follow`, `--watch`) |

Each failure is one line on stderr that begins with `error: `; a spec or a configuration with several mistakes has one
line for each.

| variable | meaning |
| --- | --- |
| `WEIR_ZK`, `WEIR_ROOT` | as `--zk` and `--root` |
| `WEIR_CONFIG` | as `--config` |
| `WEIR_ZK_AUTH_FILE`, `WEIR_ZK_CA_FILE` | credentials for ZooKeeper, and TLS ([security](security.md)) |
| `WEIR_MASTER_TLS`, `WEIR_MASTER_CA_FILE` | TLS to the Mesos master ([security](security.md)) |
| `WEIR_DEBUG=1` | a traceback with each error |
| `NO_COLOR` | no colours |
"""


def write() -> Iterator[str]:
    """The lines of docs/cli.md."""
    yield INTRODUCTION
    yield "| command | what it does |\n| --- | --- |"
    for name, (_, line) in sorted(COMMANDS.items()):
        yield f"| [`{name}`](#weir-{name}) | {_cell(line)} |"
    context = click.Context(cli, info_name="weir")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield from _command(command, click.Context(command, info_name=name, parent=context), 2)


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"\n{'#' * level} {context.command_path}\n"
    pieces = command.collect_usage_pieces(context)
    yield f"    {context.command_path} {' '.join(pieces)}\n"
    yield _help(command)
    rows = [_option(each) for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if rows:
        yield "\n| option | default | meaning |\n| --- | --- | --- |"
        yield from rows
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _command(inner, click.Context(inner, info_name=name, parent=context), level + 1)


def _help(command: click.Command) -> str:
    """Paragraphs; what click is told not to wrap (\\b) stands as it is."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        "\n".join(f"    {line}" for line in each.removeprefix("\b\n").split("\n")) if each.startswith("\b") else each
        for each in paragraphs
    )


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if isinstance(option.type, click.Choice) and option.metavar is None:
        names += f" `{'|'.join(each for each in map(str, option.type.choices) if each)}`"
    elif not option.is_flag and not option.count:
        names += f" `{option.metavar or option.type.name.upper()}`"
    default = option.default if option.show_default else None
    shown = f"`{default}`" if default not in (None, (), False) and not callable(default) else ""
    text = option.help or ""
    if option.required:
        text += " Required."
    if option.multiple and "repeatable" not in text:
        text += " Repeatable."
    return f"| {_cell(names)} | {_cell(shown)} | {_cell(text.strip())} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.stdout.write("\n".join(write()) + "\n")
