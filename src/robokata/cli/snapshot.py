"""`kata snapshot`: keep a version of a dataset for ever, or make a new version of a kept one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from robokata.core.source import Source
    from robokata.store.entry import Entry


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
    from robokata.cli.choice import keys_from
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.store.commit import Wish, make_snapshot
    from robokata.store.edit import divided, merged, relabelled, without
    from robokata.store.store import open_store
    from robokata.store.writer import relatives_of
    from robokata.viewing.terminal.snapshots import show_record

    source = _source_at(path, format, rate_hz or ())
    url = store or (source.store.url if hasattr(source, "store") else None)
    if url is None:
        typer.echo("kata: say where to keep it: --store FOLDER (or s3://bucket/name).", err=True)
        raise typer.Exit(2)
    labels, shares = dict(_pair(word, "--relabel") for word in relabel or ()), _shares(split)
    edits = [lambda entries: without(entries, delete or [])]
    edits += [lambda entries: relabelled(entries, labels)] if labels else []
    words = {"append": append, "prefix": prefix, "where": where, "episode": episode, "delete": delete}
    words |= {"relabel": labels, "split": split, "seed": seed, "materialise": materialise}
    keys = keys_from(source, episode, where)
    join = (lambda old, new: merged(old, new, prefix=prefix)) if append else None
    target = open_store(url, is_new=True)
    with progress_bar("keeping") as bar:

        def split_up(entries: Sequence[Entry]) -> Sequence[Entry]:
            bar.started(len(entries))
            return divided(entries, relatives_of(target, entries, advance=bar.advance), shares, seed=seed)

        bar.started(len(source.keys() if keys is None else keys))
        wish = Wish(keys, materialise, join, edits + ([split_up] if shares else []), message, words)
        record = make_snapshot(target, source, wish, advance=bar.advance)
    print_json_of([record]) if json else show_record(record, url)


def _source_at(path: str, format: str | None, rates: Sequence[str]) -> Source:
    from robokata.cli.console import one_dataset_at
    from robokata.core.errors import RateRefused
    from robokata.store.resolve import is_snapshot, open_snapshot

    if format is not None or not is_snapshot(path):
        return one_dataset_at(Path(path), format, rates=rates)
    if rates:
        raise RateRefused(f"--rate-hz is for a dataset, and {path} is a snapshot: declare it when it is made.")
    return open_snapshot(path)


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
