"""`kata check`: what is wrong with a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from robokata.inspection.run import Report


def check(
    path: Annotated[Path | None, typer.Argument(help="A dataset, a file of one, or a folder that holds some.")] = None,
    suite: Annotated[Path | None, typer.Option(help="TOML file with thresholds, checks turned off, waivers.")] = None,
    fail_on: Annotated[str | None, typer.Option(help="Level that makes exit code 1: error, warning or info.")] = None,
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode; may be given several times.")] = None,
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split; default: all of them.")] = None,
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Insist on this format instead of recognising it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained report with the evidence here.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit XML file here, for CI.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the answer does not depend on it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a summary.")] = False,
    list_checks: Annotated[bool, typer.Option("--list", help="List the checks, and end.")] = False,
) -> None:
    """Run every check on every episode, then across episodes. Exit code 0: sound, 1: findings, 2: nothing judged."""
    from robokata.cli.choice import refuse_unwritable, sources_from
    from robokata.cli.console import datasets_at, print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.inspection.check import read_suite_with
    from robokata.viewing.terminal.tables import show_catalogue, show_report

    if list_checks:
        from robokata.inspection.catalogue import catalogue

        print_json_of([catalogue()]) if json else show_catalogue(catalogue())
        return
    if path is None:
        typer.echo("kata: name a dataset to check, or ask for --list.", err=True)
        raise typer.Exit(2)
    chosen = read_suite_with(suite, fail_on=fail_on)
    for target in (html, junit):
        refuse_unwritable(target)
    reports = []
    found = datasets_at(path, format)
    for source, keys, sentence in sources_from(found, episode, where, split, rates=rate_hz or ()):
        with progress_bar(f"checking {source.path.name}") as bar:
            from robokata.inspection.run import check_dataset

            if sentence is not None:
                typer.echo(sentence, err=True)
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
    _exit(reports)


def _exit(reports: list[Report]) -> None:
    """Code 1 for findings, else 2 where nothing of a dataset was judged: a gate that looked at nothing stays shut."""
    from robokata.inspection.run import Judgement

    silent = [report for report in reports if report.judgement is Judgement.NOTHING_TO_JUDGE]
    for report in silent:
        typer.echo(
            f"kata: {report.dataset.path}: nothing to judge: {report.why_unjudged}. `kata look` shows what is there.",
            err=True,
        )
    if any(report.judgement is Judgement.NOT_SOUND for report in reports):
        raise typer.Exit(1)
    if silent:
        raise typer.Exit(2)


def _write(reports: list[Report], html: Path | None, junit: Path | None, *, is_quiet: bool) -> None:
    from robokata.viewing.html.check_report import write_html
    from robokata.viewing.junit import write_junit

    if junit is not None:
        write_junit(reports, junit)
    if html is not None:
        write_html(reports, html)
        typer.echo(f"Report: {html.resolve()}", err=is_quiet)
