"""Tests of the one look at all pictures: numbers of the grids, kept once, ended by damage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robokata.core.errors import DamagedData
from robokata.core.values import ArrayValues
from robokata.media.images import RawImages
from robokata.media.luma_summary import GRID, glance


def pictures(count: int) -> RawImages:
    values = np.random.default_rng(0).integers(0, 255, (count, 60, 70, 3), np.uint8)
    return RawImages(ArrayValues(values), where="camera")


class Broken(RawImages):
    def luma(self, points: int) -> Iterator[np.ndarray]:
        yield from list(super().luma(points))[:3]
        raise DamagedData("camera", "is cut short.")


def test_the_numbers_follow_from_the_grids_across_blocks() -> None:
    seen = glance(pictures(600))
    flat = seen.grids.reshape(600, -1).astype(float)
    assert max(seen.grids.shape[1:]) <= GRID
    np.testing.assert_allclose(seen.mean, flat.mean(1), rtol=1e-4)
    np.testing.assert_allclose(seen.spread, flat.std(1), rtol=1e-3)
    np.testing.assert_allclose(seen.change, np.abs(np.diff(flat, axis=0)).mean(1), rtol=1e-4)
    assert seen.damage is None


def test_a_stream_is_looked_at_once() -> None:
    camera = pictures(2)
    assert glance(camera) is glance(camera)


def test_damage_ends_the_look_and_keeps_what_was_seen() -> None:
    seen = glance(Broken(pictures(5).values, where="camera"))
    assert (len(seen.grids), len(seen.change), seen.damage) == (3, 2, "camera: is cut short.")


def test_no_pictures_and_one_picture_are_answers() -> None:
    assert len(glance(pictures(1)).change) == 0
    assert (len(glance(pictures(0)).grids), glance(pictures(0)).damage) == (0, None)
