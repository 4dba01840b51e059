"""What a conversion wrote is read back and compared before it appears: faults of a writer never reach the user."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.conversion.convert import convert, plan_conversion, receipt_path
from robokata.conversion.readback import Depth, depth_named
from robokata.core.clock import measured_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode, Instruction
from robokata.core.errors import DamagedData, UnknownName, WriteRefused
from robokata.core.leaf_kinds import readable_formats, writable_formats
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.core.values import ArrayValues
from robokata.media.images import RawImages
from robokata.testing import tiny_episode

READ_BACK = [name for name in writable_formats() if name in readable_formats()]
SUFFIX = {"robomimic_hdf5": ".hdf5"}


def other_number(episode: Episode) -> Episode:
    state = next(episode.numeric())
    values = np.array(state.values[:])
    values[len(values) // 2] += 1
    return episode.with_stream(state.with_values(ArrayValues(values)))


def later_clock(episode: Episode) -> Episode:
    state = next(episode.numeric())
    times = state.clock.times_ns.copy()
    times[-1] += 1
    return episode.with_stream(replace(state, clock=measured_clock(times)))


def no_stream(episode: Episode) -> Episode:
    return episode.without_stream(next(episode.numeric()).name)


def other_picture(episode: Episode) -> Episode:
    camera = next(episode.pictures())
    pictures = np.array(camera.values[:])
    pictures[0] = 255 - pictures[0]
    return episode.with_stream(camera.with_values(RawImages(ArrayValues(pictures), where="other")))


def other_words(episode: Episode) -> Episode:
    return replace(episode, instructions=(Instruction("something else"),), ref=None)


FAULTS = (other_number, later_clock, no_stream, other_picture, other_words)


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Episode], Episode]) -> None:
    """The format's real writer, given other episodes than it was asked to write."""
    leaf = shelf("formats")[name]
    write = leaf.write

    def wrong(path: Path, episodes: Iterable[Episode], **options: Any) -> None:
        write(path, [change(episode) for episode in episodes], **options)

    # The signature is what options are read from.
    wrong.__wrapped__ = write  # type: ignore[attr-defined]
    monkeypatch.setattr(leaf, "write", wrong)


def episodes() -> EpisodeList:
    return EpisodeList([tiny_episode(number, duration_s=1.0) for number in range(2)])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("name", READ_BACK)
def test_a_writer_that_writes_something_else_never_leaves_it(
    name: str, fault: Callable[[Episode], Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, name, fault)
    with pytest.raises(WriteRefused, match="what was read back is not what was written"):
        convert(episodes(), tmp_path / f"out{SUFFIX.get(name, '')}", name)
    assert list(tmp_path.iterdir()) == []


def test_the_refusal_names_episode_stream_and_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, "mcap", other_number)
    with pytest.raises(WriteRefused) as caught:
        convert(episodes(), tmp_path / "out", "mcap")
    stream = next(tiny_episode(0, duration_s=1.0).numeric())
    assert f"\n  episode 0 {stream.name}: the numbers of sample {len(stream) // 2} differ" in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'out'}: what was read back is not what was written")


def test_a_video_that_is_damaged_on_the_way_to_the_disk_never_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    leaf = shelf("formats")["lerobot_v3"]
    leaf.write(source, [tiny_episode(0, duration_s=1.0)], pictures="video", codec="libx264")
    write = shelf("formats")["lerobot_v2"].write

    def cut(path: Path, given: Iterable[Episode], **options: Any) -> None:
        write(path, given, **options)
        video = next(path.rglob("*.mp4"))
        data = bytearray(video.read_bytes())
        # Behind the first packets: those before hold the encoder's settings as text, which no picture needs.
        at = data.index(b"mdat") + 2500
        data[at : at + 400] = bytes(400)
        video.write_bytes(data)

    cut.__wrapped__ = write  # type: ignore[attr-defined]
    monkeypatch.setattr(shelf("formats")["lerobot_v2"], "write", cut)
    with pytest.raises(WriteRefused, match=r"observation.images.\w+: picture \d+ (cannot|shows)"):
        convert(open_source(source), tmp_path / "out", "lerobot_v2")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", READ_BACK)
def test_the_receipt_counts_what_was_compared(name: str, tmp_path: Path) -> None:
    source, out = episodes(), tmp_path / f"out{SUFFIX.get(name, '')}"
    receipt = convert(source, out, name)
    seen = json.loads(receipt_path(out).read_text())["verified"]
    assert seen == json.loads(json.dumps(receipt.verified))
    every = [source.episode(key) for key in source.keys()]
    pictures = sum(len(stream) for episode in every for stream in episode.pictures())
    assert (seen["episodes"], seen["is_equal"], seen["differences"]) == (2, True, [])
    assert seen["pictures"] == pictures
    assert 0 < seen["pictures_decoded"] <= pictures
    assert seen["numbers"] >= sum(stream.table.size for episode in every for stream in episode.numeric())


def test_full_decodes_every_picture(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    leaf = shelf("formats")["lerobot_v3"]
    leaf.write(first, [tiny_episode(0, duration_s=1.0)], pictures="video", codec="libx264")
    quick = convert(open_source(first), second, "lerobot_v2").verified
    full = convert(open_source(first), tmp_path / "third", "lerobot_v2", verify=Depth.FULL).verified
    assert quick["pictures_decoded"] < quick["pictures"]
    assert full["pictures_decoded"] == full["pictures"] == quick["pictures"]
    assert quick["coded_bytes"] == full["coded_bytes"] > 0


def test_the_plan_of_a_conversion_is_what_it_is_held_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = plan_conversion(episodes(), "rlds", options={"pictures": "jpeg"})
    receipt = convert(
        episodes(), tmp_path / "out", "rlds", options={"pictures": "jpeg"}, report=report, accept_loss=True
    )
    assert receipt.verified["worst_psnr_db"] > 20
    assert receipt.verified["is_equal"]
    spoil(monkeypatch, "rlds", other_picture)
    with pytest.raises(WriteRefused, match="picture 0 shows something else"):
        convert(episodes(), tmp_path / "again", "rlds", options={"pictures": "jpeg"}, accept_loss=True)


def test_a_format_that_is_only_written_is_read_back_by_its_own_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = convert(episodes(), tmp_path / "out", "rerun_rrd", accept_loss=True)
    assert receipt.verified["is_equal"]
    assert receipt.verified["times"] == sum(
        len(stream) for episode in episodes().episodes.values() for stream in episode.streams.values()
    )
    for fault, said in ((other_number, "the numbers of its curves differ"), (later_clock, "are not its 50 times")):
        with monkeypatch.context() as patch:
            spoil(patch, "rerun_rrd", fault)
            with pytest.raises(WriteRefused, match=said):
                convert(episodes(), tmp_path / "wrong", "rerun_rrd", accept_loss=True)
    assert not (tmp_path / "wrong").exists()


def test_an_unknown_depth_lists_those_that_exist() -> None:
    with pytest.raises(UnknownName) as caught:
        depth_named("all")
    assert str(caught.value) == "No depth of --verify is called 'all'. Known: quick, full."


def test_errors_never_name_the_hidden_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = shelf("formats")["mcap"]
    write = leaf.write

    def fail(path: Path, given: Iterable[Episode]) -> None:
        raise DamagedData(path / ".scratch" / "tmp1.mp4", "was written a moment ago, and is no plain mp4 file.")

    fail.__wrapped__ = write  # type: ignore[attr-defined]
    monkeypatch.setattr(leaf, "write", fail)
    with pytest.raises(DamagedData) as caught:
        convert(episodes(), tmp_path / "out", "mcap")
    assert str(caught.value) == f"{tmp_path / 'out'}: was written a moment ago, and is no plain mp4 file."
