"""Does LeRobot itself read what we write? Write the answer down in our environment, ask in LeRobot's own.

    .venv/bin/python benchmarks/interop/check_lerobot.py expect SOURCE WRITTEN EXPECTED.npz [--rate 10]
    <lerobot's python> benchmarks/interop/check_lerobot.py ask WRITTEN EXPECTED.npz [--steps 10]

`expect` converts SOURCE to LeRobot v3.0 at WRITTEN and keeps every number and a few pictures per episode as SOURCE
gives them. `ask` opens WRITTEN with LeRobotDataset, counts, reads every row, compares, and trains ACT for some steps.
README.md beside this file says how to make the second environment. Exits with 1 where LeRobot disagrees.
"""

from __future__ import annotations

import argparse
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

PICTURES = 5
"""Pictures per camera and episode that are compared: each costs a seek in both libraries."""
ALLOWED_LEVELS = 4.0
"""Mean difference of a picture that passes, of 255: the two decoders convert YUV to RGB with different rounding."""


def expect(source_path: Path, written: Path, expected: Path, rate: str | None) -> None:
    from robokata.conversion.convert import convert
    from robokata.core.detection import open_source
    from robokata.formats._lerobot.plan import Options, plan_of

    source = open_source(source_path)
    began = time.perf_counter()
    rate_hz = None if rate is None else Fraction(rate)
    convert(source, written, "lerobot_v3", options={} if rate is None else {"rate_hz": rate_hz}, accept_loss=True)
    print(f"{len(source.keys())} episodes converted in {time.perf_counter() - began:.2f} s")
    kept: dict[str, Any] = {}
    for number, key in enumerate(source.keys()):
        plan = plan_of(source.episode(key), Options(rate_hz=rate_hz), measures=False)
        kept[f"{number}|length"] = np.asarray(len(plan.rows))
        for column in plan.columns:
            if column.stream.is_numeric:
                kept[f"{number}|values|{column.target}"] = column.stream.values[column.picked]
            elif column.stream.is_picture:
                rows = np.unique(np.linspace(0, len(plan.rows) - 1, PICTURES).astype(np.int64))
                kept[f"{number}|rows|{column.target}"] = rows
                pictures = [np.asarray(column.stream.values[int(column.picked[row])]) for row in rows]
                kept[f"{number}|pictures|{column.target}"] = np.stack(pictures)
    np.savez_compressed(expected, **kept)


def ask(written: Path, expected: Path, steps: int) -> int:
    lerobot_dataset = _lerobot()
    answers = np.load(expected, allow_pickle=False)
    dataset = lerobot_dataset("robokata/written", root=written)
    lengths = [int(answers[name]) for name in answers.files if name.endswith("|length")]
    print(f"LeRobot opens {written}: {dataset.num_episodes} episodes, {dataset.num_frames} frames, {dataset.fps} fps")
    faults = 0
    if (dataset.num_episodes, dataset.num_frames, len(dataset)) != (len(lengths), sum(lengths), sum(lengths)):
        faults += _fault(f"counts differ: {len(lengths)} episodes and {sum(lengths)} rows were written")
    starts = np.concatenate(([0], np.cumsum(lengths)))
    table = dataset.hf_dataset.with_format(None)
    for name in answers.files:
        number, what, *rest = name.split("|")
        first = int(starts[int(number)])
        if what == "values":
            faults += _compare_values(table, rest[0], first, answers[name])
        elif what == "pictures":
            rows = answers[f"{number}|rows|{rest[0]}"]
            faults += _compare_pictures(dataset, rest[0], first, rows, answers[name])
    began = time.perf_counter()
    for index in range(0, len(dataset), max(1, len(dataset) // 200)):
        dataset[index]
    print(f"iterated in {time.perf_counter() - began:.1f} s; {faults} faults")
    faults += _train(lerobot_dataset, dataset, written, steps) if steps else 0
    return 1 if faults else 0


def _lerobot() -> Any:
    try:
        import torch

        # The torchvision of PyPI and a CPU torch do not meet: without these schemas its import fails.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _lerobot.kept = library  # type: ignore[attr-defined]  # the library must outlive the import
    except (ImportError, RuntimeError):
        pass  # a matching torchvision defines them itself
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset


def _compare_values(table: Any, name: str, first: int, expected: Any) -> int:
    found = np.asarray(table.select(range(first, first + len(expected)))[name], expected.dtype)
    if np.array_equal(found.reshape(expected.shape), expected, equal_nan=expected.dtype.kind == "f"):
        return 0
    return _fault(f"{name} from row {first} on: other numbers than in the source")


def _compare_pictures(dataset: Any, name: str, first: int, rows: Any, expected: Any) -> int:
    faults = 0
    for row, picture in zip(rows.tolist(), expected, strict=True):
        shown = np.asarray(dataset[first + row][name])
        # LeRobot gives (C, H, W) in 0..1.
        shown = shown.transpose(1, 2, 0) * (255 if picture.dtype == np.uint8 else 1)
        off = float(np.abs(shown.astype(np.float64) - picture).mean())
        if off > ALLOWED_LEVELS:
            faults += _fault(f"{name} of row {first + row}: {off:.1f} levels off")
    return faults


def _train(lerobot_dataset: Any, dataset: Any, written: Path, steps: int) -> int:
    """Some steps of a small ACT on the dataset: the loss must be finite."""
    import torch
    from lerobot.configs.types import FeatureType
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    try:
        from lerobot.utils.feature_utils import dataset_to_policy_features  # lerobot 0.6
    except ImportError:
        from lerobot.datasets.utils import dataset_to_policy_features  # lerobot 0.4

    features = dataset_to_policy_features(dataset.meta.features)
    outputs = {name: f for name, f in features.items() if f.type is FeatureType.ACTION}
    inputs = {name: f for name, f in features.items() if name not in outputs}
    if not outputs or not any(name.startswith("observation") for name in inputs):
        print("not trained: no action, or no observation")
        return 0
    config = ACTConfig(
        input_features=inputs, output_features=outputs, chunk_size=8, n_action_steps=8, dim_model=64, n_heads=2,
        dim_feedforward=64, n_encoder_layers=1, n_vae_encoder_layers=1, pretrained_backbone_weights=None, device="cpu",
    )  # fmt: skip
    policy = ACTPolicy(config)
    before, _ = make_pre_post_processors(config, dataset_stats=dataset.meta.stats)
    deltas = {name: [n / dataset.fps for n in range(8)] for name in outputs}
    chunks = lerobot_dataset("robokata/written", root=written, delta_timestamps=deltas)
    loader = torch.utils.data.DataLoader(chunks, batch_size=2, shuffle=True, num_workers=0)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-4)
    losses: list[float] = []
    policy.train()
    while len(losses) < steps:
        for batch in loader:
            loss, _ = policy.forward(before(batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if len(losses) == steps:
                break
    print("losses of ACT: " + " ".join(f"{loss:.2f}" for loss in losses))
    return 0 if np.isfinite(losses).all() else _fault("the loss is not finite")


def _fault(said: str) -> int:
    print(f"FAULT: {said}")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    first = verbs.add_parser("expect")
    for name in ("source", "written", "expected"):
        first.add_argument(name, type=Path)
    first.add_argument("--rate", help="rows per second, for sources that keep no time")
    second = verbs.add_parser("ask")
    second.add_argument("written", type=Path)
    second.add_argument("expected", type=Path)
    second.add_argument("--steps", type=int, default=10)
    chosen = parser.parse_args()
    if chosen.verb == "expect":
        expect(chosen.source, chosen.written, chosen.expected, chosen.rate)
        return 0
    return ask(chosen.written, chosen.expected, chosen.steps)


if __name__ == "__main__":
    sys.exit(main())
