"""Tests of thumbnails: small JPEG copies, with and without the JPEG library."""

from __future__ import annotations

import numpy as np
import pytest

from robokata.core.errors import MissingPart
from robokata.media import images, thumbnail
from robokata.media.thumbnail import thumbnail_jpeg


def refuse(module: str, *, extra: str) -> object:
    if module == "simplejpeg":
        raise MissingPart("not installed")
    return __import__(module)


@pytest.mark.parametrize("without_library", [False, True])
@pytest.mark.parametrize("shape", [(240, 320), (240, 320, 1), (240, 320, 3)])
def test_a_thumbnail_is_a_small_jpeg(
    shape: tuple[int, ...], without_library: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_library:
        monkeypatch.setattr(thumbnail, "require", refuse)
    small = images.decode(thumbnail_jpeg(np.full(shape, 90, np.uint8)), where="thumbnail")
    assert small.shape == (120, 160, 3)
    assert abs(float(small.mean()) - 90) < 3


def test_depth_is_stretched_over_its_own_range() -> None:
    depth = np.tile(np.linspace(1000, 1400, 160).astype(np.uint16), (120, 1))
    small = images.decode(thumbnail_jpeg(depth), where="thumbnail")
    assert (int(small.min()), int(small.max())) == pytest.approx((0, 255), abs=6)
