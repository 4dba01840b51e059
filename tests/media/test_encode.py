"""Tests of writing video: as many frames as were given, at their rate, or a refusal."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from robokata.core.errors import Unsupported
from robokata.media.encode import encode_video
from robokata.media.packet_index import packet_index
from robokata.media.video import VideoFrames
from robokata.testing import barcode_picture, read_barcode


@pytest.mark.parametrize("rate_hz", [Fraction(30), Fraction(30000, 1001)])
def test_frames_lie_at_their_ordinal_over_the_rate(tmp_path: Path, rate_hz: Fraction) -> None:
    path = tmp_path / "video.mp4"
    grey = (barcode_picture(1, n)[..., :1] for n in range(20))
    assert encode_video(path, grey, rate_hz=rate_hz, codec="libx264", gop=2) == 20
    index = packet_index(path)
    assert index.average_rate_hz == rate_hz
    assert [index.seconds(n) for n in range(20)] == pytest.approx([float(n / rate_hz) for n in range(20)], abs=1e-4)
    assert index.is_key.tolist() == [n % 2 == 0 for n in range(20)]
    assert read_barcode(VideoFrames(path, 20)[13]) == (1, 13)


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux only")
def test_no_thread_is_real_time_after_av1_was_encoded_by_root(tmp_path: Path) -> None:
    script = """
import os, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from robokata.media.encode import VideoWriter
writer = VideoWriter(Path(sys.argv[1]), rate_hz=Fraction(30))
for _ in range(40):
    writer.add(np.zeros((64, 64, 3), np.uint8))
    print(*{os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")})
writer.close()
print(os.sched_getscheduler(0))
assert (os.geteuid(), os.getuid()) == (int(sys.argv[2]), int(sys.argv[2]))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "video.mp4"), str(os.geteuid())]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.split() == [str(os.SCHED_OTHER)] * 41


def test_an_encoder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        encode_video(tmp_path / "v.mp4", [np.zeros((64, 64, 3), np.uint8)], rate_hz=Fraction(30), codec="no_codec")
    assert str(caught.value).startswith("this build of PyAV cannot encode 'no_codec' at 64x64: ")
