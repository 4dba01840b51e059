"""`kata demo`: the tour on an empty machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the sample dataset and the report.")] = Path("demo"),
) -> None:
    """Write a small LeRobot dataset with known defects, look at it, check it, and name the report to open."""
    from robokata.checkup import check_dataset
    from robokata.cli.progress import progress_bar
    from robokata.core.source import open_source
    from robokata.survey import survey
    from robokata.testing.sample import write_sample
    from robokata.view.html import write_html
    from robokata.view.terminal import show_report, show_survey

    dataset, report_file = out / "sample_dataset", out / "report.html"
    with progress_bar("writing the sample dataset") as bar:
        planted = write_sample(dataset, started=bar.started, advance=bar.advance)
    typer.echo(f"\nWrote {dataset} (LeRobot v3.0) with {len(planted)} known defects:")
    for defect in planted:
        typer.echo(f"  {defect.check:<28} {defect.place}")
    typer.echo(f"\n$ kata look {dataset}\n")
    source = open_source(dataset)
    show_survey(survey(source))
    typer.echo(f"\n$ kata check {dataset} --html {report_file}\n")
    with progress_bar("checking") as bar:
        report = check_dataset(source, started=bar.started, advance=bar.advance)
    show_report(report)
    write_html([report], report_file)
    found = {finding.check for finding in report.findings}
    missed = [defect.check for defect in planted if defect.check not in found]
    typer.echo(f"\nFound {len(planted) - len(missed)} of the {len(planted)} planted defects.")
    typer.echo(f"Open the report in a browser: {report_file.resolve()}")
    if missed:
        typer.echo(f"Not found: {', '.join(missed)}", err=True)
        raise typer.Exit(1)
