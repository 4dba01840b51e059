"""The commands of a trial, channel by channel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream
from robokata.geometry.channels import is_gripper


class Commands(NamedTuple):
    """Commands of the arm and of its grippers, apart."""

    stream: Stream
    arm: NDArray[np.float64]
    """(T, D) channels that are no gripper's and that change, each in shares of its range in the trial."""
    grippers: NDArray[np.float64]
    """(T, G) channels of grippers that change, each in shares of its range."""


def commands_of(trial: Episode) -> Commands | str:
    """The stream called `action`, else the widest one of actions; or why there is none."""
    candidates = [s for s in trial.numeric(Role.ACTION) if len(s) > 2]
    if not candidates:
        return "no recorded action"
    named = [s for s in candidates if s.name in ("action", "actions")]
    stream = (named or sorted(candidates, key=lambda s: -int(s.table.shape[1])))[0]
    table = np.asarray(stream.table, dtype=np.float64)
    if not np.isfinite(table).all():
        return f"{stream.name} holds numbers that are not finite"
    span = np.ptp(table, axis=0)
    is_hand = np.asarray([is_gripper(stream, channel) for channel in range(table.shape[1])], dtype=bool)
    changing = span > 0
    if not (changing & ~is_hand).any():
        return "the commands never change"
    scaled = table / np.where(changing, span, 1.0)
    return Commands(stream, scaled[:, changing & ~is_hand], scaled[:, changing & is_hand])
