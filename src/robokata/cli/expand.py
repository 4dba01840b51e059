"""`kata expand`: more data out of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from robokata.cli.grouped_help import GroupedCommand, option_group

_source = option_group("Source episodes")
_output = option_group("New episodes")
_run = option_group("Run")


class ExpandCommand(GroupedCommand):
    """The verb, whose help lists every expander with its options, other packages' too. Typer finds it as a class."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the list."""
        from robokata.expansion.catalogue import expander_summaries

        with formatter.section("Expanders, and what --option takes"):
            formatter.write_dl(expander_summaries())


def expand(
    path: Annotated[Path, typer.Argument(help="The dataset to expand.")],
    out: Annotated[Path, _output(help="Folder for the new episodes, one file each.")],
    by: Annotated[str, typer.Option(help="Expander; a wrong name lists them (docs/expanding.md).")],
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the expander; may be given several times.")
    ] = None,
    episodes: Annotated[int | None, _output(min=1, help="Episodes to make; default: one per source.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same episodes.")] = 0,
    size: Annotated[str, _output(help="Pixels of rendered pictures, HEIGHTxWIDTH; 0 for none.")] = "128x128",
    episode: Annotated[list[str] | None, _source(help="Only this source; may be given several times.")] = None,
    where: Annotated[str | None, _source(help="Only sources that meet this SQL condition.")] = None,
    split: Annotated[
        str | None, _source(help="Split to expand, or `all`; default: train, if there are splits.")
    ] = None,
    rate_hz: Annotated[
        list[str] | None, _source(help="Rate of steps without times: 10, or STREAM=10; several times.")
    ] = None,
    workers: Annotated[int | None, _run(min=1, help="Processes; default: one per core.")] = None,
    json: Annotated[bool, _run("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make more episodes: retarget demonstrations, vary them, mirror, retime, reword, or ask a world model.

    \b
    Examples:
      kata expand ten --by demonstrations --episodes 1000 --option reset_range=D1 --out thousand
      kata expand ten --by factors --option factors=light,camera_pose=0.03 --out varied
      kata expand stack --by retime --option speed_ratio=0.8 --out slower
    """
    from robokata.cli.choice import size_of
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.core.shelf import shelf
    from robokata.expansion.expand import expand as make
    from robokata.runtime.options import options_from_words, options_of
    from robokata.viewing.terminal.expansion import show_expansion

    options = options_from_words(option or (), options_of(shelf("expanders")[by].plan), "--option")
    with progress_bar(f"expanding by {by}") as bar:
        made = make(
            path, by=by, out=out, episodes=episodes, seed=seed, options=options, size_px=size_of(size), only=episode,
            where=where, split=split, rates=rate_hz or (), workers=workers, on_progress=bar,
        )  # fmt: skip
    if made.selection is not None:
        typer.echo(made.selection, err=True)
    print_json_of([made]) if json else show_expansion(made)
