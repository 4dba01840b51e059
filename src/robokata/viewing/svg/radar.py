"""A radar plot as SVG text: one spoke per factor, shares with intervals, beside the share of a control arm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from robokata.viewing.svg.markup import svg_markup

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH, _HEIGHT, _RADIUS = 640, 420, 145
_CENTRE = (_WIDTH / 2, _HEIGHT / 2 + 4)
_FEWEST_SPOKES = 3
"""Below, the outline encloses no area: bars say it better."""
_COLOUR = "#2f6fde"
_RINGS = (0.25, 0.5, 0.75, 1.0)


class Spoke(NamedTuple):
    """One factor; shares are 0 in the centre and 1 at the rim, None where nothing is known."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    colour: str = _COLOUR


class Ring(NamedTuple):
    """The control arm, which is the same in every direction."""

    value: float | None
    low: float | None
    high: float | None


def radar_plot(spokes: Sequence[Spoke], *, control: Ring, label: str) -> Markup | str:
    """Outline and interval band of `spokes`, and the control's as a ring; empty for fewer than three spokes.

    A spoke without a value is left out of the outline (its name stays, with a dash).
    """
    if len(spokes) < _FEWEST_SPOKES:
        return ""
    known = [(index, spoke) for index, spoke in enumerate(spokes) if spoke.value is not None]
    at = [2 * math.pi * index / len(spokes) for index in range(len(spokes))]
    inner = [_point(at[index], spoke.value if spoke.low is None else spoke.low) for index, spoke in known]
    outer = [_point(at[index], spoke.value if spoke.high is None else spoke.high) for index, spoke in known]
    values = [_point(at[index], spoke.value) for index, spoke in known]
    return svg_markup(
        [
            f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">',
            *_grid(at),
            *_control(control),
            # Even-odd: the band is what lies between both outlines, also where one of them crosses itself.
            f'<path d="{_closed(outer)} {_closed(inner)}" fill="{_COLOUR}" fill-opacity="0.2" fill-rule="evenodd"/>',
            f'<path d="{_closed(values)}" fill="none" stroke="{_COLOUR}" stroke-width="2"/>',
            *(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{spoke.colour}"><title>{escape(_said(spoke))}</title>'
                "</circle>"
                for (x, y), (_, spoke) in zip(values, known, strict=True)
            ),
            *(_name(angle, spoke) for angle, spoke in zip(at, spokes, strict=True)),
            f'<text x="4" y="13" class="unit">{escape(label)}</text></svg>',
        ]
    )


def _point(angle_rad: float, share: float | None) -> tuple[float, float]:
    """Clockwise from the top."""
    reach_px = _RADIUS * min(max(share or 0.0, 0.0), 1.0)
    return _CENTRE[0] + reach_px * math.sin(angle_rad), _CENTRE[1] - reach_px * math.cos(angle_rad)


def _closed(points: Sequence[tuple[float, float]]) -> str:
    return f"M {' L '.join(f'{x:.1f},{y:.1f}' for x, y in points)} Z" if points else ""


def _circle(share: float) -> str:
    """A circle as a path, so that two of them can enclose a ring."""
    radius, (x, y) = _RADIUS * share, _CENTRE
    arc = f"A {radius:.1f} {radius:.1f} 0 1 1"
    return f"M {x:.1f},{y - radius:.1f} {arc} {x:.1f},{y + radius:.1f} {arc} {x:.1f},{y - radius:.1f} Z"


def _grid(angles_rad: Sequence[float]) -> list[str]:
    rings = [f'<path class="grid" d="{_circle(share)}" fill="none"/>' for share in _RINGS]
    ends = [_point(angle, 1.0) for angle in angles_rad]
    spokes = [f'<line class="grid" x1="{_CENTRE[0]}" y1="{_CENTRE[1]}" x2="{x:.1f}" y2="{y:.1f}"/>' for x, y in ends]
    # Between the first two spokes, where no name stands.
    ticks = [_point(angles_rad[1] / 2, share) for share in _RINGS]
    numbers = [
        f'<text x="{x + 3:.1f}" y="{y + 4:.1f}">{100 * share:.0f} %</text>'
        # The rim says itself what it is, and names stand there.
        for share, (x, y) in zip(_RINGS[:-1], ticks, strict=False)
    ]
    return [*rings, *spokes, *numbers]


def _control(control: Ring) -> list[str]:
    parts = []
    if control.low is not None and control.high is not None:
        band = f"{_circle(control.high)} {_circle(control.low)}"
        parts.append(f'<path d="{band}" fill="currentColor" fill-opacity="0.09" fill-rule="evenodd"/>')
    if control.value is not None:
        parts.append(f'<path d="{_circle(control.value)}" fill="none" stroke="currentColor" stroke-dasharray="5 4"/>')
    return parts


def _name(angle_rad: float, spoke: Spoke) -> str:
    x, y = _point(angle_rad, 1.0)
    sideways, upwards = math.sin(angle_rad), math.cos(angle_rad)
    anchor = "middle" if abs(sideways) < 0.2 else "start" if sideways > 0 else "end"
    number = "–" if spoke.value is None else f"{100 * spoke.value:.0f} %"
    return (
        f'<text x="{x + 12 * sideways:.1f}" y="{y - 20 * upwards:.1f}" text-anchor="{anchor}">'
        f'<tspan fill="{spoke.colour}">●</tspan> {escape(spoke.label)}'
        f'<tspan x="{x + 12 * sideways:.1f}" dy="16">{number}</tspan></text>'
    )


def _said(spoke: Spoke) -> str:
    interval = "" if spoke.low is None or spoke.high is None else f" [{100 * spoke.low:.0f}, {100 * spoke.high:.0f}]"
    return f"{spoke.label}: {100 * (spoke.value or 0.0):.0f} %{interval}"
