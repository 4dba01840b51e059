"""`kata collect umi`: videos of a handheld gripper. Longer than other verbs: its options are the facts of a rig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def umi(
    videos: Annotated[list[Path] | None, typer.Argument(help="Videos; each becomes an episode.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder (or dataset with --to) for the episodes.")] = None,
    camera: Annotated[Path | None, typer.Option(help="JSON of intrinsics; --calibrate writes it.")] = None,
    board: Annotated[str, typer.Option(help="grid:4x3:50:15 or charuco:7x5:40:30 (mm), :FIRST_ID.")] = "grid:4x3:50:15",
    dictionary: Annotated[str, typer.Option(help="ArUco dictionary of all markers.")] = "DICT_4X4_50",
    to: Annotated[str, typer.Option(help="Format: mcap (a file per episode), zarr_replay (UMI), ...")] = "mcap",
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the writer.")] = None,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Write although something is lost.")] = False,
    instruction: Annotated[str | None, typer.Option(help="What was done, in words.")] = None,
    operator: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    trajectory: Annotated[
        list[Path] | None, typer.Option(help="Camera poses of a SLAM (CSV, TUM), one per video.")
    ] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="Encoder CSV or video to measure latency against.")
    ] = None,
    latency_within_s: Annotated[float, typer.Option(min=0.05, max=10, help="Largest latency looked for.")] = 1.0,
    apply_latency: Annotated[bool, typer.Option("--apply-latency", help="Move the encoder's clock by it.")] = False,
    finger_tags: Annotated[str, typer.Option(help="Numbers LEFT,RIGHT.")] = "0,1",
    finger_tag_mm: Annotated[float, typer.Option(help="Their size.")] = 16.0,
    finger_depth_mm: Annotated[float, typer.Option(help="From camera to tags.")] = 72.0,
    finger_slack_mm: Annotated[float, typer.Option(help="Tags at other depths are refused.")] = 8.0,
    gripper_range: Annotated[str | None, typer.Option(help="Tag distances CLOSED_MM,OPEN_MM.")] = None,
    no_gripper: Annotated[bool, typer.Option("--no-gripper", help="Take clips without finger tags.")] = False,
    tip: Annotated[str | None, typer.Option(help="Tip in the camera's axes, X,Y,Z in m; UMI's if absent.")] = None,
    scale_tag: Annotated[str | None, typer.Option(help="NUMBER:SIZE_MM beside the board: proves its size.")] = None,
    min_markers: Annotated[int, typer.Option(min=2, help="Board markers per frame.")] = 4,
    max_error_px: Annotated[float, typer.Option(min=0.1, help="Reprojection error per frame.")] = 1.5,
    max_spread_mm: Annotated[float, typer.Option(min=0.1, help="Uncertainty of the tip per frame.")] = 5.0,
    max_lost: Annotated[int, typer.Option(min=0, help="Lost frames per clip.")] = 10,
    min_valid: Annotated[int, typer.Option(min=1, help="Frames with a pose per clip.")] = 60,
    min_steps: Annotated[int, typer.Option(min=2, help="Frames in a row with pose and width.")] = 24,
    fill_gaps: Annotated[int, typer.Option(min=0, help="Interpolate gaps of so many frames, and mark them.")] = 0,
    pair: Annotated[bool, typer.Option("--pair", help="Videos two by two (left, right): bimanual episodes.")] = False,
    right_finger_tags: Annotated[str, typer.Option(help="With --pair.")] = "6,7",
    pair_offset_s: Annotated[float | None, typer.Option(help="When the right video starts on the left one.")] = None,
    print_board: Annotated[Path | None, typer.Option(help="Write the board as .svg, .pdf or .png, and end.")] = None,
    print_fingers: Annotated[Path | None, typer.Option(help="Write the finger tags likewise, and end.")] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="Measure intrinsics from a video, write --camera, end.")
    ] = None,
    calibrate_gripper: Annotated[Path | None, typer.Option(help="Measure --gripper-range from a video, end.")] = None,
    fisheye: Annotated[bool, typer.Option("--fisheye", help="With --calibrate: a fisheye lens.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Turn videos of a handheld gripper over a printed board into episodes; docs/umi.md shows how."""
    from robokata.cli import umi_run
    from robokata.collection.umi import settings as words
    from robokata.collection.umi.collect_clips import Pairing, UmiOptions
    from robokata.collection.umi.episode import Story
    from robokata.collection.umi.rig import Gates

    printed = words.board_of(board, dictionary)
    sizes = {"size_m": finger_tag_mm / 1000, "depth_m": finger_depth_mm / 1000, "slack_m": finger_slack_mm / 1000}
    tags = words.tags_from(finger_tags, **sizes)
    if print_board or print_fingers:
        return umi_run.print_sheets(printed, tags, board_to=print_board, fingers_to=print_fingers)
    if calibrate is not None:
        return umi_run.calibrated(calibrate, printed, is_fisheye=fisheye, to=camera, to_json=json)
    gates = Gates(
        min_markers, max_error_px, max_spread_mm / 1000, max_lost, min_valid, min_steps, fill_gaps, not no_gripper
    )
    rig = words.rig_from(
        camera=camera, board=printed, tags=tags, gates=gates, gripper_range=gripper_range, tip=tip, scale_tag=scale_tag
    )
    if calibrate_gripper is not None:
        return umi_run.gripper_calibrated(calibrate_gripper, rig, to_json=json)
    pairing = Pairing(words.tags_from(right_finger_tags, **sizes), pair_offset_s) if pair else None
    run = UmiOptions(rig, Story(instruction, operator=operator), latency_within_s, apply_latency, pairing)
    clips = words.clips_from(videos or [], trajectory or [], reference or [])
    report = umi_run.collected(clips, run, out, to, option or [], accept_loss=accept_loss, to_json=json)
    raise typer.Exit(1 if report.rejected else 0)
