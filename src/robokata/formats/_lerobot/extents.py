"""The bytes that an episode of a LeRobot dataset lies in: row groups of its table, packets of its videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robokata.containers.parquet import ParquetRows
from robokata.containers.parquet_extent import is_filled, rows_extent
from robokata.core.episode import Episode
from robokata.core.extent import Extent
from robokata.core.selected_values import PickedPictures
from robokata.formats._lerobot.carried import carried_file
from robokata.media.extents import video_extent
from robokata.media.images import EncodedImages
from robokata.media.video import VideoFrames


def episode_extents(
    root: Path, episode: Episode, parquet: ParquetRows, file: Path, *, rows: tuple[int, int] | None = None
) -> Sequence[Extent] | None:
    """Everything that `episode` reads. `rows`, first and count, are its part of a packed table; None: all of `file` is
    its own. The answer is None where the table names picture files, which only reading it would tell.

    Raises:
        DamagedData: the table's footer or a video cannot be read.
    """
    first, count = rows or (0, parquet.count(file))
    found = [Extent(file) if rows is None else rows_extent(parquet, file, first, count)]
    held = [name for name, kind in parquet.columns(file).items() if str(kind).startswith("struct<")]
    if not all(is_filled(parquet, file, first, count, column=f"{name}.bytes") for name in held):
        return None
    folders = list((root / "images").glob(f"*/episode_{int(episode.id):06d}"))
    found += [Extent(picture) for folder in folders for picture in sorted(folder.iterdir()) if picture.is_file()]
    encoded = 0
    for stream in episode.pictures():
        pictures = stream.pictures
        while isinstance(pictures, PickedPictures):
            pictures = pictures.values
        encoded += isinstance(pictures, EncodedImages)
        found += [video_extent(pictures)] if isinstance(pictures, VideoFrames) else []
    if encoded > len(held) + len(folders):
        return None
    carried = carried_file(root, int(episode.id))
    return [*found, Extent(carried)] if carried.is_file() else found
