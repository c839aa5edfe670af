"""The command `weir`: its commands, each loaded when it is used, and the one place where errors become lines.

    0  done                          3  there is no such job (or leader)
    1  refused, or it failed         4  a time-out passed
    2  wrong usage or configuration  5  ZooKeeper does not answer

Data goes to stdout, messages to stderr. Every failure is a line `error: ...`; a traceback appears
only with WEIR_DEBUG=1.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from reconciler.app.cli_errors import INTERRUPTED, Problem, explain, one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Mapping[str, tuple[str, str]] = {
    "apply": ("reconciler.app.cli_apply:apply", "Write the desired state of a job from a YAML or JSON file."),
    "backup": ("reconciler.app.cli_backup:backup", "Write the whole installation into one file."),
    "completion": ("reconciler.app.cli_completion:completion", "Print the script by which a shell completes commands."),
    "config": ("reconciler.app.cli_config:group", "Show or check the configuration of a replica."),
    "confirm": ("reconciler.app.cli_request:confirm", "Say that jobs which vanished are to be deleted."),
    "delete": ("reconciler.app.cli_delete:delete", "Remove the desired state of a job; it is then ended."),
    "describe": ("reconciler.app.cli_jobs:describe", "Show everything about one job, first what it waits for."),
    "drain": ("reconciler.app.cli_drain:drain", "Move everything away from an agent, before maintenance."),
    "events": ("reconciler.app.cli_history:events", "Print what happened to a job; --follow goes on."),
    "fence": ("reconciler.app.cli_request:fence", "Declare a generation dead that Weir cannot see."),
    "force": ("reconciler.app.cli_request:force", "End a job without the savepoint that its end waits for."),
    "get": ("reconciler.app.cli_jobs:get", "List jobs, or show one line of one job."),
    "history": ("reconciler.app.cli_history:history", "Print generations, specs, savepoints and checkpoints."),
    "leader": ("reconciler.app.cli_leader:leader", "Show which replica leads."),
    "local": ("integration.local.cli:group", "A real ZooKeeper, Mesos and Flink on this machine."),
    "logs": ("reconciler.app.cli_logs:logs", "Print what the tasks of a job write; --follow goes on."),
    "pause": ("reconciler.app.cli_request:pause", "Observe a job, or all of them, and do nothing."),
    "plan": ("reconciler.app.cli_plan:plan", "Print what an apply would do, and why."),
    "protect": ("reconciler.app.cli_protect:protect", "Bring the ACLs of the tree in ZooKeeper up to date."),
    "restart": ("reconciler.app.cli_edit:restart", "Stop a job and start it again from its newest state."),
    "restore": ("reconciler.app.cli_backup:restore", "Put a backup into ZooKeeper."),
    "restore-from": ("reconciler.app.cli_request:restore_from", "Say what a job starts from."),
    "resume": ("reconciler.app.cli_edit:resume", "Start a suspended job again."),
    "rollback": ("reconciler.app.cli_request:rollback", "Run an earlier spec of a job."),
    "run": ("reconciler.app.cli_run:run", "Run one replica of the operator."),
    "savepoint": ("reconciler.app.cli_edit:savepoint", "Take a savepoint of a running job."),
    "scale": ("reconciler.app.cli_edit:scale", "Change the parallelism of a job."),
    "suspend": ("reconciler.app.cli_edit:suspend", "Stop a job and keep its state."),
    "undrain": ("reconciler.app.cli_drain:undrain", "Let a drained agent take tasks again."),
    "unpause": ("reconciler.app.cli_request:unpause", "End a pause."),
    "validate": ("reconciler.app.cli_apply:validate", "Check a file without writing anything."),
    "version": ("reconciler.app.cli_leader:version", "Show the version."),
}
"""Where each command is, and its line in the help: importing all of them would make `--help` slow."""

EPILOG = (
    "Exit codes: 0 done, 1 refused or failed, 2 usage or configuration, 3 not found, 4 time-out, "
    "5 ZooKeeper does not answer, 130 interrupted. Environment: WEIR_ZK, WEIR_ROOT, "
    "WEIR_CONFIG, WEIR_ZK_AUTH_FILE, WEIR_ZK_CA_FILE, NO_COLOR, WEIR_DEBUG."
)


class WeirGroup(click.Group):
    """A group whose commands are imported on use, and whose errors are single lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        module, _, attribute = found[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table: importing every command would make the shell wait."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=line) for name, (_, line) in sorted(COMMANDS.items())]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(item for item in found if item.value.startswith(incomplete)), *options]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(COMMANDS))}"
            raise click.UsageError(f'there is no command "{args[0]}"; {hint}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(COMMANDS.items())])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002
        **extra: Any,
    ) -> NoReturn:
        try:
            code = super().main(args, prog_name or "weir", complete_var, standalone_mode=False, **extra)
        except BrokenPipeError:
            # The reader (head, less) has gone; flushing at exit would fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except (Exception, click.exceptions.Exit) as error:
            code = report(error)
        sys.exit(code if isinstance(code, int) else 0)


def report(error: BaseException) -> int:
    """Print what went wrong; the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        click.echo("error: interrupted", err=True)
        return INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if os.environ.get("WEIR_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, Problem):
        lines, code = error.lines, error.code
    elif isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else "weir"
        lines, code = [f"{one_line(error.format_message()).rstrip('.')}; see: {command} --help"], error.exit_code
    elif isinstance(error, click.ClickException):
        lines, code = [one_line(error.format_message())], error.exit_code
    else:
        found = explain(error)
        lines, code = found.lines, found.code
    for line in lines:
        click.echo(f"error: {line}", err=True)
    return code


@click.group("weir", cls=WeirGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--zk", metavar="HOSTS", envvar="WEIR_ZK", help="ZooKeeper, as HOST:PORT[,HOST:PORT...] (WEIR_ZK).")
@click.option("--root", metavar="PATH", envvar="WEIR_ROOT", help="Root of the installation (WEIR_ROOT).  [/weir]")
@click.option(
    "--config",
    metavar="FILE",
    envvar="WEIR_CONFIG",
    type=click.Path(path_type=Path),
    help="Configuration, TOML (WEIR_CONFIG).",
)
@click.pass_context
def cli(ctx: click.Context, zk: str | None, root: str | None, config: Path | None) -> None:
    """Weir runs Apache Flink jobs on Apache Mesos.

    Without an address, a local stack that is up is used, else 127.0.0.1:2181.
    """
    from reconciler.app.cli_services import Services

    if os.environ.get("NO_COLOR"):
        ctx.color = False
    ctx.obj = ctx.obj or Services()
    ctx.obj.zk, ctx.obj.root = zk or ctx.obj.zk, root or ctx.obj.root
    ctx.obj.config = config or ctx.obj.config


def main() -> NoReturn:
    """The console script."""
    cli.main()
