"""Answers in words: only what is resolved is emphasized, and intervals say that they are not adjusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.core.shelf import shelf
from robokata.learn.training_spec import TrainingSpec
from robokata.studies.design import arms_of
from robokata.studies.effects import FIRST_TRY, PRIMARY, answers_of, results_of, studied_metrics
from robokata.studies.run import Data, Run
from robokata.studies.spec import Study, study_from
from robokata.studies.study import Findings
from robokata.viewing.html.study import write_study
from robokata.viewing.terminal.study import show_findings

LEVELS = ("as recorded", "better", "a little better")
RATES = {
    PRIMARY: {"as recorded": 0.3, "better": 0.8, "a little better": 0.33},
    FIRST_TRY: {"as recorded": 0.3, "better": 0.32, "a little better": 0.3},
}


def question() -> Study:
    return study_from(
        {
            "name": "a question",
            "task": "stack",
            "policy": "bc_mlp",
            "data": {"source": [{"path": "demonstrations"}]},
            "factor": [{"name": "data", "level": [{"name": name} for name in LEVELS]}],
        }
    )


def findings(rates: Mapping[str, Mapping[str, float]] = RATES) -> Findings:
    """Made-up runs: every level succeeds at a known rate on 40 resets that all levels share."""
    study, rng = question(), np.random.default_rng(5)
    luck = rng.uniform(size=40)
    arms, runs = arms_of(study), []
    for arm in arms:
        for seed in range(3):
            values = {
                quantity: {
                    str(trial): float(luck[trial] + rng.normal(0, 0.1) < rate[arm.levels["data"]])
                    for trial in range(40)
                }
                for quantity, rate in rates.items()
            }
            runs.append(Run(arm.name, seed, "", "", values, 0, 1.0, 1.0, 0.1))
    data = {arm.name: Data(arm.name, "", "", TrainingSpec(()), 30, 0, {}, 1.0) for arm in arms}
    results = results_of(arms, data, runs)
    return Findings(study, "out", tuple(results), tuple(answers_of(study, results)), {}, 0.1)


def test_a_resolved_choice_does_not_claim_a_first_try_success_that_is_not_resolved() -> None:
    better = findings().answers[0]
    assert better.is_resolved
    assert not better.resolves(FIRST_TRY)
    claim, aside = better.statements()
    assert claim.is_resolved
    assert "changed success by +" in claim.text
    assert "first-try" not in claim.text
    assert not aside.is_resolved
    assert aside.text.startswith("First-try success: not resolvable with this budget: ")


def test_a_first_try_success_that_is_resolved_is_claimed() -> None:
    better = findings({PRIMARY: RATES[PRIMARY], FIRST_TRY: RATES[PRIMARY]}).answers[0]
    claims = [statement.text for statement in better.statements() if statement.is_resolved]
    assert len(claims) == 2
    assert claims[1].startswith("It changed first-try success by +")


def test_the_report_emphasizes_nothing_that_is_not_resolvable(tmp_path: Path) -> None:
    write_study(findings(), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    emphasized = re.findall(r"<(?:b|strong|em|mark)>(.*?)</(?:b|strong|em|mark)>", page, re.DOTALL)
    assert page.count("not resolvable with this budget") == 2
    assert [text for text in emphasized if "changed success" in text]
    assert not [text for text in emphasized if "not resolvable" in text]


def test_the_terminal_emphasizes_nothing_that_is_not_resolvable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    show_findings(findings())
    lines = capsys.readouterr().out.splitlines()
    bold = [line for line in lines if "\x1b[1m" in line]
    assert any("changed success by" in line for line in bold)
    assert any("not resolvable" in line for line in lines)
    assert not any("not resolvable" in line for line in bold)


def test_intervals_beside_a_p_value_after_holm_say_that_they_are_not_adjusted(tmp_path: Path) -> None:
    found = findings()
    for answer in found.answers:
        for statement in answer.statements():
            intervals = re.findall(r"\[[^\]]*\]", statement.text)
            assert intervals
            assert all(each.endswith("; 95 %, unadjusted]") for each in intervals)
            assert "after Holm" in statement.text
    write_study(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<th>effect, interval (95 %, unadjusted)</th>" in page
    assert "interval 95 %, unadjusted; right: p after Holm" in page


def test_an_interval_that_excludes_zero_is_no_claim_where_holm_says_otherwise() -> None:
    better = replace(findings().answers[0], adjusted={PRIMARY: 0.09})
    assert better.primary is not None
    assert better.primary.is_resolved, "its own interval excludes 0"
    (only,) = better.statements()
    assert not only.is_resolved
    assert "not resolvable with this budget" in only.text
    assert "p = 0.09 after Holm" in only.text


def test_every_metric_of_the_shelf_is_in_every_study_but_that_of_categories() -> None:
    names = studied_metrics()
    assert names[0] == PRIMARY
    assert set(names) == set(shelf("metrics").names()) - {"failure_cause"}
