"""Depth in robot logs: metres and millimetres, never the codes behind them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from makers.depth_log import (
    QUANTISED,
    codes,
    millimetres,
    pack,
    rvl,
    truth_m,
    write_depth_log,
    write_every_depth,
)
from robokata.conversion.convert import convert
from robokata.core.detection import open_source
from robokata.core.errors import DamagedData
from robokata.core.stream import Kind
from robokata.formats import mcap
from robokata.formats._logs.depth import unpack_rvl


def streams(path: Path) -> dict:
    source = mcap.read(path)
    return dict(source.episode(source.keys()[0]).streams)


def resolution_m(depth_m: np.ndarray) -> np.ndarray:
    """How far one code of inverse depth reaches: the derivative of A / (code - B)."""
    return depth_m**2 / QUANTISED[0]


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_codes_of_inverse_depth_come_back_as_metres(tmp_path: Path, codec: str) -> None:
    stream = streams(write_every_depth(tmp_path / "d.mcap"))[f"/metres/{codec}"]
    depth, truth = stream.values[:], truth_m()
    assert (depth.dtype, depth.shape, str(stream.meaning.unit)) == (np.float32, truth.shape, "m")
    np.testing.assert_array_equal(np.isnan(depth), np.isnan(truth))
    there = ~np.isnan(truth)
    assert np.all(np.abs(depth - truth)[there] <= 1.05 * resolution_m(truth)[there])
    assert stream.extra["depth_quantisation"] == {"A": QUANTISED[0], "B": QUANTISED[1]}


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_millimetres_are_the_same_numbers_raw_and_packed(tmp_path: Path, codec: str) -> None:
    found = streams(write_every_depth(tmp_path / "d.mcap"))
    raw, packed = found["/mm/depth/raw"], found[f"/mm/{codec}"]
    assert raw.shape == packed.shape == (24, 32)
    assert str(raw.meaning.unit) == str(packed.meaning.unit) == "mm"
    np.testing.assert_array_equal(raw.values[:], packed.values[:])


def test_every_message_is_unpacked_by_its_own_a_and_b(tmp_path: Path) -> None:
    truth, other = truth_m(2), (50 * 51.0, 1 - 50 * 51.0 / 8)
    messages = [pack(codes(truth[0]), "png", QUANTISED), pack(codes(truth[1], other), "png", other)]
    path = write_depth_log(tmp_path / "d.mcap", {"/depth": ("32FC1; compressedDepth png", messages)})
    np.testing.assert_allclose(streams(path)["/depth"].values[1], truth[1], rtol=0.01)


def test_a_format_of_the_first_versions_names_no_codec_and_is_png(tmp_path: Path) -> None:
    whole = millimetres(truth_m(1)[0])
    path = write_depth_log(tmp_path / "d.mcap", {"/depth": ("16UC1; compressedDepth", [pack(whole, "png")])})
    np.testing.assert_array_equal(streams(path)["/depth"].values[0], whole)


def test_codes_without_their_a_and_b_are_no_picture_and_say_why(tmp_path: Path) -> None:
    bare = pack(codes(truth_m(1)[0]), "png")[12:]
    path = write_depth_log(tmp_path / "d.mcap", {"/depth": ("32FC1; compressedDepth png", [bare])})
    stream = streams(path)["/depth"]
    assert stream.kind is Kind.MESSAGE
    assert stream.extra["why"] == (
        f"{path}: /depth: compressed depth without the 12 bytes of A and B: its codes are no metres."
    )


def test_an_encoding_that_the_transport_has_not_stays_messages_and_is_named(tmp_path: Path) -> None:
    message = pack(millimetres(truth_m(1)[0]), "png")
    path = write_depth_log(tmp_path / "d.mcap", {"/depth": ("bgr8; compressedDepth png", [message])})
    stream = streams(path)["/depth"]
    assert stream.kind is Kind.MESSAGE
    assert "depth packed as 'bgr8; compressedDepth png'" in stream.extra["why"]


@pytest.mark.parametrize("target", ["mcap", "zarr_replay", "rlds"])
def test_other_formats_get_metres_and_keep_a_and_b(tmp_path: Path, target: str) -> None:
    before = streams(write_every_depth(tmp_path / "d.mcap"))
    convert(open_source(tmp_path / "d.mcap"), tmp_path / "out", target)
    source = open_source(tmp_path / "out")
    after = source.episode(source.keys()[0]).streams
    for name in ("/metres/depth/raw", "/metres/png", "/metres/rvl", "/mm/png", "/mm/rvl"):
        np.testing.assert_array_equal(after[name].values[:], before[name].values[:])
        assert after[name].meaning.unit == before[name].meaning.unit
        assert after[name].extra.get("depth_quantisation") == before[name].extra.get("depth_quantisation")


@pytest.mark.parametrize("seed", range(20))
def test_rvl_gives_back_every_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, [2, 300, 65536][seed % 3], 997) * rng.integers(0, 2, 997)
    np.testing.assert_array_equal(unpack_rvl(rvl(picture.tolist()), 997, where="x"), picture)


def test_rvl_reads_a_stream_that_was_made_by_hand() -> None:
    # 0 zeros, 2 others: +1 (zigzag 2), -1 + 9 = +8 (zigzag 16: nibbles 0 | more, 2); then 1 zero, 0 others.
    assert unpack_rvl(struct.pack("<I", 0x02282100), 3, where="x").tolist() == [1, 9, 0]


def test_broken_rvl_is_damage_and_costs_no_memory() -> None:
    data = rvl([5] * 100)
    for broken, pixels in ((data[:4], 100), (b"\xff" * 64, 100), (b"", 100), (data, 3)):
        with pytest.raises(DamagedData):
            unpack_rvl(broken, pixels, where="x")
