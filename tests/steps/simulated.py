"""Short simulated episodes, made once: a Panda that lifts, and what a pair of arms would have recorded."""

from __future__ import annotations

import functools

import numpy as np

from robokata.collection.scripted import ExpertJob
from robokata.core.clock import measured_clock
from robokata.core.episode import Annotation, Episode, Instruction
from robokata.core.shelf import shelf
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.core.world import Width
from robokata.geometry.kinematics import placed
from robokata.geometry.poses import continuous_quats, seven_of
from robokata.media.images import RawImages
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of
from robokata.sim.sensors import Sensors


@functools.cache
def lifted(number: int = 0) -> Episode:
    """The expert lifts a cube: 20 Hz, two cameras of 64x64."""
    made = ExpertJob(scene=scene_of("lift"), width=Width.D0, seed=5, filming=Filming(64, 64), sensors=Sensors())(number)
    assert made.episode is not None
    return made.episode


@functools.cache
def paired() -> Episode:
    """Two ViperX-like arms on smooth ways, with tip poses by forward kinematics, a wrench and three cameras."""
    robot = shelf("robots")["viperx_bimanual"].ROBOT
    rng, count = np.random.default_rng(2), 60
    clock = measured_clock((np.arange(count) * 50_000_000).astype(np.int64))
    names = [joint for arm in robot.arms for joint in arm.joints]
    home = np.concatenate([arm.home for arm in robot.arms])
    phase = np.linspace(0, 1, count)[:, None]
    joints = home + 0.3 * np.sin(2 * np.pi * (phase + rng.uniform(0, 1, len(names)))) * rng.uniform(0.2, 1, len(names))
    grips = np.stack([0.03 + 0.02 * np.sin(6 * phase[:, 0]), 0.04 - 0.02 * phase[:, 0]], axis=1)
    state = np.concatenate([joints[:, :6], grips[:, :1], joints[:, 6:], grips[:, 1:]], axis=1)
    channels = [*robot.arms[0].joints, "left/gripper", *robot.arms[1].joints, "right/gripper"]
    poses = []
    for arm in robot.arms:
        sevens = np.array(
            [seven_of(placed(robot.model, dict(zip(names, row, strict=True))).sites[arm.tip]) for row in joints]
        )
        sevens[:, 3:] = continuous_quats(sevens[:, 3:])
        poses.append(sevens)
    tips = [f"{arm.name}.tip.{axis}" for arm in robot.arms for axis in ("x", "y", "z", "qx", "qy", "qz", "qw")]
    wrench = [f"{arm.name}.{axis}" for arm in robot.arms for axis in ("fx", "fy", "fz", "tx", "ty", "tz")]
    absolute = Meaning(unit=_fact("rad"), reference=_fact("absolute"))
    world = Meaning(unit=_fact("m"), frame=_fact("world"), rotation=_fact("quat_xyzw"), reference=_fact("absolute"))
    films = {camera: rng.integers(0, 255, (count, 16, 24, 3)).astype(np.uint8) for camera in robot.cameras}
    streams = [
        _table("observation.state", Role.STATE, state, channels, absolute, clock),
        _table("observation.tip_pose", Role.STATE, np.concatenate(poses, axis=1), tips, world, clock),
        _table("action", Role.ACTION, state, channels, absolute, clock),
        _table(
            "observation.force", Role.SENSOR, rng.normal(0, 1, (count, 12)), wrench, Meaning(frame=_fact("tool")), clock
        ),
        *(
            Stream(
                f"observation.images.{camera}",
                Kind.IMAGE,
                Role.CAMERA,
                clock,
                RawImages(ArrayValues(film), where=camera),
            )
            for camera, film in films.items()
        ),
    ]
    return Episode(
        id="pair-0",
        streams={stream.name: stream for stream in streams},
        embodiment=robot,
        instructions=(Instruction("Hand the peg from the left arm to the right one, right now"),),
        annotations=(Annotation("grasp:left:peg", 0.5, 1.5),),
    )


def _table(name, role, rows, channels, meaning, clock) -> Stream:  # type: ignore[no-untyped-def]
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(rows), channels=tuple(channels), meaning=meaning)


def _fact(value: str) -> Fact:
    return Fact(value, Evidence.ROBOT)
