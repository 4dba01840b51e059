"""How long does the same conversion take here and in LeRobot? The same episodes on the same machine, in turns.

    PYTHONPATH=src:. .venv/bin/python benchmarks/interop/speed_lerobot.py <lerobot's python> [--episodes 150] [--runs 3]

Makes a LeRobot v2.1 set of 300 frames per episode with two H.264 cameras and writes it as v3.0 in three ways: with
Robokata (packets copied, plan included), with LeRobot's own converter
(`lerobot.datasets.v30.convert_dataset_v21_to_v30`, packets copied too), and, two episodes of it, with LeRobot's writer,
which is what a script that reads one format and writes LeRobot uses: `add_frame` for every decoded picture, then
`save_episode`. `inside` leaves out starting Python and imports, `whole` is the process as a user starts it; for the
writer, reading the pictures is not counted. Robokata waits until the bytes are on the disk before its folder appears,
LeRobot does not: `synced` adds that wait to LeRobot's time.
`processor time` is what one process with one worker uses. README.md beside this file says how to make LeRobot's
environment.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CAMERAS = ("observation.images.top", "observation.images.wrist")
NUMBERS = ("observation.state", "action")
WRITTEN_EPISODES = 2
"""Episodes that LeRobot's writer gets: it encodes them, some hundred times slower than packets are copied."""


def main() -> None:
    if sys.argv[1] in ("ours", "theirs", "writer"):
        print(json.dumps({"ours": ours, "theirs": theirs, "writer": writer}[sys.argv[1]](Path(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lerobot", help="the Python of LeRobot's environment")
    parser.add_argument("--episodes", type=int, default=150)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="robokata-speed-") as name:
        folder = Path(name)
        size_mb = _make(folder, chosen.episodes, chosen.frames, chosen.height)
        taken: dict[str, list[float]] = {}
        for _ in range(chosen.runs):
            for python, what in ((sys.executable, "ours"), (chosen.lerobot, "theirs"), (chosen.lerobot, "writer")):
                for measured, seconds in _asked(python, what, folder).items():
                    taken.setdefault(measured, []).append(seconds)
    print(
        f"{chosen.episodes} episodes of {chosen.frames} frames, two cameras, {size_mb:.0f} MB; median of {chosen.runs}"
    )
    for what, seconds in taken.items():
        print(f"{what:<52} {statistics.median(seconds):9.2f} s ({min(seconds):.2f}..{max(seconds):.2f})")
    for ours_name, theirs_name in (
        ("Robokata, plan and write, inside", "LeRobot, own converter, inside"),
        ("Robokata, plan and write, inside", "LeRobot, own converter, synced"),
        ("Robokata, one worker, processor time", "LeRobot, own converter, processor time"),
        ("Robokata, kata convert, whole", "LeRobot, own converter, whole"),
        ("Robokata, plan and write, inside", "LeRobot, own writer, all episodes (scaled), inside"),
    ):
        ratios = [t / o for o, t in zip(taken[ours_name], taken[theirs_name], strict=True)]
        print(f"{theirs_name}: {statistics.median(ratios):.1f} times Robokata ({min(ratios):.1f}..{max(ratios):.1f})")


def _make(folder: Path, episodes: int, frames: int, height_px: int) -> float:
    from benchmarks import datasets

    from robokata.core.detection import open_source

    datasets.two_cameras(
        folder / "v21",
        episodes=episodes,
        steps=frames,
        height_px=height_px,
        width_px=height_px * 4 // 3,
        format_name="lerobot_v2",
    )
    source = open_source(folder / "v21")
    for number, key in enumerate(source.keys()[:WRITTEN_EPISODES]):
        streams = source.episode(key).streams
        arrays = {n: np.asarray(streams[n].values[:]) for n in (*CAMERAS, *NUMBERS)}
        np.savez(folder / f"episode-{number}.npz", **arrays)
    return sum(file.stat().st_size for file in (folder / "v21").rglob("*") if file.is_file()) / 1e6


def _asked(python: str, what: str, folder: Path) -> dict[str, float]:
    environment = {**os.environ, "ROBOKATA_CACHE": str(folder / "cache")}
    shutil.rmtree(folder / "cache", ignore_errors=True)
    if what == "theirs":
        shutil.copytree(folder / "v21", folder / "theirs")
    os.sync()
    began = time.perf_counter()
    words = [python, __file__, what, str(folder)]
    answer = subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout.splitlines()[-1]
    whole_s = time.perf_counter() - began
    found: dict[str, float] = json.loads(answer)
    if what == "theirs":
        found["LeRobot, own converter, whole"] = whole_s - found.pop("deleting")
    if what == "ours":
        began = time.perf_counter()
        words = [python, "-m", "robokata.cli.main", "convert", str(folder / "v21"), str(folder / "ours")]
        subprocess.run([*words, "--to", "lerobot_v3"], check=True, capture_output=True, env=environment)
        found["Robokata, kata convert, whole"] = time.perf_counter() - began
        shutil.rmtree(folder / "ours")
    return found


def ours(folder: Path) -> dict[str, float]:
    from robokata.conversion.convert import convert
    from robokata.core.detection import open_source

    began = time.perf_counter()
    convert(open_source(folder / "v21"), folder / "ours", "lerobot_v3")
    taken_s = time.perf_counter() - began
    shutil.rmtree(folder / "ours")
    began_s = time.process_time()
    convert(open_source(folder / "v21"), folder / "ours", "lerobot_v3", workers=1)
    processor_s = time.process_time() - began_s
    shutil.rmtree(folder / "ours")
    return {"Robokata, plan and write, inside": taken_s, "Robokata, one worker, processor time": processor_s}


def theirs(folder: Path) -> dict[str, float]:
    from check_lerobot import _lerobot

    _lerobot()
    from lerobot.datasets.v30.convert_dataset_v21_to_v30 import convert_dataset

    began, began_s = time.perf_counter(), time.process_time()
    convert_dataset("theirs", root=folder, push_to_hub=False)
    taken_s, processor_s = time.perf_counter() - began, time.process_time() - began_s
    os.sync()
    synced_s = time.perf_counter() - began
    for path in folder.glob("theirs*"):
        shutil.rmtree(path)
    deleting_s = time.perf_counter() - began - taken_s
    return {
        "LeRobot, own converter, inside": taken_s,
        "LeRobot, own converter, synced": synced_s,
        "LeRobot, own converter, processor time": processor_s,
        "deleting": deleting_s,
    }


def writer(folder: Path) -> dict[str, float]:
    from check_lerobot import _lerobot

    taken_s = _written_s(_lerobot(), folder)
    episodes = len((folder / "v21" / "meta" / "episodes.jsonl").read_text().splitlines())
    return {"LeRobot, own writer, all episodes (scaled), inside": taken_s * episodes / WRITTEN_EPISODES}


def _written_s(lerobot_dataset: Any, folder: Path) -> float:
    episodes = [dict(np.load(path)) for path in sorted(folder.glob("episode-*.npz"))]
    first = episodes[0]
    features = {name: {"dtype": "float32", "shape": first[name].shape[1:], "names": None} for name in NUMBERS} | {
        name: {"dtype": "video", "shape": first[name].shape[1:], "names": ["height", "width", "channels"]}
        for name in CAMERAS
    }
    taken_s = 0.0
    began = time.perf_counter()
    dataset = lerobot_dataset.create("written", fps=30, features=features, root=folder / "written", vcodec="h264")
    taken_s += time.perf_counter() - began
    for tables in episodes:
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
