"""Cameras whose declaration and file disagree, asked in both: what is told, and what a copy declares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makers.foreign_cameras import DEPTH_INFO, FRONT, distances, make
from robokata.checks.camera_contradicts_declaration import gather, judge
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.finding import Abstention, Finding, Level
from robokata.core.layout import Way
from robokata.survey.dataset_survey import survey
from robokata.testing import barcode_picture

PICTURES = [barcode_picture(0, frame) for frame in range(12)]
TRUE = {"video.codec": "h264", "video.pix_fmt": "yuv420p", "video.is_depth_map": False, "has_audio": False}


def findings(path: Path) -> dict[str, tuple[Level, Any, Any]]:
    source = open_source(path)
    rows = [Gathered(key, gather(source.episode(key))) for key in source.keys()]
    found = [v for v in judge(rows, source.facts()) if isinstance(v, Finding)]
    assert all(f.stream == FRONT and f.message.endswith("in all episodes") for f in found)
    return {f.message.split(": ")[1].split(" is ")[0]: (f.level, f.expected, f.measured) for f in found}


def feature_of(path: Path) -> dict[str, Any]:
    feature: dict[str, Any] = json.loads((path / "meta/info.json").read_text())["features"][FRONT]
    return feature


def test_true_declarations_are_silent(tmp_path: Path) -> None:
    assert findings(make(tmp_path, PICTURES, info=TRUE)) == {}


@pytest.mark.parametrize("said", ["libx264", "avc1", "H264"])
def test_other_names_of_a_codec_are_no_contradiction(tmp_path: Path, said: str) -> None:
    assert findings(make(tmp_path, PICTURES, info={**TRUE, "video.codec": said})) == {}


def test_another_codec_is_told_and_the_copy_names_the_true_one(tmp_path: Path) -> None:
    path = make(tmp_path, PICTURES, codec="mpeg4", info=TRUE)
    assert findings(path) == {"codec": (Level.WARNING, "h264", "mpeg4")}
    assert ("codec of " + FRONT, "h264", "mpeg4") in [
        (c.subject, c.declared, c.found) for c in survey(open_source(path)).contradictions
    ]
    report = plan_conversion(open_source(path), "lerobot_v3")
    assert next(loss.note for loss in report.losses if loss.stream == FRONT) == "mpeg4 packets copied"
    convert(open_source(path), tmp_path / "out", "lerobot_v3")
    assert feature_of(tmp_path / "out")["info"]["video.codec"] == "mpeg4"


@pytest.mark.parametrize("target", ["lerobot_v2", "lerobot_v3", "rlds", "zarr_replay", "robomimic_hdf5", "aloha_hdf5"])
def test_another_size_is_an_error_and_what_is_written_has_the_true_one(tmp_path: Path, target: str) -> None:
    path = make(tmp_path, PICTURES, shape=(48, 48, 3), info=TRUE)
    assert findings(path) == {"height": (Level.ERROR, 48, 64), "width": (Level.ERROR, 48, 64)}
    convert(open_source(path), tmp_path / "out", target)
    source = open_source(tmp_path / "out")
    for stream in source.episode(source.keys()[1]).pictures():
        assert stream.shape == (64, 64, 3)
        assert stream.values[3].shape == (64, 64, 3)
    if target.startswith("lerobot"):
        assert feature_of(tmp_path / "out")["shape"] == [64, 64, 3]
        assert findings(tmp_path / "out") == {}


def test_a_depth_map_that_is_declared_as_colour_is_an_error(tmp_path: Path) -> None:
    codes = distances()[0]
    info = {**DEPTH_INFO, "is_depth_map": False}
    path = make(tmp_path, codes, codec="libx265", pixels="gray12le", source="gray12le", shape=(64, 96, 3), info=info)
    assert findings(path) == {
        "declaration as a depth map": (Level.ERROR, False, True),
        "channels": (Level.WARNING, 3, 1),
    }
    assert open_source(path).episode("0").streams[FRONT].values.dtype == np.uint16


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("sounds", [True, False])
def test_sound_is_told_where_file_and_declaration_disagree(tmp_path: Path, says: bool, sounds: bool) -> None:
    path = make(tmp_path, PICTURES, sound=sounds, info={**TRUE, "has_audio": says, "audio.codec": "aac"})
    wanted = {} if says == sounds else {"declaration of sound": (Level.WARNING, says, sounds)}
    assert findings(path) == wanted
    (shown,) = [s.encoding for s in survey(open_source(path)).streams if s.name == FRONT]
    assert shown == ("h264, with sound (aac)" if sounds else "h264")


@pytest.mark.parametrize("target", ["zarr_replay", "robomimic_hdf5", "aloha_hdf5", "rlds"])
def test_colours_of_ten_bits_are_narrowed_where_they_are_decoded_and_that_is_a_loss(
    tmp_path: Path, target: str
) -> None:
    path = make(tmp_path, PICTURES, pixels="yuv420p10le", info=TRUE)
    assert findings(path) == {"pixel format": (Level.WARNING, "yuv420p", "yuv420p10le")}
    (loss,) = [loss for loss in plan_conversion(open_source(path), target).losses if loss.stream == FRONT]
    assert (loss.way, loss.is_lossy) == (Way.NARROWED, True)
    assert loss.note.endswith("10 bits per colour become 8")
    (copied,) = [loss for loss in plan_conversion(open_source(path), "lerobot_v3").losses if loss.stream == FRONT]
    assert copied.way is Way.COPIED


def test_levels_that_no_copied_codec_holds_go_to_lerobot_as_pictures(tmp_path: Path) -> None:
    codes = distances()[0]
    path = make(tmp_path, codes, codec="ffv1", pixels="gray12le", source="gray12le", info={"is_depth_map": True})
    convert(open_source(path), tmp_path / "out", "lerobot_v3")
    stream = open_source(tmp_path / "out").episode("1").streams[FRONT]
    np.testing.assert_array_equal(stream.values[:][..., 0], np.stack(codes)[10:])


def test_nothing_declared_is_an_abstention() -> None:
    from robokata.testing import tiny_source

    source = tiny_source(2, duration_s=1)
    rows = [Gathered(key, gather(source.episode(key))) for key in source.keys()]
    (verdict,) = judge(rows, source.facts())
    assert isinstance(verdict, Abstention)
