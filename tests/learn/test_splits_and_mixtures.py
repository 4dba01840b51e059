"""What a training learns from: its split, every robot's state, every source; what drops out is said or refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.conversion.convert import convert
from robokata.core.episode import Episode
from robokata.core.errors import QueryRefused, TrainingRefused, UnknownName
from robokata.core.source import EpisodeList
from robokata.learn.trainable import Habits
from robokata.learn.training_spec import TrainingSpec, spec_from
from robokata.loading.data_source import DataSource
from robokata.policies import bc_mlp
from robokata.testing import tiny_episode, tiny_source
from robokata.training.data import Weighted, in_memory, opened, prepared, window_for
from robokata.training.fit import fit, plan
from robokata.training.settings import settings_for

BLIND = Habits(inputs=("observation.state",), sees_pictures=False, actions=("action",))
SMALL = {"width": 16, "layers": 1}


def written(tmp_path: Path, source: EpisodeList, name: str = "data") -> str:
    convert(source, tmp_path / name, "mcap", accept_loss=True, workers=1)
    return str(tmp_path / name)


def respelt(number: int, name: str) -> Episode:
    """A tiny episode whose state has another name."""
    episode = tiny_episode(number)
    streams = {name if n == "observation.state" else n: s for n, s in episode.streams.items()}
    return replace(episode, streams={n: replace(s, name=n) for n, s in streams.items()})


def test_the_training_split_is_learnt_from_and_the_others_are_named(tmp_path: Path) -> None:
    source = opened(DataSource(written(tmp_path, tiny_source(6))))
    assert [source.episode(key).origin.split for key in source.keys] == ["train"] * 4
    assert source.choice is not None
    assert source.choice.sentence == "split train: 4 of 6 episodes; not used: val 2 (--split NAME or all)"
    path = str(source.source.path)
    assert len(opened(DataSource(path, split="val")).keys) == 2
    assert len(opened(DataSource(path, split="all")).keys) == 6
    assert len(opened(DataSource(path, where="split = 'val'")).keys) == 2
    with pytest.raises(UnknownName, match=r"No split of .* is called 'test'.* Known: train, val, all"):
        opened(DataSource(path, split="test"))


def test_a_dataset_that_holds_no_training_split_is_refused_with_its_splits(tmp_path: Path) -> None:
    held_out = [replace(e, origin=replace(e.origin, split="val")) for e in tiny_source(3).episodes.values()]
    path = written(tmp_path, EpisodeList(held_out))
    with pytest.raises(QueryRefused, match=r"has no split 'train' to learn from. It has: val \(3\)"):
        opened(DataSource(path))
    unsplit = [replace(e, origin=replace(e.origin, split=None)) for e in tiny_source(2).episodes.values()]
    path = written(tmp_path, EpisodeList(unsplit), "unsplit")
    assert len(opened(DataSource(path)).keys) == 2
    with pytest.raises(QueryRefused, match="has no splits, and 'val' is asked for"):
        opened(DataSource(path, split="val"))


def test_splits_that_only_the_episodes_carry_are_found_too(tmp_path: Path) -> None:
    convert(tiny_source(6), tmp_path / "z", "zarr_replay", accept_loss=True, workers=1)
    assert len(opened(DataSource(str(tmp_path / "z"))).keys) == 4


def test_the_loss_is_watched_on_the_validation_split_which_is_never_learnt_from(tmp_path: Path) -> None:
    source = opened(DataSource(written(tmp_path, tiny_source(6, duration_s=2.0))))
    spec = TrainingSpec((), inputs=("observation.state",), action="action", options=SMALL)
    settings = settings_for(bc_mlp.HABITS, steps=6, batch_size=8, device="cpu", threads=1)
    job = plan("bc_mlp", spec, [source], settings)
    assert job.prepared.validation is not None
    assert {episode.key for episode in job.prepared.validation.episodes} == {"4", "5"}
    trained = fit(job, tmp_path / "policy")
    points = trained.curve.validation()
    assert points[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert np.isfinite(points).all()
    summary = trained.to_json()
    assert summary["validation"]["loss"] == points[-1, 1]
    assert summary["held_out"] == 2
    rows = (tmp_path / "policy" / "training" / "curve.csv").read_text().splitlines()
    assert rows[0].endswith(",validation_loss")
    assert float(rows[-1].rpartition(",")[2]) == points[-1, 1]


def test_watching_changes_no_weight(tmp_path: Path) -> None:
    source = opened(DataSource(written(tmp_path, tiny_source(6, duration_s=2.0))))
    spec = TrainingSpec((), inputs=("observation.state",), action="action", options=SMALL)
    settings = settings_for(bc_mlp.HABITS, steps=5, batch_size=8, device="cpu", threads=1)
    curves = []
    for name, each in (("with", source), ("without", Weighted(source.source, source.keys, None))):
        curves.append(fit(plan("bc_mlp", spec, [each], settings), tmp_path / name).curve.column("loss"))
    assert np.array_equal(*curves)


def test_a_state_that_is_spelt_otherwise_in_one_source_is_refused_with_what_each_has() -> None:
    ours, theirs = in_memory([tiny_episode(0)]), in_memory([respelt(1, "observation/state")])
    with pytest.raises(TrainingRefused) as refused:
        window_for(TrainingSpec(()), BLIND, [ours, theirs])
    said = str(refused.value)
    assert "has no 'observation.state'" in said
    assert "its 'observation/state' would not be learnt from" in said
    assert 'streams = { "observation.state" = "observation/state" }' in said
    for mixed in (["observation.state", "proprio"], ["proprio", "observation.state"]):
        sources = [in_memory([respelt(n, name)]) for n, name in enumerate(mixed)]
        with pytest.raises(TrainingRefused, match="'proprio' would not be learnt from"):
            window_for(TrainingSpec(()), BLIND, sources)


def test_a_state_that_is_spelt_otherwise_in_a_later_episode_is_refused_too() -> None:
    episodes = [tiny_episode(n, duration_s=1.0) for n in range(20)] + [respelt(20, "observation/state")]
    source = in_memory(episodes)
    window = window_for(TrainingSpec(()), BLIND, [Weighted(source.source, source.keys[:20], None)])
    with pytest.raises(TrainingRefused, match="'observation/state' would not be learnt from"):
        prepared([source], window, BLIND)


def test_an_explicit_map_brings_two_spellings_together() -> None:
    theirs = in_memory([respelt(1, "observation/state")])._replace(streams={"observation.state": "observation/state"})
    sources = [in_memory([tiny_episode(0)]), theirs]
    window = window_for(TrainingSpec(()), BLIND, sources)
    made = prepared(sources, window, BLIND)
    assert window.inputs == ("observation.state",)
    assert all("observation.state" in episode.inputs for episode in made.feed.episodes)
    wrong = theirs._replace(streams={"observation.state": "state"})
    with pytest.raises(TrainingRefused, match=r"streams maps 'observation.state' to 'state', which is not there"):
        window_for(TrainingSpec(()), BLIND, [wrong])


def test_one_source_alone_is_learnt_from_by_whatever_its_robot_measured() -> None:
    window = window_for(TrainingSpec(()), BLIND, [in_memory([respelt(0, "observation/state")])])
    assert window.inputs == ("observation/state",)


def test_a_source_that_gives_nothing_is_refused_and_its_weight_does_not_vanish() -> None:
    short = tiny_episode(1)
    short = replace(short, streams={n: s for n, s in short.streams.items() if n != "action"})
    sources = [in_memory([tiny_episode(0)], weight=1.0), in_memory([short], weight=3.0)]
    window = window_for(TrainingSpec(()), BLIND, sources[:1])
    with pytest.raises(TrainingRefused, match=r"Its weight of 3 would be given to nothing|has no action 'action'"):
        prepared(sources, window, BLIND)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_are_no_share_are_refused(weight: float) -> None:
    sources = [in_memory([tiny_episode(0)], weight=1.0), in_memory([tiny_episode(1)], weight=weight)]
    window = window_for(TrainingSpec(()), BLIND, sources)
    with pytest.raises(TrainingRefused, match="weight must be a number > 0"):
        prepared(sources, window, BLIND)
    table = {"source": [{"path": "a", "weight": weight}]}
    with pytest.raises(TrainingRefused, match="weight must be a number > 0"):
        spec_from(table, where="spec", folder=Path())


def test_what_some_episodes_lack_and_what_is_there_twice_is_said() -> None:
    first = tiny_episode(0)
    bare = replace(tiny_episode(1), id="bare")
    camera = next(s.name for s in bare.pictures())
    bare = replace(bare, streams={n: s for n, s in bare.streams.items() if n != camera})
    source = in_memory([first, bare, replace(first, id="copy")])
    habits = replace(BLIND, sees_pictures=True)
    made = prepared([source], window_for(TrainingSpec(()), habits, [source]), habits)
    assert any(f"{camera} absent in 1 of 3 episodes" in note for note in made.notes)
    assert any("1 of 3 episodes are exact copies of others" in note for note in made.notes)


def test_left_out_episodes_of_several_sources_are_told_apart() -> None:
    short = replace(tiny_episode(0, duration_s=0.02), id="0")
    sources = [in_memory([tiny_episode(1)]), in_memory([tiny_episode(2), short])]
    made = prepared(sources, window_for(TrainingSpec(()), BLIND, sources), BLIND)
    assert [each.key for each in made.left_out] in ([], ["s2-0"])


def test_a_policy_without_numbers_is_built_without_a_warning() -> None:
    from robokata.learn.net import PerBody

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = PerBody((0, 3), (4, 4))
    assert [tuple(p.shape) for p in net.parameters()] == [(4,), (4, 3), (4,)]


def test_the_validation_split_of_one_robot_of_several_is_enough(tmp_path: Path) -> None:
    from robokata.core.episode import Embodiment

    source = opened(DataSource(written(tmp_path, tiny_source(6, duration_s=1.0))))
    other = replace(tiny_episode(9, duration_s=1.0), embodiment=Embodiment(name="another"))
    sources = [source, in_memory([other])]
    made = prepared(sources, window_for(TrainingSpec(()), BLIND, sources), BLIND)
    assert made.validation is not None
    assert [len(made.feed.bodies), len(made.validation.bodies)] == [2, 2]
    assert len({episode.layout.embodiment for episode in made.validation.episodes}) == 1


def test_a_dataset_without_splits_says_nothing_of_splits(tmp_path: Path) -> None:
    unsplit = [replace(e, origin=replace(e.origin, split=None)) for e in tiny_source(2).episodes.values()]
    choice = opened(DataSource(written(tmp_path, EpisodeList(unsplit)))).choice
    assert choice is not None
    assert choice.sentence is None
