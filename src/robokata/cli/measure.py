"""`kata measure`: every metric over recorded episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def measure(
    path: Annotated[Path, typer.Argument(help="A dataset, a file of one, or a folder that holds some.")],
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode; may be given several times.")] = None,
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    format: Annotated[str | None, typer.Option(help="Insist on this format instead of recognising it.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the answer does not depend on it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Measure demonstrations as `kata evaluate` measures trials: success, attempts, smoothness, with intervals."""
    from robokata.cli.choice import keys_from
    from robokata.cli.console import datasets_at, print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.core.source import open_source
    from robokata.measuring import measured
    from robokata.view.metrics import show_measured

    found = []
    for dataset in datasets_at(path, format):
        with progress_bar(f"measuring {dataset.path.name}") as bar:
            source = open_source(dataset.path, format=dataset.format)
            keys = keys_from(source, episode, where)
            found.append(measured(source, keys=keys, workers=workers, started=bar.started, advance=bar.advance))
    if json:
        print_json_of(found)
    for each in found if not json else ():
        show_measured(each)
    if not any(each.episodes for each in found):
        typer.echo("kata: no episode was measured: none could be read, or none meets --where.", err=True)
        raise typer.Exit(2)
