"""What a robomimic file says about all its demonstrations: simulator, robot, rate, task, splits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from robokata.containers.hdf5.file import Container
from robokata.core.clock import rate_fraction
from robokata.core.episode import Instruction


@dataclass(frozen=True)
class RobomimicFile:
    """What one file says about all its demonstrations."""

    attributes: Mapping[str, Any]
    env_args: Mapping[str, Any]
    masks: Mapping[str, Sequence[str]]
    others: Mapping[str, Any]
    """Whatever lies beside `data` and `mask`."""

    @cached_property
    def rate_hz(self) -> Fraction | None:
        """`env_kwargs.control_freq`: the rate at which the simulator took actions."""
        rate = _kwargs(self.env_args).get("control_freq")
        return rate_fraction(rate) if isinstance(rate, (int, float)) and not isinstance(rate, bool) else None

    @cached_property
    def robot(self) -> str | None:
        robots = _kwargs(self.env_args).get("robots")
        names = [robots] if isinstance(robots, str) else robots
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            return None
        return " + ".join(names)

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        names = _kwargs(self.env_args).get("camera_names")
        return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()

    def camera_size(self, stream: str) -> dict[str, int]:
        """Height and width that the simulator was asked for of the camera that a stream is named after, if any."""
        kwargs = _kwargs(self.env_args)
        camera = next((n for n, name in enumerate(self.cameras) if stream.rpartition("/")[2].startswith(name)), None)
        if camera is None:
            return {}
        said = {"height": kwargs.get("camera_heights"), "width": kwargs.get("camera_widths")}
        # One number for all cameras, or a list with one for each.
        sides = {name: n[camera] if isinstance(n, list) and camera < len(n) else n for name, n in said.items()}
        return {name: side for name, side in sides.items() if isinstance(side, int) and count_of(side)}

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """LIBERO writes the task's sentence into `problem_info`, as a text or as a list of its pieces."""
        told = _json(self.attributes.get("problem_info")).get("language_instruction")
        if isinstance(told, list) and all(isinstance(piece, str) for piece in told):
            told = "".join(told)
        return (Instruction(told, source="problem_info.language_instruction"),) if isinstance(told, str) else ()

    def instructions_of(self, attributes: Mapping[str, Any]) -> tuple[Instruction, ...]:
        """RoboCasa writes each demonstration's own sentence into its `ep_meta`; else the file's."""
        told = _json(attributes.get("ep_meta")).get("lang")
        return (Instruction(told, source="ep_meta.lang"),) if isinstance(told, str) else self.instructions

    def split(self, demo: str) -> str | None:
        """The first of robomimic's split masks that names the demonstration."""
        return next((name for name in ("train", "valid", "test") if demo in self._members.get(name, ())), None)

    @cached_property
    def _members(self) -> dict[str, frozenset[str]]:
        return {name: frozenset(demos) for name, demos in self.masks.items()}


def open_file(box: Container) -> RobomimicFile:
    """Read what stands above the demonstrations.

    Raises:
        DamagedData: there is no group `data`, or something beside it cannot be read.
    """
    attributes = box.attributes("data")
    masks: dict[str, list[str]] = {}
    others: dict[str, Any] = dict(box.attributes("/"))
    for name, raw in box.children("/").items():
        if name == "data":
            continue
        if not box.is_group(raw):
            others[name] = box.whole(box.table(raw))
            continue
        listing = box.listing(raw)
        for table in listing.tables:
            if name == "mask" and table.content == "text" and len(table.shape) == 1:
                masks[table.name] = [str(member) for member in box.values(table)[:]]
            else:
                others[f"{name}/{table.name}"] = box.whole(table)
        others.update({f"{name}/{group}": about for group, about in listing.group_attributes.items()})
    return RobomimicFile(attributes, _json(attributes.get("env_args")), masks, others)


def count_of(value: Any) -> int | None:
    """A declared number as a count, None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _kwargs(env_args: Mapping[str, Any]) -> Mapping[str, Any]:
    kwargs = env_args.get("env_kwargs")
    return kwargs if isinstance(kwargs, dict) else {}


def _json(told: Any) -> dict[str, Any]:
    """A JSON object in an attribute, {} where there is none; the text itself stays in the attributes."""
    if not isinstance(told, str):
        return {}
    try:
        parsed = json.loads(told)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
