"""The curves of the report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.viewing.svg.line_plot import PlotLine, _segments, _ticks, line_plot

TIMES_S = np.linspace(0, 10, 20_000)


def points(line: PlotLine) -> list[tuple[float, float]]:
    return [point for piece in _segments(line) for point in piece]


@given(at=st.integers(0, 19_999), height=st.sampled_from([-5.0, 5.0]))
def test_a_spike_of_one_sample_survives_the_thinning(at: int, height: float) -> None:
    values = np.zeros(20_000)
    values[at] = height
    kept = points(PlotLine("x", TIMES_S, values))
    assert len(kept) <= 1000
    assert (TIMES_S[at], height) in kept


@given(at=st.integers(1, 19_998))
def test_one_nan_breaks_a_thinned_line(at: int) -> None:
    values = np.sin(TIMES_S)
    values[at] = np.nan
    pieces = _segments(PlotLine("x", TIMES_S, values))
    assert len(pieces) == 2
    assert pieces[0][-1][0] < TIMES_S[at] < pieces[1][0][0]


@pytest.mark.parametrize("count", [1, 2, 7, 299, 300, 301, 601, 20_000])
def test_a_sound_line_is_one_piece_up_to_its_last_extremes(count: int) -> None:
    times_s = np.arange(count) / 50
    (piece,) = _segments(PlotLine("x", times_s, np.arange(count, dtype=float)))
    assert piece[0][0] == 0
    assert piece[-1][0] == times_s[-1]


def test_a_sample_between_two_nan_is_drawn_as_a_dot() -> None:
    values = np.array([0.0, 1.0, np.nan, 0.5, np.nan, 1.0, 0.0])
    drawn = line_plot([PlotLine("x", np.arange(7.0), values)], y_label="x")
    assert drawn.count("<circle") == 1
    assert drawn.count("<polyline") == 2


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [np.inf, -np.inf]])
def test_nothing_finite_is_no_plot(values: list[float]) -> None:
    assert line_plot([PlotLine("x", np.arange(float(len(values))), np.array(values))], y_label="x") == ""
    assert line_plot([], y_label="x") == ""


@given(low=st.floats(-1e9, 1e9), span=st.floats(1e-3, 1e9))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    ticks = _ticks(low, low + span)
    assert 2 <= len(ticks) <= 8
    assert all(low - span * 1e-3 <= tick <= low + span * 1.001 for tick in ticks)


@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf]), min_size=2, max_size=40),
    marked_s=st.tuples(st.floats(-5, 50), st.floats(0, 50)),
)
def test_a_plot_is_valid_xml_and_stays_in_its_frame(values: list[float], marked_s: tuple[float, float]) -> None:
    times_s = np.arange(len(values), dtype=float)
    drawn = line_plot([PlotLine("<a> & b", times_s, np.array(values))], y_label="<m/s>", shaded_s=[marked_s])
    if not drawn:
        return
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == "<m/s>"
    for numbers in re.findall(r'points="([^"]*)"', drawn):
        for pair in numbers.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 640
            assert 0 <= y <= 220
    for rect in root.findall("rect"):
        assert 0 <= float(rect.get("x", "")) <= 640
        assert float(rect.get("x", "")) + float(rect.get("width", "")) <= 642


def test_the_axes_carry_units() -> None:
    drawn = line_plot([PlotLine("x", TIMES_S, TIMES_S)], y_label="joint (rad)")
    assert ">2 s</text>" in drawn
    assert ">joint (rad)</text>" in drawn
    assert 'middle">2</text>' in line_plot([PlotLine("x", TIMES_S, TIMES_S * 100)], y_label="joint", x_unit="")


def test_a_legend_of_many_long_names_stays_inside_and_does_not_overlap() -> None:
    lines = [PlotLine(f"a_rather_long_channel_name_{n}", TIMES_S, TIMES_S * n) for n in range(6)]
    drawn = line_plot(lines, y_label="x")
    starts = [int(x) for x in re.findall(r'<text x="(\d+)" y="28">', drawn)]
    shown = re.findall(r"</tspan> ([^<]*)</text>", drawn)
    assert len(starts) == len(shown) == 6
    ends = [start + 20 + 8.2 * len(label) for start, label in zip(starts, shown, strict=True)]
    assert all(end <= start for end, start in zip(ends, [*starts[1:], 640], strict=True))
    assert "<title>a_rather_long_channel_name_5</title>" in drawn
