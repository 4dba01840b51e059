"""`kata collect umi`: videos of a handheld gripper. Longer than other verbs: its options are the facts of a rig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robokata.cli.grouped_help import option_group

_rig = option_group("Rig")
_gates = option_group("Gates")
_two = option_group("Two grippers")
_beside = option_group("Beside the videos")
_tools = option_group("Print and calibrate, then end")
_output = option_group("Output")


def umi(
    videos: Annotated[list[Path] | None, typer.Argument(help="Videos; each becomes an episode.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder (or dataset with --to) for the episodes.")] = None,
    camera: Annotated[Path | None, _rig(help="JSON of intrinsics; --calibrate writes it.")] = None,
    board: Annotated[str, _rig(help="grid:4x3:50:15 or charuco:7x5:40:30 (mm), :FIRST_ID.")] = "grid:4x3:50:15",
    dictionary: Annotated[str, _rig(help="ArUco dictionary of all markers.")] = "DICT_4X4_50",
    to: Annotated[str, _output(help="Format: mcap (a file per episode), zarr_replay (UMI), ...")] = "mcap",
    option: Annotated[list[str] | None, _output(help="NAME=VALUE for the writer.")] = None,
    accept_loss: Annotated[bool, _output("--accept-loss", help="Write although something is lost.")] = False,
    instruction: Annotated[str | None, _output(help="What was done, in words.")] = None,
    operator: Annotated[str | None, _output(help="Who did it.")] = None,
    trajectory: Annotated[list[Path] | None, _beside(help="Camera poses of a SLAM (CSV, TUM), one per video.")] = None,
    reference: Annotated[list[Path] | None, _beside(help="Encoder CSV or video to measure latency against.")] = None,
    latency_within_s: Annotated[float, _beside(min=0.05, max=10, help="Largest latency looked for.")] = 1.0,
    apply_latency: Annotated[bool, _beside("--apply-latency", help="Move the encoder's clock by it.")] = False,
    finger_tags: Annotated[str, _rig(help="Numbers LEFT,RIGHT.")] = "0,1",
    finger_tag_mm: Annotated[float, _rig(help="Their size.")] = 16.0,
    finger_depth_mm: Annotated[float, _rig(help="From camera to tags.")] = 72.0,
    finger_slack_mm: Annotated[float, _rig(help="Tags at other depths are refused.")] = 8.0,
    gripper_range: Annotated[str | None, _rig(help="Tag distances CLOSED_MM,OPEN_MM.")] = None,
    no_gripper: Annotated[bool, _rig("--no-gripper", help="Take clips without finger tags.")] = False,
    tip: Annotated[str | None, _rig(help="Tip in the camera's axes, X,Y,Z in m; UMI's if absent.")] = None,
    scale_tag: Annotated[str | None, _rig(help="NUMBER:SIZE_MM beside the board: proves its size.")] = None,
    min_markers: Annotated[int, _gates(min=2, help="Board markers per frame.")] = 4,
    max_error_px: Annotated[float, _gates(min=0.1, help="Reprojection error per frame.")] = 1.5,
    max_spread_mm: Annotated[float, _gates(min=0.1, help="Uncertainty of the tip per frame.")] = 5.0,
    max_lost: Annotated[int, _gates(min=0, help="Lost frames per clip.")] = 10,
    min_valid: Annotated[int, _gates(min=1, help="Frames with a pose per clip.")] = 60,
    min_steps: Annotated[int, _gates(min=2, help="Frames in a row with pose and width.")] = 24,
    fill_gaps: Annotated[int, _gates(min=0, help="Interpolate gaps of so many frames, and mark them.")] = 0,
    pair: Annotated[bool, _two("--pair", help="Videos two by two (left, right): bimanual episodes.")] = False,
    right_finger_tags: Annotated[str, _two(help="With --pair.")] = "6,7",
    pair_offset_s: Annotated[float | None, _two(help="When the right video starts on the left one.")] = None,
    print_board: Annotated[Path | None, _tools(help="Write the board as .svg, .pdf or .png, and end.")] = None,
    print_fingers: Annotated[Path | None, _tools(help="Write the finger tags likewise, and end.")] = None,
    calibrate: Annotated[Path | None, _tools(help="Measure intrinsics from a video, write --camera, end.")] = None,
    calibrate_gripper: Annotated[Path | None, _tools(help="Measure --gripper-range from a video, end.")] = None,
    fisheye: Annotated[bool, _tools("--fisheye", help="With --calibrate: a fisheye lens.")] = False,
    json: Annotated[bool, _output("--json", help="Print one JSON object.")] = False,
) -> None:
    """Turn videos of a handheld gripper over a printed board into episodes; docs/umi.md shows how.

    \b
    Examples:
      kata collect umi --print-board board.pdf
      kata collect umi --calibrate board.mp4 --camera camera.json
      kata collect umi demos/*.mp4 --camera camera.json --out episodes
    """
    from robokata.cli import umi_run
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.collection.umi import settings as words
    from robokata.collection.umi.collect_clips import Pairing
    from robokata.collection.umi.collect_umi import collect_umi
    from robokata.collection.umi.rig import Gates
    from robokata.viewing.terminal.conversion import parse_options
    from robokata.viewing.terminal.umi import show_report

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
    with progress_bar("looking at the videos", of="frames") as bar:
        report = collect_umi(
            videos or [], out=umi_run.target(out), rig=rig, to=to, options=parse_options(to, option or []),
            accept_loss=accept_loss, instruction=instruction, operator=operator,
            trajectories=trajectory or [], references=reference or [],
            latency_within_s=latency_within_s, apply_latency=apply_latency, pairing=pairing, on_progress=bar,
        )  # fmt: skip
    print_json_of([report]) if json else show_report(report)
    raise typer.Exit(1 if report.rejected else 0)
