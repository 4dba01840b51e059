"""Which episodes are bad, at a glance: a row per check, a cell per episode."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from robokata.core.finding import Finding, Level
from robokata.viewing import text

_COLUMNS = 300
"""Cells in a row: about three pixels each on the page; more episodes than that share cells."""
_WIDEST_CELL_PX = 26
"""A dozen episodes look like a map, not like bars across the page."""
_WORST = 8
"""Episodes named below the map."""


class _Cell(NamedTuple):
    level: Level
    findings: int
    where: str
    """The spans of the only finding of the cell, else empty."""


class _Row(NamedTuple):
    """One check: the worst level and the number of findings in each cell, None where there is none."""

    check: str
    cells: list[_Cell | None]


def episode_map(findings: Sequence[Finding], keys: Sequence[str], *, anchor: str) -> str:
    """The map as HTML, empty where no finding names an episode; `anchor` + level + check is where a row leads."""
    place = {key: number for number, key in enumerate(keys)}
    placed = [(f, episode) for f in findings for episode in f.episodes if episode in place]
    if not placed:
        return ""
    columns = min(_COLUMNS, len(keys))
    edges = np.linspace(0, len(keys), columns + 1).astype(int).tolist()
    column_of = np.searchsorted(edges, np.arange(len(keys)), side="right") - 1
    labels = [_span(keys, low, high) for low, high in pairwise(edges)]
    rows = []
    for check, group in groupby(sorted(placed, key=lambda p: p[0].check), key=lambda p: p[0].check):
        cells: list[_Cell | None] = [None] * columns
        for finding, episode in group:
            at = int(column_of[place[episode]])
            known = cells[at]
            is_worse = known is None or finding.level.rank < known.level.rank
            cells[at] = _Cell(
                finding.level if known is None or is_worse else known.level,
                1 if known is None else known.findings + 1,
                # A cell is one episode or many: the place says something where one finding is all there is.
                text.span(finding) if known is None and episode == finding.episode else "",
            )
        rows.append(_Row(check, cells))
    rows.sort(key=lambda row: (min(c.level.rank for c in row.cells if c), -sum(c is not None for c in row.cells)))
    width = f"max-width:{columns * _WIDEST_CELL_PX}px"
    body = "".join(_row(row, labels, anchor, width) for row in rows)
    ends = f'<div class="ends" style="{width}"><span>{escape(keys[0])}</span><span>{escape(keys[-1])}</span></div>'
    shared = f" Each cell is up to {-(-len(keys) // columns)} episodes." if len(keys) > columns else ""
    return (
        f'<section><h2>Episodes</h2><p class="note">A cell per episode, its colour the worst finding.{shared}</p>'
        f'<div class="map">{body}<span></span>{ends}</div>{_worst(placed)}</section>'
    )


def _span(keys: Sequence[str], low: int, high: int) -> str:
    return f"episode {keys[low]}" if high - low == 1 else f"episodes {keys[low]} to {keys[high - 1]}"


def _row(row: _Row, labels: Sequence[str], anchor: str, width: str) -> str:
    worst = min((cell.level for cell in row.cells if cell), key=lambda level: level.rank)
    cells = "".join(
        f'<rect class="{cell.level}" x="{at + 0.05:.2f}" width="0.9" height="1"><title>{escape(labels[at])}: '
        f"{cell.findings} {cell.level}{'s' if cell.findings != 1 and cell.level is not Level.INFO else ''} "
        f"of {row.check}{', ' if cell.where else ''}{escape(cell.where)}</title></rect>"
        for at, cell in enumerate(row.cells)
        if cell is not None
    )
    return (
        f'<a href="#{anchor}{worst}-{row.check}">{row.check}</a><svg viewBox="0 0 {len(row.cells)} 1" role="img" '
        f'aria-label="{row.check}: {sum(c is not None for c in row.cells)} of {len(row.cells)} cells" '
        f'preserveAspectRatio="none" style="{width}">{cells}</svg>'
    )


def _worst(placed: Sequence[tuple[Finding, str]]) -> str:
    """The episodes with the most checks against them, errors first."""
    checks: dict[str, dict[str, int]] = {}
    for finding, episode in placed:
        mine = checks.setdefault(episode, {})
        mine[finding.check] = min(finding.level.rank, mine.get(finding.check, finding.level.rank))
    ordered = sorted(checks, key=lambda key: (-sum(r == 0 for r in checks[key].values()), -len(checks[key])))
    named = "; ".join(f"<b>{escape(key)}</b> ({', '.join(sorted(checks[key]))})" for key in ordered[:_WORST])
    more = f"; and {len(ordered) - _WORST} more" if len(ordered) > _WORST else ""
    return f'<p class="note">Worst: {named}{more}</p>'
