"""Tests of finding datasets: what is recognised, what is searched, and what is told where nothing is."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from makers import mcap as mcap_maker
from makers import zarr_replay as zarr_maker
from robokata.core import detection as detection_module
from robokata.core import shelf as shelf_module
from robokata.core.detection import detect, find_datasets, open_source, reopen
from robokata.core.errors import AmbiguousFormat, NotADataset, UnknownName
from robokata.core.leaf_kinds import readable_formats
from robokata.core.shelf import shelf
from robokata.core.source import Declaration, EpisodeList, row_of
from robokata.testing import tiny_episode, tiny_source
from robokata.testing.sample import write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "sample"
    write_sample(path)
    return path


def found_at(path: Path) -> list[tuple[str, str]]:
    return [(str(found.path.relative_to(path)), found.format) for found in find_datasets(path)]


def test_a_path_that_is_a_dataset_is_the_only_one_found(sample: Path) -> None:
    assert detect(sample) == "lerobot_v3"
    assert found_at(sample) == [(".", "lerobot_v3")]


def test_datasets_are_found_three_folders_down_and_no_deeper(sample: Path, tmp_path: Path) -> None:
    for place in ("b", "a/x/y", "a/x/z/w", ".hidden"):
        shutil.copytree(sample, tmp_path / place)
    (tmp_path / "empty").mkdir()
    assert found_at(tmp_path) == [("a/x/y", "lerobot_v3"), ("b", "lerobot_v3")]


def test_nothing_found_lists_what_every_format_looks_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no dataset")
    with pytest.raises(NotADataset) as caught:
        find_datasets(tmp_path)
    looked = "\n".join(f"  {name}: {shelf('formats')[name].LOOKS_FOR}" for name in readable_formats())
    assert str(caught.value) == (
        f"{tmp_path}: holds no dataset that Robokata recognises. Looked for:\n{looked}\n"
        "If it is one of these, name it with --format to learn what is missing."
    )


@pytest.mark.parametrize("path", ["/no/such/place", "bad\0name"])
def test_a_path_that_does_not_exist_is_told(path: str) -> None:
    for asked in (detect, find_datasets, open_source):
        with pytest.raises(NotADataset) as caught:
            asked(path)
        assert str(caught.value) == f"{path}: no such file or directory. Check the path."


def test_a_format_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        open_source(tmp_path, format="lerobot")


def test_opening_again_sees_what_changed_meanwhile(sample: Path) -> None:
    """A notebook that edits a dataset and looks again must not be shown the old one."""
    assert open_source(sample) is not open_source(sample)


def test_a_worker_opens_the_dataset_of_many_references_once(sample: Path) -> None:
    assert reopen(str(sample), "lerobot_v3") is reopen(str(sample), "lerobot_v3")


def test_insisting_on_a_format_that_is_not_there_is_refused(sample: Path) -> None:
    with pytest.raises(NotADataset) as caught:
        open_source(sample, format="rosbag1")
    looked_for = shelf("formats")["rosbag1"].LOOKS_FOR
    assert str(caught.value) == f"{sample}: holds nothing of the format rosbag1. Looked for {looked_for}."


def test_single_files_below_a_folder_are_found(tmp_path: Path) -> None:
    made = zarr_maker.make(tmp_path / "made", episodes=2, steps=8)
    folder = tmp_path / "downloads"
    (folder / "sub").mkdir(parents=True)
    (folder / "README.md").write_text("# Datasets")
    for name in ("push.zarr", "sub/lift.zarr"):
        shutil.make_archive(str(folder / name), "zip", made)
    assert found_at(folder) == [("push.zarr.zip", "zarr_replay"), ("sub/lift.zarr.zip", "zarr_replay")]


def test_a_folder_that_is_a_dataset_of_files_is_one_dataset(tmp_path: Path) -> None:
    made = mcap_maker.make(tmp_path / "made", episodes=2, steps=8)
    shutil.copytree(made if made.is_dir() else made.parent, tmp_path / "all" / "day1")
    assert found_at(tmp_path / "all") == [("day1", "mcap")]


def fake_shelf(monkeypatch: pytest.MonkeyPatch, **sniffs: object) -> None:
    class Fake(dict[str, object]):
        def names(self) -> tuple[str, ...]:
            return tuple(sorted(self))

    leaves = Fake()
    for name, sniff in sniffs.items():
        leaves[name] = SimpleNamespace(sniff=sniff, read=open, LOOKS_FOR=f"a {name}", IS_FOLDER_OF_FILES=False)
    monkeypatch.setattr(shelf_module, "_shelf", lambda folder: leaves)


def test_two_formats_that_claim_one_path_are_told_and_format_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    fake_shelf(monkeypatch, one=lambda p: 0.8 * (p.name == "set"), two=lambda p: 0.8 * (p.name == "set"))
    for asked, path in ((detect, tmp_path / "set"), (find_datasets, tmp_path), (find_datasets, tmp_path / "set")):
        with pytest.raises(AmbiguousFormat) as caught:
            asked(path)
        assert str(caught.value) == f"{tmp_path / 'set'}: could be one or two. Say which with --format."


def test_the_highest_confidence_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_shelf(monkeypatch, one=lambda p: 0.4, two=lambda p: 0.9)
    assert detect(tmp_path) == "two"


def test_a_folder_of_ten_thousand_pictures_costs_three_openings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(300):
        (tmp_path / f"{n:05}.jpg").touch()
        (tmp_path / f"part.{n:05}").touch()
    for n in range(50):
        (tmp_path / f"{n:05}.log").touch()
    probed: list[Path] = []
    fake_shelf(monkeypatch, one=lambda p: probed.append(p) or 0.9 * (p.suffix == ".log"))
    assert len(find_datasets(tmp_path)) == 50
    files = [path for path in probed if path.is_file()]
    assert sum(path.suffix == ".jpg" for path in files) == detection_module.MISSES_PER_SUFFIX
    assert len(files) - 50 <= detection_module.MISSES_PER_FOLDER


def test_links_that_lead_back_are_not_followed(sample: Path, tmp_path: Path) -> None:
    shutil.copytree(sample, tmp_path / "a" / "set")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone").symlink_to("nowhere")
    assert found_at(tmp_path) == [("a/set", "lerobot_v3")]


def test_a_folder_that_may_not_be_listed_is_passed_over_and_told_where_nothing_is_found(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    listed = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(NotADataset) as caught:
        find_datasets(tmp_path)
    assert str(caught.value).endswith(f"\nNot searched: {tmp_path / 'closed'}: Permission denied.")
    shutil.copytree(sample, tmp_path / "set")
    assert found_at(tmp_path) == [("set", "lerobot_v3")]


def test_a_list_of_episodes_is_a_source() -> None:
    source = tiny_source(3, duration_s=0.4)
    assert (source.format, list(source.keys()), source.episode("2").id) == ("memory", ["0", "1", "2"], "2")
    with pytest.raises(UnknownName) as caught:
        source.episode("3")
    assert str(caught.value) == "No episode is called '3'. Known: 0, 1, 2."


def test_two_episodes_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        EpisodeList([tiny_episode(duration_s=0.2), tiny_episode(duration_s=0.2)])
    assert str(caught.value) == "2 episodes, but only 1 different ids"


def test_a_list_without_facts_gets_a_row_per_episode() -> None:
    episode = tiny_episode(1, duration_s=0.4)
    facts = EpisodeList([episode]).facts()
    assert facts.rows == [row_of(episode)]
    assert (facts.rows[0].steps, facts.rows[0].split, facts.rows[0].success) == (20, "train", True)
    assert facts.robots == ("tiny_arm",)


def test_a_declaration_holds_where_the_bytes_agree() -> None:
    assert Declaration("total_frames", 5, 5, "meta/info.json").holds
    assert not Declaration("total_frames", 5, 6, "meta/info.json").holds
