"""The board as a file to print: SVG, PDF or PNG in true size, with a ruler to check the printed scale."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import Board, FingerTags, opencv
from robokata.core.errors import HandheldRefused
from robokata.runtime.atomic import appearing

_MARGIN_MM = 10.0
"""White around the board: a marker needs a white border to be found, and printers cannot reach the edge."""
_RULER_MM = 100.0
_FOOT_MM = 14.0
_POINTS_PER_MM = 72 / 25.4
_DPI = 600
"""Of the PNG: a cell of a 16 mm tag is then 63 pixels, and its edges are right to 0.02 mm."""


class RulerBar(NamedTuple):
    """A black rectangle, millimetres from the top left."""

    left: float
    top: float
    width: float
    height: float


class Sheet(NamedTuple):
    """A page."""

    width_mm: float
    height_mm: float
    bars: tuple[RulerBar, ...]
    caption: str


def board_sheet(board: Board) -> Sheet:
    """The board, a ruler of 100 mm below it, and a caption that says what it is."""
    width_mm, height_mm = (1000 * side for side in board.size_m)
    bars = [_moved(bar, _MARGIN_MM, _MARGIN_MM) for bar in board_bars(board)]
    top = height_mm + 2 * _MARGIN_MM
    bars += [RulerBar(_MARGIN_MM, top + 3, _RULER_MM, 0.3)]
    bars += [RulerBar(_MARGIN_MM + 10.0 * tick - 0.15, top, 0.3, 3.3) for tick in range(11)]
    caption = f"{board} {board.dictionary}: from the first to the last tick are 100 mm. Print at 100 %."
    return Sheet(max(width_mm, _RULER_MM) + 2 * _MARGIN_MM, top + _FOOT_MM, tuple(bars), caption)


def finger_sheet(board: Board, tags: FingerTags) -> Sheet:
    """The two finger tags beside each other, for the same printer."""
    size_mm = tags.size_m * 1000
    bars = []
    for place, name in enumerate((tags.left, tags.right)):
        bars += [
            _moved(bar, _MARGIN_MM + place * 2 * size_mm, _MARGIN_MM) for bar in marker_bars(board, name, tags.size_m)
        ]
    caption = f"{tags.left} left, {tags.right} right: {size_mm:g} mm, print at 100 %"
    return Sheet(3 * size_mm + 2 * _MARGIN_MM, size_mm + 2 * _MARGIN_MM + 6, tuple(bars), caption)


def board_bars(board: Board) -> list[RulerBar]:
    """The black of a board, from its own top left."""
    width_m, height_m = board.size_m
    bars = []
    for name in board.ids:
        left_m, top_m = board.corners_m[name][0, :2]
        place = (1000 * (left_m + width_m / 2), 1000 * (height_m / 2 - top_m))
        bars += [_moved(bar, *place) for bar in marker_bars(board, name, board.marker_m)]
    if board.kind == "charuco":
        side = board.pitch_m * 1000
        black = [(r, c) for r in range(board.rows) for c in range(board.columns) if (r + c) % 2 == 0]
        bars += [RulerBar(column * side, row * side, side, side) for row, column in black]
    return bars


def marker_bars(board: Board, name: int, size_m: float) -> list[RulerBar]:
    """The black of one marker, a bar per run of black cells in a row."""
    cv2 = opencv()
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    cells = int(dictionary.markerSize) + 2
    bits = cv2.aruco.generateImageMarker(dictionary, name, cells)
    side, bars = 1000 * size_m / cells, []
    for row in range(cells):
        edges = np.flatnonzero(np.diff(np.concatenate([[255], bits[row], [255]]).astype(int)))
        for start, end in edges.reshape(-1, 2).tolist():
            bars.append(RulerBar(start * side, row * side, (end - start) * side, side))
    return bars


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write a page by the ending of its name; it appears in one rename.

    Raises:
        HandheldRefused: the ending is none of .svg, .pdf, .png.
        WriteRefused: the file exists, or cannot be written.
    """
    makers = {".svg": _svg, ".pdf": _pdf, ".png": _png}
    maker = makers.get(path.suffix.lower())
    if maker is None:
        raise HandheldRefused(f"{path}: boards are written as {', '.join(makers)}. Choose one of these endings.")
    with appearing(path, is_file=True) as place:
        place.write_bytes(maker(sheet))


def _moved(bar: RulerBar, right: float, down: float) -> RulerBar:
    return bar._replace(left=bar.left + right, top=bar.top + down)


def _svg(sheet: Sheet) -> bytes:
    size = f'width="{sheet.width_mm:g}mm" height="{sheet.height_mm:g}mm"'
    # crispEdges: neighbours that share an edge show no hairline between them.
    bars = "".join(
        f'<path d="M{b.left:.4f} {b.top:.4f}h{b.width:.4f}v{b.height:.4f}h{-b.width:.4f}z"/>' for b in sheet.bars
    )
    place = f'x="{_MARGIN_MM}" y="{sheet.height_mm - 3:g}" font-size="3" font-family="sans-serif"'
    text = f"<text {place}>{sheet.caption}</text>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {sheet.width_mm:g} {sheet.height_mm:g}">'
        f'<rect width="100%" height="100%" fill="#fff"/><g shape-rendering="crispEdges">{bars}</g>{text}</svg>\n'
    ).encode()


def _pdf(sheet: Sheet) -> bytes:
    """One page of filled rectangles (ISO 32000-1): five objects, a table of where they lie, a trailer."""
    scale, height = _POINTS_PER_MM, sheet.height_mm
    boxes = [(b.left, height - b.top - b.height, b.width, b.height) for b in sheet.bars]
    drawn = [" ".join(f"{number * scale:.4f}" for number in numbers) + " re" for numbers in boxes]
    words = sheet.caption.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    text = f"BT /F1 8 Tf {_MARGIN_MM * scale:.2f} {3 * scale:.2f} Td ({words}) Tj ET"
    content = ("\n".join([*drawn, "f", text])).encode("latin-1")
    box = f"0 0 {sheet.width_mm * scale:.4f} {height * scale:.4f}"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R "
        f"/Resources << /Font << /F1 5 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def drawn(sheet: Sheet, *, pixels_per_m: int) -> NDArray[np.uint8]:
    """A page as grey pixels (H, W), 0 or 255, without its caption; edges fall on whole pixels."""
    scale = pixels_per_m / 1000
    page = np.full((round(sheet.height_mm * scale), round(sheet.width_mm * scale)), 255, np.uint8)
    for bar in sheet.bars:
        top, bottom = (round(edge * scale) for edge in (bar.top, bar.top + bar.height))
        left, right = (round(edge * scale) for edge in (bar.left, bar.left + bar.width))
        page[top:bottom, left:right] = 0
    return page


def _png(sheet: Sheet) -> bytes:
    cv2 = opencv()
    page = drawn(sheet, pixels_per_m=round(_DPI / 0.0254))
    place = (round(_MARGIN_MM * _DPI / 25.4), page.shape[0] - round(3 * _DPI / 25.4))
    cv2.putText(page, sheet.caption, place, cv2.FONT_HERSHEY_SIMPLEX, 1.6, 0, 4, cv2.LINE_AA)
    data = bytes(cv2.imencode(".png", page)[1])
    # Its size on paper (PNG specification, 11.3.4.3), behind the header of 33 bytes: printers go by it.
    per_metre = round(_DPI / 0.0254)
    chunk = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    return data[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
