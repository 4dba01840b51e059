"""Some of the cameras, and nothing else of the pictures: what would one camera less have cost?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from robokata.core.episode import Episode
from robokata.core.errors import StepRefused
from robokata.core.stream import Stream
from robokata.core.trace import traced

_NAME = __name__.rpartition(".")[2]


def step(episode: Episode, *, cameras: tuple[str, ...]) -> Iterator[Episode]:
    """The episode with these cameras only, named as their streams are or by the last part of it (`wrist`).

    Depth and segmentation of a camera stay with it. `cameras=` (none) leaves no pictures.

    Raises:
        StepRefused: it lacks one of them; the message names those that it has.
    """
    wanted = {name for name in cameras if name}
    seen = {stream.name: _names_of(stream) for stream in episode.streams.values() if _is_of_a_camera(stream)}
    lacking = sorted(wanted - {name for names in seen.values() for name in names})
    if lacking:
        has = ", ".join(sorted({min(names, key=len) for names in seen.values()})) or "none"
        raise StepRefused(_NAME, episode.id, f"it has no camera {lacking[0]!r}. It has: {has}.")
    streams = {name: s for name, s in episode.streams.items() if name not in seen or seen[name] & wanted}
    robot = episode.embodiment
    if robot is not None and robot.cameras:
        robot = replace(robot, cameras=tuple(name for name in robot.cameras if name in wanted))
    changed = replace(episode, streams=streams, embodiment=robot)
    yield traced(changed, of=episode, step=_NAME, parameters={"cameras": cameras})


def _is_of_a_camera(stream: Stream) -> bool:
    frame = stream.meaning.frame
    return stream.is_picture or (frame is not None and frame.value.startswith("camera:"))


def _names_of(stream: Stream) -> set[str]:
    return {stream.name, stream.name.replace("/", ".").rpartition(".")[2]}
