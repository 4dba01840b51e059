"""What a study is refused for before anything is trained: an arm whose data lack what its training is shown."""

from __future__ import annotations

from collections.abc import Sequence

from robokata.core.errors import TrainingRefused
from robokata.core.shelf import shelf
from robokata.curation import curated
from robokata.learn.data import Weighted, opened, window_for
from robokata.learn.training_spec import TrainingSpec
from robokata.study.design import Arm
from robokata.study.run import Data, training_of
from robokata.study.spec import Study


def refuse_impossible(study: Study, arm: Arm) -> None:
    """Say what an arm asks for that its recorded data cannot give; nothing is written.

    Raises:
        RecipeRefused: its recipe cannot be obeyed.
        TrainingRefused: a stream is asked for that the data lack.
    """
    source = curated(arm.recipe).source
    _refuse(study, training_of(study, arm, ()), [Weighted(source, tuple(source.keys()), None)], arm.name)


def refuse_untrainable(study: Study, data: Data) -> None:
    """The same of data that are made.

    Raises:
        TrainingRefused: a stream is asked for that the data lack.
    """
    _refuse(study, data.spec, [opened(each) for each in data.spec.sources], data.arm)


def _refuse(study: Study, spec: TrainingSpec, sources: Sequence[Weighted], arm: str) -> None:
    try:
        window_for(spec, shelf("policies")[study.policy].HABITS, sources)
    except TrainingRefused as refused:
        raise TrainingRefused(f"arm {arm}: {refused}") from None
