"""Tests of derived indexes: built once per state of the file, and never a danger."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from robokata.runtime.cache import Arrays, cache_dir, cached_index


class Builder:
    """Counts how often the index is built."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self) -> Arrays:
        self.built += 1
        return {"stamps": np.arange(self.built, 50, dtype=np.int64), "names": np.asarray(["front", "wrist"])}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.bin"
    path.write_bytes(b"12345")
    return path


def test_an_index_is_built_once_and_comes_back_equal(recording: Path) -> None:
    build = Builder()
    first, again = cached_index(recording, "test-1", build), cached_index(recording, "test-1", build)
    assert build.built == 1
    assert sorted(again) == ["names", "stamps"]
    np.testing.assert_array_equal(first["stamps"], again["stamps"])
    np.testing.assert_array_equal(first["names"], again["names"])


def test_a_changed_file_and_another_kind_of_index_are_built_again(recording: Path) -> None:
    build = Builder()
    cached_index(recording, "test-1", build)
    os.utime(recording, ns=(1, 1))
    cached_index(recording, "test-1", build)
    recording.write_bytes(b"123456")
    os.utime(recording, ns=(1, 1))
    cached_index(recording, "test-1", build)
    cached_index(recording, "test-2", build)
    assert build.built == 4


def test_two_names_of_one_file_share_its_index(recording: Path) -> None:
    link = recording.with_name("link.bin")
    link.symlink_to(recording)
    build = Builder()
    cached_index(recording, "test-1", build)
    cached_index(link, "test-1", build)
    assert build.built == 1


def test_no_damage_of_the_cache_reaches_the_caller(recording: Path) -> None:
    sound = cached_index(recording, "test-1", Builder())
    (kept,) = (cache_dir() / "test-1").iterdir()
    whole, rng = kept.read_bytes(), np.random.default_rng(0)
    for variant in range(400):
        damaged = bytearray(whole)
        if variant % 4 == 0:
            damaged = damaged[: rng.integers(len(whole))]
        for _ in range(variant % 4):
            damaged[rng.integers(len(damaged))] ^= int(rng.integers(1, 256))
        kept.write_bytes(damaged)
        np.testing.assert_array_equal(cached_index(recording, "test-1", Builder())["stamps"], sound["stamps"])


def test_a_cache_that_cannot_be_written_costs_only_the_building(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("ROBOKATA_CACHE", str(tmp_path / "a file" / "below"))
    build = Builder()
    assert len(cached_index(recording, "test-1", build)["stamps"]) == 49
    assert len(cached_index(recording, "test-1", build)["stamps"]) == 48
    assert build.built == 2


def test_a_failed_build_leaves_nothing_behind(recording: Path) -> None:
    def fail() -> Arrays:
        raise KeyError("damaged")

    with pytest.raises(KeyError):
        cached_index(recording, "test-1", fail)
    assert list(cache_dir().rglob("*")) == []


def test_the_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROBOKATA_CACHE", "/chosen")
    assert cache_dir() == Path("/chosen")
    monkeypatch.delenv("ROBOKATA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/robokata")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "robokata"
