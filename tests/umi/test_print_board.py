"""What comes out of the printer is the board that is looked for."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from robokata.collection.umi.board import GRID, Board, FingerTags, board_from
from robokata.collection.umi.print_board import board_sheet, drawn, finger_sheet, write_sheet
from robokata.collection.umi.sight import Eye
from robokata.core.errors import HandheldRefused

CHARUCO = Board("charuco", 7, 5, 0.03, 0.04)


@pytest.mark.parametrize("board", [GRID, CHARUCO, Board("charuco", 6, 4, 0.03, 0.04)], ids=str)
def test_every_marker_is_found_on_the_sheet_where_the_board_says(board: Board) -> None:
    grey = drawn(board_sheet(board), pixels_per_m=4000)
    sight = Eye(board).look(cv2.GaussianBlur(grey, (0, 0), 1.0))
    assert sorted(sight.markers) == list(board.ids)
    width_m, height_m = board.size_m
    for name, corners in sight.markers.items():
        places = board.corners_m[name][:, :2] * [1, -1] + [width_m / 2 + 0.01, height_m / 2 + 0.01]
        # Pixel centres are half a pixel from their edges.
        assert np.abs((corners + 0.5) / 4000 - places).max() < 0.0002
    if board.kind == "charuco":
        found = np.stack([sight.chess[number] for number in range(len(board.chess_m))])
        places = board.chess_m[:, :2] * [1, -1] + [width_m / 2 + 0.01, height_m / 2 + 0.01]
        assert np.abs((found + 0.5) / 4000 - places).max() < 0.0002


def test_svg_pdf_and_png_hold_the_same_black_in_true_size(tmp_path: Path) -> None:
    sheet = board_sheet(GRID)
    for name in ("board.svg", "board.pdf", "board.png"):
        write_sheet(tmp_path / name, sheet)
    svg = (tmp_path / "board.svg").read_text()
    assert f'width="{sheet.width_mm:g}mm" height="{sheet.height_mm:g}mm"' in svg
    assert svg.count("<path") == len(sheet.bars)
    pdf = (tmp_path / "board.pdf").read_bytes()
    boxes = re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) re", pdf)
    areas_mm2 = [float(w) * float(h) * (25.4 / 72) ** 2 for _, _, w, h in boxes]
    assert sum(areas_mm2) == pytest.approx(sum(bar.width * bar.height for bar in sheet.bars), rel=1e-4)
    start = int(re.search(rb"startxref\n(\d+)", pdf)[1])  # type: ignore[index]
    assert pdf[start : start + 4] == b"xref"
    png = (tmp_path / "board.png").read_bytes()
    assert int.from_bytes(png[png.index(b"pHYs") + 4 :][:4]) == round(600 / 0.0254)
    page = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert page.shape[1] / 600 * 25.4 == pytest.approx(sheet.width_mm, abs=0.05)


def test_finger_tags_are_printed_too() -> None:
    grey = drawn(finger_sheet(GRID, FingerTags()), pixels_per_m=8000)
    sight = Eye(GRID).look(cv2.GaussianBlur(grey, (0, 0), 1.0))
    assert sorted(sight.markers) == [0, 1]


def test_an_ending_that_is_no_sheet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        HandheldRefused, match=r"board.docx: boards are written as .svg, .pdf, .png. Choose one of these"
    ):
        write_sheet(tmp_path / "board.docx", board_sheet(GRID))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("grid:4x3", "is no board. Say grid:COLUMNSxROWS:MARKER_MM:GAP_MM"),
        (
            "grid:8x6:20:5",
            "its last marker is 67, and DICT_4X4_50 ends at 49. Choose a larger --dictionary, such as DICT_4X4_250",
        ),
        ("charuco:7x5:30:40", "needs at least 3 x 3 places, and markers smaller than their spacing"),
    ],
)
def test_boards_that_cannot_be_are_refused(words: str, said: str) -> None:
    with pytest.raises(HandheldRefused, match=re.escape(said)):
        board_from(words)
