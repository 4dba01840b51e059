"""A toy robot that reaches: its hand moves to a target that its numbers, and its picture, show."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from robokata.core.clock import grid_clock
from robokata.core.episode import Embodiment, Episode, Instruction
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.images import RawImages

POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
TIP = tuple(f"tip.{end}" for end in POSE)
CAMERA = "observation.images.scene"


def reaching_episode(
    number: int, *, robot: str = "toy", joints: int = 3, px: int = 0, steps: int = 40, seed: int = 0
) -> Episode:
    """The hand goes from where it starts to the target by a tenth of the way per step, at 20 Hz."""
    rng = np.random.default_rng([seed, number])
    clock = grid_clock(steps, Fraction(20))
    target_m = rng.uniform(-0.3, 0.3, 3)
    hand_m = np.empty((steps, 3))
    hand_m[0] = rng.uniform(-0.3, 0.3, 3)
    for step in range(1, steps):
        hand_m[step] = hand_m[step - 1] + 0.1 * (target_m - hand_m[step - 1])
    told_m = hand_m + 0.1 * (target_m - hand_m)
    down = np.tile([1.0, 0.0, 0.0, 0.0], (steps, 1))
    opening = (np.linalg.norm(target_m - hand_m, axis=1) < 0.05).astype(float)[:, None] * 0.08
    posture = rng.normal(0, 1, (steps, joints)) * 0.01

    def numbers(name: str, role: Role, table: np.ndarray, channels: tuple[str, ...]) -> Stream:
        return Stream(name, Kind.TENSOR, role, clock, ArrayValues(table.astype(np.float32)), channels=channels)

    at_target = np.tile(np.concatenate([target_m, [0, 0, 0, 1.0]]), (steps, 1))
    streams = [
        numbers("observation.state", Role.STATE, posture, tuple(f"j{i}" for i in range(joints))),
        numbers("observation.tip_pose", Role.STATE, np.concatenate([hand_m, down], 1), TIP),
        numbers("action.tip_pose", Role.ACTION, np.concatenate([told_m, down, opening], 1), (*TIP, "opening")),
        numbers("simulation.objects", Role.SENSOR, at_target, tuple(f"ball.{end}" for end in POSE)),
    ]
    if px:
        pictures = np.full((steps, px, px, 3), 60, np.uint8)
        for step in range(steps):
            for spot_m, colour in ((target_m, (220, 40, 40)), (hand_m[step], (40, 40, 220))):
                column, row = ((spot_m[:2] + 0.4) / 0.8 * px).astype(int)
                pictures[step, max(0, row - 2) : row + 2, max(0, column - 2) : column + 2] = colour
        values = RawImages(ArrayValues(pictures), where=f"toy {number}")
        streams.append(Stream(CAMERA, Kind.IMAGE, Role.CAMERA, clock, values, encoding="raw"))
    return Episode(
        id=f"{robot}-{number}",
        streams={stream.name: stream for stream in streams},
        embodiment=Embodiment(robot),
        instructions=(Instruction("reach the red ball"), Instruction("go to the red dot")),
    )


def reaching_source(count: int = 6, **words: object) -> EpisodeList:
    return EpisodeList([reaching_episode(n, **words) for n in range(count)])  # type: ignore[arg-type]
