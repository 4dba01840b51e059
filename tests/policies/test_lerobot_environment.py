"""Tests with lerobot itself: it trains on what we write, acts as a policy of ours, and ends when we do.

They need its environment (docs/training.md says how to make one): they are skipped where ROBOKATA_LEROBOT_PYTHON names
none.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loading.reaching import CAMERA, reaching_episode, reaching_source
from robokata.conversion import convert
from robokata.core.errors import DamagedData, PolicyFailed, TrainingFailed, TrainingRefused, UnknownName
from robokata.core.shelf import shelf
from robokata.learn.checkpoint import read_card, sha256_of
from robokata.learn.open_policy import open_policy
from robokata.learn.trainable import ForeignJob
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.data_source import DataSource
from robokata.policies._lerobot.environment import VARIABLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no environment with lerobot in it"),
]
SMALL: dict[str, dict[str, Any]] = {
    "lerobot_act": {"dim_model": 32, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1},
    "lerobot_diffusion": {"down_dims": [16, 32], "num_inference_steps": 3, "n_groups": 4},
}
STEPS = {"lerobot_act": 8, "lerobot_diffusion": 4}
"""Actions of an answer for a chunk of 8."""


def job(policy: str, data: Path, out: Path, *, steps: int = 2, told: Any = lambda line: None, **options: Any) -> Any:
    spec = TrainingSpec(
        (DataSource(str(data)),),
        chunk_steps=8,
        picture_px=32,
        options={**SMALL[policy], "num_workers": 0, "save_freq": 1, **options},
    )
    return ForeignJob(spec, out, seed=0, steps=steps, device="cpu", told=told, batch_size=4, threads=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reaching") / "data"
    convert.convert(reaching_source(3, px=32), folder, "mcap", accept_loss=True)
    return folder


@pytest.fixture(scope="module", params=sorted(SMALL))
def trained(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp(request.param) / "policy"
    lines: list[str] = []
    receipt = shelf("policies")[request.param].train(job(request.param, data, out, told=lines.append))
    assert (receipt["episodes"], receipt["samples"], receipt["steps"]) == (3, 120, 2)
    assert any("loss:" in line for line in lines), "what lerobot prints is told"
    return out


def seen(episode: Any, row: int, past: int) -> dict[str, Any]:
    rows = row if past == 1 else slice(row - past + 1, row + 1)
    names = ("observation.state", "observation.tip_pose", CAMERA)
    return {name: episode.stream(name).values[rows] for name in names}


def test_a_trained_folder_acts_in_the_units_of_the_data_and_the_same_seed_acts_the_same(trained: Path) -> None:
    policy = open_policy(trained)
    try:
        spec = policy.hello()
        name = read_card(trained).policy
        assert (spec.name, spec.rate_hz, spec.action_stream) == (name, 20.0, "action.tip_pose")
        assert (spec.chunk_steps, spec.embodiments) == (STEPS[name], ("toy",))
        past = len(spec.needs[0].at_s)
        observation = seen(reaching_episode(0, px=32), 5, past)
        answers = []
        for seed in (1, 1, 2):
            policy.reset("a", seed=seed)
            answers.append(policy.act(observation).actions)
        assert answers[0].shape == (STEPS[name], 8)
        assert np.isfinite(answers[0]).all()
        np.testing.assert_allclose(np.linalg.norm(answers[0][:, 3:7], axis=1), 1, atol=1e-6)
        # Untrained, but told in metres through lerobot's own statistics: within some workspaces of the data.
        assert np.abs(answers[0][:, :3]).max() < 3
        assert np.array_equal(answers[0], answers[1])
        assert np.array_equal(answers[0], answers[2]) == (name == "lerobot_act"), "ACT draws nothing when it acts"
        large = observation | {CAMERA: np.repeat(np.repeat(observation[CAMERA], 2, -3), 2, -2)}
        policy.reset("a", seed=1)
        np.testing.assert_array_equal(policy.act(large).actions, answers[0])
    finally:
        policy.close()


def test_what_is_not_there_is_refused_and_a_dead_lerobot_costs_one_attempt(trained: Path) -> None:
    policy: Any = open_policy(trained)
    try:
        observation = seen(reaching_episode(0, px=32), 5, len(policy.hello().needs[0].at_s))
        policy.reset("a", seed=0)
        for lacking in observation:
            with pytest.raises(PolicyFailed, match=f"lacks the .* '{lacking}'"):
                policy.act({name: value for name, value in observation.items() if name != lacking})
        with pytest.raises(PolicyFailed, match="not finite"):
            policy.act(observation | {"observation.state": np.full(3, np.nan)})
        process = policy._server._child
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with pytest.raises(PolicyFailed) as failed:
            policy.act(observation)
        assert failed.value.kind == "died"
        policy.reset("b", seed=0)
        assert np.isfinite(policy.act(observation).actions).all()
        last = policy._server._child
    finally:
        policy.close()
    assert last.poll() is not None, "closing the policy ends lerobot"
    with pytest.raises(UnknownName):
        policy.hello("another robot")


def test_lerobot_ends_when_the_process_that_opened_it_is_killed(trained: Path) -> None:
    code = (
        "import sys, time; from robokata.learn.open_policy import open_policy; "
        "print(open_policy(sys.argv[1])._server._child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(trained)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    until = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_training_goes_on_from_its_last_checkpoint_and_refuses_to_be_another(trained: Path, data: Path) -> None:
    name = read_card(trained).policy
    leaf, before = shelf("policies")[name], read_card(trained).data["weights"]
    lines: list[str] = []
    more = replace(job(name, data, trained, steps=4, told=lines.append), resume=True)
    leaf.train(more)
    assert any(line.startswith("resuming from ") for line in lines)
    card = read_card(trained).data
    assert card["weights"] != before
    assert card["receipt"]["steps"] == 4
    assert len(list(trained.glob("lerobot-*"))) == 1, "the older weights are not left behind"
    with pytest.raises(TrainingRefused, match="what is to be resumed had another seed: 0, not 1"):
        leaf.train(replace(more, seed=1))


def test_interrupting_ends_lerobot_and_leaves_what_can_be_resumed(data: Path, tmp_path: Path) -> None:
    leaf = shelf("policies")["lerobot_act"]

    def stop(line: str) -> None:
        if "step:2" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leaf.train(job("lerobot_act", data, tmp_path / "out", steps=40, told=stop))
    assert not (tmp_path / "out" / "card.json").exists()
    leaf.train(replace(job("lerobot_act", data, tmp_path / "out", steps=40), resume=True))
    policy = open_policy(tmp_path / "out")
    policy.close()


def test_an_option_that_lerobot_does_not_know_is_refused_with_those_that_it_knows(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused) as refused:
        shelf("policies")["lerobot_act"].train(job("lerobot_act", data, tmp_path / "out", dim_modl=3))
    told = str(refused.value)
    assert "does not take this: unrecognized arguments: --policy.dim_modl=3." in told
    assert "Known options: dim_feedforward, dim_model, dropout, execute_steps," in told
    with pytest.raises(TrainingRefused, match="The horizon should be an integer multiple of the downsampling factor"):
        shelf("policies")["lerobot_diffusion"].train(
            job("lerobot_diffusion", data, tmp_path / "out", down_dims=[16, 16, 16, 16])
        )
    weights = {"pretrained_backbone_weights": "ResNet18_Weights.IMAGENET1K_V1"}
    with pytest.raises(TrainingRefused, match=r"are not on this machine\. Put them at .*resnet18"):
        shelf("policies")["lerobot_act"].train(job("lerobot_act", data, tmp_path / "out", **weights))
    assert not (tmp_path / "out").exists()


def test_what_lerobot_says_when_it_fails_is_in_the_error_and_the_log(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed) as failed:
        shelf("policies")["lerobot_act"].train(job("lerobot_act", data, tmp_path / "out", vision_backbone="resnet0"))
    assert "resnet0" in str(failed.value)
    assert "resnet0" in (tmp_path / "out" / "training" / "lerobot.log").read_text()


def test_a_checkpoint_that_lerobot_cannot_open_is_damage_not_a_hang(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("training"))
    card = json.loads((folder / "card.json").read_text())
    model = folder / card["weights"]["folder"] / "model.safetensors"
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(DamagedData):
        open_policy(folder)
    card["weights"]["files"]["model.safetensors"] = sha256_of(model)
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(PolicyFailed, match="lerobot does not open it"):
        open_policy(folder)
