"""The bytes of a video file that decide a run of its frames."""

from __future__ import annotations

import json

import numpy as np

from robokata.core.extent import Extent
from robokata.media.mp4 import Track, plain_track
from robokata.media.video import VideoFrames


def video_extent(frames: VideoFrames) -> Extent:
    """Packets from the key frame that leads to the first frame to the last packet of the run; the whole file where it
    is all of one episode, or no plain mp4.

    Raises:
        MediaMissing: the file does not exist.
        DamagedData: it is no video.
    """
    if frames.span_s is None or not frames.count or not frames.path.is_file():
        return Extent(frames.path)
    first, track = frames.first, plain_track(frames.path)
    return (track and _extent_in(frames, first, track)) or Extent(frames.path)


def _extent_in(frames: VideoFrames, first: int, track: Track) -> Extent | None:
    shown = np.argsort(track.pts, kind="stable")
    wanted = shown[first : first + frames.count]
    if not len(wanted):
        return None
    # A key frame with all wanted ones behind it in the file and in time: those between may refer to the group before.
    keys = np.flatnonzero(track.is_key & (track.pts <= track.pts[wanted[0]]))
    keys = keys[keys <= wanted.min()]
    if not len(keys):
        return None
    taken = slice(int(keys[-1]), int(wanted.max()) + 1)
    offset, size = track.offset[taken], track.size_bytes[taken]
    start, end = int(offset.min()), int((offset + size).max())
    # Numbers relative to the run: it may move in the file and in time, and still show the same.
    table = np.stack([offset - start, size, track.pts[taken] - track.pts[wanted[0]], track.is_key[taken]])
    head = json.dumps({"ticks_per_s": track.ticks_per_s, "frames": frames.count, "found": len(wanted)}, sort_keys=True)
    return Extent(frames.path, start, end, head.encode() + track.entry + table.astype("<i8").tobytes())
