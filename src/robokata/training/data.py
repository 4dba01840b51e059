"""From a training spec to a feed: every refusal comes here, before the first step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError, TrainingRefused, UnknownName, WriteRefused
from robokata.core.source import EpisodeList, Source
from robokata.core.stream import Role
from robokata.learn.trainable import Habits
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.axis import places_on_one_axis
from robokata.loading.codec import Codec, CodecSpec, fitted
from robokata.loading.data_source import DataSource
from robokata.loading.feed import Feed
from robokata.loading.gather import Gathered, gather
from robokata.loading.window_spec import WindowSpec
from robokata.runtime.engine import map_episodes
from robokata.runtime.episode_filter import EpisodeChoice, choose_episodes, mixture_id
from robokata.training.stream_matching import Kind, kind_of, mapped, note_copies, note_lacking, refuse_mismatch

_LOOKED_AT = 8
"""Episodes of a source whose streams decide what there is."""


class Weighted(NamedTuple):
    """A source of a mixture, open."""

    source: Source
    keys: tuple[str, ...]
    weight: float | None
    choice: EpisodeChoice | None = None
    """How the keys were chosen; None: they were given."""
    streams: Mapping[str, str] = MappingProxyType({})
    """Name -> what the stream is called in the data, where that differs."""

    def episode(self, key: str) -> Episode:
        """One episode, its streams under the names that the training knows.

        Raises:
            TrainingRefused: a stream that is to be renamed is not there.
            DamagedData: it cannot be read.
        """
        return mapped(self.source.episode(key), self.streams)


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
    notes: tuple[str, ...] = ()
    """What must be said of the data, a sentence each: splits, streams that some episodes lack, copies."""
    validation: Feed | None = None
    """Samples that are never learnt from, None where the data has no validation split."""


def opened(spec: DataSource) -> Weighted:
    """A source of the spec with the episodes that it means.

    Raises:
        NotADataset: nothing lies at the path.
        UnknownName: an episode or a split that it does not have.
        QueryRefused: the condition is none, or no episode is left.
        TrainingRefused: the dataset holds no episode.
        RateRefused: a declared rate that is none.
    """
    from robokata.store.resolve import is_snapshot, open_snapshot

    is_kept = spec.format is None and is_snapshot(spec.path)
    bare = open_snapshot(spec.path) if is_kept else open_source(spec.path, format=spec.format)
    source = with_rates(bare, rates_from(spec.rate_hz))
    if not source.keys():
        raise TrainingRefused(f"{spec.path}: the dataset holds no episode: there is nothing to learn from.")
    choice = choose_episodes(source, episodes=spec.episodes, where=spec.where, split=spec.split, is_for_training=True)
    return Weighted(source, choice.keys, spec.weight, choice, dict(spec.streams))


def window_for(spec: TrainingSpec, habits: Habits, sources: Sequence[Weighted]) -> WindowSpec:
    """What a sample holds: what the spec says, else what the policy is used to and the data has.

    Raises:
        TrainingRefused: the spec asks for a stream that no source has (the message lists what there is), or for seconds
            of streams that have none.
    """
    looked_at = [(str(each.source.path), episode) for each in sources for episode in readable_episodes(each)]
    first = [episode for _, episode in looked_at]
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
    inputs = _usual_inputs(habits, first, numbers) if spec.inputs is None else spec.inputs
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
    window = WindowSpec(
        action=action,
        inputs=inputs,
        cameras=cameras,
        chunk_steps=spec.chunk_steps or habits.chunk_steps,
        rate_hz=None if spec.in_steps else spec.rate_hz or habits.rate_hz,
        history_s=spec.history_s or habits.history_s,
        every_s=spec.every_s or habits.every_s,
        picture_px=spec.picture_px or habits.picture_px,
        history_steps=spec.history_steps or tuple(round(at_s * habits.rate_hz) for at_s in habits.history_s),
        every_steps=spec.every_steps or 1,
    )
    refuse_mismatch(window, [kind_of(path, episode) for path, episode in looked_at])
    _refuse_other_axes(window, first)
    return window


def _usual_inputs(habits: Habits, episodes: Sequence[Episode], numbers: Sequence[str]) -> tuple[str, ...]:
    """What the policy is used to; where the data has none of it, whatever the robot measured of itself."""
    known = tuple(name for name in habits.inputs if name in numbers)
    return known or _names([[s.name for s in episode.numeric(Role.STATE)] for episode in episodes])


def _refuse_other_axes(window: WindowSpec, episodes: Sequence[Episode]) -> None:
    """Refuse a window that the clocks of the data cannot fill, before anything is read."""
    for episode in episodes:
        asked = (window.action, *window.inputs, *window.cameras)
        streams = [s for name in asked if (s := episode.streams.get(name)) is not None and len(s)]
        if streams and streams[0].name == window.action:
            places_on_one_axis(episode, streams, window)


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
        TrainingRefused: a source gives nothing, streams of the sources do not match, or weights cannot be obeyed.
    """
    _refuse_weights(sources)
    gathered: list[Gathered] = []
    weights: list[float] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []
    for number, each in enumerate(sources):
        read = _gathered(each, each.keys, window, workers=workers, advance=advance)
        refuse_mismatch(window, read.kinds)
        left_out += [
            LeftOut(mixture_id(lost.key, source=number, sources=len(sources)), lost.reason) for lost in read.left_out
        ]
        if not read.episodes:
            raise TrainingRefused(_why_nothing(each, read.left_out))
        samples = sum(map(len, read.episodes))
        gathered += read.episodes
        weights += [1.0 if each.weight is None else each.weight / samples] * samples
        sentence = None if each.choice is None else each.choice.sentence
        notes += [f"{each.source.path}: {sentence}"] if sentence is not None else []
        notes += note_lacking(str(each.source.path), read.episodes, window)
    copies = note_copies(gathered)
    feed = Feed(gathered, window)
    changes = {episode.is_change for episode in gathered if len(episode)}
    if len(changes) > 1:
        raise TrainingRefused(f"{window.action!r} holds targets in some episodes and differences in others.")
    spec = CodecSpec(window, habits.frame, habits.seen_from_tip, changes.pop())
    validation = _validation(sources, window, feed, workers=workers)
    told = (*notes, *([copies] if copies else []))
    return Prepared(feed, fitted(feed, spec), np.asarray(weights), tuple(left_out), told, validation)


class _Read(NamedTuple):
    """What was read of a source."""

    episodes: list[Gathered]
    left_out: list[LeftOut]
    kinds: list[Kind]


def _gathered(
    each: Weighted,
    keys: Sequence[str],
    window: WindowSpec,
    *,
    workers: int,
    advance: Callable[[int], None] = lambda episodes: None,
) -> _Read:
    read = functools.partial(_gather, streams=dict(each.streams), spec=window, path=str(each.source.path))
    # A second process pays from about fifty episodes with pictures on: it costs a second to start.
    count = workers if len(keys) >= 50 and window.cameras else 1
    own, lost = [], []
    kinds: dict[tuple[tuple[str, ...], ...], Kind] = {}
    for mapped_ in map_episodes(each.source, read, keys=keys, workers=count, advance=advance):
        if isinstance(mapped_.error, WriteRefused):
            raise mapped_.error  # a full disk is not the episode's fault: training on the rest would hide it
        if mapped_.value is None:
            lost.append(LeftOut(mapped_.key, str(mapped_.error)))
            continue
        samples, kind = mapped_.value
        kinds.setdefault(kind[2:], kind)
        if isinstance(samples, str):
            lost.append(LeftOut(mapped_.key, samples))
        elif not len(samples):
            lost.append(LeftOut(mapped_.key, "it is too short for a single sample"))
        else:
            own.append(samples)
    return _Read(own, lost, list(kinds.values()))


def _gather(
    episode: Episode, *, streams: Mapping[str, str], spec: WindowSpec, path: str
) -> tuple[Gathered | str, Kind]:
    """The samples of an episode, or why there are none, and which streams it has."""
    renamed = mapped(episode, streams)
    kind = kind_of(path, renamed)
    try:
        return gather(renamed, spec=spec), kind
    except TrainingRefused as refused:
        return str(refused), kind


def _validation(sources: Sequence[Weighted], window: WindowSpec, feed: Feed, *, workers: int) -> Feed | None:
    """The validation splits of all sources as a feed of the same robots; None where there is nothing to watch."""
    found: list[Gathered] = []
    known = {layout.embodiment: layout for layout in feed.bodies}
    for each in sources:
        if each.choice is not None and each.choice.validation:
            own = _gathered(each, each.choice.validation, window, workers=workers).episodes
            found += [episode for episode in own if episode.layout.embodiment in known]
    return Feed(found, window, layouts=feed.bodies) if found else None


def _why_nothing(each: Weighted, left_out: Sequence[LeftOut]) -> str:
    reason = left_out[0].reason if left_out else "they are too short for a single sample"
    weight = "" if each.weight is None else f" Its weight of {each.weight:g} would be given to nothing."
    return f"{each.source.path}: none of {len(left_out)} episodes can be learnt from: {reason}{weight}"


def _refuse_weights(sources: Sequence[Weighted]) -> None:
    given = [each.weight for each in sources]
    if len(sources) > 1 and None in given and any(weight is not None for weight in given):
        raise TrainingRefused("some sources have a weight and some have none. Give each one, or none.")
    wrong = next((each for each in sources if each.weight is not None and not 0 < each.weight < float("inf")), None)
    if wrong is not None:
        raise TrainingRefused(
            f"{wrong.source.path}: weight must be a number > 0, got {wrong.weight}. A source that shall not "
            "be learnt from is left out."
        )


def readable_episodes(each: Weighted) -> list[Episode]:
    """A few episodes, spread evenly: a mixture of robots has its streams in different ones.

    Damage is said when all are read; here it is only said when nothing opens.

    Raises:
        TrainingRefused: no episode can be opened.
    """
    places = np.unique(np.linspace(0, len(each.keys) - 1, _LOOKED_AT).astype(int))
    found, damage = [], None
    for place in places:
        try:
            found.append(each.episode(each.keys[place]))
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
