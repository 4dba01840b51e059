"""What is measured."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import av

from benchmarks import claims, datasets
from benchmarks.experts import experts
from benchmarks.generation import generation
from benchmarks.roboarena import roboarena
from benchmarks.teleoperation import teleoperation
from benchmarks.timing import Row, child, cpu_seconds, median_of, resident_mb
from benchmarks.umi import umi
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.detection import open_source
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.inspection.run import check_dataset
from robokata.media import video

KATA = [sys.executable, "-m", "robokata.cli.main"]
_HEAVY = ("torch", "pyarrow", "av", "duckdb", "h5py", "zarr", "mcap", "rosbags")


def start_up(folder: Path) -> Iterator[Row]:
    """CPU of `import robokata` and `kata --help`, and what they load."""
    for name, words in (
        ("import robokata", [sys.executable, "-c", "import robokata"]),
        ("kata --help", [*KATA, "--help"]),
    ):
        cpu_s = median_of(lambda words=words: child(*words).cpu_s, runs=7)
        yield Row(f"{name}: CPU", f"{cpu_s:.3f} s", "< 0.3 s", cpu_s < 0.3)
    code = f"import robokata.cli.main, sys; print([m for m in {_HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    yield Row("kata --help: heavy modules loaded", loaded, "[]", loaded == "[]")


def look(folder: Path) -> Iterator[Row]:
    """`kata look` on 10,000 episodes: wall time and peak memory of the whole process."""
    path = folder / "large"
    datasets.large_index(path, episodes=10_000, steps=250)
    runs = [child(*KATA, "look", str(path)) for _ in range(5)]
    wall_s = sorted(run.wall_s for run in runs)[2]
    peak_mb = max(run.peak_mb for run in runs)
    yield Row("kata look, LeRobot v3, 10,000 episodes: time", f"{wall_s:.2f} s", "< 3 s", wall_s < 3)
    yield Row("kata look, LeRobot v3, 10,000 episodes: peak memory", f"{peak_mb:.0f} MB", "< 300 MB", peak_mb < 300)


def check_numbers(folder: Path) -> Iterator[Row]:
    """`kata check` on low-dimensional streams: hours of 50 Hz, 14 joints per minute on one core."""
    for episodes, steps in ((120, 3000), (600, 600)):
        path = folder / f"numbers-{steps}"
        datasets.numbers_only(path, episodes=episodes, steps=steps)
        hours = episodes * steps / 50 / 3600
        took_s = median_of(lambda path=path: cpu_seconds(lambda: _check(path)), runs=5)
        rate = hours / took_s * 60
        what = f"kata check, 50 Hz x 14 joints, {steps / 50:.0f} s episodes, one core"
        yield Row(what, f"{rate:.0f} h/min", ">= 50 h/min", rate >= 50)


def check_video(folder: Path) -> Iterator[Row]:
    """`kata check` with video, as a share of plain single-threaded decoding of the same files in the same run."""
    for codec in ("libx264", "libsvtav1"):
        path = folder / f"video-{codec}"
        datasets.with_video(path, episodes=4, duration_s=6.0, height_px=480, width_px=640, codec=codec)
        ratios = []
        for _ in range(5):
            plain_s = cpu_seconds(lambda path=path: _decode_all(path))
            check_s = cpu_seconds(lambda path=path: _check(path))
            ratios.append(plain_s / check_s)
        ratio = sorted(ratios)[2]
        what = f"kata check with 480x640 {codec} video, share of plain decoding"
        yield Row(what, f"{ratio:.0%} (runs {min(ratios):.0%}..{max(ratios):.0%})", ">= 60 %", ratio >= 0.6)


def check_memory(folder: Path) -> Iterator[Row]:
    """Resident memory of one process over 1,000 episodes with video."""
    path = folder / "thousand"
    datasets.with_video(path, episodes=1000, duration_s=2.0, height_px=96, width_px=128, codec="libx264")
    resident: list[float] = []
    source = _fresh(path)
    check_dataset(source, workers=1, advance=lambda episodes: resident.append(resident_mb()))
    early, late = resident[199], max(resident[200:])
    what = "kata check, 1,000 episodes with video: growth of resident memory from episode 200 on"
    yield Row(what, f"{late - early:+.0f} MB (from {early:.0f} MB)", "flat (< 30 MB)", late - early < 30)


def convert_speed(folder: Path) -> Iterator[Row]:
    """Conversions that re-encode nothing, beside copying the same bytes: what the disk allows."""
    first = folder / "convert-v3"
    datasets.with_video(first, episodes=12, duration_s=8.0, height_px=240, width_px=320, codec="libx264")
    jpeg = folder / "convert-rlds"
    convert(_fresh(first), jpeg, "rlds", options={"pictures": "jpeg"}, accept_loss=True)
    log = folder / "convert-mcap"
    convert(_fresh(first), log, "mcap")
    second = folder / "convert-v2"
    convert(_fresh(first), second, "lerobot_v2")
    for name, source, target, ways in (
        ("LeRobot v3.0 to v2.1, packets copied", first, "lerobot_v2", {"copied"}),
        ("LeRobot v2.1 to v3.0, packets copied", second, "lerobot_v3", {"copied"}),
        ("MCAP with H.264 to LeRobot v3.0, packets copied", log, "lerobot_v3", {"copied"}),
        ("RLDS to LeRobot v3.0, JPEG kept", jpeg, "lerobot_v3", {"copied"}),
    ):
        report = plan_conversion(open_source(source), target)
        pictures = {loss.way.value for loss in report.losses if "image" in loss.stream}
        size_mb = sum(file.stat().st_size for file in source.rglob("*") if file.is_file()) / 1e6
        runs = [_converted_s(source, folder / "out", target) for _ in range(3)]
        taken_s = statistics.median(run.taken_s for run in runs)
        share = statistics.median(run.read_back_s / (run.taken_s - run.read_back_s) for run in runs)
        copied_s = median_of(lambda s=source: _copied_s(s, folder / "out"), runs=3)
        measured = f"{size_mb / taken_s:.0f} MB/s, copying {size_mb / copied_s:.0f} MB/s"
        yield Row(f"kata convert, {name}", measured, "no re-encoding", pictures == ways)
        yield Row("the same: reading back, beside planning and writing", f"{share:.0%}", "< 15 %", share < 0.15)


def convert_memory(folder: Path) -> Iterator[Row]:
    """Peak memory of whole processes that convert 100 and 1,000 episodes with video, plan included."""
    peaks = []
    for episodes in (100, 1000):
        path, out = folder / f"episodes-{episodes}", folder / f"out-{episodes}"
        datasets.with_video(path, episodes=episodes, duration_s=1.0, height_px=48, width_px=64, codec="libx264")
        peaks.append(child(*KATA, "convert", str(path), str(out), "--to", "lerobot_v2").peak_mb)
    grown = peaks[1] - peaks[0]
    what = "kata convert, LeRobot v3.0 to v2.1, 1,000 episodes beside 100: peak memory"
    yield Row(what, f"{grown:+.0f} MB (from {peaks[0]:.0f} MB)", "flat (< 30 MB)", grown < 30)


class _Conversion(NamedTuple):
    taken_s: float
    read_back_s: float


def _converted_s(source: Path, out: Path, target: str) -> _Conversion:
    opened = open_source(source)
    video.forget()
    began = time.perf_counter()
    receipt = convert(opened, out, target)
    taken_s = time.perf_counter() - began
    shutil.rmtree(out)
    return _Conversion(taken_s, float(receipt.verified["seconds"]))


def _copied_s(source: Path, out: Path) -> float:
    """Copy and reach the disk, as a conversion does."""
    began = time.perf_counter()
    shutil.copytree(source, out)
    for file in out.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    taken_s = time.perf_counter() - began
    shutil.rmtree(out)
    return taken_s


def _check(path: Path) -> None:
    check_dataset(_fresh(path), workers=1)


def _fresh(path: Path) -> Source:
    """The dataset as a new process would open it: no decoder and no index in memory."""
    video.forget()
    source: Source = shelf("formats")["lerobot_v3"].read(path)
    assert open_source(path).format == source.format
    return source


def _decode_all(path: Path) -> int:
    frames = 0
    for file in sorted(path.glob("videos/**/*.mp4")):
        with av.open(str(file)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            frames += sum(1 for _ in container.decode(video=0))
    return frames


ALL: dict[str, Callable[[Path], Iterator[Row]]] = {
    "start_up": start_up,
    "look": look,
    "check_numbers": check_numbers,
    "check_video": check_video,
    "check_memory": check_memory,
    "convert_speed": convert_speed,
    "convert_memory": convert_memory,
    "type_one_error": claims.type_one_error,
    "seed_coverage": claims.seed_coverage,
    "interval_coverage": claims.interval_coverage,
    "roboarena": roboarena,
    "experts": experts,
    "generation": generation,
    "umi": umi,
    "teleoperation": teleoperation,
}
