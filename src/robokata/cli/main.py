"""The command `kata`: reads words, calls the library, prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from robokata.cli import (
    check,
    collect,
    convert,
    curate,
    demo,
    diff,
    evaluate,
    expand,
    explain,
    look,
    measure,
    serve,
    snapshot,
    snapshots,
    study,
    train,
    verify,
)
from robokata.cli.grouped_help import GroupedCommand
from robokata.cli.standard_streams import discard_output, open_standard_streams, refuses_output
from robokata.core.version import __version__

app = typer.Typer(
    name="kata",
    help="The data engine for Vision-Language-Action robots: read any robot dataset, look at it, check it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="look", short_help="Say what is in a dataset.")(look.look)
app.command(name="check", short_help="Say what is wrong with a dataset.")(check.check)
app.add_typer(collect.app, name="collect", short_help="Record demonstrations: simulated, real, handheld.")
app.command(name="convert", short_help="Write a dataset in another format; its price first.")(convert.convert)
app.command(name="snapshot", short_help="Keep a version of a dataset for ever.")(snapshot.snapshot)
app.command(name="snapshots", short_help="Say which versions there are, and what made them.")(snapshots.snapshots)
app.command(name="diff", short_help="Say what changed between two versions.")(diff.diff)
app.command(name="verify", short_help="Say whether kept versions are still what they were.")(verify.verify)
app.command(name="measure", short_help="Measure demonstrations as trials are measured.")(measure.measure)
app.command(name="evaluate", cls=GroupedCommand, short_help="Run a policy at a task, with intervals.")(
    evaluate.evaluate
)
app.command(name="curate", short_help="Choose and change episodes, by a recipe.")(curate.curate)
app.command(name="expand", cls=expand.ExpandCommand, short_help="Make more data out of data.")(expand.expand)
app.command(name="study", cls=GroupedCommand, short_help="Say what a data choice does to the policy.")(study.study)
app.command(name="train", cls=GroupedCommand, short_help="Train a policy.")(train.train)
app.command(name="serve", cls=GroupedCommand, short_help="Let others ask a policy over the network.")(serve.serve)
app.command(name="explain", short_help="Say what a check finds, and why it matters.")(explain.explain)
app.command(name="demo", cls=GroupedCommand, short_help="Take the tour on a small sample dataset.")(demo.demo)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and end.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def run(words: Sequence[str] | None = None) -> None:
    """Entry point: what goes wrong is one message and exit code 2; Ctrl-C leaves nothing behind and is code 130."""
    from robokata.core.errors import RobokataError

    open_standard_streams()
    terminal = sys.stdout
    try:
        try:
            app(words, prog_name="kata")
        finally:
            if sys.stdout is terminal:
                sys.stdout.flush()
    except BrokenPipeError:
        _leave_closed_pipe()
    except RobokataError as error:
        _end(f"kata: {error}", code=2)
    except OSError as error:
        place = error.filename or ("standard output" if refuses_output() else "file")
        _end(f"kata: {place}: {error.strerror or error}", code=2)
    except SystemExit as end:
        if end.code == 130:
            _end(f"\nkata: interrupted. {_left_behind(words)}", code=130)
        # Typer puts another object in the place of an output whose reader has gone.
        if sys.stdout is not terminal:
            _leave_closed_pipe()
        sys.exit(end.code)
    except Exception as error:
        # The last boundary: a defect of ours is one line, not a traceback.
        if os.environ.get("ROBOKATA_TRACEBACK"):
            raise
        _end(
            f"kata: this is a defect of Robokata, not of your data: {type(error).__name__}: {error}. "
            "Please report it, with what it prints when ROBOKATA_TRACEBACK=1 is set.",
            code=2,
        )


def _leave_closed_pipe() -> NoReturn:
    """End as a shell command does whose reader has gone (`kata look ... | head`): 128 + SIGPIPE.

    Neither "sound" nor "findings" would be true.
    """
    discard_output()
    sys.exit(141)


_ADDS_UP = ("collect", "expand", "train", "evaluate", "study", "demo")
"""Verbs whose work lasts: each finished part is kept where it is, and the same words go on from there."""


def _left_behind(words: Sequence[str] | None) -> str:
    verb = next(iter(sys.argv[1:] if words is None else words), "")
    kept = "What is finished is kept; run the same command again to go on."
    if verb == "train":
        kept = "What was learnt up to the last checkpoint is kept; --resume goes on."
    return kept if verb in _ADDS_UP else "Nothing was changed."


def _end(message: str, *, code: int) -> NoReturn:
    from robokata.runtime.safe_text import visible

    typer.echo(visible(message), err=True)
    sys.exit(code)


if __name__ == "__main__":
    run()
