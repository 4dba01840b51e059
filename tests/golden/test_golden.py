"""What `kata` says, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_text import Golden

from robokata.cli.main import run
from robokata.core import errors
from robokata.core.errors import (
    AmbiguousFormat,
    DamagedData,
    GeneratorFailed,
    MediaMissing,
    OtherPicture,
    RobokataError,
    SelectionRefused,
    StepRefused,
    TooLarge,
    Unsupported,
    UntrustedContent,
    WriteRefused,
)
from robokata.core.require import require
from robokata.testing.sample import write_sample


def says(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Both outputs and the exit code, as in a terminal session."""
    capsys.readouterr()
    code: object = 0
    try:
        run([str(word) for word in words])
    except SystemExit as end:
        code = end.code or 0
    out, err = capsys.readouterr()
    return f"$ kata {' '.join(map(str, words))}\n{out}{err}[exit code {code}]\n"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "sample_dataset"
    write_sample(path)
    return path


def test_look(golden: Golden, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden("look", says(capsys, "look", sample))


def test_look_at_one_episode(golden: Golden, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden("look_episode", says(capsys, "look", sample, "--episode", "7"))


def test_check(golden: Golden, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden("check", says(capsys, "check", sample, "--workers", "1"))


def test_list_and_help(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    golden("list", says(capsys, "check", "--list"))


def test_errors_that_a_command_brings_up(
    golden: Golden, sample: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    suite = tmp_path / "suite.toml"
    suite.write_text("[checks.clock_gap]\nlonger_than = 2.5\n")
    sessions = [
        ("look", tmp_path / "gone"),
        ("look", tmp_path / "empty"),
        ("look", sample, "--episode", "12"),
        ("look", sample, "--format", "lerobot"),
        ("look", sample, "--where", "colour = 'red'"),
        ("explain", "clock_gab"),
        ("check",),
        ("check", sample, "--suite", suite),
        ("check", sample, "--suite", tmp_path / "none.toml"),
        ("check", sample, "--fail-on", "fatal"),
        ("check", sample, "--html", tmp_path / "none" / "report.html"),
        ("check", sample, "--where", "steps > 9000"),
    ]
    golden("errors_of_commands", "\n".join(says(capsys, *words) for words in sessions))


def test_each_class_of_error_has_its_words(golden: Golden) -> None:
    raised: list[RobokataError] = [
        AmbiguousFormat("/data/set: could be rosbag2 or mcap. Say which with --format."),
        DamagedData("data/file-000.parquet", "the footer is not one.", offset=4711, next_move="Fetch the file again."),
        MediaMissing("videos/front/file-000.mp4", "is not there.", next_move="Fetch it, or drop the camera."),
        OtherPicture("data/file-000.parquet: front, picture 6", "the picture is 320 x 240; the first is 640 x 480."),
        TooLarge("bag.mcap", "a record claims 9 EB in a short file.", offset=8),
        UntrustedContent("demos.pkl", "pickle files run code when read.", next_move="Convert it at its source."),
        Unsupported("/data/set: video codec vp7 is not one that FFmpeg decodes here."),
        errors.ClockUnknown(50, stream="action", episode="7"),
        errors.RateRefused("episode 7: no stream is called 'arm'. Streams without times: action, state."),
        WriteRefused("/data/set: exists and is not empty. Choose another folder."),
        SelectionRefused(
            "/data/selection.json: was changed after it was written: its hash does not fit. Choose again."
        ),
        StepRefused("mirror_episode", "7", "robot so100 is not its own mirror image about its home pose."),
        errors.EndlessHead("headers of more than 262,144 bytes"),
        GeneratorFailed("stalled", "http://host:8000/generate: no answer within 600 s."),
        errors.PolicyFailed("stalled", "ws://host:8000: no answer within 10 s. Start the server again."),
        errors.EvaluationStopped("trials: 12 of 60 trials failed for reasons outside the policy. Mend that, go on."),
        errors.TrainingRefused("recipe.toml: the data has no stream 'observation.force'. It has numbers: action."),
        errors.TrainingFailed("step 412: the loss is nan. Lower --learning-rate."),
        errors.ComparisonRefused("3 and 5 training seeds cannot be paired. Train the same seeds in both arms."),
        errors.InvalidEstimate("success: 12 of 10 trials. Count again."),
        errors.CommandRefused("arm 'arm', pose: x is nan. Nothing was sent."),
        errors.CollectionRefused("port 8010 is taken. Choose another with --port."),
        errors.RobotFailed("the robot's process ended with code 1. Finished episodes are kept."),
        errors.OptionRefused("--option 'colour' is not NAME=VALUE."),
        errors.RecipeRefused("recipe.toml, [[step]] 1: knows no 'sped'. It may hold: speed_ratio."),
        errors.StudyRefused("arm a: its data is of ur5, and trials run in simulation, with franka_panda."),
        errors.LeafRefused(
            "the format 'jsonl' of another package (our_lab.jsonl) lacks `layout(episode)`. See \"A format\" in "
            "docs/adding.md for what a format defines: add it there, or uninstall the package."
        ),
        errors.HandheldRefused("board.json: has 1 marker. A board needs at least 4."),
    ]
    with pytest.raises(errors.MissingPart) as missing:
        require("robokata_of_another_world", extra="hdf5")
    raised.append(missing.value)
    lines = [f"{type(error).__name__}\n    {error}" for error in raised]
    golden("errors", "\n".join(lines))
    spoken = {type(error) for error in raised} | {
        errors.NotADataset,  # these come from commands, above
        errors.UnknownName,
        errors.QueryRefused,
        errors.SuiteRefused,
        RobokataError,
    }
    tree = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, RobokataError)}
    assert tree == spoken, "a new class of error needs its words here"
