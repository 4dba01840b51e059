"""Demonstrations of the scripted expert, by number: one attempt per job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robokata.core.episode import Origin
from robokata.core.errors import WriteRefused
from robokata.core.world import Width, instruction_of
from robokata.runtime.jobs import Made, Production, produce, with_receipt
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import Scene, demonstrate, world_of
from robokata.sim.episode import episode_of
from robokata.sim.gl import mujoco
from robokata.sim.operator import style_of
from robokata.sim.sensors import Sensors
from robokata.sim.variation import NO_VARIATION, Variation


@dataclass(frozen=True)
class ExpertJob:
    """Attempt `number` of the expert; the same number gives the same episode, on every machine of one MuJoCo."""

    scene: Scene
    width: Width
    seed: int
    filming: Filming | None
    sensors: Sensors
    clumsiness_share: float = 0.0
    operators: int = 1
    keep_failures: bool = False
    variation: Variation = NO_VARIATION

    def __call__(self, number: int) -> Made:
        operator = number % self.operators
        style = style_of(operator, seed=self.seed, clumsiness_share=self.clumsiness_share)
        attempt, begun = demonstrate(
            self.scene,
            width=self.width,
            seed=self.seed,
            number=number,
            style=style,
            sensors=self.sensors,
            variation=self.variation,
        )
        row: dict[str, Any] = {
            "success": attempt.success_at_end,
            "duration_s": len(attempt.steps) / self.scene.control_hz,
            "reached": list(attempt.reached),
            "operator": operator,
        }
        if not attempt.success_at_end and not self.keep_failures:
            return Made(row)
        rng, leaf = np.random.default_rng([self.seed, number, 1]), self.scene.leaf
        setup, wording = begun.setup, int(rng.integers(len(leaf.INSTRUCTIONS)))
        episode = episode_of(
            attempt,
            world_of(self.scene),
            id=f"{self.scene.task}-{self.scene.robot}-{self.width}-s{self.seed}-{number:06d}",
            instruction=instruction_of(leaf, setup, paraphrase=wording),
            made={
                "task": self.scene.task,
                "width": str(self.width),
                "seed": [self.seed, number],
                "words": dict(setup.words),
                "by": "expert",
                "style": asdict(style),
                "factors": begun.factors,
            },
            origin=Origin(session=f"seed {self.seed}", operator=f"expert {operator}"),
            filming=self.filming,
            rng=rng,
        )
        return Made(row, episode, counts=attempt.success_at_end)

    def described(self) -> dict[str, Any]:
        """What makes two runs the same: everything but how many."""
        return {
            "by": "expert",
            "scene": asdict(self.scene),
            "width": str(self.width),
            "seed": self.seed,
            "filming": None if self.filming is None else self.filming.to_json(),
            "sensors": self.sensors.to_json(),
            "clumsiness_share": self.clumsiness_share,
            "operators": self.operators,
            "keep_failures": self.keep_failures,
            "variation": self.variation.to_json(),
        }


def record_expert(
    job: ExpertJob,
    out: Path,
    *,
    episodes: int,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Production:
    """Record the scripted expert until `episodes` are kept; a run that was killed goes on where it stopped.

    Raises:
        WriteRefused: the folder holds something else or cannot be written, or the expert fails so often that four
            attempts per episode are not enough.
    """
    recipe = job.described()
    lines = produce(job, out, wanted=episodes, at_most=4 * episodes, same_as=recipe, workers=workers, advance=advance)
    made = with_receipt(out, lines, recipe, versions={"mujoco": mujoco().__version__})
    if made.kept < episodes:
        raise WriteRefused(
            f"{out}: the expert succeeded in {made.succeeded} of {made.tried} attempts at {job.scene.task} "
            f"{job.width}; {made.kept} of {episodes} episodes were kept. Ask for a narrower reset range or a less "
            "clumsy expert."
        )
    return made
