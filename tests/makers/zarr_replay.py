"""A sound Diffusion Policy replay buffer, written with the zarr library."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from robokata.core.require import require
from robokata.testing import barcode_picture

FILES = "**/*"
"""Files that the damage tests may cut and flip."""


def make(
    root: Path, *, episodes: int, steps: int, seed: int = 0, version: int = 2, name: str = "pusht.zarr", rows: int = 7
) -> Path:
    """Episodes of `steps` rows: `img` as barcodes, `state` and `action` in smooth motion; chunks of `rows` rows.

    Seven rows do not divide an episode, so that chunks cross episode borders as they do in the published sets.
    """
    zarr = require("zarr", extra="zarr")
    path = root / name
    rng = np.random.default_rng(seed)
    time = np.arange(steps)[:, None] / 10
    states = [np.sin(time * rng.uniform(0.3, 1, 5) + rng.uniform(0, 6, 5)) for _ in range(episodes)]
    actions = [np.vstack([state[1:, :2], state[-1:, :2]]) for state in states]
    pictures = [barcode_picture(e, f) for e in range(episodes) for f in range(steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # All chunks are written, as Diffusion Policy did under zarr 2: none is left out for holding only zeros.
        with zarr.config.set({"array.write_empty_chunks": True}):
            group = zarr.open_group(str(path), mode="w", zarr_format=version)
            data, meta = group.create_group("data"), group.create_group("meta")
            for key, values in (
                ("img", np.asarray(pictures, np.uint8).reshape(-1, 64, 64, 3)),
                ("state", np.concatenate([np.empty((0, 5)), *states]).astype(np.float32)),
                ("action", np.concatenate([np.empty((0, 2)), *actions]).astype(np.float32)),
            ):
                array = data.create_array(key, shape=values.shape, chunks=(rows, *values.shape[1:]), dtype=values.dtype)
                array[:] = values
            ends = np.arange(1, episodes + 1, dtype=np.int64) * steps
            array = meta.create_array("episode_ends", shape=ends.shape, chunks=(max(episodes, 1),), dtype=ends.dtype)
            array[:] = ends
    return path
