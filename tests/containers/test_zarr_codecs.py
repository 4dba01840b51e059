"""Codecs of Zarr chunks that real stores use, without the libraries of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.core.errors import DamagedData, Unsupported, UntrustedContent
from robokata.core.stream import Kind
from robokata.formats import zarr_replay

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
VALUES = np.arange(300, dtype="f4").reshape(100, 3)
TEXTS = np.asarray([f"pick up the cup {'é' * (i % 4)}" for i in range(100)], object)


def buffer(path: Path, values: np.ndarray[Any, Any], *, version: int = 3, dtype: Any = None, **settings: Any) -> Path:
    """Two episodes of 40 and 60 rows of one array, with the zarr library."""
    group = zarr.create_group(str(path), zarr_format=version)
    settings = {"chunks": (10, *values.shape[1:]), **settings}
    array = group.create_group("data").create_array("x", shape=values.shape, dtype=dtype or values.dtype, **settings)
    array[:] = values
    ends = group.create_group("meta").create_array("episode_ends", shape=(2,), dtype="i8")
    ends[:] = [40, 100]
    return path


def shards(*, index_location: str = "end", **settings: Any) -> dict[str, Any]:
    """Settings of a sharded array whose index lies at either end."""
    codec = zarr.codecs.ShardingCodec(chunk_shape=(10, 3), index_location=index_location, **settings)
    return {"chunks": (50, 3), "serializer": codec, "compressors": None}


READ_ALONE = """
import sys
sys.modules["google_crc32c"] = sys.modules["crc32c"] = sys.modules["zarr"] = None
from robokata.formats import zarr_replay
source = zarr_replay.read(__import__("pathlib").Path(sys.argv[1]))
print(sum(float(source.episode(key).streams["x"].values[:].sum()) for key in "01"))
"""


@pytest.mark.parametrize("location", ["start", "end"])
def test_shards_are_read_where_no_library_of_crc32c_is_installed(tmp_path: Path, location: str) -> None:
    path = buffer(tmp_path / "x.zarr", VALUES, **shards(index_location=location))
    ran = subprocess.run([sys.executable, "-c", READ_ALONE, str(path)], capture_output=True, text=True, check=True)
    assert float(ran.stdout) == VALUES.sum()


def test_chunks_with_a_crc32c_of_their_own_are_read_where_no_library_of_it_is_installed(tmp_path: Path) -> None:
    pack = [zarr.codecs.ZstdCodec(checksum=True), zarr.codecs.Crc32cCodec()]
    path = buffer(tmp_path / "x.zarr", VALUES, compressors=pack)
    ran = subprocess.run([sys.executable, "-c", READ_ALONE, str(path)], capture_output=True, text=True, check=True)
    assert float(ran.stdout) == VALUES.sum()


def test_a_chunk_whose_crc32c_is_wrong_is_damage_and_not_numbers(tmp_path: Path) -> None:
    path = buffer(tmp_path / "x.zarr", VALUES, compressors=[zarr.codecs.Crc32cCodec()])
    chunk = path / "data" / "x" / "c" / "4" / "0"
    chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:])
    source = zarr_replay.read(path)
    np.testing.assert_array_equal(source.episode("0").streams["x"].values[:], VALUES[:40])
    with pytest.raises(DamagedData) as caught:
        source.episode("1").streams["x"].values[:]
    assert str(caught.value) == f"{chunk}: the chunk cannot be decoded by crc32c: the checksum does not match."


def test_a_shard_index_whose_crc32c_is_wrong_is_damage(tmp_path: Path) -> None:
    path = buffer(tmp_path / "x.zarr", VALUES, **shards())
    shard = path / "data" / "x" / "c" / "0" / "0"
    data = shard.read_bytes()
    shard.write_bytes(data[:-8] + bytes([data[-8] ^ 1]) + data[-7:])
    with pytest.raises(DamagedData, match="shard index: the chunk cannot be decoded by crc32c"):
        zarr_replay.read(path).episode("0").streams["x"].values[:]


@pytest.mark.parametrize("name", ["lz4", "lz4hc", "blosclz", "zlib", "zstd"])
@pytest.mark.parametrize("shuffle", ["noshuffle", "shuffle", "bitshuffle"])
def test_every_variant_of_blosc_is_read(tmp_path: Path, name: str, shuffle: str) -> None:
    pack = [zarr.codecs.BloscCodec(cname=name, shuffle=shuffle, typesize=4)]
    path = buffer(tmp_path / "x.zarr", VALUES, compressors=pack)
    np.testing.assert_array_equal(zarr_replay.read(path).episode("1").streams["x"].values[:], VALUES[40:])


@pytest.mark.parametrize(("version", "dtype"), [(3, str), (3, "U20"), (2, str), (2, "U20"), (3, "S30")])
def test_texts_of_free_and_of_fixed_length_are_read_as_text(tmp_path: Path, version: int, dtype: Any) -> None:
    texts = TEXTS if dtype is str else np.char.encode(TEXTS.astype("U20"), "utf-8").astype("S30")
    texts = TEXTS.astype("U20") if dtype == "U20" else texts
    path = buffer(tmp_path / "x.zarr", texts, version=version, dtype=dtype)
    stream = zarr_replay.read(path).episode("1").streams["x"]
    assert stream.kind is Kind.TEXT
    assert list(stream.values[:]) == list(TEXTS[40:])


def test_objects_that_only_code_rebuilds_stay_refused(tmp_path: Path) -> None:
    path = buffer(tmp_path / "x.zarr", TEXTS, version=2, dtype=str)
    about = path / "data" / "x" / ".zarray"
    about.write_text(about.read_text().replace("vlen-utf8", "pickle"))
    with pytest.raises(UntrustedContent, match="holds Python objects"):
        zarr_replay.read(path).episode("0").streams["x"].values[:]


def test_a_codec_that_is_not_read_is_refused_by_its_name(tmp_path: Path) -> None:
    path = buffer(tmp_path / "x.zarr", VALUES)
    about = path / "data" / "x" / "zarr.json"
    about.write_text(about.read_text().replace('"zstd"', '"numcodecs.pcodec"'))
    with pytest.raises(UntrustedContent, match="is encoded with 'pcodec'"):
        zarr_replay.read(path).episode("0").streams["x"].values[:]


def test_shards_inside_of_shards_are_refused_by_name(tmp_path: Path) -> None:
    inner = zarr.codecs.ShardingCodec(chunk_shape=(5, 3))
    path = buffer(tmp_path / "x.zarr", VALUES, **shards(codecs=[inner]))
    with pytest.raises(Unsupported, match=r"zarr\.json: shards inside of shards, or behind another codec\."):
        zarr_replay.read(path).episode("0").streams["x"].values[:]
