"""`weir completion`: the script that makes a shell complete commands and options; names are looked up in ZooKeeper.

A shell waits for the answer between two keys. So a look ends after a moment whatever happens, prints nothing but names,
and where ZooKeeper is not there, or closed to this user, there are none.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from reconciler.app.cli_drained import drains
from reconciler.app.cli_services import COMPLETE_S, JobStore, Services

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_WEIR_COMPLETE"
"""click's own name for a program `weir`; the script sets it when it asks."""


Look = Callable[[JobStore], Iterable[str]]


def _names(store: JobStore) -> Iterable[str]:
    """Of jobs that are wanted, and of those that are still spoken of: their logs and events can be read."""
    return {*store.load_jobs().specs, *store.list_statuses()}


def _agents(store: JobStore) -> Iterable[str]:
    return {
        task.hostname
        for status in store.list_statuses().values()
        for task in status.task_list
        if task.hostname is not None
    }


def _drained(store: JobStore) -> Iterable[str]:
    return {each.agent for each in drains(store)}


def _looked_up(context: click.Context, look: Look, incomplete: str) -> list[str]:
    found: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    said = {name: _said(context, name) for name in ("zk", "root", "config")}
    services = context.find_object(Services) or Services()
    services = Services(
        zk=said["zk"] or services.zk, root=said["root"] or services.root,
        config=Path(said["config"]) if said["config"] else services.config,
        find_local=services.find_local, open_soon=services.open_soon,
    )  # fmt: skip

    def ask() -> None:
        try:
            hosts, path, settings = services.hosts(), services.path(), services.settings()
            with services.open_soon(hosts, path, settings.zookeeper) as store:
                found.put(sorted(name for name in look(store) if name.startswith(incomplete)))
        except Exception:  # nothing of it is of use while somebody types
            found.put([])

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(queue.Empty):
        # A daemon: the process need not wait for a server that accepts connections and says nothing.
        threading.Thread(target=ask, name="completion", daemon=True).start()
        return found.get(timeout=2 * COMPLETE_S)
    return []


def _said(context: click.Context | None, name: str) -> str | None:
    """What the options of the command, or those before it, say."""
    while context is not None:
        if context.params.get(name):
            return str(context.params[name])
        context = context.parent
    return None


def jobs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """For an argument that is the name of a job."""
    return _looked_up(context, _names, incomplete)


def agents(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """For an argument that is an agent which holds tasks."""
    return _looked_up(context, _agents, incomplete)


def drained(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """For an argument that is a drained agent."""
    return _looked_up(context, _drained, incomplete)


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which a shell completes commands and options.

    \b
    bash: weir completion bash > ~/.local/share/bash-completion/completions/weir
    zsh:  weir completion zsh > ~/.zfunc/_weir    (with ~/.zfunc in fpath, before compinit)
    fish: weir completion fish > ~/.config/fish/completions/weir.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    made = found(context.find_root().command, {}, "weir", VARIABLE)
    # Not made.source(): that runs a bash to see its version, also when the script is for another machine.
    click.echo(made.source_template % made.source_vars())
