"""Tests of handing a training to lerobot: what can be refused is refused before, what it is told is what it means."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from typer.testing import CliRunner

from loading.reaching import CAMERA, reaching_source
from policies.test_lerobot_data import TOY
from policies.test_openpi_codec import GOLDEN
from robokata.cli.main import app
from robokata.conversion import convert
from robokata.core.contracts import PolicyRef
from robokata.core.errors import DamagedData, MissingPart, NotADataset, RobokataError, TrainingRefused, UnknownName
from robokata.learn.checkpoint import sha256_of
from robokata.learn.open_policy import open_policy
from robokata.learn.trainable import ForeignJob
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.data_source import DataSource
from robokata.policies import lerobot_act, lerobot_diffusion
from robokata.policies._lerobot import child
from robokata.policies._lerobot.environment import VARIABLE, ask, python_from
from robokata.policies._openpi.codec import packed, unpacked


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    convert.convert(reaching_source(2, px=32), tmp_path / "data", "mcap", accept_loss=True)
    return tmp_path / "data"


def job(data: Path, out: Path, **window: Any) -> ForeignJob:
    options = {"python": sys.executable, **window.pop("options", {})}
    spec = TrainingSpec((DataSource(str(data)),), options=options, **window)
    return ForeignJob(spec, out, seed=0, steps=2, device="cpu", told=lambda line: None)


def refusal(leaf: Any, made: ForeignJob, kind: type[RobokataError] = TrainingRefused) -> str:
    with pytest.raises(kind) as refused:
        leaf.train(made)
    assert not made.out.exists(), "nothing is written before everything is settled"
    return str(refused.value)


def test_act_begins_without_weights_from_elsewhere_and_learns_its_backbone() -> None:
    told = lerobot_act.arguments(TOY.window, {"dim_model": "128"})
    assert told == {
        "pretrained_backbone_weights": None,
        "optimizer_lr": 1e-4,
        "optimizer_lr_backbone": 1e-4,
        "dim_model": "128",
        "chunk_size": 8,
        "n_action_steps": 8,
    }
    assert lerobot_act.arguments(TOY.window, {"optimizer_lr": 3e-4})["optimizer_lr_backbone"] == 3e-4
    pretrained = lerobot_act.arguments(TOY.window, {"pretrained_backbone_weights": "ResNet18_Weights.IMAGENET1K_V1"})
    assert "optimizer_lr_backbone" not in pretrained, "lerobot's own small rate suits pretrained weights"


def test_diffusion_answers_what_lies_ahead_and_leaves_out_the_rows_that_would_be_padded() -> None:
    window = replace(TOY.window, chunk_steps=16, history_s=(-0.05, 0.0))
    told = lerobot_diffusion.arguments(window, {})
    assert (told["horizon"], told["n_action_steps"], told["n_obs_steps"], told["drop_n_last_frames"]) == (16, 8, 2, 7)
    with pytest.raises(TrainingRefused) as refused:
        lerobot_diffusion.arguments(window, {"n_action_steps": "16"})
    assert str(refused.value) == "n_action_steps is 16, and at most 15 of a chunk of 16 lie ahead."


def test_streams_that_the_data_lacks_are_refused_with_those_that_it_has(data: Path, tmp_path: Path) -> None:
    told = refusal(lerobot_act, job(data, tmp_path / "out", cameras=("observation.images.wrist",)))
    assert told == f"the data has no pictures called 'observation.images.wrist'. It has: {CAMERA}."
    told = refusal(lerobot_diffusion, job(data, tmp_path / "out", inputs=("observation.force",)))
    assert told.startswith("the data has no numbers called 'observation.force'. It has: observation.state, ")


@pytest.mark.parametrize(
    ("leaf", "window", "said"),
    [
        (lerobot_act, {"history_s": (-0.1, 0.0)}, "lerobot's ACT sees the present only: leave history_s out"),
        (lerobot_diffusion, {"history_s": (-0.2, 0.0)}, "sees the rows before: history_s = [-0.05, 0]."),
        (lerobot_act, {"every_s": 0.1}, "every_s is 0.1, and lerobot takes every row: 0.05 s at the rate 20 Hz."),
        (lerobot_act, {"rate_hz": 12.5}, "rate_hz is 12.5, and lerobot counts whole pictures a second."),
        (lerobot_act, {"cameras": ()}, "lerobot's policies look at pictures: name cameras = in [window]."),
        (lerobot_act, {"options": {"chunk_size": "9"}}, "chunk_size is not given here: chunk_steps in [window] says"),
        (lerobot_act, {"options": {"save_freq": "often"}}, "option save_freq is 'often', and a whole number is needed"),
        (lerobot_act, {"options": {"num_workers": "-1"}}, "option num_workers is -1, and must not be below 0."),
    ],
)
def test_what_lerobot_cannot_obey_is_refused(
    leaf: Any, window: dict[str, Any], said: str, data: Path, tmp_path: Path
) -> None:
    assert said in refusal(leaf, job(data, tmp_path / "out", **window))


def test_an_environment_without_lerobot_is_told_what_to_install_where(data: Path, tmp_path: Path) -> None:
    # The environment of these tests is real, and lerobot is not in it.
    told = refusal(lerobot_act, job(data, tmp_path / "out"), MissingPart)
    assert told == f"{sys.executable}: lacks lerobot. Run: {sys.executable} -m pip install 'lerobot'"


def test_what_is_no_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPart) as missing:
        python_from({"python": str(tmp_path / "no")})
    assert str(missing.value).startswith(f"{tmp_path / 'no'}: is no Python (option python names it). Make an environme")
    quiet = tmp_path / "quiet"
    quiet.write_text("#!/bin/sh\necho no such thing >&2\n")
    quiet.chmod(0o755)
    with pytest.raises(MissingPart) as missing:
        ask(str(quiet))
    assert str(missing.value) == f"{quiet}: cannot be asked what is installed there. It says: no such thing"


def test_without_an_environment_the_error_says_how_to_make_one(data: Path, tmp_path: Path) -> None:
    words = ["train", str(data), "--policy", "lerobot_act", "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(app, words)
    assert isinstance(shown.exception, MissingPart)
    assert str(shown.exception) == (
        "lerobot's policies run in an environment of their own, with lerobot's own code. Make one:\n"
        "  python3.12 -m venv lerobot-env && lerobot-env/bin/pip install 'lerobot[training,diffusion]' msgpack "
        "websockets\n"
        "and name its Python: --option python=lerobot-env/bin/python, or ROBOKATA_LEROBOT_PYTHON=... in the "
        "environment."
    )


@pytest.mark.parametrize("word", [("--minutes", "3"), ("--precision", "bfloat16"), ("--accumulate", "2")])
def test_words_for_our_own_loop_are_refused(word: tuple[str, str], data: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(
        app, ["train", str(data), "--policy", "lerobot_act", "--out", str(tmp_path / "o"), *word]
    )
    assert isinstance(shown.exception, TrainingRefused)
    assert str(shown.exception).startswith(f"{word[0]} is not supported for policies trained by an external library")


def test_nothing_to_resume_is_said(data: Path, tmp_path: Path) -> None:
    told = refusal(lerobot_act, replace(job(data, tmp_path / "out"), resume=True), NotADataset)
    assert told.endswith("out: nothing to resume: training/identity.json is not there. Train without --resume.")


def checkpoint(folder: Path) -> Path:
    """A card with files that no lerobot has seen: everything before lerobot is asked can be tried on it."""
    (folder / "lerobot-1").mkdir(parents=True)
    model = folder / "lerobot-1" / "model.safetensors"
    model.write_bytes(b"weights")
    card = {
        "version": 1,
        "policy": "lerobot_act",
        "view": TOY.to_json(),
        "execute_steps": 4,
        "answer_steps": 8,
        "weights": {"folder": "lerobot-1", "files": {"model.safetensors": sha256_of(model)}},
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_a_checkpoint_is_checked_before_lerobot_is_asked(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "policy")
    with pytest.raises(MissingPart, match="run in an environment of their own"):
        open_policy(folder)
    with pytest.raises(MissingPart, match="lacks lerobot"):
        open_policy(folder, options={"python": sys.executable})
    with pytest.raises(UnknownName, match="'treads'"):
        lerobot_act.load(PolicyRef(str(folder), options={"treads": "1"}))
    (folder / "lerobot-1" / "model.safetensors").write_bytes(b"others")
    with pytest.raises(DamagedData, match="is not the file that the card was written for"):
        open_policy(folder)
    (folder / "lerobot-1" / "model.safetensors").unlink()
    with pytest.raises(DamagedData, match="the file that the card names is not there"):
        open_policy(folder)


def test_the_program_in_lerobots_environment_speaks_openpis_bytes() -> None:
    assert child.packed({"actions": np.zeros((1, 2), np.float32)}) == GOLDEN
    message = {"a": np.arange(6, dtype=np.uint8).reshape(1, 2, 3), "b": np.float32(2), "prompt": "go", "c": [1, None]}
    for pack, unpack in ((packed, child.unpacked), (child.packed, unpacked)):
        again = unpack(pack(message))
        np.testing.assert_array_equal(again["a"], message["a"])
        assert (again["b"], again["prompt"], again["c"]) == (2, "go", [1, None])


@pytest.mark.parametrize(
    "array",
    [
        {b"data": bytes(8), b"dtype": "O", b"shape": [1]},
        {b"data": bytes(8), b"dtype": "<f4", b"shape": [2**32, 2**32]},
        {b"data": bytes(8), b"dtype": "<f4", b"shape": [-1, -2]},
        {b"data": "text", b"dtype": "<f4", b"shape": [2]},
        {b"data": bytes(8), b"dtype": "<f4"},
    ],
)
def test_hostile_arrays_are_not_read_there_either(array: dict[bytes, Any]) -> None:
    with pytest.raises(ValueError, match="array"):
        child.unpacked(msgpack.packb({"a": {b"__ndarray__": True, **array}}))


def test_a_processor_that_names_a_class_to_import_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "policy_preprocessor.json").write_text(json.dumps({"steps": [{"class": "os.system", "config": {}}]}))
    with pytest.raises(ValueError, match="only steps of lerobot's registry are run"):
        child._refuse_imports(tmp_path)
