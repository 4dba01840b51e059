"""How long does the same conversion take here and in LeRobot? The same episodes on the same machine, in turns.

    PYTHONPATH=src:. .venv/bin/python benchmarks/interop/speed_lerobot.py <lerobot's python> [--episodes 12] [--runs 3]

Makes a LeRobot v2.1 set with one H.264 camera and writes it as v3.0 in three ways: with Robokata (packets copied),
with LeRobot's own converter (`lerobot.datasets.v30.convert_dataset_v21_to_v30`, packets copied too), and with
LeRobot's writer, which is what a script that reads one format and writes LeRobot uses: `add_frame` for every decoded
picture, then `save_episode`. Imports, and reading the pictures for the writer, are not counted. README.md beside this
file says how to make LeRobot's environment.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CAMERA = "observation.images.front"
NUMBERS = ("observation.state", "action")


def main() -> None:
    if sys.argv[1] == "theirs":
        print(json.dumps(theirs(Path(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lerobot", help="the Python of LeRobot's environment")
    parser.add_argument("--episodes", type=int, default=12)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="robokata-speed-") as name:
        folder = Path(name)
        _make(folder, chosen.episodes)
        for _ in range(chosen.runs):
            taken.setdefault("Robokata, convert", []).append(_ours_s(folder))
            words = [chosen.lerobot, __file__, "theirs", str(folder)]
            answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            for what, seconds in json.loads(answer).items():
                taken.setdefault(what, []).append(seconds)
    ours_s = statistics.median(taken["Robokata, convert"])
    for what, seconds in taken.items():
        median_s = statistics.median(seconds)
        spread = f"{min(seconds):.2f}..{max(seconds):.2f}"
        print(f"{what:<28} {median_s:8.2f} s ({spread}), {median_s / ours_s:6.1f} times Robokata's")


def _make(folder: Path, episodes: int) -> None:
    from benchmarks import datasets

    from robokata.convert import convert
    from robokata.core.source import open_source

    made = folder / "made"
    datasets.with_video(made, episodes=episodes, duration_s=8.0, height_px=240, width_px=320, codec="libx264")
    convert(open_source(made), folder / "v21", "lerobot_v2")
    source = open_source(folder / "v21")
    for number, key in enumerate(source.keys()):
        streams = source.episode(key).streams
        np.savez(folder / f"episode-{number}.npz", **{n: np.asarray(streams[n].values[:]) for n in (CAMERA, *NUMBERS)})


def _ours_s(folder: Path) -> float:
    from robokata.convert import convert
    from robokata.core.source import open_source

    began = time.perf_counter()
    convert(open_source(folder / "v21"), folder / "ours", "lerobot_v3")
    taken_s = time.perf_counter() - began
    shutil.rmtree(folder / "ours")
    return taken_s


def theirs(folder: Path) -> dict[str, float]:
    from check_lerobot import _lerobot

    lerobot_dataset = _lerobot()
    from lerobot.datasets.v30.convert_dataset_v21_to_v30 import convert_dataset

    out = {}
    shutil.copytree(folder / "v21", folder / "theirs")
    began = time.perf_counter()
    convert_dataset("theirs", root=folder, push_to_hub=False)
    out["LeRobot, own converter"] = time.perf_counter() - began
    for path in folder.glob("theirs*"):
        shutil.rmtree(path)
    out["LeRobot, own writer"] = _written_s(lerobot_dataset, folder)
    return out


def _written_s(lerobot_dataset: Any, folder: Path) -> float:
    episodes = [np.load(path) for path in sorted(folder.glob("episode-*.npz"))]
    first = {name: episodes[0][name] for name in (CAMERA, *NUMBERS)}
    features = {name: {"dtype": "float32", "shape": first[name].shape[1:], "names": None} for name in NUMBERS} | {
        CAMERA: {"dtype": "video", "shape": first[CAMERA].shape[1:], "names": ["height", "width", "channels"]}
    }
    taken_s = 0.0
    began = time.perf_counter()
    dataset = lerobot_dataset.create("written", fps=50, features=features, root=folder / "written", vcodec="h264")
    taken_s += time.perf_counter() - began
    for episode in episodes:
        tables = {name: episode[name] for name in (CAMERA, *NUMBERS)}
        began = time.perf_counter()
        for row in range(len(tables["action"])):
            dataset.add_frame({**{name: table[row] for name, table in tables.items()}, "task": "move"})
        dataset.save_episode()
        taken_s += time.perf_counter() - began
    began = time.perf_counter()
    dataset.finalize()
    taken_s += time.perf_counter() - began
    shutil.rmtree(folder / "written")
    return taken_s


if __name__ == "__main__":
    main()
