"""Line plots as SVG text: the stretches in question, shaded, with units on the axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.viewing.svg.markup import svg_markup

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 36, 30
_POINTS = 600
"""Points drawn per line: about one per pixel; more only makes the file larger."""
COLOURS = ("#2f6fde", "#d9822b", "#2a9d6f", "#b5459c", "#7a6f1f", "#5a5a5a")


class PlotLine(NamedTuple):
    """One curve: times and values, (T,) each."""

    label: str
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]
    is_dashed: bool = False


def line_plot(
    lines: Sequence[PlotLine],
    *,
    y_label: str,
    shaded_s: Sequence[tuple[float, float]] = (),
    x_unit: str = "s",
    x_marks: Mapping[float, str] | None = None,
) -> Markup | str:
    """An SVG of some curves over seconds (or what `x_unit` says); `shaded_s` marks the stretches of a finding.

    `x_marks` label places on the axis; without them round numbers do.
    """
    finite = [line.values[np.isfinite(line.values)] for line in lines]
    drawn = np.concatenate(finite) if finite else np.empty(0)
    times = np.concatenate([line.times_s for line in lines]) if lines else np.empty(0)
    if not len(drawn) or not len(times):
        return ""
    x_low, x_high = _widened(float(times.min()), float(times.max()))
    y_low, y_high = _widened(float(drawn.min()), float(drawn.max()), margin=0.06)

    def x_px(value: float) -> float:
        return _LEFT + (value - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)

    def y_px(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_label)}">']
    for start_s, end_s in shaded_s:
        if start_s > x_high or end_s < x_low:
            continue
        left, right = x_px(max(x_low, start_s)), x_px(min(x_high, end_s))
        parts.append(
            f'<rect class="shade" x="{left:.1f}" y="{_TOP}" width="{max(2.0, right - left):.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"/>'
        )
    for tick in _ticks(y_low, y_high):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y_px(tick):.1f}" y2="{y_px(tick):.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y_px(tick) + 4:.1f}" text-anchor="end">{tick:.5g}</text>')
    marks = x_marks or {tick: f"{tick:.6g} {x_unit}".rstrip() for tick in _ticks(x_low, x_high)}
    for tick, label in marks.items():
        label = escape(label)
        parts.append(f'<text x="{x_px(tick):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="4" y="13" class="unit">{escape(y_label)}</text>')
    for number, line in enumerate(lines):
        style = f'stroke="{COLOURS[number % len(COLOURS)]}"' + (' stroke-dasharray="5 4"' if line.is_dashed else "")
        for points in _segments(line):
            if len(points) == 1:
                # A line of one point has no length and is not drawn: a sample between two NaN would be invisible.
                dot = f'cx="{x_px(points[0][0]):.1f}" cy="{y_px(points[0][1]):.1f}"'
                parts.append(f'<circle {dot} r="1.6" fill="{COLOURS[number % len(COLOURS)]}"/>')
                continue
            path = " ".join(f"{x_px(x):.1f},{y_px(y):.1f}" for x, y in points)
            parts.append(f'<polyline fill="none" {style} stroke-width="1.4" points="{path}"/>')
    return svg_markup([*parts, *_legend(lines), "</svg>"])


def _legend(lines: Sequence[PlotLine]) -> list[str]:
    """One label per curve, in equal shares of the width, each as long as fits there."""
    if len(lines) < 2:
        return []
    share_px = min(240.0, (_WIDTH - _LEFT - _RIGHT) / len(lines))
    # 8.2 px: mean width of a character at 15 px (a narrow page) in the page's font; 20 px for the square before it.
    most = int((share_px - 20) / 8.2)
    shown = []
    for number, line in enumerate(lines):
        label = line.label if len(line.label) <= most else f"{line.label[: most - 1]}…"
        square = f'<tspan fill="{COLOURS[number % len(COLOURS)]}">■</tspan>'
        title = f"<title>{escape(line.label)}</title>"
        shown.append(f'<text x="{_LEFT + number * share_px:.0f}" y="28">{title}{square} {escape(label)}</text>')
    return shown


def _segments(line: PlotLine) -> list[list[tuple[float, float]]]:
    """The curve in pieces between values that are not finite, thinned so that every spike stays."""
    times, values = line.times_s, line.values
    stride = -(-len(times) // (_POINTS // 2))
    if stride > 1:
        # The last block is shorter: NaN fills it up, and is no NaN of the data.
        count, fill = len(values), -len(values) % stride
        times, values = np.append(times, np.full(fill, times[-1])), np.append(values, np.full(fill, np.nan))
        blocks = values.reshape(-1, stride)
        start = np.arange(len(blocks)) * stride
        is_finite = np.isfinite(blocks)
        # Lowest and highest of each block, and its first NaN (which breaks the line), in their order in time.
        lowest = start + np.where(is_finite, blocks, np.inf).argmin(1)
        highest = start + np.where(is_finite, blocks, -np.inf).argmax(1)
        first_lost = start + (~is_finite).argmax(1)
        is_broken = ~np.isfinite(values[first_lost]) & (first_lost < count)
        picked = np.unique(np.concatenate([lowest, highest, first_lost[is_broken]]))
        times, values = times[picked], values[picked]
    pieces: list[list[tuple[float, float]]] = [[]]
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        if np.isfinite(value):
            pieces[-1].append((time, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _widened(low: float, high: float, *, margin: float = 0.0) -> tuple[float, float]:
    if high - low < 1e-12 * max(1.0, abs(high)):
        # Around a constant, a tenth of it: 1e-4 must not look like zero.
        space = 0.1 * abs(high) or 0.5
        return low - space, high + space
    return low - margin * (high - low), high + margin * (high - low)


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between two limits."""
    raw = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(min((s for s in (1, 2, 5, 10) if s * power >= raw), default=10) * power)
    first = np.ceil(low / step) * step
    # Minus zero would be printed as such.
    return [
        float(tick) + 0.0 if abs(tick) > step * 1e-6 else 0.0 for tick in np.arange(first, high + step * 1e-6, step)
    ]
