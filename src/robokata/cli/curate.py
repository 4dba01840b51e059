"""`kata curate`: which episodes, changed by which steps, written with a receipt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def curate(
    path: Annotated[Path, typer.Argument(help="A dataset, or a recipe (.toml).")],
    out: Annotated[Path | None, typer.Option(help="Where to write; must not exist, or be an empty folder.")] = None,
    by: Annotated[
        str | None, typer.Option(help="Curator: random, length, smoothness, diversity, with options.")
    ] = None,
    keep: Annotated[str | None, typer.Option(help="Episodes to keep: a number, or a share such as 0.5.")] = None,
    step: Annotated[list[str] | None, typer.Option(help="'NAME KEY=VALUE ...'; several are applied in order.")] = None,
    drop: Annotated[str | None, typer.Option(help="Leave out episodes with findings: error, warning or info.")] = None,
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    families: Annotated[str | None, typer.Option(help="Families in several splits: refuse, or move.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to take, or `all`; or shares drawn anew: train=0.9,val=0.1.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same choice.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the writer; a wrong name lists them.")
    ] = None,
    to: Annotated[str, typer.Option(help="Format to write.")] = "mcap",
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Write although something is lost.")] = False,
    recipe: Annotated[bool, typer.Option("--recipe", help="Print the recipe as TOML, and end.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be kept and why, and write nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the answer does not depend on it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Choose and change episodes: by a recipe, or by steps, checks and a curator given here."""
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.cli.recipe_choice import recipe_from_words
    from robokata.curation.curate import curated
    from robokata.curation.write import write_curated
    from robokata.viewing.terminal.conversion import parse_options
    from robokata.viewing.terminal.curation import CurationPlan, show_plan, show_written

    words = {
        "by": by,
        "keep": keep,
        "step": step,
        "drop": drop,
        "where": where,
        "rate_hz": rate_hz,
        "families": families,
        "split": split,
        "seed": seed,
    }
    chosen = recipe_from_words(path, words)
    if recipe:
        typer.echo(chosen.as_toml(), nl=False)
        return
    _refuse_no_place(out, is_plan=plan)
    options = parse_options(to, option or [])
    planned = curated(chosen, workers=workers)
    if plan or out is None:
        print_json_of([CurationPlan(planned)]) if json else show_plan(planned)
        return
    with progress_bar(f"writing {out.name}") as bar:
        bar.started(len(planned.source.keys()))
        written = write_curated(
            planned, out, to=to, options=options, accept_loss=accept_loss, workers=workers, advance=bar.advance
        )
    print_json_of([written]) if json else show_written(written)


def _refuse_no_place(out: Path | None, *, is_plan: bool) -> None:
    from robokata.runtime.atomic import refuse_occupied

    if out is None and not is_plan:
        raise typer.BadParameter("name a place with --out, or ask for --plan or --recipe")
    if out is not None:
        refuse_occupied(out)
