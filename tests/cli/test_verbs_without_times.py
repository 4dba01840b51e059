"""Every verb on data without times: no seconds are said, no seconds are written, and refusals name the way out."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest
from kata_command import Kata

from robokata.core.detection import open_source
from robokata.core.stream import Role

SECONDS = re.compile(r"\b\d+(\.\d+)? ?(s|ms|Hz|seconds?|hours?)\b")
NAMES = ("rlds", "zarr_replay", "aloha_hdf5")
TABLES = {"rlds": "rlds", "zarr_replay": "zarr_replay", "aloha_hdf5": "robomimic_hdf5"}


@pytest.fixture(params=NAMES)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    maker = importlib.import_module(f"makers.{request.param}")
    return Path(maker.make(tmp_path / "made", episodes=4, steps=24))


def qualities(path: Path) -> set[str]:
    source = open_source(path)
    episode = source.episode(source.keys()[0])
    return {str(s.clock.quality) for s in episode.numeric(Role.STATE, Role.ACTION)}


def test_looking_checking_and_measuring_say_no_seconds(data: Path, kata: Kata, tmp_path: Path) -> None:
    first = open_source(data).keys()[0]
    report = tmp_path / "report.html"
    for words in (("look", data), ("look", data, "--episode", first), ("check", data, "--html", report)):
        said = kata(*words)
        assert "defect of Robokata" not in said.err
        assert not SECONDS.search(said.out), words
    assert kata("measure", data).code in (0, 1, 2)
    assert not re.search(r">\s*\d+\.\d+ s\s*<", report.read_text(encoding="utf-8"))


@pytest.mark.parametrize("target", ["mcap", "lerobot_v3", "lerobot_v2"])
def test_targets_with_times_are_refused_until_a_rate_is_declared(
    data: Path, target: str, kata: Kata, tmp_path: Path
) -> None:
    for verb in (
        ("convert", data, tmp_path / "a", "--to", target),
        ("curate", data, "--out", tmp_path / "b", "--to", target),
    ):
        refused = kata(*verb, "--accept-loss")
        assert refused.code != 0
        assert "--rate-hz" in refused.err
    assert not (tmp_path / "a").exists()
    assert kata("convert", data, tmp_path / "c", "--to", target, "--rate-hz", "5", "--accept-loss").code == 0
    assert kata("curate", data, "--out", tmp_path / "d", "--to", target, "--rate-hz", "5", "--accept-loss").code == 0
    assert qualities(tmp_path / "c") == qualities(tmp_path / "d") == {"declared by the user"}


def test_a_rate_of_the_writer_is_one_of_the_steps_too(data: Path, kata: Kata, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert kata("convert", data, out, "--to", "lerobot_v3", "--option", "rate_hz=5", "--accept-loss").code == 0
    assert qualities(out) == {"declared by the user"}
    again = tmp_path / "again"
    assert kata("convert", out, again, "--to", "zarr_replay", "--accept-loss").code == 0
    assert qualities(again) == {"declared by the user"}


def test_tables_of_steps_stay_without_times(data: Path, kata: Kata, tmp_path: Path) -> None:
    for target in TABLES.values():
        out = tmp_path / (f"{target}.hdf5" if target == "robomimic_hdf5" else target)
        assert kata("convert", data, out, "--to", target, "--accept-loss").code == 0
        assert qualities(out) == {"unknown"}


def test_a_snapshot_keeps_what_was_declared(data: Path, kata: Kata, tmp_path: Path) -> None:
    from robokata.store.resolve import open_snapshot

    for name, more in (("referred", ()), ("copied", ("--materialise",))):
        store = tmp_path / name
        assert kata("snapshot", data, "--store", store, "--rate-hz", "5", *more).code == 0
        source = open_snapshot(str(store))
        episode = source.episode(source.keys()[0])
        assert {str(s.clock.quality) for s in episode.numeric(Role.STATE, Role.ACTION)} == {"declared by the user"}


def test_steps_that_need_seconds_refuse_and_say_how_to_give_them(data: Path, kata: Kata) -> None:
    for step in ("trim_idle", "retime_motion"):
        said = kata("curate", data, "--step", step, "--plan")
        assert "has step numbers and no times" in said.out + said.err or "--rate-hz" in said.out + said.err


def test_check_and_measure_take_the_rate_of_the_steps(data: Path, sound: Path, kata: Kata) -> None:
    timed = kata("check", data, "--json", "--rate-hz", "5")
    assert {stream["clock"] for stream in json.loads(timed.out)["dataset"]["streams"]} >= {"declared by the user"}
    spans = [span for finding in json.loads(kata("check", data, "--json").out)["findings"] for span in finding["spans"]]
    assert all(span["start_s"] is None for span in spans if span["start_sample"] is not None)
    assert kata("measure", data, "--rate-hz", "5").code == 0
    for verb in ("check", "measure"):
        assert kata(verb, data, "--rate-hz", "fast").err.startswith("kata: --rate-hz 'fast' is no rate.")
        refused = kata(verb, sound, "--rate-hz", "5")
        assert refused.code == 2
        assert "has times" in refused.err
