"""A robot and a teleoperator with exactly LeRobot's interface, and nothing of ours: what the tests drive.

`ROBOT_LOG` in the environment names a file to which every connect, action and disconnect is written.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass

import numpy as np

JOINTS = ("shoulder.pos", "elbow.pos", "gripper.pos")


def _log(text: str) -> None:
    if "ROBOT_LOG" in os.environ:
        with open(os.environ["ROBOT_LOG"], "a", encoding="utf-8") as file:
            file.write(text + "\n")


@dataclass
class ArmConfig:
    height: int = 48
    width: int = 64
    fails_when: str | None = None
    """It fails as soon as this file exists."""
    how: str = "dies"
    """`dies`, `exits`, `stalls` or `nan`."""
    clip: float = 0.5
    noisy: bool = False


class Arm:
    config_class = ArmConfig
    name = "fake_arm"

    def __init__(self, config: ArmConfig) -> None:
        self.config, self.count = config, 0
        self.joints = dict.fromkeys(JOINTS, 0.0)
        self._connected = False

    @property
    def observation_features(self) -> dict[str, object]:
        return {**dict.fromkeys(JOINTS, float), "front": (self.config.height, self.config.width, 3)}

    @property
    def action_features(self) -> dict[str, object]:
        return dict.fromkeys(JOINTS, float)

    @property
    def is_connected(self) -> bool:
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        self._connected = True
        _log("connect robot")

    def calibrate(self) -> None: ...

    def configure(self) -> None: ...

    def get_observation(self) -> dict[str, object]:
        assert self._connected
        self.count += 1
        if self.config.noisy:
            print("a driver that prints what it does", flush=True)  # noqa: T201 - what drivers do
        if self.config.fails_when is not None and os.path.exists(self.config.fails_when):
            if self.config.how == "dies":
                raise ConnectionError("the bus is gone")
            if self.config.how == "exits":
                os._exit(7)
            if self.config.how == "stalls":
                time.sleep(1000)
            return {**self.joints, "elbow.pos": math.nan, "front": self._picture()}
        return {**self.joints, "front": self._picture()}

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        assert self._connected
        sent = {name: max(-self.config.clip, min(self.config.clip, float(value))) for name, value in action.items()}
        self.joints.update(sent)
        if not all(math.isfinite(value) for value in action.values()):
            _log("NOT FINITE")
        return sent

    def disconnect(self) -> None:
        self._connected = False
        _log("disconnect robot")

    def _picture(self) -> np.ndarray:
        picture = np.zeros((self.config.height, self.config.width, 3), np.uint8)
        picture[..., 0] = self.count % 256
        return picture


@dataclass
class LeaderConfig:
    nan_at: int | None = None


class Leader:
    config_class = LeaderConfig
    name = "fake_leader"

    def __init__(self, config: LeaderConfig) -> None:
        self.config, self.count = config, 0

    @property
    def action_features(self) -> dict[str, object]:
        return dict.fromkeys(JOINTS, float)

    @property
    def feedback_features(self) -> dict[str, object]:
        return {}

    def connect(self, calibrate: bool = True) -> None:
        _log("connect teleoperator")

    def get_action(self) -> dict[str, float]:
        self.count += 1
        if self.count == self.config.nan_at:
            return dict.fromkeys(JOINTS, math.nan)
        return {name: math.sin(self.count / 10 + index) for index, name in enumerate(JOINTS)}

    def send_feedback(self, feedback: dict[str, float]) -> None: ...

    def disconnect(self) -> None:
        _log("disconnect teleoperator")
