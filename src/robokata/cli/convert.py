"""`kata convert`: from one format to another, with the loss report first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    path: Annotated[Path, typer.Argument(help="The dataset to read.")],
    out: Annotated[Path, typer.Argument(help="Where to write; must not exist, or be an empty folder.")],
    to: Annotated[str, typer.Option(help="Format to write: lerobot_v3, rlds, mcap, ...")],
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split; default: all of them.")] = None,
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode; may be given several times.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this stream out; may be given several times.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the writer; a wrong name lists them.")
    ] = None,
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Insist on this source format.")] = None,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Write although something is lost.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; no byte of the output depends on it.")] = None,
    verify: Annotated[
        str, typer.Option(help="How much is read back: quick, or full (decodes every picture).")
    ] = "quick",
    plan: Annotated[bool, typer.Option("--plan", help="Print the loss report, and end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Convert a dataset: show what would be lost, write, read back and compare; then the target appears."""
    from robokata.cli.choice import keys_from
    from robokata.cli.console import one_dataset_at, print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.conversion import convert as conversion
    from robokata.conversion.readback import depth_named
    from robokata.runtime.atomic import refuse_occupied
    from robokata.viewing.terminal.conversion import parse_options, show_losses, show_receipt

    if not plan:
        refuse_occupied(out)
    options, depth = parse_options(to, option or []), depth_named(verify)
    source = one_dataset_at(path, format, rates=rate_hz or ())
    if not plan:
        conversion.refuse_target(source, out)
    keys = keys_from(source, episode, where, split)
    wanted = list(source.keys() if keys is None else keys)
    with conversion.crew_for(source, wanted, workers) as crew:
        with progress_bar("measuring what it costs") as bar:
            bar.started(len(wanted))
            report = conversion.plan_conversion(
                source, to, keys=wanted, options=options, without=without or (), workers=crew, advance=bar.advance
            )
        if plan and json:
            print_json_of([report])
        if not json:
            show_losses(report)
        if plan:
            return
        with progress_bar(f"writing {out.name} and reading it back") as bar:
            bar.started(2 * report.episodes)
            receipt = conversion.convert(
                source,
                out,
                to,
                keys=wanted,
                options=options,
                without=without or (),
                report=report,
                accept_loss=accept_loss,
                verify=depth,
                workers=crew,
                advance=bar.advance,
                on_read_back=bar.advance,
            )
    if json:
        print_json_of([receipt])
    else:
        show_receipt(receipt)
