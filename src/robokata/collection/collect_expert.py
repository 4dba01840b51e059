"""The verb collect_expert: demonstrations of a task by its scripted expert."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from robokata.collection.scripted import ExpertJob, record_expert
from robokata.core.errors import UnknownName
from robokata.core.world import Width
from robokata.runtime.jobs import Production
from robokata.runtime.progress import SILENT, Progress
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of
from robokata.sim.sensors import REALISTIC, Sensors, sensors_from
from robokata.sim.variation import variation_from


def collect_expert(
    task: str,
    *,
    out: str | os.PathLike[str] | None = None,
    robot: str | None = None,
    episodes: int = 10,
    seed: int = 0,
    reset_range: str = "D0",
    clumsiness_share: float = 0.0,
    operators: int = 1,
    size_px: tuple[int, int] | None = (128, 128),
    depth: bool = False,
    realistic: bool = False,
    sensors: Sequence[str] = (),
    factors: Sequence[str] = (),
    keep_failures: bool = False,
    workers: int | None = None,
    on_progress: Progress = SILENT,
) -> Production:
    """Record the scripted expert of a task; a run that was killed goes on where it stopped.

    `out` is `collected/TASK` by default, `robot` the task's usual one. The same `seed` gives the same episodes,
    whatever the number of `workers`. `reset_range` is D0, D1 or D2. `clumsiness_share` adds pauses, detours and missed
    grasps, and `operators` different operators take turns. `size_px` is height and width of pictures (None: none),
    `depth` adds depth and labels. `realistic` gives every sensor its usual rate and noise; `sensors` (`camera_hz=30`)
    change single ones, and `factors` (`light`, `distractors=3`) vary the world.

    Raises:
        UnknownName: there is no such task, robot, range, sensor setting or factor.
        RecipeRefused: the value of a setting or factor cannot be obeyed.
        WriteRefused: the folder holds something else or cannot be written, or the expert fails too often.
    """
    if reset_range not in list(Width):
        raise UnknownName("reset range", reset_range, list(Width))
    variation = variation_from(factors, seed=seed)
    job = ExpertJob(
        scene=replace(scene_of(task, robot), distractors=variation.distractors),
        variation=variation,
        width=Width(reset_range),
        seed=seed,
        filming=Filming(*size_px, depth=depth, segmentation=depth) if size_px else None,
        sensors=sensors_from(sensors, REALISTIC if realistic else Sensors()),
        clumsiness_share=clumsiness_share,
        operators=operators,
        keep_failures=keep_failures,
    )
    on_progress.started(episodes)
    folder = Path(out or Path("collected") / task)
    return record_expert(job, folder, episodes=episodes, workers=workers, advance=on_progress.advance)
