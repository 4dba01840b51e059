"""Video as others encode it, which our own encoder leaves out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from robokata.testing import Barcode, barcode_picture


def open_gops(path: Path, barcodes: list[Barcode], *, gop: int) -> None:
    """H.265 with B-frames and open groups, x265's habit: pictures after a key frame in the file come before it on show.

    At least three: of fewer, x265 takes a decoding time out of memory that nobody wrote.
    """
    assert len(barcodes) > 2
    settings = "pools=none:frame-threads=1:log-level=none:ctu=32"
    with av.open(str(path), "w") as container:
        options = {"g": str(gop), "crf": "10", "x265-params": settings}
        stream = container.add_stream("libx265", rate=Fraction(30), options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number, code in enumerate(barcodes):
            frame = av.VideoFrame.from_ndarray(barcode_picture(code.episode, code.frame), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
