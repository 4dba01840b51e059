"""The command `kata`: reads words, calls the library, prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
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
from robokata.cli.grouped_help import GroupedCommand, GroupedVerbs
from robokata.cli.standard_streams import discard_output, open_standard_streams, refuses_output
from robokata.core.version import __version__

app = typer.Typer(
    name="kata",
    cls=GroupedVerbs,
    help="The data engine for Vision-Language-Action robots: read, check, convert, curate, expand, train, study.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_verbs = partial(app.command, rich_help_panel="Look", cls=GroupedCommand)
_verbs(name="look", short_help="What is in a dataset: format, robots, episodes, streams.")(look.look)
_verbs(name="check", short_help="Find defects in a dataset.")(check.check)
_verbs(name="explain", short_help="What a check finds, and why it matters.")(explain.explain)
_verbs(name="measure", short_help="Compute evaluation metrics on recorded episodes.")(measure.measure)
_verbs = partial(app.command, rich_help_panel="Keep", cls=GroupedCommand)
_verbs(name="convert", short_help="Convert a dataset; shows what would be lost first.")(convert.convert)
_verbs(name="snapshot", short_help="Create an immutable, versioned snapshot.")(snapshot.snapshot)
_verbs(name="snapshots", short_help="List the snapshots of a store.")(snapshots.snapshots)
_verbs(name="diff", short_help="Compare two snapshots.")(diff.diff)
_verbs(name="verify", short_help="Verify that snapshots are unchanged.")(verify.verify)
app.add_typer(
    collect.app,
    name="collect",
    short_help="Record demonstrations: simulated, robot, handheld.",
    rich_help_panel="Make data",
)
_verbs = partial(app.command, rich_help_panel="Make data", cls=GroupedCommand)
_verbs(name="curate", short_help="Choose and change episodes, by a recipe or by options.")(curate.curate)
app.command(
    name="expand",
    cls=expand.ExpandCommand,
    short_help="Generate new episodes from existing ones.",
    rich_help_panel="Make data",
)(expand.expand)
_verbs = partial(app.command, rich_help_panel="Learn", cls=GroupedCommand)
_verbs(name="train", short_help="Train a policy on a dataset.")(train.train)
_verbs(name="evaluate", short_help="Run a policy at a task, with intervals.")(evaluate.evaluate)
_verbs(name="study", short_help="Measure how a data choice affects policy success.")(study.study)
_verbs = partial(app.command, rich_help_panel="Share", cls=GroupedCommand)
_verbs(name="serve", short_help="Serve a policy over the network (openpi protocol).")(serve.serve)
_verbs(name="demo", short_help="Take the guided tour of the whole loop.")(demo.demo)


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
