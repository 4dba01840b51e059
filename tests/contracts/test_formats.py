"""Every format, the moment its file exists: recognised, lazy, picklable, never a wrong frame, never a traceback."""

from __future__ import annotations

import importlib
import os
import pickle
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robokata.core.episode import Episode
from robokata.core.errors import RobokataError
from robokata.core.shelf import shelf
from robokata.core.source import Source, detect, open_source
from robokata.media.glance import glance
from robokata.testing import read_barcode

FORMATS = shelf("formats").names()
EPISODES, STEPS = 3, 40


@pytest.fixture(scope="session", params=FORMATS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A sound dataset of each format, written by `tests/makers/<format>.py` with the format's own library."""
    name = str(request.param)
    maker = importlib.import_module(f"makers.{name}")
    return name, maker.make(tmp_path_factory.mktemp(name), episodes=EPISODES, steps=STEPS)


def episodes_of(source: Source) -> Iterator[Episode]:
    return map(source.episode, source.keys())


def test_the_format_is_recognised_and_no_other_claims_it(made: tuple[str, Path]) -> None:
    name, path = made
    assert detect(path) == name


def test_a_sound_dataset_keeps_every_declaration(made: tuple[str, Path]) -> None:
    facts = open_source(made[1]).facts()
    assert [d for d in facts.declarations if not d.holds] == []
    assert [row.id for row in facts.rows] == list(open_source(made[1]).keys())
    assert len(facts.rows) == EPISODES


def test_every_stream_has_as_many_times_as_values(made: tuple[str, Path]) -> None:
    for episode in episodes_of(open_source(made[1])):
        assert episode.streams
        for stream in episode.streams.values():
            assert len(stream.clock.times_ns) == len(stream.values) == len(stream.clock)
            assert stream.clock.times_ns.dtype == np.int64
            assert stream.values.shape[0] == len(stream)
            if len(stream):
                assert np.shape(stream.values[0]) == stream.shape


def test_opening_an_episode_reads_no_pictures_and_is_small_to_send(made: tuple[str, Path]) -> None:
    source = open_source(made[1])
    episode = source.episode(source.keys()[-1])
    assert len(pickle.dumps(episode)) < 2000
    again = pickle.loads(pickle.dumps(episode))
    assert (again.id, list(again.streams)) == (episode.id, list(episode.streams))
    for stream in episode.numeric():
        np.testing.assert_array_equal(again.stream(stream.name).table, stream.table)


def test_an_unknown_episode_lists_those_that_exist(made: tuple[str, Path]) -> None:
    source = open_source(made[1])
    with pytest.raises(RobokataError) as caught:
        source.episode("no such episode")
    assert str(caught.value).startswith("No episode is called 'no such episode'.")
    assert str(source.keys()[0]) in str(caught.value)


def test_no_wrong_frame_in_a_thousand_random_accesses(made: tuple[str, Path]) -> None:
    """The issue's 10,000 accesses per format are in the slow suite; a thousand catch every systematic error."""
    assert wrong_frames(made[1], 1000) == 0


@pytest.mark.slow
def test_no_wrong_frame_in_ten_thousand_random_accesses(made: tuple[str, Path]) -> None:
    assert wrong_frames(made[1], 10_000) == 0


def wrong_frames(path: Path, accesses: int) -> int:
    source = open_source(path)
    rng = np.random.default_rng(0)
    episodes = list(episodes_of(source))
    cameras = [(n, s) for n, episode in enumerate(episodes) for s in episode.pictures()]
    assert cameras, "every format of ours can hold pictures"
    wrong = 0
    for _ in range(accesses):
        number, stream = cameras[rng.integers(len(cameras))]
        frame = int(rng.integers(len(stream)))
        picture = np.asarray(stream.pictures[frame])
        full_scale = 1.0 if picture.dtype.kind == "f" and picture.max() <= 1.0 else 255.0
        wrong += read_barcode(picture, full_scale=full_scale) != (number, frame)
    return wrong


def test_slices_arrays_and_single_samples_agree(made: tuple[str, Path]) -> None:
    for episode in episodes_of(open_source(made[1])):
        for stream in episode.streams.values():
            if not stream.is_numeric and not stream.is_picture:
                continue
            picked = np.asarray([len(stream) - 1, 0, len(stream) // 2])
            for row, ordinal in zip(np.asarray(stream.values[picked]), picked, strict=True):
                np.testing.assert_array_equal(row, stream.values[int(ordinal)])
            np.testing.assert_array_equal(stream.values[2:7], stream.values[np.arange(2, 7)])


@pytest.mark.parametrize("variant", range(25))
def test_a_cut_file_costs_an_error_that_names_it_and_never_a_traceback(
    made: tuple[str, Path], variant: int, tmp_path: Path
) -> None:
    damage_and_read(made, tmp_path, variant, cut=True)


@pytest.mark.parametrize("variant", range(25))
def test_flipped_bytes_cost_an_error_and_never_a_traceback(
    made: tuple[str, Path], variant: int, tmp_path: Path
) -> None:
    damage_and_read(made, tmp_path, variant, cut=False)


@pytest.mark.slow
@pytest.mark.parametrize("variant", range(100, 300))
@pytest.mark.parametrize("cut", [True, False])
def test_damage_by_the_hundred(made: tuple[str, Path], variant: int, cut: bool, tmp_path: Path) -> None:
    damage_and_read(made, tmp_path, variant, cut=cut)


def damage_and_read(made: tuple[str, Path], tmp_path: Path, variant: int, *, cut: bool) -> None:
    name, path = made
    copy = tmp_path / path.name
    if path.is_dir():
        shutil.copytree(path, copy)
    else:
        shutil.copy(path, copy)
    maker = importlib.import_module(f"makers.{name}")
    files = sorted(copy.glob(maker.FILES)) if copy.is_dir() else [copy]
    files = [file for file in files if file.is_file() and file.stat().st_size]
    rng = np.random.default_rng([variant, int(cut)])
    victim = files[int(rng.integers(len(files)))]
    data = bytearray(victim.read_bytes())
    if cut:
        data = data[: int(rng.integers(0, len(data)))]
    else:
        for _ in range(int(rng.integers(1, 30))):
            data[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
    victim.write_bytes(data)
    started = time.monotonic()
    read_everything(copy, name)
    # A bound against hangs, not a measurement: sound data of this size reads in well under a second.
    assert time.monotonic() - started < 60


def read_everything(path: Path, name: str) -> int:
    """Read all that can be read; errors of ours are the only ones allowed. Returns the number of errors."""
    errors = 0
    try:
        source = open_source(path, format=name)
        keys = source.keys()
        source.facts()
    except RobokataError:
        return 1
    for key in keys:
        try:
            episode = source.episode(key)
        except RobokataError:
            errors += 1
            continue
        for stream in episode.streams.values():
            try:
                _ = stream.clock.times_ns
                if stream.is_picture:
                    stream.pictures.media()
                    glance(stream.pictures)
                    if len(stream):
                        _ = stream.values[len(stream) - 1]
                else:
                    _ = stream.values[:]
            except RobokataError:
                errors += 1
    return errors


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs a POSIX system")
def test_an_empty_file_and_a_text_file_in_its_place_are_one_clear_error(made: tuple[str, Path], tmp_path: Path) -> None:
    name, path = made
    maker = importlib.import_module(f"makers.{name}")
    for content in (b"", b"this is no dataset\n" * 20):
        copy = tmp_path / f"{len(content)}" / path.name
        copy.parent.mkdir()
        shutil.copytree(path, copy) if path.is_dir() else shutil.copy(path, copy)
        for file in copy.glob(maker.FILES) if copy.is_dir() else [copy]:
            if file.is_file():
                file.write_bytes(content)
        assert read_everything(copy, name) >= 1
