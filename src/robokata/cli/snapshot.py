"""`kata snapshot`: keep a version of a dataset for ever, or make a new version of a kept one."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import typer


def snapshot(
    path: Annotated[str, typer.Argument(help="A dataset, a store (its newest snapshot), or STORE@ID.")],
    store: Annotated[str | None, typer.Option(help="Folder or URL of the store; default: the one PATH is in.")] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the newest snapshot instead of replacing it.")
    ] = False,
    prefix: Annotated[str, typer.Option(help="Put this before the ids of appended episodes.")] = "",
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode; may be given several times.")] = None,
    delete: Annotated[list[str] | None, typer.Option(help="Leave this episode out; several times.")] = None,
    relabel: Annotated[list[str] | None, typer.Option(help="ID=TEXT: another instruction; several times.")] = None,
    split: Annotated[str | None, typer.Option(help="Shares of the splits: train=0.8,val=0.2.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other splits.")] = 0,
    materialise: Annotated[
        bool, typer.Option("--materialise", help="Copy the data instead of referring to it.")
    ] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="Why this version exists.")] = "",
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Insist on this source format.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Make an immutable snapshot. Nothing that exists is changed; what is the same is stored once."""
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.store.snapshot import snapshot as keep
    from robokata.viewing.terminal.snapshots import show_record

    labels, shares = dict(_pair(word, "--relabel") for word in relabel or ()), _shares(split)
    with progress_bar("keeping") as bar:
        record = keep(
            path,
            store,
            append=append,
            prefix=prefix,
            episodes=episode,
            where=where,
            delete=delete or (),
            relabel=labels,
            split=shares,
            seed=seed,
            materialise=materialise,
            message=message,
            rate_hz=rate_hz or (),
            format=format,
            on_progress=bar,
        )
    print_json_of([record]) if json else show_record(record, store or path.partition("@")[0])


def _shares(text: str | None) -> dict[str, Fraction]:
    from robokata.core.errors import WriteRefused

    try:
        return {name: Fraction(share) for name, share in (_pair(w, "--split") for w in (text or "").split(",") if w)}
    except (ValueError, ZeroDivisionError):
        raise WriteRefused(f"--split {text}: the shares are numbers: train=0.8,val=0.2.") from None


def _pair(word: str, option: str) -> tuple[str, str]:
    from robokata.core.errors import WriteRefused

    name, equals, value = word.partition("=")
    if not equals or not name:
        raise WriteRefused(f"{option} {word!r} is not NAME=VALUE.")
    return name, value
