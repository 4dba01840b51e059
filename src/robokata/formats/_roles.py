"""What a column of a table is for, by the words of its name and by what it holds: one answer for every format.

A format that fixes a name by its documentation (`observations/qpos` of ALOHA) says so itself; everything else is asked
here, so that `robot_state` or `action_is_pad` means the same wherever it stands.
"""

from __future__ import annotations

import re

import numpy as np

from robokata.core.stream import Kind, Role

_ENDINGS = {"is_first", "is_last", "is_terminal", "done", "dones", "terminal", "terminals", "terminated", "truncated"}
_ENDINGS |= {"timeout", "timeouts", "success", "successes", "is_success", "terminations", "truncations"}
_REWARDS = {"reward", "rewards"}
_LANGUAGE = {"language", "instruction", "instructions", "annotation", "task", "prompt", "utterance", "subtask"}
_ACTIONS = {"action", "actions"}
_PAST = {"prev", "previous", "last", "past", "next"}
"""What was commanded before, as an observation of this step."""
_OBSERVED = {"obs", "observation", "observations"}
_SENSORS = {"force", "forces", "torque", "torques", "wrench", "ft", "imu", "tactile", "accelerometer", "gyro"}
_SENSORS |= {"depth", "lidar", "pointcloud", "keypoint", "keypoints"}
_ROBOT = {"proprio", "proprioception", "proprioceptive", "qpos", "qvel", "joint", "joints", "eef", "ee", "tcp"}
_ROBOT |= {"cartesian", "gripper", "agent", "endpose", "effector", "arm"}
_MOTION = {"state", "states", "pose", "poses", "position", "positions", "velocity", "velocities", "orientation"}
_OTHERS = {"object", "objects", "obj", "cube", "goal", "target", "env", "environment", "scene", "sim", "simulator"}
_OTHERS |= {
    "camera",
    "cam",
    "cam2world",
    "extrinsic",
    "extrinsics",
    "intrinsic",
    "intrinsics",
    "to",
    "privileged",
    "datagen",
}
"""Words that say that a pose or state is of something else than the robot, or between it and something else."""
_FLAGS = {"pad", "pads", "padded", "padding", "mask", "masks", "masked", "valid", "validity"}
"""Which samples count, of whatever the rest of the name says: by itself neither state nor action nor picture."""
_FACTS = {"index", "idx", "id", "ids", "timestamp", "timestamps", "stamp", "time", "times", "length", "len", "count"}
_FACTS |= {"dim", "horizon", "type", "mode", "freq", "frequency", "rate"}
"""Last words of a name that say a fact about a stream, not its samples."""


def words_of(name: str) -> list[str]:
    """The words of a name in small letters: `obs/robot0_eefPos` has obs, robot0, eef, pos."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^0-9a-z]+", spaced.lower()) if word]


def is_flag(name: str, dtype: np.dtype[np.generic]) -> bool:
    """True for `action_is_pad`, `observation.images.top_is_pad`, `action_mask`: flags beside what they name."""
    words = set(words_of(_leaf(name)))
    return bool(_FLAGS & words) or (dtype == np.bool_ and bool({"is", "has"} & words))


def column_role(name: str, kind: Kind, dtype: np.dtype[np.generic], *, otherwise: Role = Role.UNKNOWN) -> Role:
    """What a column is for; `otherwise` where neither its name nor its samples say it.

    By name first, then by content: a flag or a text that is called after a state is no state.
    """
    if kind in (Kind.VIDEO, Kind.IMAGE):
        return Role.CAMERA
    is_of_numbers = kind is Kind.TENSOR and dtype.kind in "biuf"
    if _leaf(name).lower() in _ENDINGS:
        return Role.ENDING if is_of_numbers else otherwise
    if is_flag(name, dtype):
        return otherwise
    if _ends_as(name, _REWARDS) or _leaf(name).lower() == "discount":
        return Role.REWARD if is_of_numbers else otherwise
    if _is_language(name, kind):
        return Role.LANGUAGE
    if not is_of_numbers:
        return otherwise
    if _is_action(name):
        # Among the observations stands what was commanded before.
        return Role.UNKNOWN if words_of(name)[0] in _OBSERVED else Role.ACTION
    return _measured(name, otherwise)


def is_language(name: str) -> bool:
    """True where a name says that it holds language."""
    return bool(_LANGUAGE & set(words_of(name)))


def _leaf(name: str) -> str:
    return re.split(r"[/.]", name.rstrip("/."))[-1]


def _ends_as(name: str, wanted: set[str]) -> bool:
    words = words_of(_leaf(name))
    return bool(words) and words[-1] in wanted


def _is_language(name: str, kind: Kind) -> bool:
    words = words_of(name)
    # Embeddings of language are numbers; numbers of tasks are counters, and `task_space` is no sentence.
    return is_language(name) if kind is Kind.TEXT else bool({"language", "instruction", "instructions"} & set(words))


def _is_action(name: str) -> bool:
    """By any level of the name: `action/gripper` is a part of the action, `joint_action/left_arm` too."""
    *levels, leaf = [words_of(level) for level in re.split(r"[/.]", name) if words_of(level)]
    own = _names_action(leaf) and (leaf[-1] not in _FACTS or len(leaf) == 1)
    return own or any(_names_action(level) for level in levels)


def _names_action(words: list[str]) -> bool:
    return (words[0] in _ACTIONS or words[-1] in _ACTIONS) and not _PAST & set(words)


def _measured(name: str, otherwise: Role) -> Role:
    words, last = set(words_of(name)), words_of(_leaf(name))[-1:]
    if words & _SENSORS and not words & {"joint", "joints"}:
        return Role.SENSOR
    if words & _OTHERS or (last and last[0] in _FACTS):
        return Role.SENSOR if words & _MOTION else otherwise
    is_robot = bool(words & _ROBOT) or any(re.fullmatch(r"robot\d*", word) for word in words)
    return Role.STATE if is_robot or words & _MOTION else otherwise
