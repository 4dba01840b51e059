"""`--where` is one condition, and nothing else."""

from __future__ import annotations

import pytest

from robokata.core.errors import QueryRefused
from robokata.core.source import EpisodeRow
from robokata.runtime.query import rows_where

ROWS = [EpisodeRow("a", steps=3, instructions=("cup",)), EpisodeRow("b", steps=9, instructions=("plate", "cup"))]


@pytest.mark.parametrize(
    "condition",
    [
        "1=1) UNION SELECT 99 --",
        "1=1) UNION ALL SELECT 0 --",
        "true; DROP TABLE episodes",
        "true) -- ",
        "true)",
        "",
        "steps >",
        "nothing_such > 1",
    ],
)
def test_what_is_no_condition_is_refused(condition: str) -> None:
    with pytest.raises(QueryRefused, match="is no condition"):
        rows_where(ROWS, condition)


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("steps > 5", ["b"]),
        ("steps > 5 OR instruction = 'cup' -- a remark", ["a", "b"]),
        ("len(instructions) = 2 AND id IN (SELECT id FROM episodes WHERE steps > 1)", ["b"]),
        ("false", []),
    ],
)
def test_a_condition_keeps_the_rows_that_meet_it(condition: str, kept: list[str]) -> None:
    assert [row.id for row in rows_where(ROWS, condition)] == kept
