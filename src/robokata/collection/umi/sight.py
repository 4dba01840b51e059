"""Marker detection in one picture: the board, the tags on the fingers, and any others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import DICTIONARIES, Board, opencv
from robokata.collection.umi.camera import Camera
from robokata.collection.umi.corners import edge_corners


class Sight(NamedTuple):
    """Markers in one picture, corners in pixels."""

    markers: dict[int, NDArray[np.float64]]
    """Number -> corners (4, 2): top left, top right, bottom right, bottom left of the printed marker."""
    chess: dict[int, NDArray[np.float64]]
    """Inner corner of a ChArUco board -> (2,); empty for grids."""

    def board_markers(self, board: Board) -> list[int]:
        """Markers of the board that are seen."""
        return [name for name in board.ids if name in self.markers]


class Eye:
    """A detector of one board's markers, sharper where the camera is known."""

    def __init__(self, board: Board, camera: Camera | None = None) -> None:
        cv2 = opencv()
        self.board, self.camera = board, camera
        # The pattern, and a black border of one cell around it.
        self._cells = int(_dictionary(board.dictionary).markerSize) + 2
        self._detector = cv2.aruco.ArucoDetector(_dictionary(board.dictionary), _parameters())
        self._chess = _chess_detector(board) if board.kind == "charuco" else None

    def look(self, grey: NDArray[np.uint8]) -> Sight:
        """Everything in a picture (H, W)."""
        corners, names, _ = self._detector.detectMarkers(grey)
        if names is None or not len(names):
            return Sight({}, {})
        quads = np.asarray(corners, np.float64).reshape(-1, 4, 2)
        corners_px = edge_corners(grey, quads, cells=self._cells, camera=self.camera)
        markers: dict[int, NDArray[np.float64]] = {}
        twice = set()
        for name, quad in zip(np.ravel(names).tolist(), corners_px, strict=True):
            twice |= {name} & set(markers)
            markers[name] = quad
        for name in twice:
            # One of two equal markers is a mirror, a screen or a copy: neither can be trusted.
            del markers[name]
        return Sight(markers, self._inner(grey, markers))

    def _inner(
        self, grey: NDArray[np.uint8], markers: dict[int, NDArray[np.float64]]
    ) -> dict[int, NDArray[np.float64]]:
        names = [name for name in self.board.ids if name in markers]
        if self._chess is None or not names:
            return {}
        quads = tuple(markers[name].astype(np.float32).reshape(1, 4, 2) for name in names)
        found, numbers, _, _ = self._chess.detectBoard(
            grey, markerCorners=quads, markerIds=np.asarray(names, np.int32).reshape(-1, 1)
        )
        if numbers is None:
            return {}
        places = np.asarray(found, np.float64).reshape(-1, 2)
        return dict(zip(np.ravel(numbers).tolist(), places, strict=True))


def other_dictionary(grey: NDArray[np.uint8], *, but: str) -> str | None:
    """The dictionary whose markers a picture shows (at least 3), where they are not of the one that was named."""
    counts = {}
    for name in DICTIONARIES:
        # The largest of each width holds the markers of the smaller ones.
        if name.endswith("_1000") and name[:8] != but[:8]:
            found = opencv().aruco.ArucoDetector(_dictionary(name), _parameters()).detectMarkers(grey)[1]
            counts[name] = 0 if found is None else len(found)
    best = max(counts, key=lambda name: counts[name])
    # Wide dictionaries do not misread; narrow ones read a stray square or two into any picture.
    return best.rpartition("_")[0] if counts[best] >= 3 else None


def _dictionary(name: str) -> Any:
    cv2 = opencv()
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))


def _parameters() -> Any:
    cv2 = opencv()
    found = cv2.aruco.DetectorParameters()
    found.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    # A marker of 20 pixels has cells of 3: a larger window would reach into its own bits.
    found.relativeCornerRefinmentWinSize = 0.3
    found.cornerRefinementWinSize = 5
    return found


def _chess_detector(board: Board) -> Any:
    cv2 = opencv()
    ids = np.asarray(board.ids, np.int32)
    size = (board.columns, board.rows)
    drawn = cv2.aruco.CharucoBoard(size, board.pitch_m, board.marker_m, _dictionary(board.dictionary), ids)
    return cv2.aruco.CharucoDetector(drawn)
