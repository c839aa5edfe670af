"""`weir completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_WEIR_COMPLETE"
"""click's own name for a program `weir`; the script sets it when it asks."""


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
