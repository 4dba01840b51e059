"""The radar plot: where its points lie, and when there is none."""

from __future__ import annotations

import re

import pytest

from robokata.viewing.svg.radar import Ring, Spoke, radar_plot

CONTROL = Ring(0.8, 0.6, 0.9)


def spokes(*values: float | None) -> list[Spoke]:
    return [Spoke(f"factor <{n}>", value, None, None) for n, value in enumerate(values)]


def dots(svg: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]


def test_two_factors_make_no_radar() -> None:
    assert radar_plot(spokes(0.5, 0.5), control=CONTROL, label="success") == ""


def test_a_point_lies_as_far_out_as_its_share_and_turns_clockwise_from_the_top() -> None:
    top, right, bottom, left = dots(radar_plot(spokes(1.0, 0.5, 0.25, 0.0), control=CONTROL, label="success"))
    centre = left
    assert top[0] == pytest.approx(centre[0], abs=0.1)
    radius = centre[1] - top[1]
    assert radius > 100
    assert right == pytest.approx((centre[0] + radius / 2, centre[1]), abs=0.1)
    assert bottom == pytest.approx((centre[0], centre[1] + radius / 4), abs=0.1)


def test_a_factor_of_which_nothing_is_known_keeps_its_name_and_has_no_point() -> None:
    svg = radar_plot(spokes(1.0, None, 0.5, 0.5), control=CONTROL, label="success")
    assert len(dots(svg)) == 3
    assert re.search(r"factor &lt;1&gt;<tspan [^>]*>–<", svg)


def test_the_control_and_its_interval_are_rings() -> None:
    with_control = radar_plot(spokes(0.5, 0.5, 0.5), control=CONTROL, label="success")
    without = radar_plot(spokes(0.5, 0.5, 0.5), control=Ring(None, None, None), label="success")
    assert with_control.count("currentColor") == 2
    assert "currentColor" not in without
