"""What a policy is shown of a robot's numbers: poses without ambiguity, things seen from the hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.geometry.poses import rotations_from_quat_xyzw, six_of, turned_back
from robokata.loading.layout import BodyLayout, Group, groups_of

Numbers = Mapping[str, NDArray[Any]]
"""Stream -> (..., D)."""

LEAST_SPREAD = {"position": 0.005, "rotation": 0.02, "plain": 1e-3}
"""Smallest spread that a feature is divided by (m, dimensionless, the stream's unit): a channel that never moved in the
data would else blow a tenth of a millimetre up to a hundred standard deviations."""


class Noise(NamedTuple):
    """Spread of what is added to the numbers while training, so that the policy learns to come back."""

    position_m: float = 0.0
    rotation_rad: float = 0.0
    plain_std: float = 0.0
    """In units of the channel's own spread."""


NO_NOISE = Noise()


class Block(NamedTuple):
    """Some features from one group of channels."""

    stream: str
    group: Group
    seen_from: tuple[str, Group] | None
    """Stream and pose group of the hand from which a thing is seen, None for the world's frame."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each feature of the block is."""
        if self.group.kind == "plain":
            return ("plain",)
        pose = ("position",) * 3 + ("rotation",) * 6
        return pose if self.seen_from is None else (*pose, "rotation", "rotation", "position")


def plan_features(
    layout: BodyLayout, streams: Sequence[str], *, seen_from_tip: Sequence[str] = (), tip: str = "observation.tip_pose"
) -> tuple[Block, ...]:
    """The blocks of one robot, in order. Poses in `seen_from_tip` are told in the frame of every tip there is."""
    tips = [group for group in groups_of(layout.channels.get(tip, ())) if group.kind == "pose"]
    blocks = []
    for stream in streams:
        for group in groups_of(layout.channels.get(stream, ())):
            if group.kind == "pose" and stream in seen_from_tip and tips:
                blocks += [Block(stream, group, (tip, hand)) for hand in tips]
            else:
                blocks.append(Block(stream, group, None))
    return tuple(blocks)


class Thing(NamedTuple):
    """One thing that is seen from a hand."""

    name: str
    columns: tuple[int, ...]
    """Where its features stand; of two hands' views, both."""


def things_of(blocks: Sequence[Block]) -> tuple[Thing, ...]:
    """Every thing that is seen from a hand, in order of first appearance."""
    columns: dict[tuple[str, Group], list[int]] = {}
    at = 0
    for block in blocks:
        if block.seen_from is not None:
            columns.setdefault((block.stream, block.group), []).extend(range(at, at + len(block.kinds)))
        at += len(block.kinds)
    return tuple(Thing(group.name, tuple(own)) for (_, group), own in columns.items())


def features_of(blocks: Sequence[Block], numbers: Numbers) -> NDArray[np.float64]:
    """All features, (..., F), NaN where what they are made from is absent."""
    parts = [_features(block, numbers) for block in blocks]
    if not parts:
        shape = next(iter(numbers.values())).shape[:-1] if numbers else ()
        return np.empty((*shape, 0))
    return np.concatenate(parts, axis=-1)


def least_spread(blocks: Sequence[Block]) -> NDArray[np.float64]:
    """Smallest divisor of each feature, (F,)."""
    return np.asarray([LEAST_SPREAD[kind] for block in blocks for kind in block.kinds])


def noisy(
    layout: BodyLayout,
    numbers: Numbers,
    rng: np.random.Generator,
    *,
    noise: Noise,
    spread: Mapping[str, NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """The same numbers with noise, one draw per sample and channel: all of a sample's history shifts together.

    `spread` is the standard deviation of every channel: stream -> (D,).
    """
    out = {}
    for stream, values in numbers.items():
        changed = np.array(values, np.float64)
        once = (*changed.shape[:-2], 1)
        for group in groups_of(layout.channels[stream]):
            columns = list(group.columns)
            if group.kind == "pose":
                changed[..., columns[:3]] += rng.normal(0, 1, (*once, 3)) * noise.position_m
                # A small turn is half its vector in the first three numbers of the quaternion, whatever the fourth.
                turn = rng.normal(0, 1, (*once, 3)) * (0.5 * noise.rotation_rad)
                changed[..., columns[3:]] = _turned(changed[..., columns[3:]], turn)
            else:
                std = noise.plain_std * spread[stream][columns[0]]
                changed[..., columns[0]] += rng.normal(0, 1, once) * std
        out[stream] = changed
    return out


def _turned(quat_xyzw: NDArray[np.float64], half_turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quaternions (..., 4) after a small rotation about the world's axes, to first order."""
    vector, real = quat_xyzw[..., :3], quat_xyzw[..., 3:]
    turned_vector = vector + real * half_turn + np.cross(np.broadcast_to(half_turn, vector.shape), vector)
    turned_real = real - np.sum(half_turn * vector, axis=-1, keepdims=True)
    return np.concatenate([turned_vector, turned_real], axis=-1)


def _features(block: Block, numbers: Numbers) -> NDArray[np.float64]:
    values = np.asarray(numbers[block.stream], np.float64)[..., list(block.group.columns)]
    if block.group.kind == "plain":
        return values
    rotation = rotations_from_quat_xyzw(values[..., 3:])
    if block.seen_from is None:
        return np.concatenate([values[..., :3], six_of(rotation)], axis=-1)
    stream, hand = block.seen_from
    at = np.asarray(numbers[stream], np.float64)[..., list(hand.columns)]
    world_from_hand = rotations_from_quat_xyzw(at[..., 3:])
    offset_m = turned_back(world_from_hand, values[..., :3] - at[..., :3])
    hand_from_thing = np.swapaxes(world_from_hand, -1, -2) @ rotation
    yaw_rad = np.arctan2(hand_from_thing[..., 1, 0], hand_from_thing[..., 0, 0])
    # Four times the yaw: the same for all four ways in which a cube looks the same.
    symmetric = np.stack([np.cos(4 * yaw_rad), np.sin(4 * yaw_rad)], axis=-1)
    return np.concatenate([offset_m, six_of(hand_from_thing), symmetric, values[..., 2:3]], axis=-1)
