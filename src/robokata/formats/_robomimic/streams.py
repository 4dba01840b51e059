"""Which datasets of a robomimic demonstration are streams, and what each is for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from robokata.containers.hdf5.file import Container
from robokata.containers.hdf5.values import Table
from robokata.core.clock import ClockQuality, paced_clock, step_clock
from robokata.core.stream import Role, Stream
from robokata.formats._hdf5.streams import kind_of_numbers, stream_of
from robokata.formats._roles import column_role

_STEP_GROUPS = ("obs", "next_obs", "states", "actions", "rewards", "dones", "action_dict", "datagen_info")
_MATRIX_ROWS = 4
"""In the groups of steps, a dataset of at most 4 rows in an episode of over 8 is a calibration matrix (3 x 3,
3 x 4, 4 x 4) or one constant, not a stream that lost its samples."""
_ROBOT = re.compile(r"^states/articulation/robot")
"""Isaac Lab's part of the simulator's state that is the robot's."""


def steps_of(tables: Sequence[Table], declared: int | None) -> int | None:
    """Steps of the episode: as many as actions, else as declared, else as most datasets have."""
    for table in tables:
        if table.name == "actions" and table.shape:
            return table.shape[0]
    if declared is not None:
        return declared
    lengths = Counter(table.shape[0] for table in tables if table.shape)
    return lengths.most_common(1)[0][0] if lengths else None


def is_stream(table: Table, steps: int | None) -> bool:
    """True where the first axis of a dataset is time; the rest goes to `Episode.extra`."""
    top = table.name.partition("/")[0]
    if not table.shape or steps is None or top == "initial_state" or table.content == "references":
        return False
    if table.content == "text" and len(table.shape) > 1:
        return False
    if table.shape[0] in (steps, steps + 1):
        return True
    is_matrix = table.shape[0] <= _MATRIX_ROWS and steps > 2 * _MATRIX_ROWS
    return top in _STEP_GROUPS and not (is_matrix and len(table.shape) < 4 and table.shape[0] > 0)


def robomimic_stream(box: Container, table: Table, rate_hz: Fraction | None) -> Stream:
    """One dataset of a demonstration as a stream, on the grid of the declared rate where there is one."""
    extra: dict[str, Any] = {}
    first_step = 0
    if table.name.startswith("next_obs/"):
        # What the robot saw after the step: obs, one step later, written a second time.
        first_step = 1
        extra = {"copy_of": "obs/" + table.name.removeprefix("next_obs/"), "steps_later": 1}
    clock = step_clock(table.shape[0], first_step=first_step)
    if rate_hz is not None:
        clock = paced_clock(clock, rate_hz, quality=ClockQuality.DECLARED)
    return stream_of(box, table, name=table.name, role=_role(table), clock=clock, extra=extra)


def _role(table: Table) -> Role:
    top = table.name.partition("/")[0]
    if top == "next_obs":
        return Role.BOOKKEEPING
    if top == "states":
        # The simulator's whole state, of the robot and of everything else.
        return Role.STATE if _ROBOT.search(table.name) else Role.SENSOR
    otherwise = Role.SENSOR if top == "obs" else Role.UNKNOWN
    return column_role(table.name, kind_of_numbers(table), table.dtype, otherwise=otherwise)
