"""The map of bad episodes: a row per check, a cell per episode."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from robokata.core.finding import Finding, Level
from robokata.viewing import text
from robokata.viewing.html.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

_COLUMNS = 300
"""Cells in a row: about three pixels each on the page; more episodes than that share cells."""
_WIDEST_CELL_PX = 26
"""A dozen episodes look like a map, not like bars across the page."""
_WORST = 8
"""Episodes named below the map."""


class _Cell(NamedTuple):
    column: int
    level: Level
    findings: int
    where: str
    """The spans of the only finding of the cell, else empty."""


class _Row(NamedTuple):
    """One check: the worst level and the number of findings in each cell, None where there is none."""

    check: str
    cells: list[_Cell | None]

    @property
    def worst(self) -> Level:
        """The worst level in the row."""
        return min((cell.level for cell in self.cells if cell), key=lambda level: level.rank)

    @property
    def marked(self) -> int:
        """Cells with a finding."""
        return sum(cell is not None for cell in self.cells)


def episode_map(findings: Sequence[Finding], keys: Sequence[str], *, anchor: str) -> Markup | str:
    """The map as HTML, empty where no finding names an episode; `anchor` + level + check is where a row leads."""
    place = {key: number for number, key in enumerate(keys)}
    placed = [(f, episode) for f in findings for episode in f.episodes if episode in place]
    if not placed:
        return ""
    columns = min(_COLUMNS, len(keys))
    edges = np.linspace(0, len(keys), columns + 1).astype(int).tolist()
    column_of = np.searchsorted(edges, np.arange(len(keys)), side="right") - 1
    rows = [
        _row(check, [(int(column_of[place[episode]]), finding, episode) for finding, episode in group], columns)
        for check, group in groupby(sorted(placed, key=lambda p: p[0].check), key=lambda p: p[0].check)
    ]
    rows.sort(key=lambda row: (row.worst.rank, -row.marked))
    worst = _worst(placed)
    return render(
        "episode_map",
        anchor=anchor,
        rows=rows,
        labels=[_span(keys, low, high) for low, high in pairwise(edges)],
        keys=keys,
        shared=-(-len(keys) // columns),
        width_px=columns * _WIDEST_CELL_PX,
        worst_episodes=worst[:_WORST],
        more=max(0, len(worst) - _WORST),
    )


def _row(check: str, placed: Sequence[tuple[int, Finding, str]], columns: int) -> _Row:
    cells: list[_Cell | None] = [None] * columns
    for column, finding, episode in placed:
        known = cells[column]
        is_worse = known is None or finding.level.rank < known.level.rank
        cells[column] = _Cell(
            column,
            finding.level if known is None or is_worse else known.level,
            1 if known is None else known.findings + 1,
            # A cell is one episode or many: the place says something where one finding is all there is.
            text.span(finding) if known is None and episode == finding.episode else "",
        )
    return _Row(check, cells)


def _span(keys: Sequence[str], low: int, high: int) -> str:
    return f"episode {keys[low]}" if high - low == 1 else f"episodes {keys[low]} to {keys[high - 1]}"


def _worst(placed: Sequence[tuple[Finding, str]]) -> list[tuple[str, list[str]]]:
    """The episodes and the checks against them: most errors first, then most checks."""
    checks: dict[str, dict[str, int]] = {}
    for finding, episode in placed:
        mine = checks.setdefault(episode, {})
        mine[finding.check] = min(finding.level.rank, mine.get(finding.check, finding.level.rank))
    ordered = sorted(checks, key=lambda key: (-sum(r == 0 for r in checks[key].values()), -len(checks[key])))
    return [(key, sorted(checks[key])) for key in ordered]
