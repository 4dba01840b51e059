"""Videos of a board on a wall, ray by ray through any lens: the oracle of calibration. Needs no renderer."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import Board, opencv
from robokata.collection.umi.camera import Camera
from robokata.collection.umi.pose import rigid_of
from robokata.collection.umi.print_board import Sheet, board_bars, drawn
from robokata.geometry.poses import Rigid
from robokata.media.encode import VideoWriter

_PIXELS_PER_M = 3000
_FINER = 2
"""Rays per pixel and axis: their mean is what a pixel sees, and edges are right to a quarter of one."""


def calibration_video(path: Path, camera: Camera, board: Board, *, frames: int = 40, seed: int = 0) -> None:
    """A video in which the board is held into every part of the picture, near and far, straight and oblique."""
    rng = np.random.default_rng(seed)
    wall = _wall(board)
    rays = _rays(camera)
    writer = VideoWriter(path, rate_hz=Fraction(30), codec="libx264", gop=12, crf=12, threads=1)
    for number in range(frames):
        grey = _picture(camera, rays, wall, board, _pose(camera, rng, number))
        noisy = np.clip(grey + rng.normal(0, 1.5, grey.shape), 0, 255).astype(np.uint8)
        writer.add(np.repeat(noisy[..., np.newaxis], 3, axis=2))
    writer.close()


def _pose(camera: Camera, rng: np.random.Generator, number: int) -> Rigid:
    """Camera from board: its middle on a grid of 3 x 3 places of the picture, at changing distance and lean."""
    across = np.array([0.22, 0.5, 0.78])
    place = np.array([[across[number % 3] * camera.width_px, across[number // 3 % 3] * camera.height_px]])
    ray = camera.rays(place + rng.normal(0, 8, (1, 2)))[0]
    distance_m = rng.uniform(0.3, 0.55)
    flip = rigid_of(np.array([np.pi, 0.0, 0.0]), np.zeros(3)).rotation
    lean = rigid_of(rng.uniform(-0.6, 0.6, 3) * np.array([1, 1, 0.5]), np.zeros(3)).rotation
    return Rigid(lean @ flip, np.array([ray[0] * distance_m, ray[1] * distance_m, distance_m]))


def _wall(board: Board) -> NDArray[np.uint8]:
    width_mm, height_mm = (1000 * side for side in board.size_m)
    return drawn(Sheet(width_mm, height_mm, tuple(board_bars(board)), ""), pixels_per_m=_PIXELS_PER_M)


def _rays(camera: Camera) -> NDArray[np.float64]:
    """Directions of all sub-pixels, (H * f, W * f, 3)."""
    steps = (np.arange(_FINER) + 0.5) / _FINER - 0.5
    columns = (np.arange(camera.width_px)[:, np.newaxis] + steps).ravel()
    rows = (np.arange(camera.height_px)[:, np.newaxis] + steps).ravel()
    grid = np.stack(np.meshgrid(columns, rows), axis=-1)
    flat = camera.rays(grid.reshape(-1, 2)).reshape(*grid.shape)
    return np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=-1)


def _picture(
    camera: Camera, rays: NDArray[np.float64], wall: NDArray[np.uint8], board: Board, camera_from_board: Rigid
) -> NDArray[np.float64]:
    cv2 = opencv()
    normal, origin = camera_from_board.rotation[:, 2], camera_from_board.shift_m
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (normal @ origin) / (rays @ normal)
    seen = rays * reach[..., np.newaxis]
    on_board = (seen - origin) @ camera_from_board.rotation
    width_m, height_m = board.size_m
    x = (on_board[..., 0] + width_m / 2) * _PIXELS_PER_M - 0.5
    y = (height_m / 2 - on_board[..., 1]) * _PIXELS_PER_M - 0.5
    behind = ~(reach > 0)
    x[behind] = y[behind] = -1e4
    fine = cv2.remap(wall, np.nan_to_num(x, nan=-1e4).astype(np.float32), np.nan_to_num(y, nan=-1e4).astype(np.float32),
                     cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255)  # fmt: skip
    shape = (camera.height_px, _FINER, camera.width_px, _FINER)
    # A grey room: pure white and black are what no camera sees.
    return np.asarray(30 + 0.8 * fine.reshape(shape).mean(axis=(1, 3)), np.float64)
