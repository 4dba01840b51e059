"""What the name and the values of a channel tell about what it drives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.stream import Stream

_GRIPPER = re.compile(
    # Whole words where a part would match `steering` or `frame_index`; `hand` but not `handle`.
    r"grip|finger|thumb|pinky|claw|jaw|hand(?!l)|aperture|suction|(?:^|[._/ ])(?:index|middle|ring|little)(?:$|[._/ ])",
    re.I,
)
_ORIENTATION = re.compile(
    r"roll|pitch|yaw|euler|orient|rot(?!or)|(?:^|[._/ ])(?:r[xyz]|w[xyz]|q[xyzw])(?:$|[._/ ])", re.I
)
_QUATERNION = re.compile(r"(?:^|[._/ ])q[xyzw]$", re.I)
_POSE = re.compile(r"cartesian|euler|orient|pose|(?:^|[._/ ])(?:eef?|tcp|tool)(?:$|[._/ ])", re.I)
_JOINT = re.compile(r"joint|wrist|elbow|shoulder|arm|waist|hip|knee|ankle|neck|torso", re.I)

_WITHOUT_INERTIA = re.compile(
    r"force|torque|wrench|effort|tactile|pressure|current|voltage|accel|(?:^|[._/ ])(?:ft|imu|load|f[xyz])(?:$|[._/ ])"
    r"|(?:^|[._/ ])(?:q?vel|velocit(?:y|ies)|joint_vel|speed)(?:$|[._/ ])",
    re.I,
)


def is_gripper(stream: Stream, channel: int) -> bool:
    """True where the name of a channel, or of its stream, says that it opens and closes something."""
    return bool(_GRIPPER.search(stream.channel_name(channel)) or _GRIPPER.search(stream.name))


def is_orientation(stream: Stream, channel: int) -> bool:
    """True where the names say angle of a pose. `wrist_roll` is a joint, and a joint is no such angle."""
    name = stream.channel_name(channel)
    if name.isdigit():
        return bool(_POSE.search(stream.name))
    return bool(_ORIENTATION.search(name)) and not _JOINT.search(name)


def is_quaternion(stream: Stream, channel: int) -> bool:
    """True where the name says component of a unit quaternion: a number that no device limits by itself."""
    return bool(_QUATERNION.search(stream.channel_name(channel)))


def may_jump(stream: Stream, channel: int) -> bool:
    """True where the names say force, current, acceleration or speed: a contact changes these in one sample."""
    return bool(_WITHOUT_INERTIA.search(stream.channel_name(channel)) or _WITHOUT_INERTIA.search(stream.name))


def has_few_values(column: NDArray[Any], *, at_most: int = 12) -> bool:
    """True where a channel, (T,), takes few values: a switch, a binary gripper, a mode."""
    # A dozen: open, closed, and the in-between values of a driver that ramps in tenths.
    return len(np.unique(column[:: max(1, len(column) // 4000)])) <= at_most


def listed(names: Sequence[str], *, most: int = 6) -> str:
    """Names for a sentence: `a, b and c`, `a, b, c and 9 more`."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
