"""`kata demo`: the guided tour of the whole loop, on an empty machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for data, policies and reports.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same tour.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core where not given.")] = None,
) -> None:
    """Collect demonstrations, spoil a third, check, clean, expand, train, evaluate, and say what it was worth."""
    from robokata.cli.progress import progress_bar
    from robokata.core.detection import open_source
    from robokata.inspection.run import check_dataset
    from robokata.runtime.folder_lock import hold
    from robokata.studies import guided_tour as tour
    from robokata.studies.study import run_study
    from robokata.survey.dataset_survey import survey
    from robokata.viewing.html.check_report import write_html
    from robokata.viewing.html.study import write_study
    from robokata.viewing.terminal.study import show_findings
    from robokata.viewing.terminal.tables import show_report, show_survey

    began = time.monotonic()
    context.with_resource(hold(out))
    collected, recorded = out / "collected", out / "recorded"
    _say(f"1. {tour.DEMONSTRATIONS} demonstrations of '{tour.TASK}', by {tour.OPERATORS} scripted operators")
    with progress_bar("recording") as bar:
        bar.started(tour.DEMONSTRATIONS)
        source = tour.record(collected, seed=seed, workers=workers, advance=bar.advance)
    show_survey(survey(source))

    spoilt = [] if recorded.exists() else tour.spoil(source, recorded, seed=seed)
    _say(f"2. As a careless rig would have kept them ({recorded}): {len(spoilt)} of {len(source.keys())} with a defect")
    for each in spoilt:
        typer.echo(f"  {each.check:<16} {each.episode}")

    _say(f"3. kata check {recorded}")
    with progress_bar("checking") as bar:
        report = check_dataset(open_source(recorded), started=bar.started, advance=bar.advance)
    show_report(report)
    write_html([report], out / "check.html")
    found = {finding.episode for finding in report.findings if finding.check in tour.DEFECTS}
    typer.echo(f"\nFound {len(found & {each.episode for each in spoilt})} of the {len(spoilt)} planted defects.")

    asked = tour.question(recorded, out)
    _say(f"4. kata study {out / 'study.toml'}: train on them as recorded, cleaned, and cleaned and expanded")
    with progress_bar("training and evaluating", of="runs") as bar:
        findings = run_study(asked, out / "study", workers=workers, progress=bar)
    write_study(findings, out / "study" / "report.html")
    show_findings(findings)
    typer.echo(
        f"\n{(time.monotonic() - began) / 60:.1f} minutes. Open in a browser:\n  what was found: "
        f"{(out / 'check.html').resolve()}\n  what it was worth: {(out / 'study' / 'report.html').resolve()}"
    )


def _say(line: str) -> None:
    typer.secho(f"\n{line}\n", bold=True)
