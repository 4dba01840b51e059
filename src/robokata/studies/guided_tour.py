"""The guided tour of the whole loop: demonstrate, record badly, check, clean, expand, train, evaluate, compare."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robokata.collection.scripted import ExpertJob, record_expert
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.leaf_kinds import episode_step, writable_format
from robokata.core.source import Source
from robokata.core.world import Width
from robokata.runtime.atomic import replace_text
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of
from robokata.sim.sensors import Sensors
from robokata.studies.spec import Study, study_from

TASK, DEMONSTRATIONS, OPERATORS = "stack", 30, 3
DEFECTS = ("stuck_encoder", "idle_stretch")
"""What goes wrong on real rigs and hurts this policy: a joint's reading that stops, and an arm that is started long
after the recorder."""
SPOILT_SHARE = 1 / 3
STUDY_TOML = """\
name = "Is it worth cleaning, and expanding, these demonstrations?"
task = "{task}"
policy = "bc_mlp"
steps = {steps}
training_seeds = {seeds}
trials = {trials}
seed = {seed}
design = "one_at_a_time"

[data]
[[data.source]]
path = "{source}"

[[factor]]
name = "data"
[[factor.level]]
name = "as recorded"
[[factor.level]]
name = "cleaned"
checks = {{ level = "{level}" }}
[[factor.level]]
name = "cleaned and expanded"
checks = {{ level = "{level}" }}
expand = {{ by = "demonstrations", episodes = {expanded} }}
"""
STEPS, SEEDS, TRIALS, EXPANDED, LEVEL = 600, 4, 50, 100, "warning"
# Four seeds, not three: with three the interval is a third wider (Student's t has two degrees of freedom), and whether
# small effects are resolved then depends on the processor that trains.
CLAIMED = "cleaned"
"""The level whose advantage over a random subset of equal size the tour is made to show, on every processor."""


class Spoilt(NamedTuple):
    """A defect that the tour plants, to see whether it is found."""

    episode: str
    check: str


def record(out: Path, *, seed: int, workers: int | None, advance: Callable[[int], None]) -> Source:
    """Thirty demonstrations of three scripted operators.

    Raises:
        WriteRefused: the folder holds something else.
    """
    job = ExpertJob(scene_of(TASK), Width.D0, seed, Filming(96, 96), Sensors(), operators=OPERATORS)
    record_expert(job, out, episodes=DEMONSTRATIONS, workers=workers, advance=advance)
    return open_source(out)


def spoil(source: Source, out: Path, *, seed: int) -> list[Spoilt]:
    """The same episodes as a careless recorder would have kept them: a third of them with a defect.

    Raises:
        WriteRefused: the target is occupied.
    """
    keys = list(source.keys())
    rng = np.random.default_rng([seed, 29])
    chosen = rng.permutation(len(keys))[: round(SPOILT_SHARE * len(keys))]
    planted = {keys[int(index)]: DEFECTS[order % len(DEFECTS)] for order, index in enumerate(chosen)}
    writable_format("mcap").write(out, _spoilt(source, planted, seed))
    return [Spoilt(key, check) for key, check in sorted(planted.items())]


def question(source: Path, folder: Path, *, seed: int = 0) -> Study:
    """The study that the tour runs, written into its folder as a file that anyone can run again.

    `seed` is the study's: training seeds and the resets of trials follow from it.
    """
    relative = source.relative_to(folder) if source.is_relative_to(folder) else source
    text = STUDY_TOML.format(
        task=TASK, steps=STEPS, seeds=SEEDS, trials=TRIALS, seed=seed, source=relative, expanded=EXPANDED, level=LEVEL
    )
    path = folder / "study.toml"
    replace_text(path, text)
    return study_from(tomllib.loads(text), where=str(path), folder=str(folder))


def _spoilt(source: Source, planted: dict[str, str], seed: int) -> Sequence[Episode]:
    step = episode_step("plant_defect").step
    out = []
    for key in source.keys():
        episode = source.episode(key)
        if key in planted:
            (episode,) = step(episode, check=planted[key], seed=seed)
        out.append(episode)
    return out
