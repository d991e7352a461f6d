"""``archiver completion``: what a shell needs to complete our commands, options and values."""

from __future__ import annotations

import click

from archiver.commands import output
from archiver.commands.epilog import examples

_EXAMPLES = examples(
    ("bash: add this line to ~/.bashrc", 'eval "$(archiver completion bash)"'),
    ("zsh: add this line to ~/.zshrc, below compinit", 'eval "$(archiver completion zsh)"'),
    (
        "fish",
        "archiver completion fish > ~/.config/fish/completions/archiver.fish",
    ),
)


@click.command(epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, /, shell: str) -> int:
    """Print the script that lets SHELL complete commands, options and values at a TAB.

    bash has to be 4.4 or newer; the one that comes with macOS is not.
    """
    from click.shell_completion import get_completion_class

    program = ctx.find_root()
    kind = get_completion_class(shell)
    if kind is None:  # a plug-in of click took it away
        raise click.UsageError(f"There is no completion for {shell}.")
    variable = f"_{program.info_name}_COMPLETE".upper()
    output.line(kind(program.command, {}, str(program.info_name), variable).source())
    return 0
