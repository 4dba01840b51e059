"""What a policy is shown of a world: the streams that it asks for, as they would have been recorded."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import PolicySpec, StreamNeed
from robokata.core.errors import PolicyFailed, UnknownName
from robokata.geometry.poses import continuous_quats
from robokata.sim.render import renderer_of
from robokata.sim.world import SimWorld

_PICTURES = "observation.images."
_NUMBERS = ("observation.state", "observation.tip_pose", "simulation.objects", "action", "action.tip_pose")
_COMMANDS = ("action", "action.tip_pose")


class Seen(NamedTuple):
    """Hashes of what a policy saw first: whether a probe changed what it should, and nothing else."""

    pictures: str
    numbers: str
    instruction: str
    physics: str
    """What is not seen: masses, frictions, sizes, and the joints' start."""


class Senses:
    """The observations of one attempt. A class, because a policy may ask for the past.

    Numbers come as they are recorded: quaternions whose sign never jumps.
    """

    def __init__(
        self,
        world: SimWorld,
        spec: PolicySpec,
        instruction: str,
        *,
        size_px: tuple[int, int],
        pixel_noise_levels: float,
        rng: np.random.Generator,
    ) -> None:
        self._world, self._spec, self.instruction = world, spec, instruction
        self._size_px, self._noise_levels, self._rng = size_px, pixel_noise_levels, rng
        self._needs = [need for need in spec.needs if self._has(need)]
        oldest_s = max((-min(need.at_s) for need in self._needs), default=0.0)
        self._past: deque[dict[str, Any]] = deque(maxlen=round(oldest_s * world.control_hz) + 1)
        self._last: dict[str, NDArray[np.float64]] = {}

    def look(self) -> None:
        """Take in this moment; called once per control step."""
        now: dict[str, Any] = {}
        physics = self._world.physics_state() if any(_is_picture(need) for need in self._needs) else None
        for need in self._needs:
            now[need.name] = self._picture(need.name, physics) if _is_picture(need) else self._numbers(need.name)
        self._past.append(now)

    def observation(self) -> dict[str, Any]:
        """Stream name -> array as the policy's `StreamNeed` says, the instruction, and the time."""
        out: dict[str, Any] = {"instruction": self.instruction, "time_s": self._world.time_s}
        for need in self._needs:
            rows = [self._at(need.name, at_s) for at_s in need.at_s]
            out[need.name] = rows[0] if need.at_s == (0.0,) else np.stack(rows)
        return out

    def seen(self) -> Seen:
        """Hashes of the newest moment."""
        now = self._past[-1]
        pictures = [now[need.name] for need in self._needs if _is_picture(need)]
        numbers = [np.round(now[need.name], 9) for need in self._needs if not _is_picture(need)]
        model = self._world.model
        hidden = [model.body_mass, model.geom_friction, model.geom_size, model.geom_type, self._world.data.qpos]
        return Seen(
            _hash(pictures), _hash(numbers), _hash([np.frombuffer(self.instruction.encode(), np.uint8)]), _hash(hidden)
        )

    def _at(self, name: str, at_s: float) -> Any:
        back = round(-at_s * self._world.control_hz)
        # Before the attempt began nothing was different from its first moment.
        return self._past[max(len(self._past) - 1 - back, 0)][name]

    def _has(self, need: StreamNeed) -> bool:
        cameras = [f"{_PICTURES}{camera}" for camera in self._world.robot.cameras]
        if need.name in (*_NUMBERS, *cameras):
            return True
        if need.is_optional:
            return False
        raise UnknownName("stream of the simulated world", need.name, (*_NUMBERS, *cameras))

    def _numbers(self, name: str) -> NDArray[np.float64]:
        world = self._world
        if name == "observation.state":
            return world.state()
        if name == "action":
            return world.action()
        rows = {
            "observation.tip_pose": world.tips,
            "simulation.objects": world.objects,
            "action.tip_pose": world.commands,
        }[name]()
        before = self._last.get(name)
        for row, old in zip(rows, rows if before is None else before, strict=True):
            pair = np.stack([old[3:7], row[3:7]])
            row[3:7] = continuous_quats(pair)[1] if before is None else _same_sign(pair)
        self._last[name] = rows
        return np.asarray(rows).reshape(-1)

    def _picture(self, name: str, physics: NDArray[np.float64] | None) -> NDArray[np.uint8]:
        height_px, width_px = self._size_px
        renderer = renderer_of(self._world, height_px=height_px, width_px=width_px)
        renderer.at(np.asarray(physics))
        picture = renderer.rgb(name.removeprefix(_PICTURES))
        if self._noise_levels:
            noise = self._rng.normal(0.0, self._noise_levels, picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        return picture


def refuse_unknown_streams(seen: Sequence[str], action: str, world: SimWorld) -> None:
    """Refuse what a policy would see or command where the simulated world has no such stream.

    Raises:
        UnknownName: there is none; the message lists those that there are.
    """
    cameras = [f"{_PICTURES}{camera}" for camera in world.robot.cameras]
    for name in seen:
        if name not in (*_NUMBERS, *cameras):
            raise UnknownName("stream of the simulated world", name, (*_NUMBERS, *cameras))
    if action not in _COMMANDS:
        raise UnknownName("action of the simulated world", action, _COMMANDS)


def refuse_misfit(spec: PolicySpec, world: SimWorld) -> None:
    """Refuse a policy whose actions are not this robot's.

    Raises:
        PolicyFailed: it commands a stream or channels that the robot does not have.
    """
    known = {"action": world.action_channels, "action.tip_pose": world.command_channels}
    wanted = known.get(spec.action_stream)
    if wanted is None:
        raise PolicyFailed("refused", f"the policy answers {spec.action_stream!r}; known: {', '.join(known)}.")
    if set(spec.channels) != set(wanted):
        raise PolicyFailed(
            "refused",
            f"the policy commands {', '.join(spec.channels)}, and {world.robot.name} has {', '.join(wanted)}. "
            f"It was trained for another robot.",
        )


def _is_picture(need: StreamNeed) -> bool:
    return need.name.startswith(_PICTURES)


def _same_sign(pair: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(pair[1] if float(pair[0] @ pair[1]) >= 0 else -pair[1])


def _hash(arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


NOTHING_SEEN = _hash([])
"""The hash of pictures, or of numbers, where a policy looks at none."""
