"""An episode of a LeRobot dataset, put together from what each version finds in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from robokata.core.episode import Embodiment, Episode, EpisodeRef, Instruction, Origin
from robokata.core.stream import Stream
from robokata.formats._lerobot.carried import restored
from robokata.formats._lerobot.facts import without_features
from robokata.formats._lerobot.nested import subtasks_of
from robokata.formats._lerobot.streams import outcome_of


class Opened(Protocol):
    """An open dataset of any version."""

    format: str
    path: Path
    info: dict[str, Any]
    features: Mapping[str, dict[str, Any]]
    rate_hz: Fraction
    robot: str | None


def episode_of(
    dataset: Opened,
    key: str,
    streams: Sequence[Stream],
    *,
    instructions: tuple[Instruction, ...],
    split: str | None,
    steps: int | None,
    statistics: Mapping[str, Mapping[str, Any]],
    extra: Mapping[str, Any],
) -> Episode:
    """One episode; `steps` is what the index promises, `extra` what the index says beside it.

    Raises:
        DamagedData: what we carried beside it is broken.
    """
    found = Episode(
        id=key,
        streams={stream.name: stream for stream in streams},
        embodiment=Embodiment(dataset.robot) if dataset.robot else None,
        instructions=instructions,
        annotations=subtasks_of(streams),
        outcome=outcome_of(streams),
        origin=Origin(split=split),
        declared_rate_hz=dataset.rate_hz,
        declared_steps=steps,
        declared_statistics=statistics,
        extra={"info": without_features(dataset.info), **extra},
        ref=EpisodeRef(dataset.format, str(dataset.path), key),
    )
    return restored(dataset.path, found, dataset.features)
