"""What a teleoperated arm says while it is recorded: a camera at 30 Hz, joints and commands at 100 Hz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import simplejpeg

from robokata.testing import barcode_picture

CAMERA = ("/camera/color/image_raw/compressed", "sensor_msgs/msg/CompressedImage")
JOINTS = ("/joint_states", "sensor_msgs/msg/JointState")
COMMAND = ("/joint_command", "sensor_msgs/msg/JointState")
TASK = ("/task_instruction", "std_msgs/msg/String")
TOPICS = (CAMERA, JOINTS, COMMAND, TASK)
NAMES = ["shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "gripper"]
START_NS = 1_700_000_000_000_000_000


class Said(NamedTuple):
    """One message, with the times at which it was made and received."""

    topic: str
    type: str
    message: Any
    header_ns: int
    receive_ns: int


def jpeg(episode: int, frame: int) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(barcode_picture(episode, frame)), quality=90))


def speak(store: Any, episode: int, *, steps: int, seed: int) -> Iterator[Said]:
    """All messages of one episode in the order in which they were received; `store` is a rosbags typestore."""
    rng = np.random.default_rng([seed, episode])
    types = store.types
    start_ns = START_NS + episode * 60 * 10**9
    said = [Said(*TASK, types[TASK[1]](data=f"put block {episode} into the bowl"), start_ns, start_ns)]
    for i, (made, heard) in enumerate(_times(steps, 30, start_ns, rng)):
        picture = np.frombuffer(jpeg(episode, i), np.uint8)
        message = types[CAMERA[1]](header=_header(store, i, made, "camera"), format="jpeg", data=picture)
        said.append(Said(*CAMERA, message, made, heard))
    count = max(steps * 100 // 30, 2)
    at = np.arange(count + 3)[:, None] / 100
    path = np.sin(at * rng.uniform(0.5, 2, 6) + rng.uniform(0, 6, 6))
    velocity = np.gradient(path, 0.01, axis=0)
    for topic, lead in ((JOINTS, 0), (COMMAND, 3)):
        for i, (made, heard) in enumerate(_times(count, 100, start_ns, rng)):
            message = types[topic[1]](
                header=_header(store, i, made, "base_link"),
                name=NAMES,
                position=path[i + lead],
                velocity=velocity[i] if not lead else np.empty(0),
                effort=np.empty(0),
            )
            said.append(Said(*topic, message, made, heard))
    yield from sorted(said, key=lambda one: one.receive_ns)


def _times(count: int, rate_hz: int, start_ns: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Stamps with 1 % jitter, received 1 to 2 ms later, in order."""
    period_ns = 1e9 / rate_hz
    made = np.sort(np.arange(count) * period_ns + rng.normal(0, 0.01 * period_ns, count) + rng.uniform(1e6, 2e6))
    heard = np.maximum.accumulate(made + rng.uniform(1e6, 2e6, count))
    return [(start_ns + int(a), start_ns + int(b)) for a, b in zip(made, heard, strict=True)]


def _header(store: Any, number: int, time_ns: int, frame: str) -> Any:
    stamp = store.types["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    header = store.types["std_msgs/msg/Header"]
    if "seq" in header.__dataclass_fields__:
        return header(seq=number, stamp=stamp, frame_id=frame)
    return header(stamp=stamp, frame_id=frame)
