"""DROID as one JSON per episode beside its mp4 files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makers.droid_json import make
from robokata.core.clock import ClockQuality
from robokata.core.errors import DamagedData, MediaMissing, UnknownName
from robokata.core.stream import Role
from robokata.formats import droid_json
from robokata.testing import Barcode, read_barcode


def change(path: Path, number: int, **fields: Any) -> Path:
    """Change fields of one annotation; gives its path back."""
    file = path / "annotation" / "train" / f"{number}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
    return file


def test_two_rates_in_one_episode_keep_their_own_clocks(tmp_path: Path) -> None:
    source = droid_json.read(make(tmp_path, episodes=2, steps=8))
    episode = source.episode("train/1")
    camera, raw = episode.streams["videos/1"], episode.streams["action.cartesian_position"]
    assert (len(camera), len(episode.streams["states"]), len(raw)) == (8, 8, 24)
    assert (camera.clock.quality, camera.clock.declared_rate_hz) == (ClockQuality.DECLARED, 5)
    assert (raw.clock.quality, raw.clock.declared_rate_hz) == (ClockQuality.UNKNOWN, None)
    assert read_barcode(camera.values[6]) == Barcode(1, 6)
    assert raw.role is Role.ACTION
    assert episode.streams["states"].role is Role.STATE
    assert raw.meaning.unit is None
    assert episode.declared_steps == 24
    assert episode.extra["state_length"] == 8
    assert all(declaration.holds for declaration in source.facts().declarations)


def test_episodes_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    source = droid_json.read(make(tmp_path, episodes=11, steps=2))
    assert source.keys() == [f"train/{n}" for n in range(11)]
    assert source.facts().splits == {"train": 11}
    with pytest.raises(UnknownName) as caught:
        source.episode("train/a")
    assert str(caught.value).startswith("No episode is called 'train/a'. Did you mean 'train/")


def test_an_empty_text_is_kept_as_an_empty_instruction(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=3)
    change(path, 0, texts=[""], success=0)
    change(path, 1, texts=[], success="yes")
    source = droid_json.read(path)
    assert [i.text for i in source.episode("train/0").instructions] == [""]
    assert [i.text for i in source.episode("train/1").instructions] == [""]
    assert source.episode("train/0").outcome.success is False
    assert source.episode("train/1").outcome.success is None
    assert [row.success for row in source.facts().rows] == [False, None]


def test_files_that_are_named_but_absent_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=3)
    change(path, 0, latent_videos=[{"latent_video_path": "latent_videos/train/0/0.pt"}])
    (path / "videos" / "train" / "1" / "0.mp4").unlink()
    source = droid_json.read(path)
    broken = [d for d in source.facts().declarations if not d.holds]
    assert [(d.subject, d.declared, d.found, d.hint) for d in broken] == [
        ("files of videos", 4, 3, "videos/train/1/0.mp4 is the first that is not there."),
        ("files of latent_videos", 1, 0, "latent_videos/train/0/0.pt is the first that is not there."),
    ]
    pictures = source.episode("train/1").streams["videos/0"].pictures
    assert pictures.media().is_absent
    with pytest.raises(MediaMissing):
        _ = pictures[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"states": [[1.0], [1.0, 2.0]]}, "'states' is no table of numbers, a row per step."),
        ({"action.joint_position": ["1", "2"]}, "'action.joint_position' is no table of numbers, a row per step."),
        ({"states": [None, 1.0]}, "'states' is no table of numbers, a row per step."),
        (
            {"videos": [{"video_path": "../../secret.mp4"}]},
            "names the video '../../secret.mp4', which lies outside the dataset.",
        ),
    ],
)
def test_an_annotation_with_wrong_content_costs_its_episode_only(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    path = make(tmp_path, episodes=2, steps=3)
    file = change(path, 0, **fields)
    source = droid_json.read(path)
    with pytest.raises(DamagedData) as caught:
        source.episode("train/0")
    assert str(caught.value) == f"{file}: {message}"
    assert len(source.episode("train/1").streams["states"]) == 3


def test_a_cut_annotation_is_named_with_the_byte_where_it_breaks(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=3)
    file = path / "annotation" / "train" / "0.json"
    file.write_bytes(file.read_bytes()[:30])
    source = droid_json.read(path)
    with pytest.raises(DamagedData) as caught:
        source.episode("train/0")
    assert str(caught.value) == f"{file} at byte 19: not JSON: Unterminated string starting at."
    assert [row.steps for row in source.facts().rows] == [None, 9]
    assert droid_json.sniff(path) == 0.5


def test_the_published_subset_reads_with_its_quirks(shared_data: Path) -> None:
    path = shared_data / "droid-json-mp4" / "droid_subset"
    assert droid_json.sniff(path) == 0.95
    source = droid_json.read(path)
    facts = source.facts()
    assert [row.success for row in facts.rows] == [True] * 4 + [False] * 3
    assert [row.id for row in facts.rows if row.instructions == ("",)] == [f"train/{n}" for n in (0, 4, 5, 6)]
    broken = [d for d in facts.declarations if not d.holds]
    assert [(d.subject, d.declared, d.found) for d in broken] == [("files of latent_videos", 21, 0)]
    episode = source.episode("train/3")
    assert {name: len(s) for name, s in episode.streams.items() if s.is_picture} == {
        f"videos/{n}": 80 for n in range(3)
    }
    cartesian, states = episode.streams["observation.state.cartesian_position"].table, episode.streams["states"].table
    np.testing.assert_array_equal(states[:, :6], cartesian[::3])
    assert episode.streams["videos/2"].values[79].shape == (192, 320, 3)
