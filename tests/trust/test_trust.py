"""The trust benchmark on a sample of its variants, and proof that it sees what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.trust.corpus import corpus
from benchmarks.trust.run import try_named
from benchmarks.trust.trial import try_variant
from benchmarks.trust.truth import EpisodeTruth, Truth, Variant

QUICK = (
    "video/lerobot_v2/edit_hides_key_b.mp4",
    "video/lerobot_v3/h265_b.mp4",
    "tables/zarr_v3/big_endian_f2_matrix",
    "tables/lerobot_v3/uint64_vector",
    "tables/rlds/float16_matrix",
    "tables/robomimic/bool_scalar",
    "logs/mcap_json/optional",
    "logs/rosbag1/restarted",
)
NAMES = [variant.name for variant in corpus()]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOKATA_CACHE", str(tmp_path / "cache"))


def is_right(name: str, folder: Path) -> None:
    outcome = try_named((name, str(folder)))
    assert (outcome.wrong, outcome.false_exact, outcome.internal) == ([], [], [])
    assert outcome.conversions + len(outcome.refusals) > 0


@pytest.mark.parametrize("name", QUICK)
def test_a_variant_is_read_converted_and_learnt_from_as_its_own_library_reads_it(tmp_path: Path, name: str) -> None:
    is_right(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[5::10])
def test_every_tenth_variant_is_right(tmp_path: Path, name: str) -> None:
    is_right(name, tmp_path)


def test_there_are_at_least_three_hundred_variants() -> None:
    assert len(NAMES) >= 300


def other_number(truth: Truth) -> Truth:
    numbers = np.array(truth.numbers)
    numbers.reshape(-1)[-1] += 1
    return replace(truth, numbers=numbers)


def other_picture(truth: Truth) -> Truth:
    assert truth.pictures is not None
    return replace(truth, pictures=[*truth.pictures[:-1], truth.pictures[-1] ^ 1])


def other_time(truth: Truth) -> Truth:
    assert truth.times_ns is not None
    return replace(truth, times_ns=truth.times_ns + 2000)


@pytest.mark.parametrize(
    ("stream", "change", "said"),
    [
        ("action", other_number, "action: 1 of 72 numbers differ"),
        ("observation.images.cam", other_picture, "observation.images.cam: pictures [11] of 12 differ (1 in all)"),
        ("action", other_time, "action: times differ by up to 20"),
    ],
)
def test_one_number_picture_or_time_that_is_otherwise_is_counted_everywhere(
    tmp_path: Path, stream: str, change: Any, said: str
) -> None:
    variant = next(v for v in corpus() if v.name == "video/lerobot_v2/h264_gop2.mp4")

    def read(path: Path) -> list[EpisodeTruth]:
        (episode,) = variant.read(path)
        return [replace(episode, streams={**episode.streams, stream: change(episode.streams[stream])})]

    outcome = try_variant(Variant(variant.name, variant.make, read), tmp_path / "v", targets=("lerobot_v3", "mcap"))
    assert f"read: episode 0: {said}" in outcome.wrong[0]
    assert [what for what in outcome.false_exact if what.startswith("back from lerobot_v3")]
    assert [what for what in outcome.false_exact if what.startswith("in mcap")]
    if change is not other_time:
        assert [what for what in outcome.false_exact if "by its own library" in what]


def test_a_traceback_is_an_internal_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("x")

    monkeypatch.setattr("benchmarks.trust.trial.check_dataset", broken)
    variant = next(v for v in corpus() if v.name == "tables/zarr_v2/one_step")
    outcome = try_variant(variant, tmp_path / "v", targets=("mcap",))
    assert len(outcome.internal) == 1
    assert outcome.internal[0].startswith("check: KeyError: 'x'")
