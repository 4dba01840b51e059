"""Tests of training: the same job gives the same bits, a kill costs nothing but time, refusals come first."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loading.reaching import CAMERA, reaching_episode
from robokata.conversion import convert
from robokata.core.contracts import PolicyRef
from robokata.core.errors import (
    DamagedData,
    NotADataset,
    PolicyFailed,
    TrainingFailed,
    TrainingRefused,
    UnknownName,
    WriteRefused,
)
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.learn.open_policy import open_policy
from robokata.learn.training_spec import TrainingSpec, spec_at
from robokata.loading.data_source import DataSource
from robokata.runtime.progress import Silent
from robokata.testing import tiny_source
from robokata.training.data import in_memory, options_for
from robokata.training.fit import Job, fit, plan
from robokata.training.settings import Settings, rate_at, settings_for
from robokata.training.train import hold_training_folder

SMALL = {"width": 32, "layers": 1}


def job(policy: str = "bc_mlp", *, steps: int = 30, seed: int = 0, px: int = 0, **window: Any) -> Job:
    episodes = [reaching_episode(n, px=px) for n in range(3)]
    options = {**SMALL, **({"heads": 2, "readouts": 2} if policy == "small_vla" else {})}
    spec = TrainingSpec((DataSource("memory"),), options=options, **window)
    settings = settings_for(
        shelf("policies")[policy].HABITS, steps=steps, seed=seed, device="cpu", threads=1, batch_size=16
    )
    return plan(policy, spec, [in_memory(episodes)], settings)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("weights-*.pt")
    found: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return found


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("policy", "px"), [("bc_mlp", 0), ("small_vla", 32)])
def test_the_same_job_gives_the_same_weights_and_another_seed_others(policy: str, px: int, tmp_path: Path) -> None:
    window = {"picture_px": 32} if px else {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(job(policy, steps=4, seed=seed, px=px, **window), tmp_path / name)
    assert same(weights_of(tmp_path / "a"), weights_of(tmp_path / "b"))
    assert not same(weights_of(tmp_path / "a"), weights_of(tmp_path / "c"))
    names = [next((tmp_path / name).glob("weights-*.pt")).name for name in "abc"]
    assert names[0] == names[1] != names[2], "the hash tells equal weights by equal bytes"


class AtStep(Silent):
    """Does something once so many steps are done."""

    def __init__(self, step: int, act: Callable[[], None]) -> None:
        self.left, self.act = step, act

    def advance(self, count: int = 1) -> None:
        self.left -= count
        if self.left == 0:
            self.act()


def test_a_resumed_training_has_the_losses_and_weights_of_one_that_was_never_stopped(tmp_path: Path) -> None:
    through = fit(job(), tmp_path / "through")

    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        # Kept after every step, so that the seventeenth is thrown away and made again.
        fit(job(), tmp_path / "cut", keep_every_s=0.0, on_progress=AtStep(17, stop))
    resumed = fit(job(), tmp_path / "cut", resume=True)
    assert resumed.curve.column("loss").tolist() == through.curve.column("loss").tolist()
    assert same(weights_of(tmp_path / "cut"), weights_of(tmp_path / "through"))


def test_an_interrupted_training_loses_no_step(tmp_path: Path) -> None:
    through = fit(job(), tmp_path / "through")

    def press() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(job(), tmp_path / "cut", on_progress=AtStep(17, press))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(losses(tmp_path / "cut" / "training" / "curve.csv")) == 17
    resumed = fit(job(), tmp_path / "cut", resume=True)
    assert resumed.curve.column("loss").tolist() == through.curve.column("loss").tolist()
    assert same(weights_of(tmp_path / "cut"), weights_of(tmp_path / "through"))


def test_resuming_with_other_data_or_another_seed_is_refused(tmp_path: Path) -> None:
    fit(job(steps=2), tmp_path / "out")
    with pytest.raises(TrainingRefused, match="what is to be resumed had another seed: 0, not 1"):
        fit(job(steps=2, seed=1), tmp_path / "out", resume=True)
    with pytest.raises(TrainingRefused, match="had another data"):
        fit(job(steps=2, every_s=0.1), tmp_path / "out", resume=True)
    with pytest.raises(NotADataset, match="nothing to resume"):
        fit(job(steps=2), tmp_path / "empty", resume=True)
    with pytest.raises(WriteRefused, match="exists and is not empty"):
        fit(job(steps=2), tmp_path / "out")


def test_resuming_with_other_steps_is_refused_by_the_command(tmp_path: Path) -> None:
    fit(job(steps=2), tmp_path / "out")
    for steps in (None, 2):
        with hold_training_folder(tmp_path / "out", resume=True, steps=steps):
            pass
    refused = pytest.raises(TrainingRefused, match="was begun with 2 steps, not 3, and the learning rate has foll")
    with refused, hold_training_folder(tmp_path / "out", resume=True, steps=3):
        pass


@pytest.mark.slow  # three processes that each import torch
def test_a_killed_training_resumes_to_the_same_curve_bit_for_bit(tmp_path: Path) -> None:
    data = tmp_path / "data"
    convert.convert(EpisodeList([reaching_episode(n) for n in range(4)]), data, "mcap", accept_loss=True)
    words = [sys.executable, str(Path(__file__).with_name("trains_and_keeps.py")), str(data)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    subprocess.run([*words, str(tmp_path / "through")], env=environment, check=True)
    with subprocess.Popen([*words, str(tmp_path / "cut")], env=environment) as running:
        curve = tmp_path / "cut" / "training" / "curve.csv"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and (not curve.exists() or curve.read_text().count("\n") < 20):
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    steps_done = len(losses(curve))
    assert 18 <= steps_done < 150, "it was to be killed in the middle"
    subprocess.run([*words, str(tmp_path / "cut"), "--resume"], env=environment, check=True)
    assert losses(curve) == losses(tmp_path / "through" / "training" / "curve.csv")
    assert same(weights_of(tmp_path / "cut"), weights_of(tmp_path / "through"))
    assert not list((tmp_path / "cut").glob("**/.*.pt-*.tmp"))


def losses(curve: Path) -> list[str]:
    with curve.open() as file:
        return [row["loss"] for row in csv.DictReader(file)]


def test_the_loss_falls_and_the_policy_reaches(tmp_path: Path) -> None:
    made = replace(job(steps=300), settings=replace(job().settings, steps=300, batch_size=64))
    trained = fit(made, tmp_path / "out")
    loss = trained.curve.column("loss")
    assert loss[-30:].mean() < 0.5 * loss[:10].mean()
    policy = open_policy(tmp_path / "out")
    spec = policy.hello()
    assert (spec.chunk_steps, spec.rate_hz, spec.action_stream) == (16, 20.0, "action.tip_pose")
    assert spec.embodiments == ("toy",)
    episode = reaching_episode(0)
    hand_m = episode.streams["observation.tip_pose"].table[0, :3].astype(float)
    target = episode.streams["simulation.objects"].table[0]
    policy.reset("0", seed=0)
    start_m = np.linalg.norm(target[:3] - hand_m)
    for look in range(8):
        seen = {
            "observation.state": np.zeros(3),
            "observation.tip_pose": np.concatenate([hand_m, [1, 0, 0, 0]]),
            "simulation.objects": target,
            "instruction": "reach the red ball",
            "time_s": look * 0.25,
        }
        hand_m = policy.act(seen).actions[4, :3]
    assert np.linalg.norm(target[:3] - hand_m) < 0.35 * start_m


def test_a_checkpoint_says_what_it_is_made_of(tmp_path: Path) -> None:
    fit(job(steps=3), tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["policy"] == "bc_mlp"
    assert card["origin_of_weights"] == {"network": "trained from random"}
    receipt = card["receipt"]
    assert receipt["episodes"] == 3
    assert receipt["settings"]["seed"] == 0
    assert len(receipt["data"]) == 64
    assert {"torch", "numpy", "robokata"} <= receipt["versions"].keys()
    assert receipt["so_far"]["steps"] == 3
    assert list((tmp_path / "out" / "training" / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: next(folder.glob("weights-*.pt")).write_bytes(b"PK\x03\x04"), "not those that the card"),
        (lambda folder: next(folder.glob("weights-*.pt")).unlink(), "are not there"),
        (lambda folder: (folder / "card.json").write_text("{"), "is no JSON"),
        (lambda folder: (folder / "card.json").write_text("[]"), "does not name the policy"),
        (lambda folder: rewrite(folder, version=99), "has version 99"),
        (lambda folder: rewrite(folder, codec={"spec": {}}), "spec is damaged"),
        (lambda folder: rewrite(folder, weights={}), r"card\.json: names no file of weights: \{\}\."),
        (lambda folder: rewrite(folder, codec=3), "field 'codec' is int, not dict"),
        (lambda folder: rewrite(folder, options={"width": 48, "layers": 1}), "the weights do not fit"),
    ],
)
def test_a_damaged_checkpoint_is_named_with_its_file(harm: Any, said: str, tmp_path: Path) -> None:
    fit(job(steps=1), tmp_path / "out")
    harm(tmp_path / "out")
    with pytest.raises(DamagedData, match=said) as caught:
        open_policy(tmp_path / "out")
    assert str(tmp_path / "out") in str(caught.value)


def rewrite(folder: Path, **changed: Any) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **changed}))


def test_an_observation_that_lacks_something_is_refused_by_name(tmp_path: Path) -> None:
    fit(job(steps=1), tmp_path / "out")
    policy = shelf("policies")["bc_mlp"].load(PolicyRef(str(tmp_path / "out")))
    with pytest.raises(PolicyFailed, match=r"lacks the stream 'observation\.state'") as caught:
        policy.act({"instruction": "go"})
    assert caught.value.kind == "refused"
    with pytest.raises(UnknownName, match=r"No embodiment of this policy is called 'panda'\. Known: toy\."):
        policy.reset("0", seed=0, embodiment="panda")


def test_two_arms_of_different_size_are_learnt_at_once(tmp_path: Path) -> None:
    episodes = [reaching_episode(n, robot=r, joints=j) for n in range(2) for r, j in (("small", 3), ("large", 7))]
    settings = settings_for(shelf("policies")["bc_mlp"].HABITS, steps=400, device="cpu", threads=1, batch_size=32)
    options = {"width": 64, "layers": 1}
    made = plan("bc_mlp", TrainingSpec((DataSource("memory"),), options=options), [in_memory(episodes)], settings)
    trained = fit(made, tmp_path / "out")
    loss = trained.curve.column("loss")
    # Measured: 0.17, and errors of 0.16 to 0.20 of the way.
    assert loss[-20:].mean() < 0.3 * loss[:10].mean()
    policy = open_policy(tmp_path / "out")
    for robot, joints in (("small", 3), ("large", 7)):
        assert policy.hello(robot).needs[0].shape == (joints,)
        policy.reset("0", seed=0, embodiment=robot)
        episode = reaching_episode(0, robot=robot, joints=joints)
        seen = {need.name: episode.streams[need.name].table[0] for need in policy.hello(robot).needs}
        told = policy.act({**seen, "instruction": "reach the red ball"}).actions[15, :3]
        wanted = episode.streams["action.tip_pose"].table[15, :3]
        start = episode.streams["observation.tip_pose"].table[0, :3]
        assert np.linalg.norm(told - wanted) < 0.35 * np.linalg.norm(wanted - start)


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"inputs": ("observation.velocity",)}, r"no numbers called 'observation.velocity'. It has: observation.state"),
        ({"inputs": ("observation.images.front",)}, r"is there, but holds no numbers"),
        ({"cameras": ("wrist",)}, r"no pictures called 'wrist'. It has: observation.images.front."),
        ({"action": "torque"}, r"no numbers called 'torque'"),
        ({"inputs": (), "cameras": ()}, r"the policy would see nothing"),
    ],
)
def test_a_stream_that_the_data_lacks_is_refused_with_what_there_is(window: dict[str, Any], said: str) -> None:
    source = tiny_source(2)
    spec = TrainingSpec((DataSource("memory"),), **window)
    settings = settings_for(shelf("policies")["bc_mlp"].HABITS, device="cpu")
    with pytest.raises(TrainingRefused, match=said):
        plan("bc_mlp", spec, [in_memory(list(source.episodes.values()))], settings)


def test_a_policy_of_pictures_is_not_trained_blind_unasked() -> None:
    with pytest.raises(TrainingRefused, match="looks at pictures, and the data has none"):
        job("small_vla")
    assert job("small_vla", cameras=()).prepared.feed.spec.cameras == ()


def test_an_episode_without_action_costs_itself_and_is_named(tmp_path: Path) -> None:
    episodes = [reaching_episode(0), reaching_episode(1).without_stream("action.tip_pose")]
    settings = settings_for(shelf("policies")["bc_mlp"].HABITS, steps=1, device="cpu", threads=1)
    made = plan("bc_mlp", TrainingSpec((DataSource("memory"),), options=SMALL), [in_memory(episodes)], settings)
    assert [(each.key, each.reason[:40]) for each in made.prepared.left_out] == [
        ("toy-1", "episode toy-1 has no numbers in 'action.")
    ]


def test_numbers_that_are_none_end_the_training_with_the_step(tmp_path: Path) -> None:
    made = job(steps=20)
    made = replace(made, settings=replace(made.settings, learning_rate=1e30, warmup_steps=1))
    with pytest.raises(TrainingFailed, match=r"the loss of step \d+ is (nan|inf)"):
        fit(made, tmp_path / "out")


@pytest.mark.parametrize("rate", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_learning_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(TrainingRefused, match=f"learning rate is {rate}, and must be above 0"):
        settings_for(shelf("policies")["bc_mlp"].HABITS, learning_rate=rate)


def test_a_device_that_is_none_is_refused_for_training_and_acting_alike(tmp_path: Path) -> None:
    said = r"device is 'tpu'\. It is auto, cpu, cuda or cuda:N\."
    with pytest.raises(TrainingRefused, match=said):
        settings_for(shelf("policies")["bc_mlp"].HABITS, device="tpu")
    fit(job(steps=1), tmp_path / "out")
    with pytest.raises(PolicyFailed, match=said):
        open_policy(tmp_path / "out", device="tpu")
    with pytest.raises(PolicyFailed, match="device 'cuda:99' is not here: this torch sees"):
        open_policy(tmp_path / "out", device="cuda:99")
    open_policy(tmp_path / "out", device="auto").close()


def test_an_option_below_one_is_refused() -> None:
    with pytest.raises(TrainingRefused, match="option width is '-3', and a number of at least 1 is needed"):
        options_for(shelf("policies")["bc_mlp"].HABITS, {"width": "-3"})


def test_what_a_trained_policy_cannot_be_told_is_refused(tmp_path: Path) -> None:
    fit(job(steps=1), tmp_path / "out")
    with pytest.raises(UnknownName, match=r"No option of a trained policy is called 'fade_s'\. Did you mean 'fades_s'"):
        open_policy(tmp_path / "out", options={"fade_s": "0"})
    with pytest.raises(PolicyFailed, match="option fades_s is 'abc', and a time of at least 0 s is needed"):
        open_policy(tmp_path / "out", options={"fades_s": "abc"})


def test_two_sessions_of_one_network_blend_their_own_chunks_only(tmp_path: Path) -> None:
    fit(job(steps=2), tmp_path / "out")
    policy = open_policy(tmp_path / "out")
    first, second = policy.session(), policy.session()  # type: ignore[attr-defined]
    still = {"observation.state": np.zeros(3), "observation.tip_pose": np.array([0.1, 0, 0.2, 1, 0, 0, 0])}
    seen = {**still, "simulation.objects": np.array([0.3, 0, 0, 0, 0, 0, 1]), "instruction": "reach"}
    alone = [policy.act({**seen, "time_s": 0.1 * k}).actions for k in range(3)]
    for k in range(3):
        np.testing.assert_array_equal(first.act({**seen, "time_s": 0.1 * k}).actions, alone[k])
        second.act({**seen, "simulation.objects": np.full(7, 0.5), "time_s": 0.1 * k})


def test_the_rate_starts_small_peaks_and_falls_to_a_hundredth() -> None:
    settings = Settings(1000, 8, 1e-3, 0.0, 100, 0.99)
    rates = [rate_at(step, settings) for step in range(1000)]
    assert rates[0] == 1e-5
    assert max(rates) == rates[99] == 1e-3
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert 1e-5 <= rates[-1] < 1.1e-5


def test_a_toml_says_the_same_as_the_spec(tmp_path: Path) -> None:
    file = tmp_path / "mix.toml"
    file.write_text(
        '[[source]]\npath = "a"\nweight = 0.25\nwhere = "success"\n[[source]]\npath = "b"\nweight = 0.75\n'
        f'[window]\ncameras = ["{CAMERA}"]\nchunk_steps = 8\nhistory_s = [-0.1, 0]\n[policy]\nwidth = 64\n'
    )
    assert spec_at(file) == TrainingSpec(
        (
            DataSource(str(tmp_path / "a"), where="success", weight=0.25),
            DataSource(str(tmp_path / "b"), weight=0.75),
        ),
        cameras=(CAMERA,),
        chunk_steps=8,
        history_s=(-0.1, 0),
        options={"width": 64},
    )


def test_a_mixture_draws_its_sources_by_their_weights() -> None:
    one = in_memory([reaching_episode(n) for n in range(3)], weight=0.5)
    other = in_memory([reaching_episode(9)], weight=0.5)
    settings = settings_for(shelf("policies")["bc_mlp"].HABITS, device="cpu")
    made = plan("bc_mlp", TrainingSpec((DataSource("memory"),)), [one, other], settings)
    of_other = made.prepared.feed.episode_of == 3
    assert made.prepared.weights[of_other].sum() == pytest.approx(made.prepared.weights[~of_other].sum())


def test_minutes_become_steps_that_are_written_down(tmp_path: Path) -> None:
    quick = replace(job(), settings=replace(job().settings, minutes=0.01))
    trained = fit(quick, tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["receipt"]["settings"]["steps"] == len(trained.curve) >= 1
