"""Actions as a policy learns them: what to change, seen from where the robot is at the start of the chunk.

A difference to the present needs no knowledge of where the table stands, and its spread is that of one chunk's motion,
not of the workspace: it has its own statistics. The gripper's numbers stay as they are: open or closed is a decision.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.geometry.poses import (
    quats_xyzw_of,
    rotated,
    rotations_from_quat_xyzw,
    rotations_from_six,
    six_of,
    turned_back,
)
from robokata.loading.layout import BodyLayout, Group, groups_of


class Frame(enum.StrEnum):
    """In which axes a pose's change is told."""

    TIP = "tip"
    """The hand's own at the chunk's start: what a wrist camera and things seen from the hand show."""
    WORLD = "world"
    """The world's: what a fixed camera shows."""
    ABSOLUTE = "absolute"
    """No change at all: the numbers as they are."""


class Learnt(NamedTuple):
    """One group of action channels, and what its change is measured from."""

    group: Group
    stream: str | None
    """Stream that holds the present value, None where nothing does: learnt as it is."""
    columns: tuple[int, ...]
    """Where in that stream."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each learnt number is."""
        return ("position",) * 3 + ("rotation",) * 6 if self.group.kind == "pose" else ("plain",)


Present = Mapping[str, NDArray[Any]]
"""Stream -> its newest sample, (..., D)."""


def plan_actions(
    layout: BodyLayout, action: str, *, sources: Sequence[str], frame: Frame, is_change: bool = False
) -> tuple[Learnt, ...]:
    """How each group of the action is learnt: from the first of `sources` that measures the same channels.

    `is_change` says that the data's actions are differences already: they are learnt as they are.
    """
    return tuple(
        _learnt(layout, group, layout.channels[action], [] if is_change or frame is Frame.ABSOLUTE else sources)
        for group in groups_of(layout.channels[action])
    )


def _learnt(layout: BodyLayout, group: Group, channels: tuple[str, ...], sources: Sequence[str]) -> Learnt:
    names = [channels[column] for column in group.columns]
    for stream in sources:
        place = {name: column for column, name in enumerate(layout.channels.get(stream, ()))}
        # Numbers without names say nothing about what they are: only names are matched.
        is_named = not all(name.isdigit() for name in names)
        if is_named and not group.is_decision and all(name in place for name in names):
            return Learnt(group, stream, tuple(place[name] for name in names))
    return Learnt(group, None, ())


def encoded(plan: Sequence[Learnt], actions: NDArray[Any], present: Present, *, frame: Frame) -> NDArray[np.float64]:
    """Actions (..., H, A) as what is learnt, (..., H, E); NaN where an action or its anchor is absent."""
    parts = []
    for learnt in plan:
        values = np.asarray(actions, np.float64)[..., list(learnt.group.columns)]
        anchor = _anchor(learnt, present)
        if learnt.group.kind == "plain":
            parts.append(values if anchor is None else values - anchor)
            continue
        rotation = rotations_from_quat_xyzw(values[..., 3:])
        position = values[..., :3]
        if anchor is not None:
            start = rotations_from_quat_xyzw(anchor[..., 3:])
            position = position - anchor[..., :3]
            if frame is Frame.TIP:
                position = turned_back(np.broadcast_to(start, rotation.shape), position)
                rotation = np.swapaxes(start, -1, -2) @ rotation
            else:
                rotation = rotation @ np.swapaxes(start, -1, -2)
        parts.append(np.concatenate([position, six_of(rotation)], axis=-1))
    return np.concatenate(parts, axis=-1)


def decoded(
    plan: Sequence[Learnt], learnt_values: NDArray[Any], present: Present, *, frame: Frame, width: int
) -> NDArray[np.float64]:
    """The inverse of `encoded`: (..., H, E) to actions (..., H, width)."""
    values = np.asarray(learnt_values, np.float64)
    out = np.full((*values.shape[:-1], width), np.nan)
    first = 0
    for learnt in plan:
        part = values[..., first : first + len(learnt.kinds)]
        first += len(learnt.kinds)
        anchor = _anchor(learnt, present)
        columns = list(learnt.group.columns)
        if learnt.group.kind == "plain":
            out[..., columns] = part if anchor is None else part + anchor
            continue
        position, rotation = part[..., :3], rotations_from_six(part[..., 3:])
        if anchor is not None:
            start = rotations_from_quat_xyzw(anchor[..., 3:])
            if frame is Frame.TIP:
                position = rotated(np.broadcast_to(start, rotation.shape), position)
                rotation = start @ rotation
            else:
                rotation = rotation @ start
            position = position + anchor[..., :3]
        quat = quats_xyzw_of(rotation)
        if anchor is not None:
            # Of a rotation's two names the one near the present: a hand that points down has w = 0, and would flip.
            quat = np.where(np.sum(quat * anchor[..., 3:], axis=-1, keepdims=True) < 0, -quat, quat)
        out[..., columns] = np.concatenate([position, quat], axis=-1)
    return out


def _anchor(learnt: Learnt, present: Present) -> NDArray[np.float64] | None:
    """The present value with an axis for the chunk's steps, (..., 1, k)."""
    if learnt.stream is None:
        return None
    return np.asarray(present[learnt.stream], np.float64)[..., np.newaxis, list(learnt.columns)]
