"""Bars with intervals as SVG text: shares of trials, and differences from a control."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from robokata.viewing.svg.markup import svg_markup

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 640, 40, 16, 92, 8
_INK = 'stroke="currentColor"'
"""The page's ink, light or dark."""
_CAPTION_LENGTH = 72
_LABEL_LENGTH = 64
"""Characters of a label that fit above its bar, also in the larger type of a narrow page."""


class ChartBar(NamedTuple):
    """One row."""

    label: str
    value: float
    low: float | None
    high: float | None
    colour: str = "#2f6fde"
    note: str = ""
    """Text at the row's end."""


def bar_chart(
    bars: Sequence[ChartBar], *, span: tuple[float, float], x_label: str, mark: float | None = None
) -> Markup | str:
    """Horizontal bars with intervals, each below its label, from 0 or from the lower end of `span`.

    `mark` draws a line to compare with.
    """
    if not bars:
        return ""
    captions = textwrap.wrap(x_label, _CAPTION_LENGTH)
    floor = _TOP + _ROW * len(bars)
    height = floor + 28 + 18 * len(captions)
    low, high = span

    def x_px(value: float) -> float:
        return _LEFT + (min(max(value, low), high) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    zero_px = x_px(max(low, 0.0))
    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(x_label)}">',
        *(_tick(x_px(low + (high - low) * k / 4), low + (high - low) * k / 4, floor) for k in range(5)),
    ]
    for row, bar in enumerate(bars):
        y_px = _TOP + row * _ROW
        left, right = sorted((zero_px, x_px(bar.value)))
        parts.append(f'<text x="{_LEFT + 4}" y="{y_px + 14}">{escape(_cut(bar.label))}</text>')
        parts.append(
            f'<rect x="{left:.1f}" y="{y_px + 20}" width="{max(right - left, 1):.1f}" height="14" rx="2" '
            f'fill="{bar.colour}" fill-opacity="0.75"/>'
        )
        if bar.low is not None and bar.high is not None:
            parts.append(_whisker(x_px(bar.low), x_px(bar.high), y_px + 27))
        parts.append(f'<text x="{_WIDTH - _RIGHT + 6}" y="{y_px + 32}">{escape(bar.note)}</text>')
    if mark is not None:
        mark_px = x_px(mark)
        parts.append(
            f'<line x1="{mark_px:.1f}" x2="{mark_px:.1f}" y1="{_TOP}" y2="{floor}" {_INK} stroke-dasharray="4 3"/>'
        )
    texts = (f'<text x="{_LEFT}" y="{floor + 40 + 18 * k}">{escape(line)}</text>' for k, line in enumerate(captions))
    return svg_markup([*parts, *texts, "</svg>"])


def _cut(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…"


def _tick(x_px: float, value: float, floor: int) -> str:
    return (
        f'<line x1="{x_px:.1f}" x2="{x_px:.1f}" y1="{_TOP}" y2="{floor + 4}" stroke="#8886"/>'
        f'<text x="{x_px:.1f}" y="{floor + 20}" text-anchor="middle">{value:.3g}</text>'
    )


def _whisker(left: float, right: float, y_px: float) -> str:
    ends = "".join(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y_px - 4}" y2="{y_px + 4}" {_INK}/>' for x in (left, right))
    return f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y_px}" y2="{y_px}" {_INK} stroke-width="1.4"/>{ends}'
