"""From a training spec to a feed: every refusal comes here, before the first step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import RobokataError, TrainingRefused, UnknownName
from robokata.core.source import EpisodeList, Source, open_source
from robokata.engine import map_episodes
from robokata.feed.codec import Codec, CodecSpec, fitted
from robokata.feed.feed import Feed
from robokata.feed.gather import Gathered, gather
from robokata.feed.window_spec import WindowSpec
from robokata.learn.trainable import Habits
from robokata.learn.training_spec import SourceSpec, TrainingSpec

_LOOKED_AT = 8
"""Episodes of a source whose streams decide what there is."""


class Weighted(NamedTuple):
    """A source of a mixture, open."""

    source: Source
    keys: tuple[str, ...]
    weight: float | None


class LeftOut(NamedTuple):
    """An episode that is not learnt from, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """Everything that a training reads."""

    feed: Feed
    codec: Codec
    weights: NDArray[np.float64]
    """Of each sample, (N,)."""
    left_out: tuple[LeftOut, ...]


def opened(spec: SourceSpec) -> Weighted:
    """A source of the spec with the episodes that it means.

    Raises:
        NotADataset: nothing lies at the path.
        UnknownName: an episode that it does not have.
        QueryRefused: the condition is none.
        TrainingRefused: no episode is left.
    """
    from robokata.dataset_survey import rows_where
    from robokata.store.opening import is_snapshot, open_snapshot

    is_kept = spec.format is None and is_snapshot(spec.path)
    source = open_snapshot(spec.path) if is_kept else open_source(spec.path, format=spec.format)
    keys = list(source.keys())
    if spec.episodes is not None:
        unknown = next((key for key in spec.episodes if key not in keys), None)
        if unknown is not None:
            raise UnknownName("episode", unknown, keys)
        wanted = set(spec.episodes)
        keys = [key for key in keys if key in wanted]
    if spec.where is not None:
        meeting = {row.id for row in rows_where(source.facts().rows, spec.where)}
        keys = [key for key in keys if key in meeting]
    if not keys:
        raise TrainingRefused(f"{spec.path}: no episode is left to learn from. Ask for others, or for all.")
    return Weighted(source, tuple(keys), spec.weight)


def window_for(spec: TrainingSpec, habits: Habits, sources: Sequence[Weighted]) -> WindowSpec:
    """What a sample holds: what the spec says, else what the policy is used to and the data has.

    Raises:
        TrainingRefused: the spec asks for a stream that no source has; the message lists what there is.
    """
    first = [episode for each in sources for episode in _some_readable(each)]
    numbers = _names([[s.name for s in episode.numeric()] for episode in first])
    pictures = _names([[s.name for s in episode.pictures()] for episode in first])
    _must_be_there((*(spec.inputs or ()), *((spec.action,) if spec.action else ())), "numbers", numbers, pictures)
    _must_be_there(spec.cameras or (), "pictures", pictures, numbers)
    action = spec.action or next((name for name in habits.actions if name in numbers), None)
    if action is None:
        raise TrainingRefused(
            f"the data has none of the streams that this policy learns ({', '.join(habits.actions)}). "
            f"It has numbers: {', '.join(numbers) or 'none'}. Name one with action = in [window]."
        )
    inputs = tuple(name for name in habits.inputs if name in numbers) if spec.inputs is None else spec.inputs
    cameras = (pictures if habits.sees_pictures else ()) if spec.cameras is None else spec.cameras
    if habits.sees_pictures and spec.cameras is None and not cameras:
        raise TrainingRefused(
            f"this policy looks at pictures, and the data has none. It has numbers: {', '.join(numbers) or 'none'}. "
            "Take a policy of numbers (bc_mlp), or say cameras = [] in [window] to train it blind."
        )
    if not inputs and not cameras:
        raise TrainingRefused(
            f"the policy would see nothing: the data has none of {', '.join(habits.inputs)}. It has numbers: "
            f"{', '.join(numbers) or 'none'}; pictures: {', '.join(pictures) or 'none'}. Name inputs = in [window]."
        )
    return WindowSpec(
        action=action,
        inputs=inputs,
        cameras=cameras,
        chunk_steps=spec.chunk_steps or habits.chunk_steps,
        rate_hz=spec.rate_hz or habits.rate_hz,
        history_s=spec.history_s or habits.history_s,
        every_s=spec.every_s or habits.every_s,
        picture_px=spec.picture_px or habits.picture_px,
    )


def prepared(
    sources: Sequence[Weighted],
    window: WindowSpec,
    habits: Habits,
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Prepared:
    """Read all episodes; a damaged one costs itself. `workers` decode pictures at once (one: a script that is not
    guarded by `if __name__ == "__main__"` may not start processes).

    Raises:
        TrainingRefused: none of them can be learnt from; the message gives the first reason.
    """
    gathered: list[Gathered] = []
    weights: list[float] = []
    left_out: list[LeftOut] = []
    for each in sources:
        own, lost = _gathered(each, window, workers=workers, advance=advance)
        left_out += lost
        samples = sum(map(len, own))
        gathered += own
        weights += [1.0 if each.weight is None else each.weight / max(1, samples)] * samples
    _refuse_part_weights(sources)
    if not weights:
        reason = left_out[0].reason if left_out else "they are too short for a single sample"
        raise TrainingRefused(f"none of {len(left_out)} episodes can be learnt from: {reason}")
    feed = Feed(gathered, window)
    changes = {episode.is_change for episode in gathered if len(episode)}
    if len(changes) > 1:
        raise TrainingRefused(f"{window.action!r} holds targets in some episodes and differences in others.")
    spec = CodecSpec(window, habits.frame, habits.seen_from_tip, changes.pop())
    return Prepared(feed, fitted(feed, spec), np.asarray(weights), tuple(left_out))


def _gathered(
    each: Weighted, window: WindowSpec, *, workers: int, advance: Callable[[int], None]
) -> tuple[list[Gathered], list[LeftOut]]:
    read = functools.partial(gather, spec=window)
    # A second process pays from about fifty episodes with pictures on: it costs a second to start.
    count = workers if len(each.keys) >= 50 and window.cameras else 1
    own, lost = [], []
    for mapped in map_episodes(each.source, read, keys=each.keys, workers=count, advance=advance):
        if mapped.value is None:
            lost.append(LeftOut(mapped.key, str(mapped.error)))
        elif not len(mapped.value):
            lost.append(LeftOut(mapped.key, "it is too short for a single sample"))
        else:
            own.append(mapped.value)
    return own, lost


def _refuse_part_weights(sources: Sequence[Weighted]) -> None:
    given = [each.weight for each in sources]
    if len(sources) > 1 and None in given and any(weight is not None for weight in given):
        raise TrainingRefused("some sources have a weight and some have none. Give each one, or none.")
    if all(weight == 0 for weight in given):
        raise TrainingRefused("every source has the weight 0.")


def _some_readable(each: Weighted) -> list[Episode]:
    """A few episodes, spread evenly: a mixture of robots has its streams in different ones.

    Damage is said when all are read; here it is only said when nothing opens.
    """
    places = np.unique(np.linspace(0, len(each.keys) - 1, _LOOKED_AT).astype(int))
    found, damage = [], None
    for place in places:
        try:
            found.append(each.source.episode(each.keys[place]))
        except RobokataError as error:
            damage = damage or error
    if not found:
        raise TrainingRefused(f"no episode of {each.source.path} can be opened: {damage}")
    return found


def _names(of_each: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in of_each for name in names))


def _must_be_there(asked: Sequence[str], what: str, known: Sequence[str], others: Sequence[str]) -> None:
    for name in asked:
        if name not in known:
            wrong = f" ({name!r} is there, but holds no {what})" if name in others else ""
            there = ", ".join(known) or "none"
            raise TrainingRefused(f"the data has no {what} called {name!r}{wrong}. It has: {there}.")


def in_memory(episodes: Sequence[Episode], *, weight: float | None = None) -> Weighted:
    """Episodes in memory as a source of a mixture."""
    source = EpisodeList(list(episodes))
    return Weighted(source, tuple(source.keys()), weight)


def options_for(habits: Habits, given: Mapping[str, Any]) -> dict[str, Any]:
    """The policy's options with what is given.

    Raises:
        UnknownName: an option that it does not know.
        TrainingRefused: a value of another kind.
    """
    out = dict(habits.options)
    for name, value in given.items():
        if name not in out:
            raise UnknownName("option of this policy", name, out)
        kind = type(out[name])
        try:
            out[name] = kind(value)
        except (TypeError, ValueError):
            raise TrainingRefused(f"option {name} is {value!r}, and {kind.__name__} is needed.") from None
        if kind is int and out[name] < 1:
            raise TrainingRefused(f"option {name} is {value!r}, and a number of at least 1 is needed.")
    return out
