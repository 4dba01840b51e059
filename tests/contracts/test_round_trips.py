"""Every writable format: what goes in comes back, and what does not is named before anything is written."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robokata.conversion.convert import convert, plan_conversion
from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import detect, open_source
from robokata.core.errors import RobokataError, WriteRefused
from robokata.core.leaf_kinds import readable_formats, writable_formats
from robokata.core.source import EpisodeList, Source
from robokata.core.stream import Role, Stream
from robokata.testing import tiny_episode

SOURCES = readable_formats()
TARGETS = [name for name in writable_formats() if name in SOURCES]
SUFFIX = {"robomimic_hdf5": ".hdf5"}


def target_path(folder: Path, name: str) -> Path:
    return folder / f"out{SUFFIX.get(name, '')}"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small dataset of each format, written by the format's own library."""
    return {
        name: importlib.import_module(f"makers.{name}").make(tmp_path_factory.mktemp(name), episodes=2, steps=24)
        for name in SOURCES
    }


def same_numbers(before: Stream, after: Stream) -> None:
    assert after.values.dtype == before.values.dtype, before.name
    np.testing.assert_array_equal(np.asarray(after.values[:]), np.asarray(before.values[:]), err_msg=before.name)


def same_clock(before: Stream, after: Stream) -> None:
    np.testing.assert_array_equal(after.clock.places, before.clock.places, err_msg=before.name)
    assert after.clock.quality == before.clock.quality, before.name
    assert after.clock.declared_rate_hz == before.clock.declared_rate_hz, before.name
    assert list(after.other_clocks) == list(before.other_clocks), before.name
    for name, clock in before.other_clocks.items():
        np.testing.assert_array_equal(after.other_clocks[name].places, clock.places)


def compare(source: Source, written: Source, lossy: set[str], copied: set[str], anew: set[str]) -> None:
    pairs: Iterator[tuple[str, str]] = zip(source.keys(), written.keys(), strict=True)
    for key, other in pairs:
        before, after = source.episode(key), written.episode(other)
        assert [i.text for i in after.instructions] == [i.text for i in before.instructions]
        assert after.outcome == before.outcome
        assert after.origin == before.origin
        for name, stream in before.streams.items():
            if name in lossy:
                continue
            back = after.stream(name)
            if name in anew:
                # Counters of the source's rows would contradict the target's index: it counts anew.
                continue
            same_clock(stream, back)
            assert (back.role, back.kind if not stream.is_picture else back.role) == (
                stream.role,
                stream.kind if not stream.is_picture else stream.role,
            )
            assert back.channels == stream.channels
            assert back.meaning == stream.meaning
            if stream.is_numeric:
                same_numbers(stream, back)
            elif stream.is_picture:
                same_numbers(stream, back)
                if name in copied and len(stream) and stream.pictures.encoded(0) is not None:
                    for index in range(len(stream)):
                        assert back.pictures.encoded(index) == stream.pictures.encoded(index)
            else:
                assert list(back.values[:]) == list(stream.values[:])


@pytest.mark.parametrize("target", TARGETS)
def test_a_multi_rate_episode_with_measured_clocks_comes_back(target: str, tmp_path: Path) -> None:
    source = EpisodeList([tiny_episode(n, duration_s=2.0) for n in range(2)])
    run_round_trip(source, target, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_comes_back_from_every_target(
    name: str, target: str, made: dict[str, Path], tmp_path: Path
) -> None:
    run_round_trip(paced_where_needed(open_source(made[name]), target), target, tmp_path)


def paced_where_needed(source: Source, target: str) -> Source:
    """The source with declared rates, where the target cannot do without times: the refusal says so."""
    try:
        plan_conversion(source, target)
    except WriteRefused as refusal:
        if "--rate-hz" not in str(refusal):
            raise
        words = ["states=5", "action.*=15", "observation.*=15"] if source.format == "droid_json" else ["10"]
        return with_rates(source, rates_from(words))
    return source


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["rlds", "zarr_replay", "aloha_hdf5", "droid_json"])
def test_a_rate_that_the_user_declared_stays_the_users_word(
    name: str, target: str, made: dict[str, Path], tmp_path: Path
) -> None:
    words = ["states=5", "action.*=15", "observation.*=15"] if name == "droid_json" else ["10"]
    first, again = target_path(tmp_path, target), tmp_path / "again"
    convert(with_rates(open_source(made[name]), rates_from(words)), first, target, accept_loss=True)
    convert(open_source(first), again, "zarr_replay", accept_loss=True)
    for path in (first, again):
        written = open_source(path)
        clocks = [s.clock for s in written.episode(written.keys()[0]).numeric(Role.STATE, Role.ACTION)]
        assert {clock.quality for clock in clocks} == {"declared by the user"}, path
        assert {clock.rate_hz() for clock in clocks} == ({5.0, 15.0} if name == "droid_json" else {10.0})


def run_round_trip(source: Source, target: str, tmp_path: Path) -> None:
    out = target_path(tmp_path, target)
    report = plan_conversion(source, target)
    if report.is_lossy:
        with pytest.raises(WriteRefused, match="--accept-loss"):
            convert(source, out, target, report=report)
        assert not out.exists()
    convert(source, out, target, report=report, accept_loss=True)
    assert detect(out) == target
    written = open_source(out)
    assert [d for d in written.facts().declarations if not d.holds] == []
    lossy = {loss.stream for loss in report.losses if loss.is_lossy}
    # A stream may be copied in one episode and decoded in another: ALOHA files are raw or compressed each.
    decoded = {loss.stream for loss in report.losses if loss.way != "copied"}
    copied = {loss.stream for loss in report.losses if loss.way == "copied"} - decoded
    first = source.episode(source.keys()[0])
    counters = {stream.name for stream in first.of_role(Role.BOOKKEEPING)}
    anew = {loss.stream for loss in report.losses if loss.target is None} & counters
    compare(source, written, lossy, copied, anew)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_exists_is_refused_and_left_alone(target: str, tmp_path: Path) -> None:
    out = target_path(tmp_path, target)
    if out.suffix:
        out.write_bytes(b"mine")
    else:
        out.mkdir()
        (out / "mine").write_bytes(b"mine")
    with pytest.raises(RobokataError) as caught:
        convert(EpisodeList([tiny_episode(0, duration_s=1.0)]), out, target, accept_loss=True)
    assert str(caught.value) == f"{out} exists and is not empty. Choose another target; nothing is ever overwritten."
    assert [p.read_bytes() for p in ([out] if out.is_file() else out.iterdir())] == [b"mine"]
