"""`kata check`: what is wrong with a dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from robokata.checkup import Report
    from robokata.core.source import Source
    from robokata.core.suite import Suite


def check(
    path: Annotated[Path | None, typer.Argument(help="A dataset, a file of one, or a folder that holds some.")] = None,
    suite: Annotated[Path | None, typer.Option(help="TOML file with thresholds, checks turned off, waivers.")] = None,
    fail_on: Annotated[str | None, typer.Option(help="Level that makes exit code 1: error, warning or info.")] = None,
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode; may be given several times.")] = None,
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    format: Annotated[str | None, typer.Option(help="Insist on this format instead of recognising it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained report with the evidence here.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit XML file here, for CI.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the answer does not depend on it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a summary.")] = False,
    list_checks: Annotated[bool, typer.Option("--list", help="List the checks, and end.")] = False,
) -> None:
    """Run every check on every episode, then across episodes. Exit code 0: sound, 1: findings, 2: could not run."""
    from robokata.cli.console import datasets_at, print_json_of, progress_bar
    from robokata.view.terminal import show_catalogue, show_report

    if list_checks:
        show_catalogue()
        return
    if path is None:
        typer.echo("kata: name a dataset to check, or ask for --list.", err=True)
        raise typer.Exit(2)
    chosen = _suite(suite, fail_on)
    for target in (html, junit):
        _refuse_unwritable(target)
    reports = []
    for found in datasets_at(path, format):
        with progress_bar(f"checking {found.path.name}") as bar:
            from robokata.checkup import check_dataset
            from robokata.core.source import open_source

            source = open_source(found.path, format=found.format)
            keys = _keys(source, episode, where)
            reports.append(
                check_dataset(
                    source, suite=chosen, keys=keys, workers=workers, started=bar.started, advance=bar.advance
                )
            )
    if json:
        print_json_of(reports)
    else:
        for report in reports:
            show_report(report)
    _write(reports, html, junit, is_quiet=json)
    if not all(report.is_sound for report in reports):
        raise typer.Exit(1)


def _suite(path: Path | None, fail_on: str | None) -> Suite:
    from robokata.core.errors import SuiteRefused
    from robokata.core.finding import Level
    from robokata.core.suite import Suite, read_suite

    suite = read_suite(path) if path is not None else Suite()
    if fail_on is None:
        return suite
    if fail_on not in list(Level):
        raise SuiteRefused(f"--fail-on is {fail_on!r}. It is one of {', '.join(Level)}.")
    return replace(suite, fail_on=Level(fail_on))


def _keys(source: Source, episodes: list[str] | None, where: str | None) -> list[str] | None:
    from robokata.core.errors import UnknownName
    from robokata.survey import rows_where

    if not episodes and where is None:
        return None
    known = source.keys()
    for episode in episodes or ():
        if episode not in known:
            raise UnknownName("episode", episode, known)
    chosen = set(episodes or known)
    if where is not None:
        chosen &= {row.id for row in rows_where(source.facts().rows, where)}
    return [key for key in known if key in chosen]


def _refuse_unwritable(target: Path | None) -> None:
    from robokata.core.errors import WriteRefused

    if target is not None and not target.parent.is_dir():
        raise WriteRefused(f"{target}: the folder {target.parent} does not exist. Make it first.")


def _write(reports: list[Report], html: Path | None, junit: Path | None, *, is_quiet: bool) -> None:
    from robokata.view.html import write_html
    from robokata.view.junit import write_junit

    if junit is not None:
        write_junit(reports, junit)
    if html is not None:
        write_html(reports, html)
        typer.echo(f"Report: {html.resolve()}", err=is_quiet)
