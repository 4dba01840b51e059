"""Acceptance of clips, and the reason with its numbers for each that is rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import Board
from robokata.collection.umi.likely_board import likely_board
from robokata.collection.umi.rig import Rig
from robokata.collection.umi.sight import other_dictionary
from robokata.collection.umi.track import ClipTrack
from robokata.geometry.poses import rigid_from_seven

SCALE_SLACK_RATIO = 0.03
"""Printers that "fit to page" shrink by 3 to 8 %; a scale tag is measured to 1 %."""
_BELOW_M = 0.015
"""Deeper in the table than calibration errors explain (1 degree at 220 mm is 4 mm)."""
_BELOW_FRAMES = 5
_MAJORITY = 0.5


@dataclass(frozen=True)
class Rejection:
    """Why a clip is no episode."""

    gate: str
    message: str
    numbers: Mapping[str, Any]


def rejection_of(track: ClipTrack, rig: Rig) -> Rejection | None:
    """The first gate that a clip does not pass, None where it passes all."""
    gates: list[Callable[[ClipTrack, Rig], Rejection | None]] = [_markers, _scale, _layout, _below, _fingers, _amount]
    return next((found for gate in gates if (found := gate(track, rig)) is not None), None)


def longest_run(flags: NDArray[np.bool_]) -> slice:
    """The longest stretch of true flags, the first of several; empty where none is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))).reshape(-1, 2)
    if not len(edges):
        return slice(0, 0)
    start, end = edges[int(np.argmax(edges[:, 1] - edges[:, 0]))].tolist()
    return slice(start, end)


def runs_of(flags: NDArray[np.bool_], *, least: int) -> list[slice]:
    """Stretches of true flags that are at least so long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))).reshape(-1, 2)
    return [slice(start, end) for start, end in edges.tolist() if end - start >= least]


def steps_of(track: ClipTrack, rig: Rig) -> NDArray[np.bool_]:
    """Frames that can be steps, (T,): a pose (seen or filled in), and a width where one is needed."""
    has_pose = np.isfinite(track.pose[:, 0])
    return has_pose & track.has_width if rig.gates.needs_gripper else has_pose


def _markers(track: ClipTrack, rig: Rig) -> Rejection | None:
    most, frames = int(track.board_markers.max()), len(track)
    numbers = {"frames": frames, "most_board_markers": most, "needed": rig.gates.min_markers}
    if track.frame != "board":
        return None
    if most == 0:
        return _nothing_seen(track, rig, numbers)
    if most == 1:
        name = next(iter(track.seen))
        return Rejection(
            "one_marker",
            f"never more than one marker of the board is seen at once (marker {name} in {track.seen[name]} of {frames} "
            f"frames). A pose needs {rig.gates.min_markers}: show the whole board, or print one with smaller markers.",
            numbers,
        )
    if most < rig.gates.min_markers:
        return Rejection(
            "few_markers",
            f"at most {most} markers of the board are seen at once, {rig.gates.min_markers} are needed "
            f"(--min-markers). Show more of the board.",
            numbers,
        )
    return None


def _nothing_seen(track: ClipTrack, rig: Rig, numbers: dict[str, Any]) -> Rejection:
    others = sorted(track.strangers)
    if others:
        shown = ", ".join(map(str, others[:12]))
        return Rejection(
            "no_board",
            f"the markers {shown} are seen, and none of the board's ({rig.board.ids[0]}..{rig.board.ids[-1]}). Is it "
            f"another board, or another first number (--board ...:FIRST_ID)?",
            {**numbers, "seen": others},
        )
    found = [other_dictionary(picture, but=rig.board.dictionary) for picture in track.pictures]
    other = next((name for name in found if name is not None), None)
    hint = (
        f"There are markers of {other}_*: name it with --dictionary."
        if other
        else "Is the board in view, sharp and not over-exposed?"
    )
    fingers = "the finger tags are seen, but " if track.finger_tags.any() else ""
    return Rejection(
        "no_markers",
        f"{fingers}no marker of {rig.board.dictionary} of the board in {len(track)} frames. {hint}",
        numbers,
    )


def _scale(track: ClipTrack, rig: Rig) -> Rejection | None:
    """The board's size against a thing of known size: the scale tag, or the trajectory."""
    ratio, by = None, ""
    if rig.scale_tag is not None and len(track.scales) >= _BELOW_FRAMES:
        ratio = float(np.median(track.scales))
        name, size_mm = rig.scale_tag[0], 1000 * rig.scale_tag[1]
        by = f"the scale tag {name} of {size_mm:g} mm measures {ratio * size_mm:.1f} mm"
    elif track.frame == "trajectory":
        ratio = _ratio_to_trajectory(track, rig)
        by = f"a move of 100 mm on the trajectory is {100 * (ratio or 1):.1f} mm on the board"
    if ratio is None or abs(ratio - 1) <= SCALE_SLACK_RATIO:
        return None
    true_mm = rig.board.marker_m * 1000 / ratio
    return Rejection(
        "wrong_scale",
        f"the board has another size than named: {by}. Its markers are about {true_mm:.1f} mm, not "
        f"{rig.board.marker_m * 1000:g} mm: measure one with a ruler and name it in --board.",
        {"board_over_truth": ratio, "marker_mm": true_mm},
    )


def _ratio_to_trajectory(track: ClipTrack, rig: Rig) -> float | None:
    both = np.isfinite(track.on_board[:, 0]) & np.isfinite(track.pose[:, 0])
    if both.sum() < rig.gates.min_steps:
        return None
    # The spread of the camera's places is the same in every frame of reference, but for the scale.
    spreads = [
        float(np.sqrt(np.var(camera_places(poses[both], rig), axis=0).sum())) for poses in (track.on_board, track.pose)
    ]
    # Two centimetres of motion: less is dominated by the noise of either.
    return spreads[0] / spreads[1] if min(spreads) > 0.02 else None


def camera_places(tips: NDArray[np.float64], rig: Rig) -> NDArray[np.float64]:
    """Places of the camera (N, 3) of tip poses (N, 7)."""
    tip_from_camera = rig.camera_from_tip.inverse()
    return np.stack([rigid_from_seven(tip).then(tip_from_camera).shift_m for tip in tips])


def _layout(track: ClipTrack, rig: Rig) -> Rejection | None:
    """Another board with the same numbers: its markers do not lie where the named board has them."""
    tried = int(np.isfinite(track.error_px).sum()) + track.refused.get("pose", 0)
    contradicted = track.refused.get("error", 0) + track.refused.get("pose", 0)
    # Where every frame drops its markers as outliers, the board contradicts itself as well.
    lacking = int((track.board_markers >= rig.gates.min_markers).sum()) - tried
    if track.frame != "board" or not track.sights:
        return None
    if contradicted + lacking <= _MAJORITY * max(tried + lacking, 1):
        return _larger(track, rig)
    guess = likely_board(track.camera, rig.board, track.sights)
    error = float(np.nanmedian(track.error_px)) if np.isfinite(track.error_px).any() else None
    numbers = {
        "frames_contradicted": contradicted + lacking,
        "median_error_px": error,
        "likely_board": guess and str(guess),
    }
    told = (
        _how_it_differs(rig.board, guess)
        if guess is not None
        else "the intrinsics may be wrong, or the board is not flat"
    )
    off = "" if error is None else f" (median error {error:.1f} px, limit {rig.gates.max_error_px:g})"
    return Rejection(
        "wrong_board",
        f"the markers do not lie where the board {rig.board} has them in {contradicted + lacking} of {len(track)} "
        f"frames{off}: {told}.",
        numbers,
    )


def _how_it_differs(board: Board, guess: Board) -> str:
    told = []
    if guess.columns != board.columns:
        told.append(f"a board of {guess.columns} columns, not {board.columns}, fits")
    ratio, named = guess.marker_m / guess.pitch_m, board.marker_m / board.pitch_m
    if abs(ratio / named - 1) > SCALE_SLACK_RATIO:
        told.append(f"markers are {ratio:.2f} of their spacing in the video, {named:.2f} on the board named")
    return " and ".join(told) or f"{guess} fits better"


def _larger(track: ClipTrack, rig: Rig) -> Rejection | None:
    """The named board fits, and goes on: its middle is then elsewhere."""
    beyond = [n for n, seen in track.strangers.items() if n > rig.board.ids[-1] and seen >= 0.25 * len(track)]
    if not beyond or rig.board.ids[-1] + 1 not in beyond:
        return None
    guess = likely_board(track.camera, rig.board, track.sights)
    if guess is None or guess.rows <= rig.board.rows:
        return None
    return Rejection(
        "wrong_board",
        f"the board in the video goes on: markers {', '.join(map(str, sorted(beyond)))} lie in its next row. A board "
        f"of {guess.columns}x{guess.rows} fits, {rig.board.columns}x{rig.board.rows} is named.",
        {"likely_board": str(guess), "beyond": sorted(beyond)},
    )


def _below(track: ClipTrack, rig: Rig) -> Rejection | None:
    """A board that is larger than named brings the camera too near: the tip then dips into the table."""
    if track.frame != "board":
        return None
    seen = track.pose[track.is_seen]
    over = np.all(np.abs(seen[:, :2]) < np.asarray(rig.board.size_m) / 2, axis=1)
    depth_m = -seen[over, 2]
    deep = depth_m[depth_m > _BELOW_M]
    if len(deep) < _BELOW_FRAMES:
        return None
    return Rejection(
        "below_board",
        f"the tip would be up to {deep.max() * 1000:.0f} mm inside the board in {len(deep)} frames: the board is "
        f"larger than {rig.board} (measure a marker with a ruler), or the tip is not where --tip says.",
        {"frames": len(deep), "deepest_m": float(deep.max())},
    )


def _fingers(track: ClipTrack, rig: Rig) -> Rejection | None:
    tags, frames = rig.tags, len(track)
    if not rig.gates.needs_gripper or track.has_width.sum() >= min(rig.gates.min_steps, frames):
        return None
    numbers: dict[str, Any] = {"frames": frames, "frames_with_width": int(track.has_width.sum())}
    wanted = f"{tags.depth_m * 1000:.0f} +- {tags.depth_slack_m * 1000:.0f} mm"
    if track.depths_m and track.outside_range <= _MAJORITY * frames:
        depth_m = float(np.median(track.depths_m))
        if abs(depth_m - tags.depth_m) > tags.depth_slack_m:
            size_mm = tags.size_m * 1000 * tags.depth_m / depth_m
            return Rejection(
                "finger_depth",
                f"the finger tags seem {depth_m * 1000:.0f} mm away, not {wanted}: either they are {size_mm:.1f} mm "
                f"large (--finger-tag-mm), or your gripper carries them elsewhere (--finger-depth-mm).",
                {**numbers, "median_depth_m": depth_m, "size_mm_at_the_named_depth": size_mm},
            )
    if track.outside_range > _MAJORITY * frames:
        return Rejection(
            "finger_range",
            f"{track.outside_range} of {frames} widths lie outside of --gripper-range: calibrate it for this gripper.",
            {**numbers, "outside": track.outside_range},
        )
    return Rejection(
        "no_fingers",
        f"a width in {numbers['frames_with_width']} of {frames} frames: finger tags {tags.left} and {tags.right} are "
        f"not seen at {wanted}. Name yours with --finger-tags, or take the clip without a width (--no-gripper).",
        numbers,
    )


def _amount(track: ClipTrack, rig: Rig) -> Rejection | None:
    gates, valid = rig.gates, int(track.is_seen.sum())
    lost, run = len(track) - valid, longest_run(steps_of(track, rig))
    steps = run.stop - run.start
    numbers = {"frames": len(track), "lost": lost, "valid": valid, "steps": steps, "refused": dict(track.refused)}
    why = ", ".join(f"{count} by {name}" for name, count in track.refused.items()) or "no pose in the trajectory"
    if lost > gates.max_lost:
        return Rejection(
            "lost", f"{lost} of {len(track)} frames lost ({why}), {gates.max_lost} allowed (--max-lost).", numbers
        )
    if valid < gates.min_valid:
        return Rejection("valid", f"{valid} valid frames, {gates.min_valid} needed (--min-valid).", numbers)
    if steps < gates.min_steps:
        return Rejection(
            "steps", f"{steps} steps in a row with pose and width, {gates.min_steps} needed (--min-steps).", numbers
        )
    return None
