"""Recipes: a TOML file and a Python object that say the same, and what they make."""

from __future__ import annotations

import json
import pickle
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.checks.split_leak import gather, judge
from robokata.core.ancestry import ancestry_of, name_of
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.episode import Episode, Origin
from robokata.core.errors import QueryRefused, RecipeRefused, SelectionRefused, UnknownName, WriteRefused
from robokata.core.finding import Finding
from robokata.core.lineage import Relative, divided_by_family, families_of
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.curation.curate import Curated, RecipeSource, curated
from robokata.curation.recipe import ChecksPart, ChoicePart, Recipe, StepPart, read_recipe, recipe_from
from robokata.curation.write import training_sources, write_curated
from robokata.loading.data_source import DataSource
from robokata.testing import tiny_episode
from robokata.training.data import opened

TEXT = """
seed = 7
families = "move"

[[source]]
path = "set"
where = "duration_s > 1"
weight = 2.0

[[step]]
name = "plant_defect"
check = "stuck_encoder"
share = 0.25

[[step]]
name = "keep_cameras"
cameras = ["front"]

[checks]
level = "warning"

[selection]
curator = "length"
keep = 0.5
which = "longest"
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight tiny episodes of 3 to 4.75 s as MCAP."""
    path = tmp_path_factory.mktemp("recipe") / "set"
    shelf("formats")["mcap"].write(path, [tiny_episode(n, duration_s=3 + n / 4) for n in range(8)])
    return path


def memory(*episodes: Episode, **parts: object) -> Curated:
    recipe = Recipe((DataSource("memory"),), **parts)  # type: ignore[arg-type]
    return curated(recipe, sources=[EpisodeList(episodes)])


def test_a_file_and_an_object_say_the_same_and_have_one_hash(dataset: Path) -> None:
    file = dataset.parent / "recipe.toml"
    file.write_text(TEXT)
    read = read_recipe(file)
    made = Recipe(
        sources=(DataSource("set", where="duration_s > 1", weight=2.0),),
        steps=(
            StepPart("plant_defect", {"check": "stuck_encoder"}, share=0.25),
            StepPart("keep_cameras", {"cameras": ("front",)}),
        ),
        checks=ChecksPart(level="warning"),
        selection=ChoicePart("length", 0.5, {"which": "longest"}),
        families="move",
        seed=7,
    )
    assert read == made
    assert read.hash == made.hash
    again = recipe_from(tomllib.loads(read.as_toml()))
    assert again == made
    assert again.hash == made.hash
    assert replace(made, seed=8).hash != made.hash


def test_a_recipe_plants_cleans_and_chooses_and_says_what_it_left_out(dataset: Path) -> None:
    file = dataset.parent / "recipe.toml"
    file.write_text(TEXT)
    made = curated(read_recipe(file), workers=1)
    by = [each.by for each in made.left_out]
    assert by.count("checks") == 2, "a quarter of eight has the defect"
    assert by.count("length") == 3
    assert len(made.source.keys()) == 3
    assert all("stuck_encoder" in each.reason for each in made.left_out if each.by == "checks")
    episode = made.source.episode(made.source.keys()[0])
    assert [entry["step"] for entry in episode.extra["steps"]] == ["keep_cameras"]


def test_the_same_recipe_gives_the_same_for_any_number_of_workers(dataset: Path) -> None:
    recipe = Recipe(
        (DataSource(str(dataset)),),
        (StepPart("add_noise", {"numbers_share": 0.02}), StepPart("take_subset", {"share": 0.5})),
        selection=ChoicePart("diversity", 3),
        seed=3,
    )
    one, two = curated(recipe, workers=1), curated(recipe, workers=2)
    assert one.selection == two.selection
    assert one.rows == two.rows
    assert list(one.source.keys()) == list(two.source.keys())


def test_its_source_travels_to_workers_and_gives_the_same_bytes_there(dataset: Path) -> None:
    made = curated(Recipe((DataSource(str(dataset)),), (StepPart("add_noise", {}),), seed=1), workers=1)
    assert len(pickle.dumps(made.source)) < 5000
    again: RecipeSource = pickle.loads(pickle.dumps(made.source))
    for key in made.source.keys():
        for stream in made.source.episode(key).numeric():
            np.testing.assert_array_equal(again.episode(key).streams[stream.name].table, stream.table)
    with pytest.raises(UnknownName, match="No episode is called 'x'"):
        made.source.episode("x")


def test_shares_are_exact_nested_and_of_the_seed() -> None:
    episodes = [tiny_episode(n, duration_s=1.0) for n in range(20)]

    def noisy(share: float, seed: int = 0) -> set[str]:
        made = memory(*episodes, steps=(StepPart("add_noise", {}, share=share),), seed=seed)
        return {key for key in made.source.keys() if made.source.episode(key).extra.get("steps")}

    sets = [noisy(share) for share in (0.1, 0.3, 0.5, 1.0)]
    assert [len(each) for each in sets] == [2, 6, 10, 20]
    assert sets[0] < sets[1] < sets[2] < sets[3]
    assert noisy(0.3, seed=1) != sets[1]


def test_several_sources_keep_their_episodes_apart_and_their_weights() -> None:
    recipe = Recipe((DataSource("a", weight=3.0), DataSource("b", weight=1.0)))
    sources = [EpisodeList([tiny_episode(n, seed=s, duration_s=1.0) for n in range(2)]) for s in (0, 1)]
    made = curated(recipe, sources=sources)
    assert list(made.source.keys()) == ["s1-0", "s1-1", "s2-0", "s2-1"]
    specs = training_sources(made, Path("out"))
    assert [(spec.episodes, spec.weight) for spec in specs] == [(("s1-0", "s1-1"), 3.0), (("s2-0", "s2-1"), 1.0)]
    (plain,) = training_sources(
        curated(replace(recipe, sources=(DataSource("a"), DataSource("b"))), sources=sources), Path("o")
    )
    assert plain.weight is None


def test_a_damaged_episode_and_a_refused_one_cost_themselves(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "set"
    copy.mkdir()
    for file in sorted(dataset.glob("*.mcap")):
        data = file.read_bytes()
        (copy / file.name).write_bytes(b"no recording" if file.stem == "3" else data)
    made = curated(Recipe((DataSource(str(copy)),), (StepPart("mirror_episode", {"keep_original": True}),)), workers=1)
    assert len(made.source.keys()) == 7
    reasons = {each.episode: each.by for each in made.left_out}
    assert reasons.pop("3") == "damaged"
    assert set(reasons.values()) == {"mirror_episode"}, "the originals stay, their images are refused"


def family(split_of_child: str = "val") -> list[Episode]:
    """Two demonstrations in train, a child of the first in another split, and a stranger there."""
    first, second = (replace(tiny_episode(n, duration_s=1.0), origin=Origin(split="train")) for n in (0, 1))
    child = replace(tiny_episode(2, duration_s=1.0), origin=Origin(split=split_of_child, made_from=ancestry_of(first)))
    return [first, second, child, replace(tiny_episode(3, duration_s=1.0), origin=Origin(split="val"))]


def test_a_family_in_two_splits_is_refused_or_moved_as_a_whole() -> None:
    with pytest.raises(SelectionRefused) as refusal:
        memory(*family())
    assert str(refusal.value).startswith(
        "1 family would lie in several splits: episodes 0 (train) and 2 (val) descend from one demonstration."
    )
    made = memory(*family(), families="move")
    assert made.moved == {"2": "train"}
    splits = {key: made.source.episode(key).origin.split for key in made.source.keys()}
    assert splits == {"0": "train", "1": "train", "2": "train", "3": "val"}
    rows = [Gathered(key, gather(made.source.episode(key))) for key in made.source.keys()]
    assert not [v for v in judge(rows, made.source.facts()) if isinstance(v, Finding)]


def test_splits_are_drawn_by_family_and_hold_on_average() -> None:
    episodes: list[Episode] = []
    for number in range(40):
        root = tiny_episode(number, duration_s=0.4)
        child = replace(tiny_episode(100 + number, duration_s=0.4), origin=Origin(made_from=ancestry_of(root)))
        episodes += [root, child]
    made = memory(*episodes, splits={"train": 0.75, "val": 0.25}, seed=1)
    splits = {key: made.source.episode(key).origin.split for key in made.source.keys()}
    assert all(splits[str(number)] == splits[str(100 + number)] for number in range(40))
    many = divided_by_family([Relative(str(n), str(n), ()) for n in range(4000)], {"train": 0.75, "val": 0.25}, seed=1)
    assert 0.22 < sum(split == "val" for split in many.values()) / 4000 < 0.28  # four standard deviations: 0.027
    fewer = memory(*episodes[10:], splits={"train": 0.75, "val": 0.25}, seed=1)
    assert all(fewer.source.episode(key).origin.split == splits[key] for key in fewer.source.keys())
    assert recipe_from(tomllib.loads(made.recipe.as_toml())) == made.recipe


def test_a_selection_that_leaves_the_torn_member_out_is_allowed() -> None:
    made = memory(*family(), steps=(StepPart("drop_found", {"checks": ("split_leak",)}),))
    assert list(made.source.keys()) == ["0", "1", "3"]
    assert made.left_out[0].reason.startswith("split_leak: descends from 0, as does episode 0 in split 'train'")


def test_descendants_through_steps_are_one_family_and_leak_where_they_are_parted() -> None:
    episodes = [tiny_episode(n, duration_s=2.0) for n in range(3)]
    steps = (StepPart("retime_motion", {}), StepPart("add_noise", {}))
    made = memory(*episodes, steps=steps)
    grandchild = replace(
        made.source.episode("0"), id="grandchild", origin=replace(made.source.episode("0").origin, split="val")
    )
    everyone = [replace(e, origin=Origin(split="train")) for e in episodes] + [grandchild]
    rows = [Gathered(e.id, gather(e)) for e in everyone]
    (finding,) = [v for v in judge(rows, EpisodeList(everyone).facts()) if isinstance(v, Finding)]
    assert (finding.episode, finding.twin) == ("grandchild", "0")


def test_the_same_id_in_another_dataset_is_no_ancestor() -> None:
    mine, foreign = tiny_episode(5, duration_s=1.0), replace(tiny_episode(9, duration_s=1.0), id="5")
    child = replace(tiny_episode(6, duration_s=1.0), origin=Origin(split="val", made_from=ancestry_of(foreign)))
    everyone = [
        replace(mine, origin=Origin(split="train")),
        child,
        replace(tiny_episode(7), origin=Origin(split="train")),
    ]
    rows = [Gathered(e.id, gather(e)) for e in everyone]
    assert not [v for v in judge(rows, EpisodeList(everyone).facts()) if isinstance(v, Finding)]
    families = families_of([Relative(e.id, name_of(e), e.origin.made_from) for e in everyone])
    assert families["5"] != families["6"]


def test_a_renumbered_ancestor_is_still_one_also_through_an_episode_of_no_split() -> None:
    root = tiny_episode(0, duration_s=1.0)
    middle = replace(tiny_episode(1, duration_s=1.0), id="m", origin=Origin(split=None, made_from=ancestry_of(root)))
    # The child says only its parent: what was written before ancestors were listed.
    child = replace(tiny_episode(2, duration_s=1.0), id="c", origin=Origin(split="val", made_from=(name_of(middle),)))
    renumbered = replace(root, id="77", origin=Origin(split="train"))
    everyone = [renumbered, replace(tiny_episode(3), origin=Origin(split="train")), middle, child]
    rows = [Gathered(e.id, gather(e)) for e in everyone]
    (finding,) = [v for v in judge(rows, EpisodeList(everyone).facts()) if isinstance(v, Finding)]
    assert (finding.episode, finding.twin) == ("c", "77")


def test_what_is_written_opens_trains_and_has_a_receipt_that_can_be_done_again(dataset: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        (DataSource(str(dataset)),), (StepPart("add_noise", {}),), selection=ChoicePart("length", 3), seed=5
    )
    written = write_curated(curated(recipe, workers=1), tmp_path / "out", workers=1)
    assert (written.episodes, written.candidates, written.left_out) == (3, 8, {"length": 5})
    assert written.length_confound.value is not None
    assert written.length_confound.value < -0.7, "the shortest were chosen, and the report says so"
    receipt = json.loads(Path(written.receipt).read_text())
    assert recipe_from(receipt["recipe"]).hash == receipt["recipe_hash"] == recipe.hash
    assert receipt["inputs"][0]["path"] == str(dataset)
    assert len(receipt["left_out"]) == 5
    again = write_curated(curated(recipe_from(receipt["recipe"]), workers=2), tmp_path / "again", workers=2)
    assert again.selection_hash == written.selection_hash
    for file in sorted((tmp_path / "out").glob("*.mcap")):
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), "byte for byte"
    (spec,) = training_sources(curated(recipe, workers=1), tmp_path / "out")
    assert set(opened(spec).keys) == set(open_source(tmp_path / "out").keys())
    with pytest.raises(WriteRefused, match="exists and is not empty"):
        write_curated(curated(recipe, workers=1), tmp_path / "out", workers=1)


def test_a_kept_selection_is_obeyed_on_its_data_and_refused_on_other(tmp_path: Path) -> None:
    episodes = [tiny_episode(n, duration_s=1.0) for n in range(5)]
    chosen = memory(*episodes, selection=ChoicePart("random", 2), seed=9)
    file = tmp_path / "selection.json"
    file.write_text(json.dumps(chosen.selection.to_json()))
    again = memory(*episodes, selection=ChoicePart(file=str(file)))
    assert list(again.source.keys()) == list(chosen.source.keys())
    with pytest.raises(SelectionRefused, match="made from other data"):
        memory(*episodes[:4], selection=ChoicePart(file=str(file)))


WRONG = [
    ("x = ", "is not TOML: "),
    ("[[sources]]", "unknown key 'sources'. Allowed: source, step, checks, selection, families, splits, seed."),
    ("seed = 1", 'names no data. Add a [[source]] with path = "...".'),
    ("[[source]]", ", [[source]] 1: path is missing."),
    ('[[source]]\npath = "a"\ncolour = 1', ", [[source]] 1: unknown key 'colour'."),
    (
        '[[source]]\npath = "a"\nweight = -1',
        ", [[source]] 1: weight must be a number > 0",
    ),
    ('splits = { a = 0.5 }\n[[source]]\npath = "a"', ", splits must be shares that add up to 1, got {'a': 0.5}"),
    ('seed = -1\n[[source]]\npath = "a"', "seed must be an integer >= 0, got -1."),
    ('families = "tear"\n[[source]]\npath = "a"', "families must be one of refuse, move, got 'tear'."),
    ('[[source]]\npath = "a"\n[[step]]\nname = "mirror"', ", [[step]] 1: No step is called 'mirror'."),
    ('[[source]]\npath = "a"\n[[step]]', ", [[step]] 1: name must be one of add_noise,"),
    ('[[source]]\npath = "a"\n[[step]]\nname = "keep_cameras"', ", [[step]] 1 (keep_cameras): cameras is needed"),
    (
        '[[source]]\npath = "a"\n[[step]]\nname = "retime_motion"\nspeed = 2',
        "knows no option 'speed'. It has: speed_ratio",
    ),
    (
        '[[source]]\npath = "a"\n[[step]]\nname = "retime_motion"\nspeed_ratio = "2"',
        "speed_ratio is '2', and a number is",
    ),
    (
        '[[source]]\npath = "a"\n[[step]]\nname = "add_noise"\nshare = 1.5',
        "share must be a number from 0 to 1",
    ),
    ('[[source]]\npath = "a"\n[[step]]\nname = "drop_duplicate"\nshare = 0.5', "looks at all episodes at once"),
    ('[[source]]\npath = "a"\n[checks]\nlevels = "error"', ", [checks]: knows no option 'levels'."),
    ('[[source]]\npath = "a"\n[selection]\ncurator = "best"\nkeep = 1', ", [selection]: No curator is called 'best'."),
    ('[[source]]\npath = "a"\n[selection]\ncurator = "random"', ", [selection]: keep must be a number of episodes"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_a_wrong_recipe_names_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(RecipeRefused) as refusal:
        read_recipe(file)
    assert str(refusal.value).startswith(str(file))
    assert message in str(refusal.value)


def test_what_the_data_cannot_give_is_refused_before_anything_is_written() -> None:
    episodes = [tiny_episode(n, duration_s=1.0) for n in range(3)]
    with pytest.raises(RecipeRefused, match="keep is 9, and only 3 episodes are there"):
        memory(*episodes, selection=ChoicePart("random", 9))
    with pytest.raises(QueryRefused, match="memory: holds no episode"):
        memory()
    with pytest.raises(UnknownName):
        curated(Recipe((DataSource("m", episodes=("0", "z")),)), sources=[EpisodeList(episodes)])
    with pytest.raises(RecipeRefused, match="No check is called"):
        memory(*episodes, checks=ChecksPart(checks=("no_such",)))


def with_id(episode: Episode, name: str, split: str | None = None) -> Episode:
    return replace(episode, id=name, origin=replace(episode.origin, split=split))


def test_ids_with_slashes_are_learnt_from_after_writing(tmp_path: Path) -> None:
    shelf("formats")["rlds"].write(tmp_path / "rlds" / "1.0.0", [tiny_episode(n, duration_s=1.0) for n in range(3)])
    recipe = Recipe((DataSource(str(tmp_path / "rlds" / "1.0.0")),), selection=ChoicePart("random", 2))
    made = curated(recipe, workers=1)
    assert all("/" in key for key in made.source.keys())
    write_curated(made, tmp_path / "out", workers=1)
    (spec,) = training_sources(made, tmp_path / "out")
    assert len(opened(spec).keys) == 2
    assert spec.episodes == tuple(key.replace("/", "_") for key in made.source.keys())


def test_a_split_of_a_source_can_be_named_and_one_that_is_not_there_lists_those_that_are() -> None:
    episodes = [with_id(tiny_episode(n, duration_s=1.0), str(n), "val" if n == 3 else "train") for n in range(4)]
    source = EpisodeList(episodes)
    made = curated(Recipe((DataSource("m", split="train"),)), sources=[source], workers=1)
    assert list(made.source.keys()) == ["0", "1", "2"]
    assert made.notes == ("split train: 3 of 4 episodes; not used: val 1 (--split NAME or all)",)
    assert list(curated(Recipe((DataSource("m"),)), sources=[source], workers=1).source.keys()) == ["0", "1", "2", "3"]
    with pytest.raises(UnknownName, match=r"No split of memory is called 'test'\. .*Known: train, val, all"):
        curated(Recipe((DataSource("m", split="test"),)), sources=[source], workers=1)


def test_a_source_whose_episodes_all_drop_out_is_refused_with_its_weight(tmp_path: Path) -> None:
    sources = [EpisodeList([tiny_episode(n, duration_s=1.0)]) for n in range(2)]
    parts = (DataSource("a", weight=1.0), DataSource("b", weight=3.0))
    made = curated(Recipe(parts, selection=ChoicePart("random", 1)), sources=sources, workers=1)
    lost = 1 - next(iter(made.source.lines.values())).source
    with pytest.raises(
        RecipeRefused, match=rf"source {lost + 1} .* none of its episodes is left to learn from\. Its weight"
    ):
        training_sources(made, tmp_path)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_share_is_refused_in_python_too(weight: float) -> None:
    with pytest.raises(RecipeRefused, match="weight must be a number > 0"):
        DataSource("a", weight=weight)


def test_a_recipe_over_episodes_in_memory_is_written_and_read_back(tmp_path: Path) -> None:
    made = curated(Recipe((DataSource("memory"),)), sources=[EpisodeList([tiny_episode(n) for n in range(2)])])
    written = write_curated(made, tmp_path / "out")
    assert written.verified["is_equal"]
    assert written.verified["episodes"] == written.episodes == 2
