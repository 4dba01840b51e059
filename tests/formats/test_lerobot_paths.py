"""Templates of paths that name what a version does not know, and datasets that hold no episode yet."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from robokata.conversion.convert import convert
from robokata.core.detection import open_source
from robokata.core.errors import DamagedData, NotADataset, WriteRefused
from robokata.inspection.run import check_dataset
from robokata.testing import read_barcode


def edited(path: Path, **fields: Any) -> Path:
    """The dataset with other fields in info.json."""
    info = path / "meta" / "info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), **fields}))
    return path


def made(version: str, root: Path) -> Path:
    made: Path = importlib.import_module(f"makers.{version}").make(root, episodes=2, steps=20)
    return made


def test_a_template_with_unknown_fields_is_told_and_files_at_the_default_place_are_read(tmp_path: Path) -> None:
    template = "data/chunk-{chunk_index:03d}/episode_{episode_index:06d}.parquet"
    source = open_source(edited(made("lerobot_v2", tmp_path), data_path=template))
    episode = source.episode("1")
    assert read_barcode(next(episode.pictures()).values[7])[:2] == (1, 7)
    wrong = [d for d in source.facts().declarations if not d.holds]
    assert [(d.subject, d.declared) for d in wrong] == [("data_path", template)]
    assert "does not know" in wrong[0].hint
    assert any("data_path" in finding.message for finding in check_dataset(source).findings)


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("lerobot_v2", "it knows episode_chunk, episode_index, and not batch"),
        ("lerobot_v3", "it knows chunk_index, file_index, and not batch"),
    ],
)
def test_a_template_that_leads_nowhere_names_the_fields_that_the_version_knows(
    version: str, known: str, tmp_path: Path
) -> None:
    path = edited(made(version, tmp_path), data_path="rows/{batch}.parquet")
    (path / "data").rename(path / "elsewhere")
    with pytest.raises(DamagedData, match=f"'data_path' is no usable template: .* \\({known}\\)"):
        open_source(path)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_recording_that_ended_before_its_first_episode_holds_none(version: str, tmp_path: Path) -> None:
    info = {"codebase_version": version, "fps": 30, "features": {}, "total_episodes": 0, "total_frames": 0}
    (tmp_path / "set" / "meta").mkdir(parents=True)
    (tmp_path / "set" / "meta" / "info.json").write_text(json.dumps(info))
    source = open_source(tmp_path / "set")
    assert list(source.keys()) == list(source.facts().rows) == []
    with pytest.raises(WriteRefused, match="the dataset holds no episode: there is nothing to convert"):
        convert(source, tmp_path / "out", "mcap")


def test_an_empty_info_json_is_called_empty(tmp_path: Path) -> None:
    path = made("lerobot_v3", tmp_path)
    (path / "meta" / "info.json").write_text("")
    with pytest.raises(DamagedData, match=r"info\.json: the file is empty"):
        open_source(path)


def test_the_only_dataset_below_a_folder_is_opened_and_of_several_one_must_be_named(tmp_path: Path) -> None:
    path = made("lerobot_v3", tmp_path / "hub" / "user")
    assert open_source(tmp_path / "hub").path == path
    made("lerobot_v2", tmp_path / "hub" / "other")
    with pytest.raises(NotADataset, match=r"hub: holds 2 datasets \(.*\)\. Name one\."):
        open_source(tmp_path / "hub")


@pytest.mark.parametrize("address", ["s3://bucket/set", "s3:/bucket/set", "https://host/set", "hf://datasets/user/set"])
def test_an_address_is_called_one(address: str) -> None:
    scheme, _, rest = address.partition(":")
    with pytest.raises(NotADataset) as caught:
        open_source(Path(address))
    assert str(caught.value) == (
        f"{scheme}://{rest.lstrip('/')}: is an address, and datasets are read from this machine's disks. Download it "
        f"first, or mount it, and name the folder."
    )
