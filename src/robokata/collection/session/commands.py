"""The command schema: one for keyboard, gamepad, mouse, headset and leader arm.

A command is a JSON object (version 1):

| field | value |
|---|---|
| `v` | 1 |
| `type` | `command` |
| `arm` | name of the arm |
| `kind` | `twist`, `pose` or `joints` |
| `frame` | `world`, or `headset` (a held device's pose, followed relative to where its clutch closed) |
| `values` | twist: m/s (3) and rad/s (3); pose: x y z (m), quaternion x y z w; joints: rad, base to tip |
| `opening` | 0 (closed) to 1 (open), or null: leave the jaws |
| `enabled` | false: hold still |
| `clutch` | true while a held device moves the arm |
| `device` | `keyboard`, `gamepad`, `mouse`, `headset`, `leader`, `program` |
| `seq` | rising number |
| `t_ms` | the sender's own clock, ms |
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.collection.session.client_clock import ClientClock
from robokata.core.episode import Arm, Embodiment
from robokata.core.errors import CommandRefused

VERSION = 1
FASTEST_M_S = 1.0
"""A tip faster than this is no person's command: transits of teleoperators reach 0.45 m/s."""
FASTEST_RAD_S = 4.0
"""Faster than a wrist turns on purpose; the arms' joints stop at 2.2 to 4.8 rad/s."""
OLDEST_MS = 200.0
"""What a stalled connection delivers in a burst is the past: it is counted, and not followed."""
FARTHEST_M = 10.0
"""Size of a room: a headset that says more has lost its tracking."""
_BEYOND_REACH_M = 0.25
"""How far past the table's usual part a tip may be sent: the arm's own reach is the finer limit."""
_HIGHEST_M, _LOWEST_M = 0.9, -0.01
_LENGTHS = {"twist": 6, "pose": 7}


class CommandKind(enum.StrEnum):
    """What the values of a command are."""

    TWIST = "twist"
    POSE = "pose"
    JOINTS = "joints"


class Device(enum.StrEnum):
    """What an operator holds."""

    KEYBOARD = "keyboard"
    GAMEPAD = "gamepad"
    MOUSE = "mouse"
    HEADSET = "headset"
    LEADER = "leader"
    PROGRAM = "program"


@dataclass(frozen=True)
class Command:
    """One validated command."""

    arm: str
    kind: CommandKind
    values: NDArray[np.float64]
    """(6,) twist, (7,) pose or (dof,) joints."""
    opening_share: float | None
    is_relative: bool
    """True for poses of a held device in its own space (`frame` is `headset`)."""
    enabled: bool
    clutch: bool
    device: Device
    sequence: int
    client: str
    """Which connection it came from."""
    client_ns: int
    """Sender's own clock."""
    sent_ns: int
    """The same moment on our monotonic clock, as the exchange with the smallest round trip says."""
    received_ns: int
    """Our monotonic clock."""


@dataclass(frozen=True)
class Bounds:
    """What may be asked of each arm of a robot."""

    low_m: NDArray[np.float64]
    """(3,): least x, y, z of a tip in the world."""
    high_m: NDArray[np.float64]
    joints: Mapping[str, NDArray[np.float64]]
    """Arm -> lower and upper joint values, (dof, 2)."""

    def clipped(self, position_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest position (3,) within the bounds."""
        return np.clip(position_m, self.low_m, self.high_m)


def command_bounds(robot: Embodiment, homes_m: NDArray[np.float64]) -> Bounds:
    """The bounds of a robot whose tips rest at `homes_m`, (arms, 3)."""
    reach = np.array([*(robot.reach_m or (0.3, 0.3)), 0.0])
    low = np.minimum(homes_m.min(axis=0), -reach) - _BEYOND_REACH_M
    high = np.maximum(homes_m.max(axis=0), reach) + _BEYOND_REACH_M
    low[2], high[2] = _LOWEST_M, max(_HIGHEST_M, homes_m[:, 2].max() + 0.1)
    return Bounds(low, high, {arm.name: _limits(robot, arm) for arm in robot.arms})


def parse_command(message: Any, bounds: Bounds, *, client: str, clock: ClientClock, received_ns: int) -> Command:
    """Validate a message and turn it into a command.

    Raises:
        CommandRefused: it is not of the schema, not finite, out of range, or too old; the message says which.
    """
    _expect(isinstance(message, dict), "a command is a JSON object")
    _expect(message.get("v") == VERSION, f"version {message.get('v')!r} instead of {VERSION}")
    arm = message.get("arm")
    _expect(isinstance(arm, str) and arm in bounds.joints, f"no arm {arm!r}: there is {', '.join(bounds.joints)}")
    kind = _one_of(CommandKind, message.get("kind"), "kind")
    frame = message.get("frame", "world")
    _expect(frame in ("world", "headset"), f"frame {frame!r} is neither world nor headset")
    is_relative = frame == "headset"
    _expect(not is_relative or kind is CommandKind.POSE, "only a pose can be in the headset's frame")
    values = _numbers(message.get("values"), _LENGTHS.get(kind, len(bounds.joints[arm])), "values")
    _in_range(kind, values, is_relative=is_relative, bounds=bounds, arm=arm)
    opening = message.get("opening")
    if opening is not None:
        opening = float(_numbers([opening], 1, "opening")[0])
        _expect(0.0 <= opening <= 1.0, f"opening {opening:g} is not within 0 and 1")
    sequence, t_ms = message.get("seq"), _numbers([message.get("t_ms")], 1, "t_ms")[0]
    _expect(isinstance(sequence, int) and 0 <= sequence < 2**53, f"seq {sequence!r} is no rising number")
    _expect(0 <= t_ms < 1e13, f"t_ms {t_ms:g} is no clock")
    client_ns = round(t_ms * 1e6)
    return Command(
        arm=arm,
        kind=kind,
        values=values,
        opening_share=opening,
        is_relative=is_relative,
        enabled=message.get("enabled", True) is True,
        clutch=message.get("clutch", False) is True,
        device=_one_of(Device, message.get("device", "program"), "device"),
        sequence=sequence,
        client=client,
        client_ns=client_ns,
        sent_ns=_sent_ns(client_ns, clock, received_ns),
        received_ns=received_ns,
    )


def _sent_ns(client_ns: int, clock: ClientClock, received_ns: int) -> int:
    best = clock.best
    if best is None:
        raise CommandRefused("no exchange of clocks yet: send `ping` and `clock` first")
    round_trip_ms = best.round_trip_ns / 1e6
    _expect(round_trip_ms <= 2 * OLDEST_MS, f"{round_trip_ms:.0f} ms for a round trip: the connection is too slow")
    sent_ns = client_ns + best.offset_ns
    # An offset is known to half a round trip: only what is too old in any case is refused.
    age_ms = (received_ns - sent_ns - best.round_trip_ns / 2) / 1e6
    _expect(age_ms <= OLDEST_MS, f"{age_ms:.0f} ms old when it came: the connection is slow")
    return sent_ns


def _in_range(kind: CommandKind, values: NDArray[np.float64], *, is_relative: bool, bounds: Bounds, arm: str) -> None:
    if kind is CommandKind.TWIST:
        speed, turn = float(np.linalg.norm(values[:3])), float(np.linalg.norm(values[3:]))
        _expect(speed <= FASTEST_M_S, f"{speed:.3g} m/s is more than {FASTEST_M_S:g}")
        _expect(turn <= FASTEST_RAD_S, f"{turn:.3g} rad/s is more than {FASTEST_RAD_S:g}")
    elif kind is CommandKind.POSE:
        length = float(np.linalg.norm(values[3:]))
        _expect(abs(length - 1) < 0.01, f"the quaternion has length {length:.3g} instead of 1")
        if is_relative:
            farthest = float(np.abs(values[:3]).max())
            _expect(farthest <= FARTHEST_M, f"the device is {farthest:.3g} m away")
        else:
            inside = bool(np.all(values[:3] >= bounds.low_m) and np.all(values[:3] <= bounds.high_m))
            _expect(inside, f"{_xyz(values[:3])} lies outside {_xyz(bounds.low_m)} .. {_xyz(bounds.high_m)} m")
    else:
        limits = bounds.joints[arm]
        wrong = np.flatnonzero((values < limits[:, 0] - 1e-6) | (values > limits[:, 1] + 1e-6))
        _expect(
            not len(wrong),
            "".join(
                f"joint {j + 1} at {values[j]:.3g} rad is outside {limits[j, 0]:.3g} .. {limits[j, 1]:.3g}"
                for j in wrong[:1].tolist()
            ),
        )


def _numbers(message: Any, count: int, name: str) -> NDArray[np.float64]:
    _expect(isinstance(message, list) and len(message) == count, f"{name} has to be {count} numbers")
    sound = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in message)
    _expect(sound, f"{name} holds something that is no number")
    # Before they become floats: an integer of a thousand digits has none.
    _expect(
        all(math.isfinite(each) if isinstance(each, float) else abs(each) < 2**53 for each in message),
        f"{name} holds a number that is not finite",
    )
    return np.array(message, dtype=np.float64)


def _one_of(words: Any, message: Any, name: str) -> Any:
    _expect(isinstance(message, str) and message in list(words), f"{name} {message!r} is none of {', '.join(words)}")
    return words(message)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CommandRefused(otherwise)


def _limits(robot: Embodiment, arm: Arm) -> NDArray[np.float64]:
    facts = {joint.name: joint for joint in robot.joints}
    pairs = [(facts[name].lower, facts[name].upper) for name in arm.joints]
    return np.array([(-np.inf if low is None else low, np.inf if high is None else high) for low, high in pairs])


def _xyz(values: NDArray[np.float64]) -> str:
    return "(" + " ".join(f"{value:.3g}" for value in values) + ")"
