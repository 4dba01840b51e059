"""What only the container of a video knows, beside what FFmpeg says of it."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest

from media import odd_videos as odd
from media.odd_videos import encode, entry_box, turn
from robokata.core.errors import DamagedData
from robokata.media.container import container_facts, turn_in_words
from robokata.media.packet_index import packet_index
from robokata.media.parameter_sets import has_b_slices, units
from robokata.media.video import VideoFrames


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (odd.QUARTER_TURN, "turned by 90 degrees clockwise"),
        (odd.HALF_TURN, "turned by 180 degrees clockwise"),
        (odd.THREE_QUARTERS, "turned by 270 degrees clockwise"),
        (odd.MIRROR, "mirrored"),
        ((odd.ONE, 0, 0, 0, -odd.ONE, 0, 0, 0, 1 << 30), "turned by 180 degrees clockwise and mirrored"),
    ],
)
@pytest.mark.parametrize("whole_movie", [False, True])
def test_a_turn_is_said_in_words_and_kept_in_numbers(
    tmp_path: Path, matrix: tuple[int, ...], words: str, whole_movie: bool
) -> None:
    video = turn(encode(tmp_path / "video.mp4", frames=2), matrix, whole_movie=whole_movie)
    found = container_facts(VideoFrames(video, 2)).display["display_matrix"]
    assert found == list(matrix)
    assert turn_in_words(found) == words


def test_shape_of_pixels_crop_and_other_tracks_are_found_without_a_decoder(tmp_path: Path) -> None:
    video = entry_box(encode(tmp_path / "video.mov", tracks=["sound"]), b"pasp", struct.pack(">II", 8, 9))
    entry_box(video, b"clap", struct.pack(">8I", 64, 1, 48, 1, 0, 1, 0, 1))
    facts = container_facts(VideoFrames(video, odd.FRAMES))
    assert facts.display == {"pixel_aspect_ratio": [8, 9], "clean_aperture": [64, 1, 48, 1, 0, 1, 0, 1]}
    assert facts.other_tracks == ("sound (mp4a)",)
    with av.open(str(video)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


def test_a_plain_file_and_an_absent_one_have_nothing_to_add(tmp_path: Path) -> None:
    assert container_facts(VideoFrames(encode(tmp_path / "video.mp4"), 3)) == ({}, ())
    assert container_facts(VideoFrames(tmp_path / "absent.mp4", 3)) == ({}, ())
    with pytest.raises(DamagedData):
        packet_index(tmp_path / "absent.mp4")


@pytest.mark.parametrize(("b_frames", "expected"), [("0", False), ("2", True)])
def test_b_slices_are_seen_in_the_bytes(tmp_path: Path, b_frames: str, expected: bool) -> None:
    video = encode(tmp_path / "video.ts", bf=b_frames, b_strategy="0")
    with av.open(str(video)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert any(map(has_b_slices, packets)) is expected
    assert all(b"".join(head + unit for head, unit in units(data)) == data for data in packets)
