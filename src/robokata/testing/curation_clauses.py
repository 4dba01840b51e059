"""What a step or a curator must do, as functions that third parties run on theirs.

`STEP_CLAUSES` take a step's name and options that suit it (`{}` where none is needed), `CURATOR_CLAUSES` a curator's
name. A clause that is broken raises AssertionError and says which.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from robokata.core.ancestry import name_of
from robokata.core.contracts import DatasetStepLeaf
from robokata.core.episode import Episode
from robokata.core.errors import StepRefused
from robokata.core.leaf_kinds import dataset_step, episode_step
from robokata.core.selection import Described, Selection
from robokata.core.shelf import shelf
from robokata.core.source import row_of
from robokata.runtime.options import options_of, takes
from robokata.testing.tiny import tiny_episode

Options = Mapping[str, Any]
_COUNT = 8


def described(describe: Callable[..., Any], episodes: Sequence[Episode], options: Options) -> list[Described]:
    """Rows as a recipe makes them."""
    rows = []
    for episode in episodes:
        steps = row_of(episode).steps or 0
        value = describe(episode, **takes(describe, options))
        origin, name = episode.origin, name_of(episode)
        rows.append(Described(episode.id, name, origin.made_from, origin.split, steps, episode.duration_s, value))
    return rows


def step_has_plain_options(step: str, options: Options) -> None:
    """Every option can be written in a TOML file, and chance comes from `seed` alone."""
    for function in _functions(step):
        options_of(function)
        assert "rng" not in inspect.signature(function).parameters, "a step draws from its seed, and takes no rng"


def step_opens_with_a_sentence(step: str, options: Options) -> None:
    """The first line of the docstring says what the step does."""
    assert (shelf("steps")[step].__doc__ or "").splitlines()[0].rstrip().endswith((".", ":", "?"))


def step_gives_the_same_each_time(step: str, options: Options) -> None:
    """Episode, options and seed decide; the original stays as it was."""
    if isinstance(shelf("steps")[step], DatasetStepLeaf):
        chosen = [_chosen(step, options, order).episodes for order in range(4)]
        assert len(set(chosen)) == 1, "the choice depends on the order of the rows"
        return
    for number in range(_COUNT):
        episode = tiny_episode(number, duration_s=2.0)
        before = _content(episode)
        first, second = ([_content(out) for out in _made(step, episode, options)] for _ in range(2))
        assert first == second, "two runs differ"
        assert _content(episode) == before, "the original was changed"


def step_leaves_a_trace(step: str, options: Options) -> None:
    """What changes says which step did it, with which options, and what it was made from."""
    if isinstance(shelf("steps")[step], DatasetStepLeaf):
        selection = _chosen(step, options, 0)
        assert all(selection.left_out.values()), "an episode is left out without a reason"
        return
    for number in range(_COUNT):
        episode = tiny_episode(number, duration_s=2.0)
        for out in _made(step, episode, options):
            if out is episode:
                continue
            trace = out.extra["steps"][-1]
            assert trace["step"] == step, "the trace names the step"
            names = set(options_of(episode_step(step).step))
            assert names <= set(trace["parameters"]), "the trace has every option"
            assert name_of(episode) in out.origin.made_from, "the trace says what it was made from"
            assert out.ref is None, "a changed episode does not claim to lie in a file"


def step_says_that_it_removes(step: str, options: Options) -> None:
    """A step of single episodes that can give none says `REMOVES_EPISODES = True`: a study then draws a control."""
    leaf = shelf("steps")[step]
    if isinstance(leaf, DatasetStepLeaf) or leaf.REMOVES_EPISODES:
        return
    seeded = {**options, **takes(leaf.step, {"seed": 3})}
    odd = [Episode(id="bare", streams={}), tiny_episode(0, duration_s=0.02)]
    for episode in [*odd, *(tiny_episode(number, duration_s=2.0) for number in range(_COUNT))]:
        try:
            gives = any(True for _ in leaf.step(episode, **seeded))
        except StepRefused:
            continue
        assert gives, f"{step} gives nothing for episode {episode.id}: say REMOVES_EPISODES = True, or refuse it"


STEP_CLAUSES: tuple[Callable[[str, Options], None], ...] = (
    step_has_plain_options,
    step_opens_with_a_sentence,
    step_gives_the_same_each_time,
    step_leaves_a_trace,
    step_says_that_it_removes,
)
"""All that a step must do."""


def curator_keeps_as_many_as_asked(curator: str) -> None:
    """`keep` episodes that exist, and a reason for each that is left out."""
    rows = _rows(curator)
    for keep in (0, 1, len(rows) // 2, len(rows)):
        selection = _choose(curator, rows, keep)
        assert len(selection.episodes) == keep, f"{keep} asked, {len(selection.episodes)} kept"
        assert set(selection.episodes) <= {row.episode for row in rows}
        assert all(selection.left_out.values()), "an episode is left out without a reason"


def curator_does_not_mind_the_order(curator: str) -> None:
    """Rows come from any number of workers, in any order."""
    rows = _rows(curator)
    wanted = _choose(curator, rows, 4)
    for order in range(5):
        mixed = list(rows)
        random.Random(order).shuffle(mixed)
        assert _choose(curator, mixed, 4) == wanted, "the choice depends on the order of the rows"


def curator_binds_its_choice(curator: str) -> None:
    """The selection knows the data that it was made from."""
    rows = _rows(curator)
    selection = _choose(curator, rows, 4)
    selection.refuse_other_data(rows)


def curator_has_plain_options(curator: str) -> None:
    """Every option has a default that a TOML file can hold."""
    leaf = shelf("curators")[curator]
    assert not [option for option in options_of(leaf.describe, leaf.choose).values() if option.is_needed]


def curator_survives_short_episodes(curator: str) -> None:
    """Episodes without streams, or of one sample, break nothing."""
    odd = [Episode(id="bare", streams={}), tiny_episode(0, duration_s=0.02), tiny_episode(1, duration_s=2.0)]
    rows = described(shelf("curators")[curator].describe, odd, {})
    assert len(_choose(curator, rows, 1).episodes) == 1


CURATOR_CLAUSES: tuple[Callable[[str], None], ...] = (
    curator_keeps_as_many_as_asked,
    curator_does_not_mind_the_order,
    curator_binds_its_choice,
    curator_has_plain_options,
    curator_survives_short_episodes,
)
"""All that a curator must do."""


def _functions(step: str) -> list[Callable[..., Any]]:
    leaf = shelf("steps")[step]
    return [leaf.describe, leaf.choose] if isinstance(leaf, DatasetStepLeaf) else [leaf.step]


def _made(step: str, episode: Episode, options: Options) -> Iterator[Episode]:
    function = episode_step(step).step
    told = {**options, **takes(function, {"seed": 3})}
    refused = (step, episode.id)
    try:
        yield from function(episode, **told)
    except StepRefused as refusal:
        refused = (refusal.step, refusal.episode)
    assert refused == (step, episode.id), "a refusal names step and episode"


def _chosen(step: str, options: Options, order: int) -> Selection:
    leaf = dataset_step(step)
    rows = described(leaf.describe, [tiny_episode(n, duration_s=2.0) for n in (*range(_COUNT), 0)][:_COUNT], options)
    random.Random(order).shuffle(rows)
    return leaf.choose(rows, **takes(leaf.choose, {**options, "seed": 3}))


def _rows(curator: str) -> list[Described]:
    episodes = [tiny_episode(number, duration_s=2.0 + number / 4) for number in range(_COUNT)]
    return described(shelf("curators")[curator].describe, episodes, {})


def _choose(curator: str, rows: Sequence[Described], keep: int) -> Selection:
    return shelf("curators")[curator].choose(rows, keep=keep, rng=np.random.default_rng(5))


def _content(episode: Episode) -> Any:
    """Everything that a step may change, comparable."""
    streams = []
    for name, stream in episode.streams.items():
        values = np.ascontiguousarray(stream.values[:])
        streams.append((name, values.dtype.str, values.shape, values.tobytes(), stream.clock.places.tobytes()))
    return episode.id, streams, episode.instructions, episode.annotations, repr(episode.extra), episode.origin
