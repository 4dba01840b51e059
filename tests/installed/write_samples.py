"""Small sets of every format, and what they read as here: `python write_samples.py FOLDER`.

Run where the tests run: the formats' own libraries write most of them. `read_samples.py` then reads them anywhere.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from installed.read_samples import digests_below, inner
from robokata.conversion.convert import convert
from robokata.core.detection import open_source

MAKERS = (
    "aloha_hdf5",
    "droid_json",
    "lerobot_v1",
    "lerobot_v2",
    "lerobot_v3",
    "mcap",
    "rlds",
    "robomimic_hdf5",
    "rosbag1",
    "rosbag2",
    "zarr_replay",
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    warnings.simplefilter("ignore")
    for name in MAKERS:
        importlib.import_module(f"makers.{name}").make(folder / name, episodes=2, steps=12)
    write_logs(folder)
    write_zarr(folder)
    for target in ("mcap", "zarr_replay", "lerobot_v3"):
        convert(open_source(inner(folder / "lerobot_v2")), folder / f"to_{target}", target)
    (folder / "expected.json").write_text(json.dumps(digests_below(folder), indent=1))


def write_logs(folder: Path) -> None:
    from formats.test_rosbag2_packed import bag
    from makers.depth_log import write_every_depth

    (folder / "depth").mkdir()
    write_every_depth(folder / "depth" / "depth.mcap")
    for mode in (CompressionMode.FILE, CompressionMode.MESSAGE):
        bag(folder / f"rosbag2_{mode.name}", StoragePlugin.MCAP, mode)


def write_zarr(folder: Path) -> None:
    """Replay buffers with the codecs that stores have: sharded, with checksums, with texts, and UMI's JPEG XL."""
    import zarr

    from containers.test_zarr_codecs import TEXTS, VALUES, buffer, shards
    from formats.test_zarr_replay import make_umi

    codecs = zarr.codecs
    buffer(folder / "sharded.zarr", VALUES, **shards())
    buffer(folder / "crc32c.zarr", VALUES, compressors=[codecs.ZstdCodec(checksum=True), codecs.Crc32cCodec()])
    buffer(folder / "text.zarr", TEXTS, dtype=str)
    buffer(folder / "text2.zarr", TEXTS, dtype=str, version=2)
    for name in ("lz4", "lz4hc", "blosclz", "zlib", "zstd"):
        buffer(folder / f"blosc_{name}.zarr", VALUES, compressors=[codecs.BloscCodec(cname=name, typesize=4)])
    for name, config in v2_codecs().items():
        buffer(folder / f"v2_{name}.zarr", VALUES, version=2, **config)
    (folder / "umi").mkdir()
    make_umi(folder / "umi")


def v2_codecs() -> dict[str, dict[str, Any]]:
    import numcodecs

    whole = {"filters": [numcodecs.Delta("<f4"), numcodecs.Shuffle(4)], "compressors": numcodecs.LZ4()}
    scaled = {"filters": [numcodecs.FixedScaleOffset(0, 1, np.dtype("<f4"), np.dtype("<i4"))], "compressors": None}
    packed = {n: {"compressors": getattr(numcodecs, n)()} for n in ("Zlib", "GZip", "BZ2", "LZMA", "Zstd")}
    return {"delta": whole, "scaled": scaled, **packed}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
