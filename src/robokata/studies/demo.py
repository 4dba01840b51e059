"""The verb demo: the guided tour of the whole loop, on an empty machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robokata.core.detection import open_source
from robokata.inspection.run import Report, check_dataset
from robokata.runtime.folder_lock import hold
from robokata.runtime.notebook import html_table
from robokata.runtime.progress import SILENT, Progress
from robokata.studies import guided_tour as tour
from robokata.studies.study import Findings, run_study
from robokata.survey.dataset_survey import Survey, survey

RECORD, SPOIL, CHECK, STUDY = "record", "spoil", "check", "study"


@dataclass(frozen=True)
class Tour:
    """What the guided tour made and found."""

    out: Path
    collected: Survey
    spoilt: tuple[tour.Spoilt, ...]
    """Planted defects; none where an earlier tour planted them."""
    report: Report
    findings: Findings
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "out": str(self.out),
            "spoilt": [each._asdict() for each in self.spoilt],
            "report": self.report.to_json(),
            "findings": self.findings.to_json(),
            "seconds": self.seconds,
        }

    def _repr_html_(self) -> str:
        facts = {"folder": self.out, "planted": len(self.spoilt), "findings": len(self.report.findings)}
        return html_table("Guided tour", list(facts.items())) + self.findings._repr_html_()


def demo(
    out: str | os.PathLike[str] = "demo",
    *,
    seed: int = 0,
    workers: int | None = None,
    on_stage: Callable[[str, Any], None] = lambda stage, result: None,
    on_progress: Progress = SILENT,
) -> Tour:
    """Collect demonstrations, spoil a third, check, clean, expand, train, evaluate, and say what it was worth.

    `on_stage` hears `record`, `spoil`, `check` and `study`, each before it begins (with None) and with its result.

    Raises:
        WriteRefused: the folder holds something else, or another run is at work in it.
    """
    folder, began = Path(out), time.monotonic()
    with hold(folder):
        on_stage(RECORD, None)
        on_progress.started(tour.DEMONSTRATIONS)
        source = tour.record(folder / "collected", seed=seed, workers=workers, advance=on_progress.advance)
        collected = survey(source)
        on_stage(RECORD, collected)
        recorded = folder / "recorded"
        spoilt = () if recorded.exists() else tuple(tour.spoil(source, recorded, seed=seed))
        on_stage(SPOIL, spoilt)
        on_stage(CHECK, None)
        report = check_dataset(open_source(recorded), started=on_progress.started, advance=on_progress.advance)
        on_stage(CHECK, report)
        asked = tour.question(recorded, folder)
        on_stage(STUDY, None)
        findings = run_study(asked, folder / "study", workers=workers, progress=on_progress)
        on_stage(STUDY, findings)
    return Tour(folder, collected, spoilt, report, findings, time.monotonic() - began)
