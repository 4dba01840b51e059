"""Expansion by demonstrations: ten people's episodes told again as a thousand."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robokata.core.contracts import ExpansionJobs
from robokata.core.detection import reopen
from robokata.core.episode import Origin
from robokata.core.errors import RecipeRefused, UnknownName, Unsupported
from robokata.core.source import Source
from robokata.core.world import Width, instruction_of
from robokata.runtime.jobs import Made
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import Scene, world_of
from robokata.sim.episode import episode_of
from robokata.sim.gl import mujoco
from robokata.sim.segments import Demonstration, demonstration_of, scene_told_by
from robokata.sim.sensors import Sensors
from robokata.sim.trajectory_transfer import Generated, generate
from robokata.sim.transfer_options import Tellings, tellings_from

_SPLITS = ("train", "val")
_MOST_VAL_SHARE = 0.9
"""More would leave hardly anything to learn from."""


@dataclass(frozen=True)
class TellingJob:
    """Attempt `number` of the generator: the same number gives the same episode, whoever does it."""

    path: str
    format: str
    keys: tuple[str, ...]
    """Source demonstrations."""
    scene: Scene
    width: Width
    seed: int = 0
    tellings: Tellings = field(default_factory=Tellings)
    filming: Filming | None = field(default_factory=Filming)
    sensors: Sensors = field(default_factory=Sensors)
    keep_failures: bool = False
    clean_actions: bool = False
    """True: `action.tip_pose` is the command as meant; else the one that was sent, with its wander."""
    val_share: float = 0.0
    """Share of source demonstrations whose descendants are the split `val`."""

    def __call__(self, number: int) -> Made:
        rng = np.random.default_rng([self.seed, number, 3])
        split, sources = self._family(rng)
        made = generate(
            self.scene, sources, self.tellings, width=self.width, seed=[self.seed, number], sensors=self.sensors
        )
        row = self._row(made)
        is_good = made.attempt.success_at_end
        if not is_good and not self.keep_failures:
            return Made(row)
        return Made(row, self._episode(made, number, split, sources, rng), counts=is_good)

    def described(self) -> dict[str, Any]:
        """What makes two runs the same: everything but how many."""
        return {
            "by": "demonstrations",
            "source": self.path,
            "source_format": self.format,
            "demonstrations": list(self.keys),
            "scene": {"task": self.scene.task, "robot": self.scene.robot, "control_hz": self.scene.control_hz},
            "width": str(self.width),
            "seed": self.seed,
            "tellings": self.tellings.to_json(),
            "filming": None if self.filming is None else self.filming.to_json(),
            "sensors": self.sensors.to_json(),
            "keep_failures": self.keep_failures,
            "clean_actions": self.clean_actions,
            "val_share": self.val_share,
        }

    def _family(self, rng: np.random.Generator) -> tuple[str | None, Sequence[Demonstration]]:
        """The split of this attempt and the sources it may use: one demonstration's descendants share its split."""
        families = _families(self.path, self.format, self.keys, self.scene, self.val_share, self.seed)
        names = sorted(families, key=str)
        shares = np.array([len(families[name]) for name in names], dtype=float)
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        return name, families[name]

    def _row(self, made: Generated) -> dict[str, Any]:
        return {
            "success": made.attempt.success_at_end,
            "reason": made.reason,
            "duration_s": len(made.attempt.steps) / self.scene.control_hz,
            "told": {told.subtask: told.source for told in made.told},
            "reset": {name: [float(v) for v in _planar(pose)] for name, pose in made.setup.poses.items()},
        }

    def _episode(
        self,
        made: Generated,
        number: int,
        split: str | None,
        sources: Sequence[Demonstration],
        rng: np.random.Generator,
    ) -> Any:
        leaf, world = self.scene.leaf, world_of(self.scene)
        used = {told.source for told in made.told}
        kin = sorted({name for source in sources if source.id in used for name in source.ancestry})
        if self.clean_actions:
            made.attempt.commands[:] = made.attempt.labels["clean_tip_pose"]
        return episode_of(
            made.attempt,
            world,
            id=f"{self.scene.task}-{self.scene.robot}-{self.width}-told-{_digest(self.described())[:8]}-{number:06d}",
            instruction=instruction_of(leaf, made.setup, paraphrase=int(rng.integers(len(leaf.INSTRUCTIONS)))),
            made={
                "task": self.scene.task,
                "width": str(self.width),
                "seed": [self.seed, number],
                "words": dict(made.setup.words),
                "by": "demonstrations",
                "told": {told.subtask: told.source for told in made.told},
                "failed_because": made.reason or None,
                "actions": "clean" if self.clean_actions else "applied",
            },
            origin=Origin(
                split=split,
                session=f"expansion {_digest(self.described())[:8]}",
                made_from=tuple(kin),
            ),
            filming=self.filming,
            rng=rng,
        )


def plan(
    source: Source,
    *,
    keys: Sequence[str],
    seed: int = 0,
    size_px: tuple[int, int] | None = (128, 128),
    # Where props may lie at the reset: D0, D1 or D2; None: as in the sources.
    reset_range: str | None = None,
    # How subtasks are retargeted (`choice`, `noise_m`, ...), as a table or the path of a TOML file.
    spec: Mapping[str, Any] | None = None,
    keep_failures: bool = False,
    # Store commands without the noise that moves the arm.
    clean_actions: bool = False,
    # Share of the sources whose descendants are the split `val`.
    val_share: float = 0.0,
) -> ExpansionJobs:
    """Jobs that retarget these demonstrations to new resets.

    Raises:
        Unsupported: they were not recorded in a simulated world, or there are none.
        UnknownName: the spec names a subtask that the task does not have.
        RecipeRefused: the spec cannot be obeyed.
    """
    if not keys:
        raise Unsupported(f"{source.path}: there are no episodes to tell again.")
    tellings = tellings_from(spec or {}, where="spec")
    first = source.episode(keys[0])
    scene = scene_told_by(first)
    parts = [str(name) for name in first.extra["simulation"].get("subtasks", ())]
    for name in tellings.of_subtask:
        if name not in parts:
            raise UnknownName(f"subtask of {scene.task}", name, parts)
    job = TellingJob(
        path=str(source.path),
        format=source.format,
        keys=tuple(keys),
        scene=scene,
        width=Width(reset_range or str(first.extra["simulation"].get("width", "D0"))),
        seed=seed,
        tellings=tellings,
        filming=Filming(*size_px) if size_px else None,
        keep_failures=keep_failures,
        clean_actions=clean_actions,
        val_share=val_share,
    )
    _families(job.path, job.format, job.keys, job.scene, job.val_share, job.seed)
    return ExpansionJobs(
        job,
        job.described(),
        may_fall_short=False,
        attempt=f"attempts at {scene.task} {job.width}",
        advice="Give more or better demonstrations, or a narrower reset_range.",
        versions={"mujoco": mujoco().__version__},
    )


def validate(*, where: str, reset_range: str | None, spec: Mapping[str, Any] | None, val_share: float) -> None:
    """Refuse options that no data could obey; messages begin with `where`.

    Raises:
        RecipeRefused: there is no such range or setting, or the share is none.
    """
    if reset_range is not None and reset_range not in list(Width):
        raise RecipeRefused(f"{where}: reset_range is {reset_range!r}. It is one of {', '.join(Width)}.")
    if not 0 <= val_share <= _MOST_VAL_SHARE:
        raise RecipeRefused(f"{where}: val_share is {val_share!r}, and a number from 0 to {_MOST_VAL_SHARE} is needed.")
    tellings_from(spec or {}, where=f"{where}, spec")


@functools.lru_cache(maxsize=2)
def _families(
    path: str, format: str, keys: tuple[str, ...], scene: Scene, val_share: float, seed: int
) -> Mapping[str | None, tuple[Demonstration, ...]]:
    """Split -> demonstrations: the sources' own splits, or those that `val_share` draws; read once per process."""
    source = reopen(path, format)
    found = [demonstration_of(source.episode(key), scene) for key in keys]
    good = [each for each in found if each.reached]
    if not good:
        raise Unsupported(f"{path}: no episode reached a subtask: there is nothing to tell again.")
    if any(each.split for each in good) or not val_share:
        splits: list[str | None] = [each.split for each in good]
    else:
        # At least one each: a validation set without sources would be empty.
        held = min(max(1, round(val_share * len(good))), len(good) - 1)
        order = np.random.default_rng([seed, 17]).permutation(len(good))
        splits = [_SPLITS[int(rank < held)] for rank in np.argsort(order)]
    return {name: tuple(e for e, split in zip(good, splits, strict=True) if split == name) for name in set(splits)}


def _planar(pose: Any) -> tuple[float, float, float]:
    return float(pose[0, 3]), float(pose[1, 3]), float(np.arctan2(pose[1, 0], pose[0, 0]))


def _digest(recipe: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, default=str).encode()).hexdigest()
