"""Time of a snapshot that refers to 10,000 episodes (30,000 files): `python benchmarks/snapshot_reference.py FOLDER`.

The dataset is LeRobot v2.1 with two cameras; 400 episodes are made, and the others are further links to their files, so
that it fits everywhere. Every one of the 30,000 names is opened and hashed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

MADE, EPISODES = 400, 10_000


def make(root: Path) -> Path:
    from makers import lerobot_v2

    small = lerobot_v2.make(root / "small", episodes=MADE, steps=20)
    large = root / "large"
    shutil.copytree(small / "meta", large / "meta")
    info = json.loads((small / "meta/info.json").read_text())
    info |= {"total_episodes": EPISODES, "chunks_size": 1000, "splits": {"train": f"0:{EPISODES}"}}
    (large / "meta/info.json").write_text(json.dumps(info))
    for name in ("episodes.jsonl", "episodes_stats.jsonl"):
        lines = [json.loads(line) for line in (small / "meta" / name).read_text().splitlines()]
        again = [json.dumps(lines[n % MADE] | {"episode_index": n}) for n in range(EPISODES)]
        (large / "meta" / name).write_text("\n".join(again) + "\n")
    for n in range(EPISODES):
        for file in small.glob(f"*/chunk-{n % MADE // 3:03d}/**/episode_{n % MADE:06d}.*"):
            middle = file.relative_to(small).parts[2:-1]
            place = large / file.relative_to(small).parts[0] / f"chunk-{n // 1000:03d}" / Path(*middle)
            place.mkdir(parents=True, exist_ok=True)
            os.link(file, place / f"episode_{n:06d}{file.suffix}")
    return large


def main(folder: Path) -> None:
    os.environ["ROBOKATA_CACHE"] = str(folder / "cache")
    from robokata.core.source import open_source
    from robokata.store.making import Wish, make_snapshot
    from robokata.store.opening import open_snapshot
    from robokata.store.store import open_store

    dataset = make(folder)
    started = time.perf_counter()
    record = make_snapshot(open_store(str(folder / "store"), is_new=True), open_source(dataset), Wish())
    made_s = time.perf_counter() - started
    started = time.perf_counter()
    snapshot = open_snapshot(str(folder / "store"))
    snapshot.episode(snapshot.keys()[-1])
    size = sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
    print(f"{record.episodes} episodes referred to in {made_s:.1f} s; store {size / 1e6:.1f} MB; ", end="")
    print(f"opened again with its last episode in {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
