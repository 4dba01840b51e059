"""Handheld videos against what was rendered: pose, width, latency; clean, and the sets that real hands give."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.timing import Row
from robokata.collection.umi.board import Board
from robokata.collection.umi.episode import width_signal
from robokata.collection.umi.latency import latency_between
from robokata.collection.umi.rig import Rig
from robokata.collection.umi.track import track_video
from robokata.geometry.poses import angles_between_rad

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from umi.umi_videos import Take, fisheye_camera, render_handheld  # the oracle lies with the tests

_LATE_S = 0.083
CLEAN = Take(latency_s=_LATE_S)
"""960 x 720, 70 degrees, 90 frames at 30 Hz, noise of 1.5 levels: a careful hand in good light."""
DEGRADED = {
    "fisheye, 132 degrees across": replace(CLEAN, camera=fisheye_camera(), frames=60),
    "ChArUco board": replace(CLEAN, board=Board("charuco", 7, 5, 0.03, 0.04), frames=60),
    "noise of 12 levels, H.264 at crf 26": replace(CLEAN, noise_levels=12.0, crf=26, frames=60),
    "a hand over the board": replace(CLEAN, has_hand=True, hand_m=0.11, frames=60),
    "blur: 1/60 s, 2.5 times as fast": replace(CLEAN, exposure_s=1 / 60, pace=2.5, frames=60),
    "rolling shutter of 20 ms": replace(CLEAN, readout_s=0.020, frames=60),
}


class Errors(NamedTuple):
    """Of every frame of one set that the gates let through."""

    place_mm: np.ndarray
    turn_deg: np.ndarray
    width_mm: np.ndarray
    latency_ms: list[float]
    lost_share: float
    ms_per_frame: float


def umi(folder: Path) -> Iterator[Row]:
    """Targets on the clean set of three seeds; the degraded sets stated without a target."""
    clean = _errors(folder, [replace(CLEAN, seed=seed) for seed in range(3)])
    p95 = [float(np.percentile(part, 95)) for part in clean[:3]]
    yield Row("UMI clean: tip position error p95", f"{_shown(clean.place_mm)} mm", "< 5 mm", p95[0] < 5)
    yield Row("UMI clean: rotation error p95", f"{_shown(clean.turn_deg)} deg", "< 1 deg", p95[1] < 1)
    yield Row("UMI clean: width error p95", f"{_shown(clean.width_mm)} mm", "< 0.3 mm", p95[2] < 0.3)
    worst = max(map(abs, clean.latency_ms), default=float("inf"))
    shown = ", ".join(f"{error:+.2f}" for error in clean.latency_ms)
    yield Row("UMI clean: latency error, three seeds", f"{shown} ms", "within 5 ms", worst < 5)
    yield Row("UMI clean: time per frame of 960x720", f"{clean.ms_per_frame:.0f} ms", "stated", True)
    for name, take in DEGRADED.items():
        found = _errors(folder, [take])
        late = ", ".join(f"{error:+.1f}" for error in found.latency_ms) or "no"
        told = f"{_shown(found.place_mm)} mm, {_shown(found.turn_deg)} deg, {_shown(found.width_mm)} mm"
        yield Row(f"UMI {name}: position, rotation, width", told, "stated", True)
        yield Row(f"UMI {name}: frames lost, latency error", f"{found.lost_share:.0%}, {late} ms", "stated", True)


def _shown(errors: np.ndarray) -> str:
    if not len(errors):
        return "none"
    return f"{np.percentile(errors, 95):.2f} (p50 {np.percentile(errors, 50):.2f}, max {errors.max():.2f})"


def _errors(folder: Path, takes: list[Take]) -> Errors:
    places, turns, widths, late, lost, spent_s, frames = [], [], [], [], 0, 0.0, 0
    for number, take in enumerate(takes):
        video = folder / f"umi-{number}.mp4"
        truth = render_handheld(video, take)
        started = time.process_time()
        track = track_video(video, Rig(take.camera, take.board, take.tags, gripper_range=take.fingers))
        spent_s += time.process_time() - started
        seen, wide = track.is_seen, track.has_width
        places.append(1000 * np.linalg.norm(track.pose[seen, :3] - truth.tip_pose[seen, :3], axis=1))
        turns.append(np.rad2deg(angles_between_rad(track.pose[seen, 3:], truth.tip_pose[seen, 3:])))
        widths.append(1000 * np.abs(track.width_m - truth.width_m)[wide])
        found = latency_between(width_signal(track), truth.encoder).latency_s
        late += [] if found is None else [1000 * (found - take.latency_s)]
        lost, frames = lost + int((~seen).sum()), frames + len(track)
        video.unlink()
    parts = [np.concatenate(part) for part in (places, turns, widths)]
    return Errors(*parts, late, lost / frames, 1000 * spent_s / frames)
