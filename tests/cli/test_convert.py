"""`kata convert`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kata_command import Kata

from robokata.conversion.convert import receipt_path
from robokata.core.detection import detect, open_source
from robokata.core.leaf_kinds import writable_formats


def test_a_plan_says_what_it_costs_and_writes_nothing(kata: Kata, sound: Path, tmp_path: Path) -> None:
    said = kata("convert", sound, tmp_path / "out", "--to", "rlds", "--plan")
    assert said.code == 0, said.err
    assert said.err == ""
    assert "rlds: what it holds of 2 episodes" in said.out
    assert said.out.endswith("planned: nothing is lost; what is written is read back and compared before it appears\n")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_as_json_is_one_object(kata: Kata, sample: Path, tmp_path: Path) -> None:
    said = kata("convert", sample, tmp_path / "out", "--to", "rlds", "--plan", "--json", "--episode", "0")
    assert said.code == 0
    report = json.loads(said.out)
    assert set(report) == {"format", "episodes", "is_lossy", "streams", "notes", "options"}
    assert (report["format"], report["episodes"]) == ("rlds", 1)
    keys = {"stream", "target", "way", "is_lossy", "note", "episodes", "psnr_db"}
    assert all(set(stream) == keys for stream in report["streams"])


def test_an_exact_conversion_is_written_with_its_report_and_receipt(kata: Kata, sound: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = kata("convert", sound, out, "--to", "lerobot_v2")
    assert said.code == 0, said.err
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "lerobot_v2: what it holds of 2 episodes"
    assert lines[-4:] == [
        "planned: nothing is lost; what is written is read back and compared before it appears",
        f"Wrote 2 episodes to {out} (lerobot_v2).",
        "verified: 2 episodes read back and compared: 5,200 numbers, 1,200 times",
        f"Receipt: {receipt_path(out)}",
    ]
    assert detect(out) == "lerobot_v2"
    assert json.loads(receipt_path(out).read_text())["episodes"] == 2


def test_the_receipt_as_json_is_what_lies_beside_the_output(kata: Kata, sound: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = kata("convert", sound, out, "--to", "rlds", "--json")
    assert said.code == 0
    assert json.loads(said.out) == json.loads(receipt_path(out).read_text())


def test_a_lossy_conversion_needs_consent(kata: Kata, sample: Path, tmp_path: Path) -> None:
    words = ("convert", sample, tmp_path / "out", "--to", "rlds", "--episode", "0", "--option", "pictures=jpeg")
    said = kata(*words)
    assert said.code == 2
    assert "planned: lossy; what is marked red does not come back" in said.out
    assert said.err == (
        "kata: rlds cannot hold all of this: observation.images.front would not come back. The loss report says what "
        "and how much; --accept-loss writes it all the same.\n"
    )
    assert list(tmp_path.iterdir()) == []
    assert kata(*words, "--accept-loss").code == 0
    receipt = json.loads(receipt_path(tmp_path / "out").read_text())
    (camera,) = [s for s in receipt["losses"]["streams"] if s["is_lossy"]]
    assert (camera["stream"], camera["way"]) == ("observation.images.front", "re-encoded")
    assert camera["psnr_db"] > 25
    assert receipt["options"] == {"pictures": "jpeg"}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("gop", "--option 'gop' is not NAME=VALUE."),
        ("gop=two", "--option gop=two: expected a whole number."),
        ("rate_hz=fast", "--option rate_hz=fast: expected a number or a ratio, as 30 or 30000/1001."),
        (
            "gopp=2",
            "No option of lerobot_v3 is called 'gopp'. Did you mean 'gop'? Known: anchor, rate_hz, pictures, codec, "
            "gop, crf.",
        ),
        ("anchor=elbow", "No stream of episode 0 is called 'elbow'. Known: observation.state, action,"),
        ("pictures=movie", "pictures='movie'"),
    ],
)
def test_options_are_typed_or_refused(kata: Kata, sound: Path, tmp_path: Path, option: str, said: str) -> None:
    answer = kata("convert", sound, tmp_path / "out", "--to", "lerobot_v3", "--option", option)
    assert answer.code == 2
    assert answer.err.startswith("kata: ")
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


def test_typed_options_reach_the_writer(kata: Kata, sound: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = kata("convert", sound, out, "--to", "lerobot_v3", "--option", "rate_hz=30000/1001", "--option", "gop=4")
    assert said.code == 0, said.err
    assert json.loads(receipt_path(out).read_text())["options"] == {"rate_hz": "30000/1001", "gop": 4}
    assert json.loads((out / "meta" / "info.json").read_text())["fps"] == pytest.approx(29.97, abs=0.001)


def test_an_unknown_target_format_names_the_known(kata: Kata, sound: Path, tmp_path: Path) -> None:
    for extra in ((), ("--option", "gop=2")):
        said = kata("convert", sound, tmp_path / "out", "--to", "lerobot_v33", *extra)
        assert said.code == 2
        assert said.err == (
            "kata: No writable format is called 'lerobot_v33'. Did you mean 'lerobot_v3'? "
            f"Known: {', '.join(writable_formats())}.\n"
        )


def test_a_format_that_is_only_read_is_refused(kata: Kata, sound: Path, tmp_path: Path) -> None:
    for extra in ((), ("--option", "gop=2")):
        said = kata("convert", sound, tmp_path / "out", "--to", "rosbag1", *extra)
        assert said.code == 2
        assert said.err.startswith("kata: No writable format is called 'rosbag1'.")


def test_an_occupied_target_is_refused_before_the_source_is_opened(kata: Kata, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    said = kata("convert", tmp_path / "no source", out, "--to", "rlds")
    refusal = f"kata: {out} exists and is not empty. Choose another target; nothing is ever overwritten.\n"
    assert said == (2, "", refusal)


def test_an_empty_folder_may_be_the_target(kata: Kata, sound: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert kata("convert", sound, tmp_path / "out", "--to", "rlds").code == 0


def test_an_unwritable_place_fails_before_the_work(
    kata: Kata, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    # Not by its mode: root, as in containers, may write everywhere.
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked and may(path, mode))
    said = kata("convert", sound, locked / "out", "--to", "rlds")
    assert said == (2, "", f"kata: {locked / 'out'}: the folder {locked} cannot be written. Choose another target.\n")


def test_a_target_below_a_file_fails_before_the_work(kata: Kata, sound: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = kata("convert", sound, tmp_path / "file" / "out", "--to", "rlds")
    assert said.code == 2
    assert said.out == ""
    assert "Choose another target." in said.err


def test_a_target_inside_the_source_is_refused_before_the_work(kata: Kata, sound: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(sound, source)
    said = kata("convert", source, source / "data" / "out", "--to", "rlds")
    told = f"kata: {source / 'data' / 'out'} lies inside the source {source}. Choose a target outside of it.\n"
    assert said == (2, "", told)


def test_several_datasets_below_a_path_are_named(kata: Kata, sound: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(sound, tmp_path / "all" / name)
    said = kata("convert", tmp_path / "all", tmp_path / "out", "--to", "rlds")
    both = f"{tmp_path / 'all' / 'a'}, {tmp_path / 'all' / 'b'}"
    assert said == (2, "", f"kata: {tmp_path / 'all'}: holds 2 datasets ({both}). Name one.\n")


def test_episodes_are_chosen_by_id_and_by_condition(kata: Kata, sample: Path, tmp_path: Path) -> None:
    words = ("convert", sample, tmp_path / "out", "--to", "rlds", "--plan", "--json")
    assert json.loads(kata(*words, "--episode", "0", "--episode", "3").out)["episodes"] == 2
    assert json.loads(kata(*words, "--where", "id::INT < 4").out)["episodes"] == 4
    unknown = kata(*words, "--episode", "99")
    assert unknown.code == 2
    assert unknown.err.startswith(f"kata: No episode of {sample} is called '99'.")
    bad = kata(*words, "--where", "nonsense(")
    assert bad.code == 2
    assert bad.err.startswith("kata: ")


def test_chosen_episodes_alone_are_written(kata: Kata, sound: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert kata("convert", sound, out, "--to", "lerobot_v3", "--episode", "1").code == 0
    written, source = open_source(out), open_source(sound)
    (key,) = written.keys()
    before, after = source.episode("1").streams["action"], written.episode(key).streams["action"]
    assert (before.table == after.table).all()


def test_progress_is_on_standard_error_only(sound: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "robokata.cli.main", "convert", str(sound), str(tmp_path / "out"), "--to", "rlds"]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["episodes"] == 2


def test_ctrl_c_leaves_nothing_and_is_code_130(sample: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words = [sys.executable, "-m", "robokata.cli.main", "convert", str(sample), str(place / "out"), "--to", "rlds"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 60
        # From the unfinished target on: its lock comes a moment before.
        while not list(place.glob("*.unfinished-*")) and running.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert err == "\nkata: interrupted. Nothing was changed.\n"
    assert list(place.iterdir()) == []
