"""What a study is refused for before anything is trained.

Its data cannot be learnt from, or no trial can evaluate what is learnt: trials run in simulation, on simulated robots,
with their streams, at their tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from robokata.core.episode import Episode
from robokata.core.errors import RobokataError, StudyRefused, TrainingRefused
from robokata.curation.curate import curated
from robokata.evaluation.observations import refuse_unknown_streams
from robokata.learn.trainable import habits_of
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.gather import gather
from robokata.loading.layout import channels_of
from robokata.loading.window_spec import WindowSpec
from robokata.sim.demonstration import robots_for, scene_of, world_of
from robokata.sim.segments import scene_told_by
from robokata.studies.design import Arm
from robokata.studies.run import Data, training_of
from robokata.studies.spec import Study
from robokata.training.data import Weighted, opened, readable_episodes, window_for


def refuse_impossible(study: Study, arm: Arm) -> None:
    """Say what an arm asks for that its recorded data or the trials cannot give; nothing is written.

    Raises:
        RecipeRefused: its recipe cannot be obeyed.
        TrainingRefused: a stream is asked for that the data lack.
        StudyRefused: no trial can evaluate what would be learnt, or nothing can be generated from its data.
    """
    source = curated(arm.recipe, is_for_training=True).source
    keys = tuple(source.keys())
    if not keys:
        raise StudyRefused(f"arm {arm.name}: no episode is left to learn from.")
    given = Weighted(source, keys, None)
    window = _window(study, training_of(study, arm, ()), [given], arm.name)
    episodes = readable_episodes(given)
    _refuse_other_robots(study, arm, episodes)
    _refuse_other_tasks(study, arm, episodes)
    _refuse_unlike_trials(study, arm, episodes, window)
    _refuse_unlearnable(arm, episodes, window)
    if arm.expansions:
        try:
            scene_told_by(episodes[0])
        except RobokataError as refused:
            raise StudyRefused(f"arm {arm.name}: expand needs recordings of a simulated world: {refused}") from None


def refuse_untrainable(study: Study, data: Data) -> None:
    """The same of data that are made.

    Raises:
        TrainingRefused: a stream is asked for that the data lack.
    """
    _window(study, data.spec, [opened(each) for each in data.spec.sources], data.arm)


def _window(study: Study, spec: TrainingSpec, sources: Sequence[Weighted], arm: str) -> WindowSpec:
    try:
        return window_for(spec, habits_of(study.policy), sources)
    except TrainingRefused as refused:
        raise TrainingRefused(f"arm {arm}: {refused}") from None


def _refuse_other_robots(study: Study, arm: Arm, episodes: Sequence[Episode]) -> None:
    wanted = scene_of(study.task, study.robot).robot
    robots = Counter(e.embodiment.name if e.embodiment else "a robot that the data does not name" for e in episodes)
    if wanted not in robots:
        simulated = ", ".join(robots_for(study.task))
        raise StudyRefused(
            f"arm {arm.name}: its data is of {', '.join(robots)}, and trials run in simulation, with {wanted}: what is "
            f"learnt could not be evaluated. Robots that can do {study.task} in simulation: {simulated}. To learn from "
            "other robots, use kata train, and evaluate on the robot itself (kata serve)."
        )


def _refuse_other_tasks(study: Study, arm: Arm, episodes: Sequence[Episode]) -> None:
    tasks = Counter(task for episode in episodes if (task := _task_in(episode)) is not None)
    if tasks and study.task not in tasks and sum(tasks.values()) == len(episodes):
        raise StudyRefused(
            f"arm {arm.name}: its data shows {', '.join(sorted(tasks))}, and the trials are of {study.task}. "
            f"Set task to one of {', '.join(sorted(tasks))}, or name other data."
        )


def _task_in(episode: Episode) -> str | None:
    try:
        return scene_told_by(episode).task
    except RobokataError:
        return None  # not recorded in a simulated world: its instruction may name any task


def _refuse_unlike_trials(study: Study, arm: Arm, episodes: Sequence[Episode], window: WindowSpec) -> None:
    """A policy of these streams must find them in the simulated world, and command its channels."""
    world = world_of(scene_of(study.task, study.robot))
    try:
        refuse_unknown_streams((*window.inputs, *window.cameras), window.action, world)
    except RobokataError as refused:
        raise StudyRefused(f"arm {arm.name}: what is learnt could not be evaluated in simulation: {refused}") from None
    known = {"action": world.action_channels, "action.tip_pose": world.command_channels}[window.action]
    for episode in episodes:
        is_ours = episode.embodiment is not None and episode.embodiment.name == world.robot.name
        stream = episode.streams.get(window.action)
        if is_ours and stream is not None and set(channels_of(stream)) != set(known):
            raise StudyRefused(
                f"arm {arm.name}: episode {episode.id} commands {', '.join(channels_of(stream))} in {window.action!r}, "
                f"and {world.robot.name} in simulation takes {', '.join(known)}."
            )


def _refuse_unlearnable(arm: Arm, episodes: Sequence[Episode], window: WindowSpec) -> None:
    """Clocks and lengths: if none of the episodes that were looked at gives a sample, the first reason is said."""
    reasons = []
    for episode in episodes:
        try:
            if len(gather(episode, spec=window)):
                return
            reasons.append(f"episode {episode.id} is too short for a single sample")
        except RobokataError as refused:
            reasons.append(str(refused))
    raise StudyRefused(f"arm {arm.name}: nothing can be learnt from its data: {reasons[0]}")
