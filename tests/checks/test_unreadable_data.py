"""Bytes that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.checks.unreadable_data import check, plant
from robokata.core.clock import Clock, Reading, measured_clock, step_clock
from robokata.core.errors import DamagedData, MediaMissing, MissingPart, Unsupported
from robokata.core.finding import Abstention, Finding
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues, IndexedValues, LazyValues
from robokata.media.images import EncodedImages
from robokata.media.video import VideoFrames
from robokata.testing import tiny_episode


def failing(error: Exception) -> Callable[..., Any]:
    def load(*_: object) -> Any:
        raise error

    return load


def verdicts_with(stream: Stream) -> list[Any]:
    return list(check(tiny_episode(duration_s=1).with_stream(stream)))


def of_numbers(error: Exception, name: str = "force") -> Stream:
    values = LazyValues((4, 3), np.float32, failing(error))
    return Stream(name, Kind.TENSOR, Role.SENSOR, step_clock(4), values)


def test_damaged_numbers_are_named_with_file_byte_reason_and_next_move() -> None:
    damage = DamagedData("a/b.parquet", "the page ends early.", offset=1234, next_move="Restore it.")
    (finding,) = verdicts_with(of_numbers(damage))
    assert isinstance(finding, Finding)
    assert finding.message == "a/b.parquet at byte 1234: the page ends early. Restore it."
    assert (finding.stream, finding.repair) == ("force", "restore the file from the original, or drop the episode")


def test_what_robokata_cannot_read_yet_is_found_too() -> None:
    (finding,) = verdicts_with(of_numbers(Unsupported("a.bag: compressed with lz5, which Robokata does not read.")))
    assert finding.message == "a.bag: compressed with lz5, which Robokata does not read."


def test_a_missing_library_is_an_abstention_not_a_defect() -> None:
    (abstention,) = verdicts_with(of_numbers(MissingPart("Run: pip install 'robokata[ros]'")))
    assert isinstance(abstention, Abstention)


def test_two_columns_of_one_broken_file_are_one_finding() -> None:
    damage = DamagedData("a.parquet", "no footer.")
    episode = tiny_episode(duration_s=1).with_stream(of_numbers(damage)).with_stream(of_numbers(damage, "torque"))
    assert len(list(check(episode))) == 1


def test_a_clock_that_cannot_be_read_is_found() -> None:
    clock = Clock(4, failing(DamagedData("t.parquet", "no stamps.")))
    stream = Stream("force", Kind.TENSOR, Role.SENSOR, clock, ArrayValues(np.zeros((4, 3), np.float32)))
    (finding,) = verdicts_with(stream)
    assert finding.message == "t.parquet: no stamps."


def test_samples_and_times_of_different_number_are_found() -> None:
    clock = Clock(5, lambda: Reading(np.arange(5), step_clock(1).quality))
    stream = Stream("force", Kind.TENSOR, Role.SENSOR, clock, ArrayValues(np.zeros((4, 3), np.float32)))
    (finding,) = verdicts_with(stream)
    assert finding.message == "force has 4 samples and 5 times"


def test_of_messages_the_first_middle_and_last_are_read() -> None:
    asked: list[int] = []

    def load(index: int) -> bytes:
        asked.append(index)
        return b"x"

    values = IndexedValues((9,), object, load)
    assert verdicts_with(Stream("/imu", Kind.MESSAGE, Role.SENSOR, step_clock(9), values)) == []
    assert asked == [0, 4, 8]


def test_a_jpeg_that_ends_in_its_middle_is_located() -> None:
    simplejpeg = pytest.importorskip("simplejpeg")
    good = simplejpeg.encode_jpeg(np.full((32, 32, 3), 90, np.uint8))
    pictures = EncodedImages(3, lambda i: good if i != 1 else good[: len(good) // 2], where="steps.rec: image")
    clock = tiny_episode(duration_s=1).streams["action"].clock.times_ns
    stream = Stream("image", Kind.IMAGE, Role.CAMERA, measured_clock(clock[:3]), pictures)
    episode = tiny_episode(duration_s=1)
    (finding,) = list(check(episode.with_stream(stream)))
    assert "steps.rec: image, picture 1" in finding.message
    assert finding.start_s == episode.seconds(int(clock[1]))


def test_an_absent_video_is_left_to_missing_media_and_a_broken_one_is_found(tmp_path: Path) -> None:
    clock = step_clock(5)
    absent = Stream("top", Kind.VIDEO, Role.CAMERA, clock, VideoFrames(tmp_path / "no.mp4", 5))
    assert verdicts_with(absent) == []
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    broken = Stream("top", Kind.VIDEO, Role.CAMERA, clock, VideoFrames(tmp_path / "bad.mp4", 5))
    (finding,) = verdicts_with(broken)
    assert str(tmp_path / "bad.mp4") in finding.message


def test_an_absent_table_is_told_here() -> None:
    (finding,) = verdicts_with(of_numbers(MediaMissing("a.parquet", "the file does not exist.")))
    assert finding.message == "a.parquet: the file does not exist."


def test_empty_streams_and_texts_are_read_without_complaint() -> None:
    none = step_clock(0)
    empty = Stream("e", Kind.TENSOR, Role.SENSOR, none, ArrayValues(np.zeros((0, 3), np.float32)))
    message = Stream("m", Kind.MESSAGE, Role.SENSOR, none, ArrayValues(np.zeros(0, object)))
    text = Stream("t", Kind.TEXT, Role.LANGUAGE, step_clock(2), ArrayValues(np.asarray(["a", "b"], object)))
    episode = replace(tiny_episode(duration_s=1), streams={s.name: s for s in (empty, message, text)})
    assert list(check(episode)) == []


def test_planted_damage_names_its_stream() -> None:
    for seed in range(20):
        episode = tiny_episode(seed, duration_s=1)
        assert list(check(episode)) == []
        planted = plant(episode, np.random.default_rng(seed), 1.0)
        (finding,) = list(check(planted))
        assert finding.stream in ("observation.state", "action")
        assert finding.message.startswith(f"planted damage in {finding.stream}: sample ")
        assert list(check(plant(episode, np.random.default_rng(seed), 0.0))) == []
