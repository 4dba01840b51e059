"""Time and memory of a snapshot that refers to 10,000 episodes: `python benchmarks/snapshot_reference.py FOLDER`.

LeRobot v2.1 with two cameras, 30,000 files: 400 episodes are made, and the others are further links to their files, so
that it fits everywhere; every one of the 30,000 names is opened and hashed. LeRobot v3.0 with two cameras, in ten
packed tables and twenty packed videos: of each episode the row groups and the packets are found and hashed. Then the
same again with a tenth of the episodes, to see whether memory grows with their number.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

MADE, EPISODES, STEPS = 400, 10_000, 20
PACKED = 1000
"""Episodes of one packed file."""


def make_v2(root: Path, episodes: int) -> Path:
    from makers import lerobot_v2

    small = lerobot_v2.make(root / "small", episodes=MADE, steps=STEPS)
    large = root / "large"
    shutil.copytree(small / "meta", large / "meta")
    info = json.loads((small / "meta/info.json").read_text())
    info |= {"total_episodes": episodes, "chunks_size": 1000, "splits": {"train": f"0:{episodes}"}}
    (large / "meta/info.json").write_text(json.dumps(info))
    for name in ("episodes.jsonl", "episodes_stats.jsonl"):
        lines = [json.loads(line) for line in (small / "meta" / name).read_text().splitlines()]
        again = [json.dumps(lines[n % MADE] | {"episode_index": n}) for n in range(episodes)]
        (large / "meta" / name).write_text("\n".join(again) + "\n")
    for n in range(episodes):
        for file in small.glob(f"*/chunk-{n % MADE // 3:03d}/**/episode_{n % MADE:06d}.*"):
            middle = file.relative_to(small).parts[2:-1]
            place = large / file.relative_to(small).parts[0] / f"chunk-{n // 1000:03d}" / Path(*middle)
            place.mkdir(parents=True, exist_ok=True)
            os.link(file, place / f"episode_{n:06d}{file.suffix}")
    return large


def make_v3(root: Path, episodes: int) -> Path:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from makers import lerobot_v3

    small = lerobot_v3.make(root / "small3", episodes=PACKED, steps=STEPS)
    large = root / "large3"
    shutil.copytree(small / "meta", large / "meta")
    info = json.loads((small / "meta/info.json").read_text())
    info |= {"total_episodes": episodes, "total_frames": episodes * STEPS, "splits": {"train": f"0:{episodes}"}}
    (large / "meta/info.json").write_text(json.dumps(info))
    tables = [pq.read_table(file) for file in sorted(small.glob("data/*/*.parquet"))]
    index = pq.read_table(small / "meta/episodes/chunk-000/file-000.parquet").to_pydict()
    again = {name: [] for name in index}
    for turn in range(episodes // PACKED):
        for number, table in enumerate(tables):
            moved = pa.array(np.asarray(table["episode_index"]) + turn * PACKED)
            table = table.set_column(table.column_names.index("episode_index"), "episode_index", moved)
            place = large / f"data/chunk-{turn:03d}/file-{number:03d}.parquet"
            place.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, place, row_group_size=STEPS)
        for file in small.glob("videos/*/*/*.mp4"):
            place = large / "videos" / file.parts[-3] / f"chunk-{turn * 2 + int(file.parts[-2][-3:]):03d}" / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        for name, cells in index.items():
            shift = PACKED if name == "episode_index" else 1 if name == "data/chunk_index" else 0
            shift = 2 if name.startswith("videos/") and name.endswith("chunk_index") else shift
            again[name] += [cell + shift * turn for cell in cells] if shift else cells
    pq.write_table(pa.table(again), large / "meta/episodes/chunk-000/file-000.parquet")
    return large


def measure(dataset: Path, place: Path) -> None:
    """In a process of its own: the memory of one run must not be that of the one before."""
    os.environ["ROBOKATA_CACHE"] = str(place / "cache")
    from robokata.core.detection import open_source
    from robokata.store.commit import Wish, make_snapshot
    from robokata.store.resolve import open_snapshot
    from robokata.store.store import open_store

    started = time.perf_counter()
    record = make_snapshot(open_store(str(place / "store"), is_new=True), open_source(dataset), Wish())
    made_s = time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    started = time.perf_counter()
    snapshot = open_snapshot(str(place / "store"))
    snapshot.episode(snapshot.keys()[-1])
    size = sum(file.stat().st_size for file in (place / "store").rglob("*") if file.is_file())
    print(
        f"{record.episodes} episodes referred to in {made_s:.1f} s, {peak_mb:.0f} MB; store {size / 1e6:.1f} MB; ",
        end="",
    )
    print(f"opened again with its last episode in {time.perf_counter() - started:.2f} s")


def main(folder: Path) -> None:
    for name, make in (("lerobot_v2", make_v2), ("lerobot_v3", make_v3)):
        for episodes in (EPISODES // 10, EPISODES):
            place = folder / f"{name}-{episodes}"
            dataset = make(place, episodes)
            print(f"{name}: ", end="", flush=True)
            words = [sys.executable, __file__, "--measure", str(dataset), str(place)]
            subprocess.run(words, check=True)


if __name__ == "__main__":
    measure(Path(sys.argv[2]), Path(sys.argv[3])) if sys.argv[1] == "--measure" else main(Path(sys.argv[1]))
