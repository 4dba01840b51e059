"""Does TFDS itself find in our RLDS what was in the source? Opens, iterates and compares every step.

TensorFlow is 1.7 GB and pins its own world, so this runs in an environment of its own:

    uv venv --python 3.11 /tmp/tfds_env
    uv pip install --python /tmp/tfds_env/bin/python tensorflow-cpu==2.21.0 tensorflow-datasets==4.9.10 \
        av simplejpeg pyarrow duckdb
    PYTHONPATH=src /tmp/tfds_env/bin/python benchmarks/interop/check_tfds.py [DATASET ...]

Each DATASET, in any format that Robokata reads, is converted to a temporary RLDS folder and opened with
`tfds.builder_from_directory`. Without one, episodes are made up: several rates, clocks, and every type of number.
Numbers and lossless pictures must be equal to the bit. JPEG bytes must be those of the source; TensorFlow decodes
them with its own settings, so the largest difference of a pixel is shown, not judged. Exits with 1 where TFDS
disagrees.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from robokata.conversion.convert import convert
from robokata.core.clock import step_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.source import EpisodeList, Source
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats._rlds.layout import Column, Pictures, plan_episode
from robokata.formats._rlds.write import split_of
from robokata.testing import tiny_episode

TYPES = ("float64", "float32", "float16", "int64", "int8", "uint8", "uint16", "uint64", "bool")


def main(datasets: Sequence[str]) -> int:
    os.environ["CUDA_VISIBLE_DEVICES"], os.environ["TF_CPP_MIN_LOG_LEVEL"] = "", "3"
    sources = [(name, open_source(name)) for name in datasets] or [
        ("episodes of several rates", EpisodeList([two_cameras(n) for n in range(3)])),
        ("every type of number", EpisodeList([typed_episode(n) for n in range(2)])),
    ]
    wrong = 0
    for name, source in sources:
        with tempfile.TemporaryDirectory() as folder:
            wrong += compare(name, source, Path(folder) / "checked" / "1.0.0")
    return 1 if wrong else 0


def compare(name: str, source: Source, out: Path) -> int:
    import tensorflow_datasets as tfds

    convert(source, out, "rlds", accept_loss=True)
    builder = tfds.builder_from_directory(str(out))
    by_split: dict[str, list[Episode]] = defaultdict(list)
    for key in source.keys():
        by_split[split_of(episode := source.episode(key))].append(episode)
    problems, steps, jpeg_error = list[str](), 0, 0
    if set(builder.info.splits) != set(by_split):
        problems.append(f"splits {sorted(builder.info.splits)}, expected {sorted(by_split)}")
    for split, episodes in by_split.items():
        found = list(builder.as_dataset(split=split, shuffle_files=False))
        raw = builder.as_dataset(split=split, shuffle_files=False, decoders={"steps": undecoded(builder, tfds)})
        if not len(found) == len(episodes) == builder.info.splits[split].num_examples:
            problems.append(f"{split} has {len(found)} episodes, expected {len(episodes)}")
        for episode, one, bare in zip(episodes, found, raw, strict=False):
            rows = list(tfds.as_numpy(one["steps"]))
            encoded = list(tfds.as_numpy(bare["steps"]))
            steps += len(rows)
            plan = plan_episode(episode, anchor=None, pictures=Pictures("png", 95))
            for column in plan.columns:
                where = f"{split} {episode.id} {column.target}"
                worst, said = differences(column, [at(r, column.target) for r in rows], encoded)
                problems += [f"{where}: {text}" for text in said]
                jpeg_error = max(jpeg_error, worst)
            # The flags of an RLDS source are columns like all others: pieces of episodes have no last step.
            problems += [] if plan.is_rlds else [f"{split} {episode.id}: {text}" for text in flags(rows)]
    for text in problems[:20]:
        print("WRONG", text)
    jpeg = f", JPEG pixels differ by up to {jpeg_error}" if jpeg_error else ""
    print(f"{name}: {sum(map(len, by_split.values()))} episodes, {steps} steps, {len(problems)} differences{jpeg}")
    return len(problems)


def differences(column: Column, found: list[Any], encoded: list[Any]) -> tuple[int, list[str]]:
    """Largest difference of a JPEG's pixel, and what is wrong."""
    if len(found) != len(column.picked):
        return 0, [f"{len(found)} steps, expected {len(column.picked)}"]
    expected = np.asarray(column.stream.values[:])[column.picked]
    if column.declared.dtype == "string":
        wanted = [v.encode() if isinstance(v, str) else v for v in expected.reshape(-1)]
        return 0, [] if [bytes(v) for v in np.ravel(np.asarray(found, object))] == wanted else ["texts differ"]
    values = np.stack(found)
    if column.declared.encoding == "jpeg":
        originals = [column.stream.pictures.encoded(int(i)) for i in column.picked]
        bytes_found = [at(step, column.target) for step in encoded]
        said = [] if bytes_found == [o.data for o in originals if o is not None] else ["the JPEG bytes differ"]
        return int(np.abs(values.astype(int) - expected.astype(int)).max()), said
    # float64 that TFDS itself once wrote as float32 is declared as it was, and converted when it is read.
    if values.dtype != column.declared.dtype or values.shape != expected.shape:
        return 0, [f"{values.dtype}{values.shape}, expected {column.declared.dtype}{expected.shape}"]
    same = np.array_equal(values, expected.astype(values.dtype), equal_nan=values.dtype.kind == "f")
    return 0, [] if same else ["values differ"]


def flags(rows: list[Any]) -> Iterator[str]:
    first, last = [bool(r["is_first"]) for r in rows], [bool(r["is_last"]) for r in rows]
    if first != [i == 0 for i in range(len(rows))]:
        yield "is_first is not the first step alone"
    if last != [i == len(rows) - 1 for i in range(len(rows))]:
        yield "is_last is not the last step alone"


def at(step: Any, name: str) -> Any:
    for part in name.split("/"):
        step = step[part]
    return step


def undecoded(builder: Any, tfds: Any) -> Any:
    """Decoders that leave every picture as its bytes."""

    def walk(features: Any) -> dict[str, Any]:
        found = {}
        for name, feature in features.items():
            if isinstance(feature, tfds.features.FeaturesDict):
                found |= {name: below} if (below := walk(feature)) else {}
            elif isinstance(feature, tfds.features.Image):
                found[name] = tfds.decode.SkipDecoding()
        return found

    return walk(builder.info.features["steps"].feature)


def two_cameras(number: int) -> Episode:
    """An arm at 50 Hz, a camera at 30 Hz, and one at 48 Hz, half of whose pictures stand in no step."""
    other = tiny_episode(number + 10, duration_s=2.0, camera_rate_hz=Fraction(48)).stream("observation.images.front")
    return tiny_episode(number, duration_s=2.0).with_stream(replace(other, name="observation.images.wrist"))


def typed_episode(number: int) -> Episode:
    rng, steps = np.random.default_rng(number), 7
    streams = {}
    for dtype in TYPES:
        for shape in ((), (3,), (20, 20)):
            drawn = rng.integers(0, 256, steps * int(np.prod(shape)) * np.dtype(dtype).itemsize).astype(np.uint8)
            numbers = (drawn % 2 if dtype == "bool" else drawn).view(dtype).reshape(steps, *shape)
            name = f"{dtype}_{len(shape)}"
            streams[name] = Stream(name, Kind.TENSOR, Role.STATE, step_clock(steps), ArrayValues(numbers))
    texts = np.asarray([f"étape {n}" for n in range(steps)], object)
    streams["note"] = Stream("note", Kind.TEXT, Role.UNKNOWN, step_clock(steps), ArrayValues(texts))
    return Episode(str(number), streams)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
