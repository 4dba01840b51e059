"""Line plots as SVG text: the stretch in question, shaded, with units on the axes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 760, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 36, 30
_POINTS = 600
"""Points drawn per line: about one per pixel; more only makes the file larger."""
COLOURS = ("#2f6fde", "#d9822b", "#2a9d6f", "#b5459c", "#7a6f1f", "#5a5a5a")


class Line(NamedTuple):
    """One curve: times and values, (T,) each."""

    label: str
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]


def line_plot(lines: Sequence[Line], *, y_label: str, shaded_s: tuple[float, float] | None = None) -> str:
    """An SVG of some curves over seconds; `shaded_s` marks the stretch of a finding."""
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
    if shaded_s is not None:
        left, right = x_px(max(x_low, shaded_s[0])), x_px(min(x_high, shaded_s[1]))
        parts.append(
            f'<rect class="shade" x="{left:.1f}" y="{_TOP}" width="{max(2.0, right - left):.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"/>'
        )
    for tick in _ticks(y_low, y_high):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y_px(tick):.1f}" y2="{y_px(tick):.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y_px(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    for tick in _ticks(x_low, x_high):
        parts.append(f'<text x="{x_px(tick):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{tick:.4g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 1}" text-anchor="end">seconds</text>')
    parts.append(f'<text x="4" y="13" class="unit">{escape(y_label)}</text>')
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        for points in _segments(line):
            path = " ".join(f"{x_px(x):.1f},{y_px(y):.1f}" for x, y in points)
            parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.4" points="{path}"/>')
        if len(lines) > 1:
            legend = f'<tspan fill="{colour}">■</tspan> {escape(line.label[:28])}'
            parts.append(f'<text x="{_LEFT + 8 + number * 118}" y="28">{legend}</text>')
    return "".join([*parts, "</svg>"])


def _segments(line: Line) -> list[list[tuple[float, float]]]:
    """The curve in pieces between values that are not finite, thinned so that every spike stays."""
    times, values = line.times_s, line.values
    stride = -(-len(times) // (_POINTS // 2))
    if stride > 1:
        whole = len(times) // stride * stride
        blocks = values[:whole].reshape(-1, stride)
        safe = np.where(np.isfinite(blocks), blocks, 0)
        start = np.arange(len(blocks)) * stride
        # Lowest and highest of each block, in their order in time.
        picked = np.sort(np.stack([start + safe.argmin(1), start + safe.argmax(1)], axis=1), axis=1).reshape(-1)
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
        return low - 0.5, high + 0.5
    return low - margin * (high - low), high + margin * (high - low)


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between two limits."""
    raw = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(min((s for s in (1, 2, 5, 10) if s * power >= raw), default=10) * power)
    first = np.ceil(low / step) * step
    return [float(tick) for tick in np.arange(first, high + step * 1e-6, step)]
