"""Depth cameras of LeRobot 0.6: 12-bit codes of metres in a video, which 8 bits of colour would merge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from makers.foreign_cameras import FRONT, depth, distances
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.detection import open_source
from robokata.core.layout import Way
from robokata.core.leaf_kinds import readable_formats, writable_formats
from robokata.core.stream import Role, Stream
from robokata.media.depth import depth_codes
from robokata.media.thumbnail import thumbnail_jpeg


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return depth(tmp_path_factory.mktemp("depth"))


def front(path: Path, key: str) -> Stream:
    return open_source(path).episode(key).streams[FRONT]


@pytest.mark.parametrize("key", ["0", "1"])
def test_the_values_are_the_codes_of_one_channel_bit_by_bit(made: Path, key: str) -> None:
    codes, _ = distances()
    stream = front(made, key)
    assert (stream.role, stream.shape, stream.values.dtype) == (Role.DEPTH, (64, 96, 1), np.uint16)
    np.testing.assert_array_equal(stream.values[:][..., 0], np.stack(codes)[int(key) * 10 :][:10])
    assert str(stream.meaning.normalisation) == "0..4095 for 0.01..10 m, logarithmic with shift 3.5 m"


def test_the_declared_mapping_gives_the_metres_to_half_a_step(made: Path) -> None:
    stream, (_, metres) = front(made, "0"), distances()
    codes = depth_codes(stream.extra["info"])
    assert codes is not None
    # A step of the logarithm is 1 / 4095 of ln(13.5 / 3.51): 2.5 mm at 4.2 m.
    np.testing.assert_allclose(codes.metres(stream.values[:][..., 0]), metres[:10], atol=0.0013)


@pytest.mark.parametrize("name", writable_formats())
def test_every_target_keeps_the_twelve_bits_and_none_fails(made: Path, tmp_path: Path, name: str) -> None:
    convert(open_source(made), tmp_path / "out", name)
    if name not in readable_formats():
        return
    source, codes = open_source(tmp_path / "out", format=name), np.stack(distances()[0])
    for number, key in enumerate(source.keys()):
        (stream,) = [s for s in source.episode(key).pictures() if s.name.endswith("front")]
        assert (stream.role, stream.values.dtype) == (Role.DEPTH, np.uint16)
        np.testing.assert_array_equal(np.squeeze(stream.values[:]), codes[10 * number :][:10])


@pytest.mark.parametrize("name", ["lerobot_v2", "lerobot_v3"])
def test_a_copy_declares_the_depth_and_its_mapping_as_the_source_does(made: Path, tmp_path: Path, name: str) -> None:
    convert(open_source(made), tmp_path / "out", name)
    feature = json.loads((tmp_path / "out/meta/info.json").read_text())["features"][FRONT]
    info = feature["info"]
    assert (feature["shape"], info["video.channels"], info["video.pix_fmt"]) == ([64, 96, 1], 1, "gray12le")
    assert (info["is_depth_map"], info["video.shift"], info["video.use_log"]) == (True, 3.5, True)


def test_as_pictures_in_the_table_every_level_is_kept_and_the_mapping_too(made: Path, tmp_path: Path) -> None:
    report = plan_conversion(open_source(made), "lerobot_v3", options={"pictures": "image"})
    assert next(loss.way for loss in report.losses if loss.stream == FRONT) is Way.DECODED
    convert(open_source(made), tmp_path / "out", "lerobot_v3", options={"pictures": "image"}, accept_loss=True)
    stream = front(tmp_path / "out", "0")
    np.testing.assert_array_equal(stream.values[:][..., 0], np.stack(distances()[0])[:10])
    info = json.loads((tmp_path / "out/meta/info.json").read_text())["features"][FRONT]["info"]
    assert info == {k: info[k] for k in ("is_depth_map", *(f"video.{n}" for n in _MAPPING))}


_MAPPING = ("depth_min", "depth_max", "shift", "use_log")


def test_a_thumbnail_of_depth_uses_the_whole_range_of_brightness(made: Path) -> None:
    import simplejpeg

    shown = simplejpeg.decode_jpeg(thumbnail_jpeg(front(made, "0").pictures[0]))
    assert shown.min() < 10
    assert shown.max() > 245
