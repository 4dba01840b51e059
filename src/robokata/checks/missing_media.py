"""Pictures that the dataset promises and no file holds.

What it finds:
    Camera streams whose video or picture file does not exist where the dataset's index says it lies.

Why it hurts:
    Loading the episode fails in the middle of a training run, or a loader that shrugs it off trains on
    black pictures.

Example:
    AgiBot World held 168,869 episodes of robot state and 165,745 of video. A published GR1 simulation set
    declares a second camera, `observation.images.egoview`, that has no file at all.

Limits:
    A file that is there and cannot be opened is `unreadable_data`'s, one that is cut is `truncated_video`'s.
    A camera that the dataset does not even declare is not missed.

Repair:
    Restore the file from the original, drop the episode, or drop the camera from the whole dataset. Dropping
    a camera changes what the policy sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Level, Verdict
from robokata.core.stream import Kind
from robokata.media.video import VideoFrames

NEEDS: Sequence[Need] = (Need.PICTURES,)


def check(episode: Episode) -> Iterator[Verdict]:
    """One finding per camera without a file. There are no thresholds: a file exists or it does not."""
    for stream in episode.pictures():
        media = stream.pictures.media()
        if media.is_absent:
            yield Finding(
                level=Level.ERROR,
                message=(
                    f"{stream.name} promises {media.frames_expected} pictures, and its file {media.path} does not exist"
                ),
                episode=episode.id,
                stream=stream.name,
                measured="absent",
                expected=f"{media.frames_expected} pictures",
                repair="restore the file from the original, drop the episode, or drop the camera from the dataset",
            )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Point one camera at a file that does not exist; any `magnitude` above 0 is the same defect."""
    cameras = list(episode.pictures())
    if not cameras or magnitude <= 0:
        return episode
    stream = cameras[int(rng.integers(len(cameras)))]
    shape = stream.pictures.shape[1:]
    path = Path("planted") / "absent.mp4"
    absent = VideoFrames(path, len(stream), shape=(shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, 1, 3))
    return episode.with_stream(replace(stream, kind=Kind.VIDEO, values=absent))
