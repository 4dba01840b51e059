"""Video in messages that begins between two key frames: what can be decoded is read, what cannot is told."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from mcap.writer import Writer

from robokata.containers.ros import encode as ros
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.inspection.run import check_dataset

START_NS, STEP_NS = 1_700_000_000_000_000_000, 33_333_333
COUNT, GROUP = 40, 10


class Coded(NamedTuple):
    """One packet, and which picture it holds."""

    picture: int
    data: bytes


def coded(codec: str, *, options: dict[str, str]) -> list[Coded]:
    """Forty pictures whose bar grows, as packets in decoding order."""
    out: list[Coded] = []
    with av.open(io.BytesIO(), "w", format="hevc" if codec == "h265" else codec) as file:
        stream = file.add_stream("libx265" if codec == "h265" else "libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = options
        frames: list[av.VideoFrame | None] = []
        for number in range(COUNT):
            picture = np.zeros((64, 64, 3), np.uint8)
            picture[:, : number + 4] = 255
            frames.append(av.VideoFrame.from_ndarray(picture, format="rgb24"))
            frames[-1].pts = number
        for frame in (*frames, None):
            out += [Coded(int(packet.pts), bytes(packet)) for packet in stream.encode(frame)]
    return out


H264 = {"g": str(GROUP), "bf": "0", "sc_threshold": "0"}
KEYS = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:repeat-headers=1:log-level=none"
H265, OPEN = {"x265-params": f"{KEYS}:bframes=0"}, {"x265-params": f"{KEYS}:bframes=2:open-gop=1"}


def log(path: Path, packets: list[Coded], *, form: str, codec: str) -> Path:
    """The packets as foxglove writes them: messages of ROS 2 or JSON, one per picture."""
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("", "robokata tests")
        kind = (
            ros.COMPRESSED_VIDEO if form == "cdr" else ros.COMPRESSED_VIDEO._replace(encoding="jsonschema", data=b"{}")
        )
        schema = writer.register_schema(kind.name, kind.encoding, kind.data)
        channel = writer.register_channel("/camera", form, schema)
        for number, packet in enumerate(packets):
            time_ns = START_NS + packet.picture * STEP_NS
            if form == "cdr":
                data = ros.compressed_video(time_ns, packet.data, codec=codec, frame="camera")
            else:
                stamp = {"sec": time_ns // 10**9, "nsec": time_ns % 10**9}
                said = {"timestamp": stamp, "frame_id": "camera", "format": codec}
                data = json.dumps({**said, "data": base64.b64encode(packet.data).decode()}).encode()
            log_ns = START_NS + (packets[0].picture + number) * STEP_NS
            writer.add_message(channel, log_ns, data, log_ns)
        writer.finish()
    return path


def read(path: Path) -> Episode:
    source = open_source(path)
    return source.episode(source.keys()[0])


def bars(pictures: np.ndarray) -> list[int]:
    """Which picture each one is, by the width of its bar."""
    return [round(float((picture[..., 0] > 127).sum(axis=1).mean())) - 4 for picture in pictures]


@pytest.mark.parametrize("form", ["cdr", "json"])
@pytest.mark.parametrize(("codec", "options"), [("h264", H264), ("h265", H265)])
def test_a_recording_that_begins_between_two_key_frames_is_read_from_the_first_one_on(
    tmp_path: Path, form: str, codec: str, options: dict[str, str]
) -> None:
    packets = coded(codec, options=options)[7:]
    stream = read(log(tmp_path / "mid.mcap", packets, form=form, codec=codec)).stream("/camera")
    assert bars(stream.values[:]) == list(range(GROUP, COUNT))
    assert bars(stream.values[5:6]) == [GROUP + 5]
    assert stream.clock.times_ns.tolist() == [START_NS + i * STEP_NS for i in range(GROUP, COUNT)]
    assert stream.oddities["undecodable"] == (
        "3 of 33 pictures of /camera cannot be decoded and are left out: the recording begins between two key frames"
    )


def test_pictures_behind_an_open_key_frame_that_need_the_group_before_are_left_out(tmp_path: Path) -> None:
    packets = coded("h265", options=OPEN)
    start = next(n for n, packet in enumerate(packets) if n > 3 and packet.picture == GROUP)
    stream = read(log(tmp_path / "open.mcap", packets[start - 2 :], form="cdr", codec="h265")).stream("/camera")
    assert bars(stream.values[:]) == list(range(GROUP, COUNT))
    assert stream.clock.times_ns.tolist() == [START_NS + i * STEP_NS for i in range(GROUP, COUNT)]


def test_a_recording_that_begins_at_a_key_frame_lacks_nothing(tmp_path: Path) -> None:
    stream = read(log(tmp_path / "whole.mcap", coded("h264", options=H264), form="cdr", codec="h264")).stream("/camera")
    assert bars(stream.values[:]) == list(range(COUNT))
    assert stream.oddities == {}


def test_the_check_says_what_cannot_be_decoded_and_finds_nothing_else(tmp_path: Path) -> None:
    packets = coded("h264", options=H264)[7:]
    report = check_dataset(open_source(log(tmp_path / "mid.mcap", packets, form="cdr", codec="h264")))
    assert [(f.check, f.level.name) for f in report.findings] == [("truncated_video", "WARNING")]


@pytest.mark.parametrize("target", ["lerobot_v3", "zarr_replay", "robomimic_hdf5"])
def test_what_cannot_be_decoded_is_a_loss_that_must_be_accepted(tmp_path: Path, target: str) -> None:
    packets = coded("h264", options=H264)[7:]
    source = open_source(log(tmp_path / "mid.mcap", packets, form="cdr", codec="h264"))
    with pytest.raises(WriteRefused):
        convert(source, tmp_path / "out", target)
    report = plan_conversion(source, target)
    assert [loss.note[:47] for loss in report.losses if loss.is_lossy] == [
        "3 of 33 pictures of /camera cannot be decoded a"
    ]
    convert(source, tmp_path / "out", target, accept_loss=True)
    back = read(tmp_path / "out").stream("/camera")
    assert bars(back.values[:]) == list(range(GROUP, COUNT))
    assert back.oddities == {}


def test_a_copy_in_mcap_keeps_the_packets_that_cannot_be_decoded(tmp_path: Path) -> None:
    packets = coded("h264", options=H264)[7:]
    path = log(tmp_path / "mid.mcap", packets, form="cdr", codec="h264")
    convert(open_source(path), tmp_path / "out.mcap", "mcap")
    back = read(tmp_path / "out.mcap").stream("/camera")
    assert bars(back.values[:]) == list(range(GROUP, COUNT))
    assert back.oddities == read(path).stream("/camera").oddities
    assert list(open_source(tmp_path / "out.mcap").episode_log("out").counts()) == [33]
