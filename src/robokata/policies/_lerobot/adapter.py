"""What one of lerobot's policies is shown of a robot, and what its answers mean.

lerobot's policies know one vector of state and one of action, and learn actions as they are. So poses are told without
the two signs of a quaternion and without its wrap: three metres, and the six numbers of Zhou et al. 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.loading.actions import Frame, Learnt, decoded, encoded, plan_actions
from robokata.loading.features import LEAST_SPREAD, Block, features_of, plan_features
from robokata.loading.layout import BodyLayout, Group, layout_from
from robokata.loading.window_spec import WindowSpec, window_spec_from

STATE, ACTION = "observation.state", "action"
"""lerobot's names of the two vectors."""
_PICTURES = "observation.images."
_POSE = ("x", "y", "z", "r1", "r2", "r3", "r4", "r5", "r6")


@dataclass(frozen=True)
class View:
    """One robot's numbers as lerobot sees them, and back."""

    layout: BodyLayout
    window: WindowSpec
    is_change: bool = False
    """True where the data's actions are differences already."""

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """What the state is made from."""
        return plan_features(self.layout, self.window.inputs)

    @cached_property
    def plan(self) -> tuple[Learnt, ...]:
        """How the action's numbers are told."""
        return plan_actions(self.layout, self.window.action, sources=(), frame=Frame.ABSOLUTE)

    @property
    def state_channels(self) -> tuple[str, ...]:
        """Names of the numbers of the state, (F,)."""
        return tuple(f"{block.stream}:{name}" for block in self.blocks for name in _names(block.group))

    @property
    def action_channels(self) -> tuple[str, ...]:
        """Names of the numbers of the action as lerobot learns it, (E,)."""
        return tuple(name for learnt in self.plan for name in _names(learnt.group))

    @cached_property
    def features(self) -> Mapping[str, str]:
        """Camera -> its name in lerobot's words, which have no slashes."""
        found: dict[str, str] = {}
        for camera in self.window.cameras:
            word = re.sub(r"\W+", "_", camera.removeprefix(_PICTURES), flags=re.ASCII).strip("_") or "camera"
            name = f"{_PICTURES}{word}"
            # Two cameras whose names differ in their slashes only.
            found[camera] = name if name not in found.values() else f"{name}_{len(found)}"
        return found

    @property
    def least_spread(self) -> Mapping[str, NDArray[np.float64]]:
        """Smallest spread by which each number is divided: vector -> (F,) or (E,)."""
        return {
            STATE: np.asarray([LEAST_SPREAD[kind] for block in self.blocks for kind in block.kinds]),
            ACTION: np.asarray([LEAST_SPREAD[kind] for learnt in self.plan for kind in learnt.kinds]),
        }

    def state(self, numbers: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Streams (..., D) as the state, (..., F)."""
        return features_of(self.blocks, numbers).astype(np.float32)

    def learnt(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """Actions (..., A) in their own channels as what lerobot learns, (..., E)."""
        return encoded(self.plan, actions, {}, frame=Frame.ABSOLUTE).astype(np.float32)

    def actions(self, learnt: NDArray[Any], present: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """The inverse of `learnt`: (H, E) to (H, A); whatever six numbers come, a rotation is answered.

        Of a quaternion's two signs the one nearer to `present` (stream -> (D,)), where a stream that is seen holds it.
        """
        width = self.layout.width(self.window.action)
        out = decoded(self.plan, learnt, {}, frame=Frame.ABSOLUTE, width=width)
        channels = self.layout.channels[self.window.action]
        for group in (each.group for each in self.plan if each.group.kind == "pose"):
            columns = list(group.columns[3:])
            names = [channels[column] for column in columns]
            stream = next((n for n in self.window.inputs if set(names) <= set(self.layout.channels[n])), None)
            if stream is not None:
                now = np.asarray(present[stream])[[self.layout.channels[stream].index(name) for name in names]]
                out[:, columns] = np.where(out[:, columns] @ now[:, None] < 0, -out[:, columns], out[:, columns])
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"layout": self.layout.to_json(), "window": self.window.to_json(), "is_change": self.is_change}


def view_from(data: Any, *, where: str) -> View:
    """A view from what `to_json` gave.

    Raises:
        DamagedData: it is not what `to_json` gives.
    """
    if not isinstance(data, dict) or not isinstance(data.get("is_change"), bool):
        raise DamagedData(where, "a view needs `layout`, `window` and `is_change`.")
    layout = layout_from(data.get("layout"), where=where)
    window = window_spec_from(data.get("window"), where=where)
    missing = [name for name in (*window.inputs, window.action) if name not in layout.channels]
    if missing:
        raise DamagedData(where, f"the robot {layout.embodiment} has no {missing[0]!r}.")
    return View(layout, window, data["is_change"])


def spread_out(statistics: Mapping[str, Any], least: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
    """One vector's declared statistics, none of whose divisors is smaller than `least`, (D,).

    lerobot divides by the spread + 1e-8: a hand that points down in all the data would read a hundredth of a degree
    as a thousand standard deviations when it acts.
    """
    out = dict(statistics)
    floor = np.asarray(least, np.float64)
    if "std" in out:
        out["std"] = np.maximum(np.asarray(out["std"], np.float64), floor).tolist()
    for low, high in (("min", "max"), ("q01", "q99"), ("q10", "q90")):
        if low in out and high in out:
            lows, highs = np.asarray(out[low], np.float64), np.asarray(out[high], np.float64)
            # Two spreads to either side of the middle: what a normal channel's extremes would be.
            lacking = np.clip(4 * floor - (highs - lows), 0, None) / 2
            out[low], out[high] = (lows - lacking).tolist(), (highs + lacking).tolist()
    return out


def _names(group: Group) -> tuple[str, ...]:
    return (group.name,) if group.kind == "plain" else tuple(f"{group.name}.{end}" for end in _POSE)
