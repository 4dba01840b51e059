"""`kata expand`: more data out of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def expand(
    path: Annotated[Path, typer.Argument(help="The dataset to expand.")],
    out: Annotated[Path, typer.Option(help="Folder for the new episodes, one file each.")],
    by: Annotated[str, typer.Option(help="demonstrations, factors, mirror, retime, paraphrase, world-model.")],
    url: Annotated[str | None, typer.Argument(help="Address of the world model, for --by world-model.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes to make.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same episodes.")] = 0,
    episode: Annotated[list[str] | None, typer.Option(help="Only this source; may be given several times.")] = None,
    where: Annotated[str | None, typer.Option(help="Only sources that meet this SQL condition.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to expand, or `all`; default: train, where there are splits.")
    ] = None,
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    width: Annotated[str | None, typer.Option(help="Reset width; the sources' own where not given.")] = None,
    spec: Annotated[Path | None, typer.Option(help="TOML: choice, noise, bridge, offsets, per subtask.")] = None,
    factor: Annotated[list[str] | None, typer.Option(help="NAME[=MAGNITUDE] for --by factors, or an option.")] = None,
    val_share: Annotated[float, typer.Option(min=0, max=0.9, help="Share of sources held out as `val`.")] = 0.0,
    clean_actions: Annotated[bool, typer.Option("--clean-actions", help="Store commands without noise.")] = False,
    size: Annotated[str, typer.Option(help="Height x width of the pictures; 0 for none.")] = "128x128",
    keep_failures: Annotated[bool, typer.Option("--keep-failures", help="Keep failed attempts, labelled.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core where not given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make more episodes: tell demonstrations again, vary them, mirror, retime, reword, or ask a world model."""
    from robokata.cli.choice import size_of
    from robokata.cli.console import one_dataset_at, print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.expansion.request import Request, fulfil
    from robokata.runtime.episode_filter import choose_episodes
    from robokata.viewing.terminal.expansion import show_expansion

    source = one_dataset_at(path, None, rates=rate_hz or ())
    chosen = choose_episodes(source, episodes=episode, where=where, split=split, is_for_training=True)
    if chosen.sentence is not None:
        typer.echo(chosen.sentence, err=True)
    request = Request(
        by=by,
        out=out,
        url=url,
        episodes=episodes,
        seed=seed,
        width=width,
        spec=spec,
        factors=tuple(factor or ()),
        val_share=val_share,
        clean_actions=clean_actions,
        size_px=size_of(size),
        keep_failures=keep_failures,
        workers=workers,
    )
    with progress_bar(f"expanding by {by}") as bar:
        report = fulfil(source, request, keys=chosen.keys, bar=bar)
    if json:
        print_json_of([report])
    else:
        show_expansion(report)
