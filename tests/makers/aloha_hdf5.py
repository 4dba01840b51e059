"""ACT / ALOHA HDF5, written by h5py: 14 joints, effort, one raw and one JPEG camera per episode."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import simplejpeg

from robokata.testing import barcode_picture

FILES = "episode_*.hdf5"
CAMERAS = ("cam_high", "cam_left_wrist")


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Files `episode_<n>.hdf5`: even episodes hold raw pictures, odd ones padded JPEG with `compress_len`."""
    rng = np.random.default_rng(seed)
    folder = root / "aloha"
    folder.mkdir(parents=True)
    for number in range(episodes):
        with h5py.File(folder / f"episode_{number}.hdf5", "w") as file:
            write_episode(file, number, steps, rng, is_compressed=bool(number % 2))
    return folder


def write_episode(file: h5py.File, number: int, steps: int, rng: np.random.Generator, *, is_compressed: bool) -> None:
    file.attrs["sim"], file.attrs["compress"] = False, is_compressed
    time_s = np.arange(steps + 1)[:, None] / 50
    path = np.sin(time_s * rng.uniform(0.5, 2, 14) + rng.uniform(0, 6, 14))
    file["observations/qpos"], file["action"] = path[:-1], path[1:]
    file["observations/qvel"] = np.diff(path, axis=0) * 50
    file["observations/effort"] = rng.normal(0, 1, (steps, 14))
    pictures = np.stack([barcode_picture(number, i) for i in range(steps)])
    if not is_compressed:
        for camera in CAMERAS:
            file.create_dataset(f"observations/images/{camera}", data=pictures, chunks=(1, *pictures.shape[1:]))
        return
    padded, lengths = pad([simplejpeg.encode_jpeg(np.ascontiguousarray(picture)) for picture in pictures])
    for camera in CAMERAS:
        file.create_dataset(f"observations/images/{camera}", data=padded, chunks=(1, padded.shape[1]))
    file["compress_len"] = np.stack([lengths] * len(CAMERAS))


def pad(pictures: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """JPEGs as rows of one array (T, longest), padded with zeros, and their lengths (T,)."""
    lengths = np.asarray([len(picture) for picture in pictures])
    rows = [np.frombuffer(picture.ljust(int(lengths.max()), b"\0"), np.uint8) for picture in pictures]
    return np.stack(rows), lengths
