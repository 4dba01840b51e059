"""Every format, the moment its file exists: recognised, lazy, picklable, never a wrong frame, never a traceback."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robokata.core.detection import detect, open_source
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError
from robokata.core.leaf_kinds import readable_formats, writable_formats
from robokata.core.source import Source
from robokata.media.luma_summary import glance
from robokata.testing import SOURCE_CLAUSES, WRITER_CLAUSES, read_barcode

FORMATS = readable_formats()
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


@pytest.mark.parametrize("clause", SOURCE_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_format_keeps_the_contract(made: tuple[str, Path], clause: Callable[[Source], None]) -> None:
    clause(open_source(made[1]))


@pytest.mark.parametrize("name", writable_formats())
@pytest.mark.parametrize("clause", WRITER_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_writer_keeps_the_contract(name: str, clause: Callable[..., None], tmp_path: Path) -> None:
    clause(name, {}, tmp_path)


def test_all_episodes_are_listed(made: tuple[str, Path]) -> None:
    assert len(open_source(made[1]).facts().rows) == EPISODES


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
                _ = stream.clock.places
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
