"""`kata demo`: the guided tour of the whole loop, on an empty machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, policies and reports.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same tour.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one per core.")] = None,
) -> None:
    """Collect demonstrations, spoil a third, check, clean, expand, train, evaluate, and say what it was worth."""
    from robokata.cli.progress import progress_bar
    from robokata.studies.demo import demo as run

    with progress_bar("working", of="parts") as bar:
        made = run(out, seed=seed, workers=workers, on_stage=_stages(out), on_progress=bar)
    typer.echo(
        f"\n{made.seconds / 60:.1f} minutes. Open in a browser:\n  what was found: "
        f"{(out / 'check.html').resolve()}\n  what it was worth: {(out / 'study' / 'report.html').resolve()}"
    )


def _stages(out: Path) -> Callable[[str, Any], None]:
    """What prints each stage as it comes."""
    from robokata.studies import demo as stages
    from robokata.studies import guided_tour as tour
    from robokata.viewing.html.check_report import write_html
    from robokata.viewing.html.study import write_study
    from robokata.viewing.terminal.study import show_findings
    from robokata.viewing.terminal.tables import show_report, show_survey

    planted: set[str] = set()
    titles = {
        stages.RECORD: f"1. {tour.DEMONSTRATIONS} demonstrations of '{tour.TASK}', by {tour.OPERATORS} scripted "
        "operators",
        stages.CHECK: f"3. kata check {out / 'recorded'}",
        stages.STUDY: f"4. kata study {out / 'study.toml'}: train on them as recorded, cleaned, and cleaned and "
        "expanded",
    }

    def show(stage: str, result: Any) -> None:
        if result is None:
            typer.secho(f"\n{titles[stage]}\n", bold=True)
        elif stage == stages.RECORD:
            show_survey(result)
        elif stage == stages.SPOIL:
            planted.update(each.episode for each in result)
            place = f"2. As a careless rig would have kept them ({out / 'recorded'})"
            typer.secho(f"\n{place}: {len(result)} of {tour.DEMONSTRATIONS} with a defect\n", bold=True)
            for each in result:
                typer.echo(f"  {each.check:<16} {each.episode}")
        elif stage == stages.CHECK:
            show_report(result)
            write_html([result], out / "check.html")
            found = {finding.episode for finding in result.findings if finding.check in tour.DEFECTS}
            typer.echo(f"\nFound {len(found & planted)} of the {len(planted)} planted defects.")
        else:
            write_study(result, out / "study" / "report.html")
            show_findings(result)

    return show
