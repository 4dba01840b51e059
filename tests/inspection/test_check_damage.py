"""What belongs to a dataset, and not to one of its episodes, is told as well."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

from robokata.core.errors import DamagedData
from robokata.core.source import EpisodeList, EpisodeRow, Facts
from robokata.formats._lerobot.facts import Later
from robokata.inspection.run import check_dataset
from robokata.survey.dataset_survey import survey
from robokata.testing.tiny import tiny_episode


def test_a_broken_statistics_file_is_a_finding_and_no_failed_check() -> None:
    def broken() -> dict[str, dict[str, object]]:
        raise DamagedData("meta/stats.json", "not JSON.", next_move="Restore it.")

    facts = Facts("memory", None, rows=[EpisodeRow("0")], statistics=Later(broken))
    report = check_dataset(EpisodeList([replace(tiny_episode(), id="0")], facts), workers=1)
    told = [f for f in report.findings if "meta/stats.json" in f.message]
    assert [f.check for f in told] == ["unreadable_data"]
    assert not [a for a in report.abstentions if "the check itself failed" in a.reason]


def test_splits_are_names_and_counts_whatever_the_format_counted_with() -> None:
    facts = Facts("memory", None, splits=Counter({"train": 3}))
    assert json.loads(json.dumps(survey(EpisodeList([], facts)).to_json()["splits"])) == {"train": 3}
