"""`kata look`: what is in a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def look(
    path: Annotated[Path, typer.Argument(help="A dataset, a file of one, or a folder that holds some.")],
    episode: Annotated[str | None, typer.Option(help="Go one level down: look at this episode.")] = None,
    where: Annotated[
        str | None, typer.Option(help="SQL condition on the table of episodes: \"steps > 100 AND split = 'train'\".")
    ] = None,
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Insist on this format instead of recognising it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Say what is in a dataset: format, robots, episodes, instructions, streams, and what it wrongly claims."""
    from robokata.cli.console import datasets_at, print_json_of
    from robokata.core.declared_rate import rates_from, with_rates
    from robokata.core.detection import open_source
    from robokata.runtime.episode_filter import choose_episodes
    from robokata.survey.dataset_survey import survey, survey_episode
    from robokata.viewing.terminal.tables import show_episode, show_survey

    if episode is not None and where is not None:
        typer.echo("kata: --episode names one episode, --where chooses among all: give one of them.", err=True)
        raise typer.Exit(2)
    rates = rates_from(rate_hz or ())
    found = datasets_at(path, format)
    sources = [with_rates(open_source(each.path, format=each.format), rates) for each in found]
    if episode is not None:
        episodes = [survey_episode(source, episode) for source in sources]
        if json:
            print_json_of(episodes)
        for view in episodes if not json else ():
            show_episode(view)
        return
    surveys = [survey(source, where=where) for source in sources]
    if json:
        print_json_of(surveys)
    for overview in surveys if not json else ():
        show_survey(overview)
    if where is not None and not any(each.selected_episodes for each in surveys):
        choose_episodes(sources[0], where=where)  # none meets it: the error says so
