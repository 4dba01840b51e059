"""What `kata collect umi` does once its words are understood: print boards and calibrate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from robokata.core.errors import HandheldRefused

if TYPE_CHECKING:
    from robokata.collection.umi.board import Board, FingerTags
    from robokata.collection.umi.rig import Rig


def print_sheets(board: Board, tags: FingerTags, *, board_to: Path | None, fingers_to: Path | None) -> None:
    """Write what is to be printed."""
    from robokata.collection.umi.board import refuse_shared_ids
    from robokata.collection.umi.print_board import board_sheet, finger_sheet, write_sheet

    refuse_shared_ids(board, tags)
    sheets = ((board_to, board_sheet(board)), (fingers_to, finger_sheet(board, tags)))
    for path, sheet in sheets:
        if path is not None:
            write_sheet(path, sheet)
            typer.echo(f"Wrote {path}: {sheet.width_mm:g} x {sheet.height_mm:g} mm. {sheet.caption}")


def calibrated(video: Path, board: Board, *, is_fisheye: bool, to: Path | None, to_json: bool) -> None:
    """Measure intrinsics, and write them.

    Raises:
        HandheldRefused: nobody said where to, or the video does not give them.
    """
    from robokata.cli.progress import progress_bar
    from robokata.collection.umi.calibrate import calibrate_camera
    from robokata.media.packet_index import packet_index
    from robokata.runtime.atomic import appearing, refuse_occupied

    if to is None:
        raise HandheldRefused("--calibrate writes the intrinsics to --camera FILE.json: name it.")
    refuse_occupied(to)
    with progress_bar(f"looking for the board in {video.name}", of="frames") as bar:
        bar.started(len(packet_index(video).pts))
        found = calibrate_camera(video, board, "fisheye" if is_fisheye else "pinhole", advance=bar.advance)
    with appearing(to, is_file=True) as place:
        place.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    if to_json:
        typer.echo(json.dumps(found.to_json()))
        return
    camera = found.camera
    typer.echo(
        f"{video}: {camera.model} {camera.width_px}x{camera.height_px}, off by {camera.reprojection_px:.3f} "
        f"px (reprojection) over {found.views} views ({found.seen} frames show enough of the board).\n"
        f"Focal lengths {camera.matrix[0, 0]:.2f} and {camera.matrix[1, 1]:.2f} px, centre ({camera.matrix[0, 2]:.2f}, "
        f"{camera.matrix[1, 2]:.2f}). The board was seen in {found.cover_share[0]:.0%} of the width and "
        f"{found.cover_share[1]:.0%} of the height.\nWrote {to}."
    )


def gripper_calibrated(video: Path, rig: Rig, *, to_json: bool) -> None:
    """Measure how far apart the tags are when closed and open, and say it."""
    from robokata.cli.progress import progress_bar
    from robokata.collection.umi.calibrate import calibrate_gripper
    from robokata.media.packet_index import packet_index

    with progress_bar(f"looking for the fingers in {video.name}", of="frames") as bar:
        bar.started(len(packet_index(video).pts))
        found = calibrate_gripper(video, rig, advance=bar.advance)
    if to_json:
        typer.echo(json.dumps({"closed_m": found.closed_m, "open_m": found.open_m}))
    else:
        typer.echo(
            f"Closed {found.closed_m * 1000:.2f} mm, open {found.open_m * 1000:.2f} mm between the tags. Collect with"
        )
        typer.echo(f"  --gripper-range {found.closed_m * 1000:.2f},{found.open_m * 1000:.2f}")


def target(out: Path | None) -> Path:
    """Where episodes go.

    Raises:
        HandheldRefused: nobody said where to.
    """
    if out is None:
        raise HandheldRefused("nowhere to write: name a folder with --out.")
    return out
