"""The command `kata`: reads words, calls the library, prints."""

from __future__ import annotations

import os
import sys

import typer

from robokata.cli import check, demo, explain, look

app = typer.Typer(
    name="kata",
    help="The data engine for Vision-Language-Action robots: read any robot dataset, look at it, check it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="look")(look.look)
app.command(name="check")(check.check)
app.command(name="explain")(explain.explain)
app.command(name="demo")(demo.demo)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and end.")) -> None:
    if version:
        from robokata import __version__

        typer.echo(__version__)
        raise typer.Exit


def run() -> None:
    """Entry point: errors of ours are one message and exit code 2; Ctrl-C leaves nothing behind and is code 130."""
    from robokata.core.errors import RobokataError

    try:
        app()
    except RobokataError as error:
        typer.echo(f"kata: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("\nkata: interrupted. Nothing was changed.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`kata look ... | head`): not an error, and not a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    run()
