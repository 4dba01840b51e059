"""`kata study`: what a data choice does to the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def study(
    file: Annotated[Path, typer.Argument(help="The question: a TOML file with factors and levels (docs/study.md).")],
    out: Annotated[Path | None, typer.Option(help="Folder for data, runs, report; default: beside FILE.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print arms, hours and the smallest effect, and end.")] = False,
    split: Annotated[
        str | None, typer.Option(help="Split of [data] to learn from, or `all`; default: as FILE says, else train.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once; one per core where not given.")] = None,
    html: Annotated[Path | None, typer.Option(help="The report; default: report.html in the folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train and evaluate arms that differ in their data only, and say what each choice changed, with its interval.

    \b
    Examples:
      kata study question.toml --plan
      kata study question.toml --out answers
    """
    from robokata.cli.choice import refuse_unwritable
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.studies.ask import plan_question, read_question
    from robokata.studies.ask import study as run
    from robokata.viewing.html.study import write_study
    from robokata.viewing.terminal.study import show_findings, show_plan

    asked, folder = read_question(file, split=split), out or file.with_suffix("")
    if plan:
        with progress_bar(f"planning: {asked.name}", of="arms") as bar:
            planned = plan_question(asked, on_progress=bar)
        print_json_of([planned]) if json else show_plan(asked, planned)
        return
    # Before the report's place is looked at: it may lie in here.
    folder.mkdir(parents=True, exist_ok=True)
    refuse_unwritable(html)
    with progress_bar(f"studying: {asked.name}", of="runs") as bar:
        findings = run(asked, out=folder, workers=workers, on_progress=bar)
    report = html or folder / "report.html"
    write_study(findings, report)
    if json:
        print_json_of([findings])
        return
    show_findings(findings)
    typer.echo(f"Open the report in a browser: {report.resolve()}")
