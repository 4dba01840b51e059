"""The printed board (camera pose) and the tags on the fingers (gripper width)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import HandheldRefused
from robokata.core.require import require

DICTIONARIES = tuple(f"DICT_{bits}X{bits}_{size}" for bits in (4, 5, 6, 7) for size in (50, 100, 250, 1000))
_SPEC = re.compile(r"(grid|charuco):(\d+)x(\d+):([\d.]+):([\d.]+)(?::(\d+))?")


def opencv() -> Any:
    """OpenCV, quiet.

    Raises:
        MissingPart: it is not installed.
    """
    return require("cv2", extra="umi")


@dataclass(frozen=True)
class Board:
    """A printed board of markers. Its frame: origin in the middle, x right, y up, z out of the paper."""

    kind: Literal["grid", "charuco"]
    columns: int
    """Markers (grid) or squares (ChArUco) from left to right."""
    rows: int
    marker_m: float
    pitch_m: float
    """From one marker (or square) to the next."""
    first_id: int = 20
    """20 leaves 0, 1, 6, 7 to the fingers and 12..19 to tables, as UMI numbers them."""
    dictionary: str = "DICT_4X4_50"

    def __str__(self) -> str:
        marker_mm, pitch_mm = self.marker_m * 1000, self.pitch_m * 1000
        if self.kind == "grid":
            return f"grid:{self.columns}x{self.rows}:{marker_mm:g}:{pitch_mm - marker_mm:g}:{self.first_id}"
        return f"charuco:{self.columns}x{self.rows}:{pitch_mm:g}:{marker_mm:g}:{self.first_id}"

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Numbers of the markers, row by row from the top left."""
        count = self.columns * self.rows if self.kind == "grid" else self.columns * self.rows // 2
        return tuple(range(self.first_id, self.first_id + count))

    @cached_property
    def corners_m(self) -> dict[int, NDArray[np.float64]]:
        """Marker -> its corners (4, 3) in the board's frame: top left, top right, bottom right, bottom left."""
        if self.kind == "grid":
            cells = [(row, column) for row in range(self.rows) for column in range(self.columns)]
        else:
            # OpenCV >= 4.6: the top left square is black, and markers lie in the white ones.
            cells = [(r, c) for r in range(self.rows) for c in range(self.columns) if (r + c) % 2]
        return {name: self._marker(*cell) for name, cell in zip(self.ids, cells, strict=True)}

    @cached_property
    def chess_m(self) -> NDArray[np.float64]:
        """Inner corners of a ChArUco board, (n, 3), in OpenCV's order: row by row."""
        rows, columns = np.mgrid[1 : self.rows, 1 : self.columns].reshape(2, -1)
        return self._placed(columns * self.pitch_m, rows * self.pitch_m)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of what is printed."""
        gap_m = self.pitch_m - self.marker_m if self.kind == "grid" else 0.0
        return self.columns * self.pitch_m - gap_m, self.rows * self.pitch_m - gap_m

    def _marker(self, row: int, column: int) -> NDArray[np.float64]:
        inset_m = 0.0 if self.kind == "grid" else (self.pitch_m - self.marker_m) / 2
        left, top = column * self.pitch_m + inset_m, row * self.pitch_m + inset_m
        side = self.marker_m
        return self._placed(
            np.array([left, left + side, left + side, left]), np.array([top, top, top + side, top + side])
        )

    def _placed(self, right_m: NDArray[Any], down_m: NDArray[Any]) -> NDArray[np.float64]:
        width_m, height_m = self.size_m
        return np.stack([right_m - width_m / 2, height_m / 2 - down_m, np.zeros(len(right_m))], axis=-1)


GRID = Board("grid", 4, 3, 0.050, 0.065)
"""245 x 180 mm: fits A4, and 12 markers of 50 mm are read from 1 m by a 960-pixel camera."""


def board_from(spec: str, *, dictionary: str = GRID.dictionary) -> Board:
    """A board by its words: `grid:4x3:50:15` (50 mm markers, 15 mm apart) or `charuco:7x5:40:30`, `:FIRST_ID` behind.

    Raises:
        HandheldRefused: the words are no board, or its markers do not fit the dictionary.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise HandheldRefused(
            f"--board {spec!r} is no board. Say grid:COLUMNSxROWS:MARKER_MM:GAP_MM or "
            f"charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM, with :FIRST_ID behind where it is not {GRID.first_id}."
        )
    if dictionary not in DICTIONARIES:
        raise HandheldRefused(f"--dictionary {dictionary!r} is none of {', '.join(DICTIONARIES)}.")
    columns, rows, first_mm, second_mm = int(match[2]), int(match[3]), float(match[4]), float(match[5])
    first_id = GRID.first_id if match[6] is None else int(match[6])
    is_grid = match[1] == "grid"
    marker_mm, pitch_mm = (first_mm, first_mm + second_mm) if is_grid else (second_mm, first_mm)
    least = 1 if is_grid else 3
    if min(columns, rows) < least or not 0 < marker_mm < pitch_mm or max(columns, rows) > 100:
        raise HandheldRefused(
            f"--board {spec!r}: needs at least {least} x {least} places, and markers smaller than their spacing."
        )
    board = Board(
        "grid" if is_grid else "charuco", columns, rows, marker_mm / 1000, pitch_mm / 1000, first_id, dictionary
    )
    size = int(dictionary.rpartition("_")[2])
    if board.ids[-1] >= size:
        raise HandheldRefused(
            f"--board {spec!r}: its last marker is {board.ids[-1]}, and {dictionary} ends at {size - 1}. Choose a "
            f"larger --dictionary, such as {dictionary.rpartition('_')[0]}_250."
        )
    return board


class FingerTags(NamedTuple):
    """The tags on the two fingers, as seen by the camera on the gripper."""

    left: int = 0
    right: int = 1
    """UMI's first gripper has 0 and 1, its second 6 and 7."""
    size_m: float = 0.016
    depth_m: float = 0.072
    """From camera to tags, along the optical axis: UMI's gripper."""
    depth_slack_m: float = 0.008
    """A tag farther off than this is another tag, or a wrong reading (UMI's own gate)."""


class GripperRange(NamedTuple):
    """What the distance of the tags is when the fingers are closed and open; the opening is what lies between."""

    closed_m: float
    open_m: float


def refuse_shared_ids(board: Board, tags: FingerTags) -> None:
    """Board and fingers may not share a marker.

    Raises:
        HandheldRefused: they do, or a finger's tag is not in the dictionary.
    """
    shared = {tags.left, tags.right} & set(board.ids)
    if shared or tags.left == tags.right:
        raise HandheldRefused(
            f"finger tags {tags.left} and {tags.right} need two numbers that the board "
            f"({board.ids[0]}..{board.ids[-1]}) does not use."
        )
    size = int(board.dictionary.rpartition("_")[2])
    if not (0 <= tags.left < size and 0 <= tags.right < size):
        raise HandheldRefused(f"finger tags {tags.left} and {tags.right}: {board.dictionary} ends at {size - 1}.")
