"""Clones without git-lfs: one message names the cause, whichever reader meets a pointer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from robokata.conversion.convert import convert
from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import find_datasets, open_source
from robokata.core.errors import DamagedData, NotADataset, RobokataError
from robokata.core.leaf_kinds import readable_formats
from robokata.core.pointers import pointers_below
from robokata.inspection.run import check_dataset
from robokata.survey.dataset_survey import survey

TEXTS = (".json", ".jsonl", ".yaml", ".txt")


def point(file: Path) -> None:
    """Put what git-lfs puts into a repository in the place of a file."""
    file.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 82515\n")


def pointed(path: Path, *, texts_too: bool) -> int:
    """A sound dataset as a clone without git-lfs holds it."""
    files = [file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    large = [f for f in files if texts_too or not (f.suffix in TEXTS or f.name.startswith(".z"))]
    for file in large:
        point(file)
    return len(large)


@pytest.mark.parametrize("texts_too", [False, True])
@pytest.mark.parametrize("name", readable_formats())
def test_a_clone_of_pointers_is_told_once_with_the_count_by_look_check_and_convert(
    name: str, texts_too: bool, tmp_path: Path
) -> None:
    path = importlib.import_module(f"makers.{name}").make(tmp_path, episodes=2, steps=20)
    count = pointed(path, texts_too=texts_too)
    said = f"{path}: these are Git LFS pointers, {count} file{'s' if count > 1 else ''} ({count * 0.082515:.3g} MB)"
    for verb in (survey, check_dataset, lambda source: convert(source, tmp_path / "out", "mcap", accept_loss=True)):
        pointers_below.cache_clear()
        try:
            # DROID's rows need a declared rate before anything else of them is written with times.
            rates = rates_from(["states=5", "observation.*=15", "action.*=15"] if name == "droid_json" else [])
            answer = verb(with_rates(open_source(find_datasets(path)[0].path), rates))
            told = {answer.pointers} if verb is survey else {f.message for f in answer.findings if "LFS" in f.message}
        except RobokataError as error:
            told = {str(error)}
        assert len(told) == 1
        assert said in (only := told.pop())
        assert only.endswith("Run `git lfs pull` in the clone.")


def test_one_file_that_was_not_pulled_costs_its_episode_only(tmp_path: Path) -> None:
    path = importlib.import_module("makers.aloha_hdf5").make(tmp_path, episodes=3, steps=20)
    point(path / "episode_1.hdf5")
    pointers_below.cache_clear()
    source = open_source(path)
    assert len(source.episode("episode_0").streams["action"]) == 20
    with pytest.raises(DamagedData, match=r"these are Git LFS pointers, 1 file \(0\.0825 MB\)"):
        source.episode("episode_1")
    assert "1 file" in (survey(source).pointers or "")


def test_a_folder_of_pointers_that_no_format_recognises_names_the_cause(tmp_path: Path) -> None:
    point(tmp_path / "cloth.bin")
    with pytest.raises(NotADataset, match="these are Git LFS pointers, 1 file"):
        find_datasets(tmp_path)


@pytest.mark.parametrize("text", ["", "version https://git-lfs.github.com/spec/v1\n", "x" * 5000])
def test_other_small_files_are_no_pointers(text: str, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_text(text)
    pointers_below.cache_clear()
    assert pointers_below(str(tmp_path)) is None
