"""Demonstrations told again: at new resets, with the right parts, for any number of workers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robokata.collection.scripted import ExpertJob, record_expert
from robokata.core.contracts import ExpansionJobs
from robokata.core.detection import open_source
from robokata.core.errors import RecipeRefused, UnknownName, Unsupported, WriteRefused
from robokata.core.source import EpisodeList, Source
from robokata.core.world import Width
from robokata.expansion.expand import expand, plan_expansion, run_expansion
from robokata.expansion.expansion import Expansion
from robokata.geometry.poses import pose_from_seven, pose_of, yaw_rotation
from robokata.sim.demonstration import scene_of
from robokata.sim.segments import cuts_of, demonstration_of
from robokata.sim.sensors import Sensors
from robokata.sim.transfer_options import SourceChoice, moved, tellings_from
from robokata.testing.tiny import tiny_episode


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six demonstrations of stack, without pictures."""
    out = tmp_path_factory.mktemp("sources") / "stack"
    record_expert(ExpertJob(scene_of("stack"), Width.D0, 0, None, Sensors(), operators=2), out, episodes=6, workers=1)
    return out


def planned(path: Path, **options: object) -> ExpansionJobs:
    source = open_source(path)
    return plan_expansion(source, "demonstrations", keys=source.keys(), options=options, size_px=None)


def retarget(dataset: Path | Source, out: Path, *, episodes: int, **options: object) -> Expansion:
    return expand(dataset, by="demonstrations", out=out, episodes=episodes, options=options, size_px=None, workers=1)


def names(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.mcap"))}


def test_the_same_dataset_for_any_number_of_workers(stacks: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        report = expand(
            stacks,
            by="demonstrations",
            out=tmp_path / str(workers),
            episodes=4,
            seed=3,
            options={"reset_range": "D1"},
            size_px=(32, 32),
            workers=workers,
        )
        assert report.production.kept == 4
    assert names(tmp_path / "1") == names(tmp_path / "2")


def test_every_part_is_the_source_moved_with_its_object(stacks: Path) -> None:
    scene = scene_of("stack")
    source = demonstration_of(open_source(stacks).episode(open_source(stacks).keys()[0]), scene)
    cuts = cuts_of(source, scene, margin=5)
    assert list(cuts) == ["take_red", "place_on_green"]
    red = scene.leaf.PROPS[0]
    # A quarter turn of a cube is no turn; 0.2 rad and a shift are what is left.
    now = pose_of([0.05, -0.04, 0.02], yaw_rotation(np.pi / 2 + 0.2)) @ pose_of(
        [0, 0, 0], cuts["take_red"].prop_at_start[:3, :3]
    )
    motion = moved(cuts["take_red"], red, now)
    grasp = cuts["take_red"].targets[cuts["take_red"].end - 1]
    before = np.linalg.inv(cuts["take_red"].prop_at_start) @ grasp
    after = np.linalg.inv(now) @ motion @ grasp
    assert np.linalg.norm(before[:3, 3]) == pytest.approx(np.linalg.norm(after[:3, 3]), abs=1e-9)
    turn = np.arctan2(motion[1, 0], motion[0, 0])
    assert abs(turn) == pytest.approx(0.2, abs=0.02), "the cube's symmetry was not used"


@pytest.mark.parametrize("choice", list(SourceChoice))
def test_every_choice_of_sources_succeeds_and_names_them(stacks: Path, tmp_path: Path, choice: SourceChoice) -> None:
    source = open_source(stacks)
    ids = {source.episode(key).id for key in source.keys()}
    options = {"reset_range": "D0", "spec": {"choice": str(choice)}}
    report = retarget(source, tmp_path / "out", episodes=3, **options)
    for key in open_source(tmp_path / "out").keys():
        made = open_source(tmp_path / "out").episode(key)
        assert made.outcome.success is True
        told = made.extra["simulation"]["told"]
        assert set(told) == {"take_red", "place_on_green"}
        assert {word.partition("@")[0] for word in told.values()} <= ids
        assert made.origin.made_from
    assert report.acceptance.value is not None


def test_clean_and_applied_commands_differ_by_the_wander_alone(stacks: Path, tmp_path: Path) -> None:
    retarget(stacks, tmp_path / "out", episodes=2, spec={"noise_m": 0.002})
    source = open_source(tmp_path / "out")
    made = source.episode(source.keys()[0])
    wander_m = made.stream("action.tip_pose").table[:, :3] - made.stream("simulation.clean_tip_pose").table[:, :3]
    assert 0.0005 < wander_m.std() < 0.004
    np.testing.assert_allclose(
        made.stream("action.tip_pose").table[:, 7], made.stream("simulation.clean_tip_pose").table[:, 7]
    )


def test_failures_are_kept_as_labelled_negatives_where_asked(stacks: Path, tmp_path: Path) -> None:
    jobs = planned(stacks, spec={"noise_m": 0.02}, keep_failures=True)._replace(tries_per_episode=40)
    report = run_expansion(jobs, tmp_path / "out", by="demonstrations", episodes=2, workers=1)
    source = open_source(tmp_path / "out")
    outcomes = [source.episode(key).outcome.success for key in source.keys()]
    assert outcomes.count(True) == 2
    assert outcomes.count(False) == report.production.tried - 2 > 0
    failed = next(source.episode(key) for key in source.keys() if source.episode(key).outcome.success is False)
    assert failed.extra["simulation"]["failed_because"] in report.reasons


def test_descendants_of_one_demonstration_share_its_split(stacks: Path, tmp_path: Path) -> None:
    retarget(stacks, tmp_path / "out", episodes=8, val_share=0.34)
    source = open_source(tmp_path / "out")
    split_of: dict[str, set[str | None]] = {}
    for key in source.keys():
        made = source.episode(key)
        for parent in made.origin.made_from:
            split_of.setdefault(parent, set()).add(made.origin.split)
    assert {split for splits in split_of.values() for split in splits} == {"train", "val"}
    assert all(len(splits) == 1 for splits in split_of.values())


def test_too_few_successes_are_said_and_kept(stacks: Path, tmp_path: Path) -> None:
    jobs = planned(stacks, spec={"noise_m": 0.2})._replace(tries_per_episode=3)
    with pytest.raises(WriteRefused, match=r"0 of 3 attempts at stack D0 succeeded, fewer than one in 3"):
        run_expansion(jobs, tmp_path / "out", by="demonstrations", episodes=1, workers=1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"chice": "random"}, "unknown key 'chice'. Allowed: choice, nearest,"),
        ({"choice": "best"}, "choice must be one of random, nearest_object, nearest_robot, got 'best'."),
        ({"noise_m": "much"}, "noise_m must be a number >= 0, got 'much'."),
        ({"subtask": {"take_red": {"offset_steps": [5, 1]}}}, "offset_steps must be two integers that rise"),
    ],
)
def test_a_specification_that_cannot_be_obeyed_says_what_can(table: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeRefused) as refused:
        tellings_from(table, where="telling.toml")
    assert message in str(refused.value)


def test_a_telling_of_an_unknown_subtask_lists_those_that_exist(stacks: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'take_red'"):
        planned(stacks, spec={"subtask": {"take_rde": {}}})


def test_what_no_simulator_recorded_is_refused_with_the_way_out() -> None:
    with pytest.raises(Unsupported, match="was not recorded in a simulated world"):
        plan_expansion(EpisodeList([tiny_episode()]), "demonstrations", keys=["0"], options={})


def test_looks_change_pictures_and_nothing_else(stacks: Path, tmp_path: Path) -> None:
    source = open_source(stacks)
    options = {"factors": ["light", "texture", "camera_pose", "distractors=2"]}
    expand(source, by="factors", out=tmp_path / "out", episodes=2, seed=1, options=options, size_px=(32, 32), workers=1)
    varied = open_source(tmp_path / "out")
    for key in varied.keys():
        made = varied.episode(key)
        before = source.episode(made.extra["simulation"]["source"])
        for name, stream in before.streams.items():
            np.testing.assert_array_equal(stream.table, made.stream(name).table)
        assert len(list(made.pictures())) == 2
        assert set(made.extra["simulation"]["factors"]) == {"light", "texture", "camera_pose", "distractors"}


def test_physics_is_simulated_again_and_only_successes_stay(stacks: Path, tmp_path: Path) -> None:
    source = open_source(stacks)
    options = {"factors": ["object_mass=1.0", "object_size=0.1"]}
    report = expand(
        source, by="factors", out=tmp_path / "out", episodes=3, seed=1, options=options, size_px=None, workers=1
    )
    varied = open_source(tmp_path / "out")
    made = varied.episode(varied.keys()[0])
    before = source.episode(made.extra["simulation"]["source"])
    first = pose_from_seven(before.stream("simulation.objects").table[0][:7])
    np.testing.assert_allclose(
        pose_from_seven(made.stream("simulation.objects").table[0][:7])[:2, 3], first[:2, 3], atol=2e-3
    )
    assert not np.array_equal(made.stream("observation.state").table, before.stream("observation.state").table)
    assert report.production.kept == 3
    assert made.outcome.success is True
