"""`kata measure`: every metric over recorded episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def measure(
    path: Annotated[Path, typer.Argument(help="A dataset, a file of one, or a folder that holds some.")],
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode; may be given several times.")] = None,
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to measure, or `all`; default: train, where there are splits.")
    ] = None,
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Insist on this format instead of recognising it.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the answer does not depend on it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Measure demonstrations as `kata evaluate` measures trials: success, attempts, smoothness, with intervals."""
    from robokata.cli.choice import sources_from
    from robokata.cli.console import datasets_at, print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.evaluation.measure import measured
    from robokata.viewing.terminal.metrics import show_measured

    found = []
    sources = sources_from(datasets_at(path, format), episode, where, split, rates=rate_hz or (), is_for_training=True)
    for source, keys, sentence in sources:
        with progress_bar(f"measuring {source.path.name}") as bar:
            found.append(
                measured(source, keys=keys, chosen=sentence, workers=workers, started=bar.started, advance=bar.advance)
            )
    if json:
        print_json_of(found)
    for each in found if not json else ():
        show_measured(each)
    if not any(each.episodes for each in found):
        typer.echo("kata: no episode was measured: none could be read.", err=True)
        raise typer.Exit(2)
