"""Recognition of the board that a video shows, where it is not the one that was named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robokata.collection.umi.board import Board
from robokata.collection.umi.camera import Camera
from robokata.collection.umi.pose import board_points, locate
from robokata.collection.umi.sight import Sight

_COLUMNS = range(1, 13)
_RATIOS = np.arange(0.30, 0.96, 0.05)
"""Marker over spacing: below 0.3 nobody prints, above 0.95 no white is left between markers."""
_SIGHTS = 4
"""Sights that are tried: each costs some hundred poses."""
_GOOD_PX = 1.0


def likely_board(camera: Camera, board: Board, sights: Sequence[Sight]) -> Board | None:
    """The board of the same kind and first number that fits best, None where none fits.

    Its spacing is the named one: a picture of a board alone does not tell a large board far away from a small one near.
    """
    chosen = [sight._replace(chess={}) for sight in sights[:_SIGHTS]]
    names = sorted({name for sight in chosen for name in sight.markers if name >= board.first_id})
    # Numbers in one unbroken row: a stray marker of a large number is no part of a board.
    names = [name for place, name in enumerate(names) if place == 0 or name - names[place - 1] <= 8]
    if not names:
        return None
    count = names[-1] - board.first_id + 1
    tried = [(columns, float(ratio)) for columns in _COLUMNS for ratio in (_named_ratio(board), *_RATIOS)]
    errors = {key: _error_px(camera, _variant(board, count, *key), chosen) for key in tried}
    columns, ratio = min(errors, key=lambda key: errors[key])
    fine = {float(r): _error_px(camera, _variant(board, count, columns, float(r)), chosen) for r in _near(ratio)}
    best = min(fine, key=lambda r: fine[r])
    return _variant(board, count, columns, best) if fine[best] < _GOOD_PX else None


def _near(ratio: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray([ratio, *np.arange(max(ratio - 0.05, 0.2), min(ratio + 0.05, 0.99), 0.005)])


def _named_ratio(board: Board) -> float:
    return board.marker_m / board.pitch_m


def _variant(board: Board, count: int, columns: int, ratio: float) -> Board:
    """A board of so many columns that holds `count` markers."""
    per_row = columns if board.kind == "grid" else max(columns / 2, 0.5)
    return replace(board, columns=columns, rows=max(int(np.ceil(count / per_row)), 1), marker_m=board.pitch_m * ratio)


def _error_px(camera: Camera, board: Board, sights: Sequence[Sight]) -> float:
    errors = []
    for sight in sights:
        found = locate(camera, board_points(board, sight))
        errors.append(np.inf if found is None else found.error_px)
    return float(np.median(errors)) if errors else float("inf")
