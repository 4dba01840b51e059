"""Converting from Python: what is refused before anything is written, and what the receipt keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.conversion.convert import convert, options_of, plan_conversion, receipt_path
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError, UnknownName, WriteRefused
from robokata.core.layout import Way
from robokata.core.leaf_kinds import writable_formats
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.core.values import ArrayValues
from robokata.testing import tiny_episode

ONE_TABLE = [name for name in writable_formats() if getattr(shelf("formats")[name], "IS_ONE_TABLE", False)]


def numbers(number: int) -> Episode:
    episode = tiny_episode(number, duration_s=1.0, is_measured=False)
    return episode.without_stream(next(episode.pictures()).name)


@pytest.fixture
def source_path(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    shelf("formats")["lerobot_v3"].write(path, [numbers(n) for n in range(3)])
    return path


def shorter(episode: Episode) -> Episode:
    stream = episode.streams["action"]
    cut = replace(stream, values=ArrayValues(stream.table[:, :4]), channels=None)
    return replace(episode, streams={**episode.streams, "action": cut})


@pytest.mark.parametrize("name", ONE_TABLE)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.without_stream("action"), "episode 1 has no action, beside episode 0"),
        (shorter, "episode 1 has action of shape (4,), not (6,), beside episode 0"),
    ],
)
def test_episodes_that_do_not_fit_together_are_refused_by_the_plan(
    name: str, change: Callable[[Episode], Episode], said: str
) -> None:
    with pytest.raises(WriteRefused) as caught:
        plan_conversion(EpisodeList([numbers(0), change(numbers(1))]), name)
    assert str(caught.value) == (
        f"{said}: {name} holds one set of streams per dataset. Convert each kind to a dataset of its own "
        f"(--where, --episode), or leave the stream out of all (--without)."
    )


@pytest.mark.parametrize("name", sorted(set(writable_formats()) - set(ONE_TABLE)))
def test_formats_with_a_place_per_episode_take_different_episodes(name: str) -> None:
    assert plan_conversion(EpisodeList([numbers(0), shorter(numbers(1))]), name).episodes == 2


def test_the_plan_is_the_same_whatever_the_number_of_workers(source_path: Path) -> None:
    source = open_source(source_path)
    seen: list[int] = []
    plans = [plan_conversion(source, "rlds", workers=n, advance=seen.append) for n in (1, 2)]
    assert plans[0] == plans[1]
    assert sum(seen) == 6


def test_a_report_names_the_first_note_and_the_worst_psnr() -> None:
    from robokata.core.layout import Layout, Place, Way, loss_report

    places = [Place("cam", "cam", Way.REENCODED, note, psnr_db=db) for note, db in (("", 41.0), ("h264", 38.5))]
    (loss,) = loss_report("x", [Layout((place,)) for place in places], options={}).losses
    assert (loss.note, loss.psnr_db, loss.episodes, loss.is_lossy) == ("h264", 38.5, 2, True)


def test_unknown_formats_and_options_name_the_known_ones(source_path: Path, tmp_path: Path) -> None:
    source = open_source(source_path)
    with pytest.raises(UnknownName) as caught:
        convert(source, tmp_path / "out", "lerobot_v4")
    assert str(caught.value) == (
        f"No writable format is called 'lerobot_v4'. Did you mean 'lerobot_v3'? Known: {', '.join(writable_formats())}."
    )
    with pytest.raises(UnknownName) as caught:
        convert(source, tmp_path / "out", "lerobot_v3", options={"rate": 10})
    assert str(caught.value).startswith("No option of lerobot_v3 is called 'rate'.")
    assert list(tmp_path.iterdir()) == [source_path]


def test_the_layout_of_every_format_takes_the_options_of_its_writer() -> None:
    import inspect

    for name in writable_formats():
        leaf = shelf("formats")[name]
        assert list(options_of(leaf)) == list(inspect.signature(leaf.layout).parameters)[1:], name


def test_a_receipt_says_from_what_and_how(source_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = open_source(source_path)
    receipt = convert(source, out, "lerobot_v2", options={"rate_hz": Fraction(50)}, keys=["0", "2"])
    kept: dict[str, Any] = json.loads(receipt_path(out).read_text())
    assert kept == json.loads(json.dumps(receipt.to_json()))
    assert kept["source"] == str(source_path)
    assert (kept["source_format"], kept["format"], kept["target"]) == ("lerobot_v3", "lerobot_v2", str(out))
    assert (kept["episodes"], kept["options"]) == (2, {"rate_hz": "50"})
    assert kept["losses"]["episodes"] == 2
    assert kept["losses"]["is_lossy"] is False
    assert set(kept["versions"]) == {"robokata", "python"}
    again = convert(source, tmp_path / "again", "lerobot_v2")
    assert again.source_state == kept["source_state"]
    (source_path / "note.txt").write_text("new")
    assert convert(open_source(source_path), tmp_path / "third", "lerobot_v2").source_state != kept["source_state"]


def test_a_source_that_changes_while_it_is_read_is_no_dataset(source_path: Path, tmp_path: Path) -> None:
    added = source_path / "data" / "late.parquet"
    with pytest.raises(WriteRefused) as caught:
        convert(open_source(source_path), tmp_path / "out", "rlds", advance=lambda episodes: added.touch())
    assert str(caught.value) == (
        f"{source_path}: changed while it was read ({added}). Nothing was written; convert again when it is at rest."
    )
    assert list(tmp_path.iterdir()) == [source_path]


@pytest.mark.parametrize("place", [".", "data/out", "new/deeper"])
def test_a_target_inside_the_source_is_refused(source_path: Path, place: str) -> None:
    before = sorted(source_path.rglob("*"))
    with pytest.raises(WriteRefused, match=r"lies inside the source|exists and is not empty"):
        convert(open_source(source_path), source_path / place, "rlds")
    assert sorted(source_path.rglob("*")) == before


def test_an_interrupted_write_leaves_nothing(source_path: Path, tmp_path: Path) -> None:
    def interrupt(episodes: int) -> None:
        raise KeyboardInterrupt

    for name in writable_formats():
        with pytest.raises(KeyboardInterrupt):
            convert(open_source(source_path), tmp_path / "out", name, advance=interrupt, accept_loss=True)
        assert list(tmp_path.iterdir()) == [source_path]


def test_a_damaged_episode_ends_the_write_and_leaves_nothing(tmp_path: Path) -> None:
    class Broken(EpisodeList):
        def episode(self, key: str) -> Episode:
            if key == "1":
                from robokata.core.errors import DamagedData

                raise DamagedData("file.bin", "is cut short.")
            return super().episode(key)

    source = Broken([numbers(n) for n in range(3)])
    for name in writable_formats():
        with pytest.raises(RobokataError, match=r"file.bin: is cut short."):
            convert(source, tmp_path / "out", name, report=plan_conversion(source, name, keys=["0"]))
        assert list(tmp_path.iterdir()) == []


def test_a_receipt_that_cannot_be_written_says_that_the_dataset_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "out"
    receipt_path(out).mkdir()
    with pytest.raises(WriteRefused) as caught:
        convert(EpisodeList([numbers(0)]), out, "rlds")
    assert str(caught.value) == (
        f"{receipt_path(out)}: Is a directory. The dataset {out} is complete; only its receipt was not written."
    )
    assert np.array_equal(
        open_source(out).episode(open_source(out).keys()[0]).streams["action"].table, numbers(0).streams["action"].table
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.receipt.json"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def filmed(number: int) -> Episode:
    return tiny_episode(number, duration_s=0.6, is_measured=False)


SPREAD = (
    ("lerobot_v2", "lerobot_v3", {"pictures": "video", "codec": "libx264"}),
    ("lerobot_v3", "lerobot_v2", {"pictures": "video", "codec": "libx264"}),
    ("mcap", "lerobot_v3", {"pictures": "video"}),
    ("rlds", "lerobot_v3", {}),
    ("lerobot_v3", "rlds", {}),
    ("lerobot_v3", "mcap", {}),
)


@pytest.mark.parametrize(("first", "second", "options"), SPREAD)
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    tmp_path: Path, first: str, second: str, options: dict[str, Any]
) -> None:
    source, made = tmp_path / "source", [filmed(n) for n in range(5)]
    given = {name: value for name, value in options.items() if name in options_of(shelf("formats")[first])}
    shelf("formats")[first].write(source, made, **given)
    chosen = {name: value for name, value in options.items() if name in options_of(shelf("formats")[second])}
    written = []
    for workers in (1, 2):
        out = tmp_path / str(workers) / "out"
        convert(open_source(source), out, second, options=chosen, accept_loss=True, workers=workers)
        written.append({"": out.read_bytes()} if out.is_file() else files_of(out))
    assert written[0] == written[1]
    assert not [name for name in written[0] if "scratch" in name]


@pytest.fixture
def without_a_film(tmp_path: Path) -> Path:
    """A LeRobot v2.1 set in which episode 1 has no video."""
    path = tmp_path / "filmed"
    made = [filmed(n) for n in range(3)]
    shelf("formats")["lerobot_v2"].write(path, made, pictures="video", codec="libx264")
    next(path.rglob("episode_000001.mp4")).unlink()
    return path


CAMERA = "observation.images.front"


@pytest.mark.parametrize("name", sorted(set(writable_formats()) - set(ONE_TABLE)))
def test_an_absent_film_is_a_loss_and_the_rest_is_written(name: str, without_a_film: Path, tmp_path: Path) -> None:
    source = open_source(without_a_film)
    (dropped,) = [loss for loss in plan_conversion(source, name).losses if loss.way is Way.DROPPED]
    assert (dropped.stream, dropped.note, dropped.episodes) == (CAMERA, "its file is absent", 1)
    with pytest.raises(WriteRefused, match=f"{CAMERA} would not come back"):
        convert(source, tmp_path / "out", name)
    convert(source, tmp_path / "out", name, accept_loss=True)
    if hasattr(shelf("formats")[name], "read") and name != "rerun_rrd":
        back = open_source(tmp_path / "out")
        assert [sum(1 for _ in back.episode(key).pictures()) for key in back.keys()] == [1, 0, 1]


@pytest.mark.parametrize("name", ONE_TABLE)
def test_where_all_episodes_need_the_same_cameras_an_absent_film_is_refused_with_the_way_out(
    name: str, without_a_film: Path, tmp_path: Path
) -> None:
    source = open_source(without_a_film)
    with pytest.raises(WriteRefused, match=r"episode 1 has no .*leave the stream out of all \(--without\)"):
        plan_conversion(source, name)
    report = plan_conversion(source, name, without=[CAMERA])
    assert {loss.note for loss in report.losses if loss.is_lossy} == {"left out, as asked"}
    convert(source, tmp_path / "out", name, without=[CAMERA], accept_loss=True)
    back = open_source(tmp_path / "out")
    assert [sum(1 for _ in back.episode(key).pictures()) for key in back.keys()] == [0, 0, 0]


def test_a_copy_without_any_film_still_opens_and_says_what_is_lost(without_a_film: Path) -> None:
    for film in without_a_film.rglob("*.mp4"):
        film.unlink()
    losses = plan_conversion(open_source(without_a_film), "rlds").losses
    assert [(loss.note, loss.episodes) for loss in losses if loss.is_lossy] == [("its file is absent", 3)]


def test_leaving_out_what_is_not_there_names_what_is(source_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        plan_conversion(open_source(source_path), "rlds", without=["actoin"])
    assert str(caught.value).startswith("No stream of these episodes is called 'actoin'. Did you mean 'action'?")
