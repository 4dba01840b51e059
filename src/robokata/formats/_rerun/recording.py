"""One Rerun recording on its way to a file: columns of values under the times of their own clocks."""

from __future__ import annotations

import ctypes
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock
from robokata.core.errors import WriteRefused
from robokata.core.require import require
from robokata.core.stream import Stream

APPLICATION = "robokata"
EPOCH_FROM_NS = 946_684_800 * 10**9
"""1 January 2000: from then on a clock shows the date, and before it counts from a start of its own."""
_FOOTER = b"RRF2FOOT"
_PATIENCE_S = 5.0
"""A file that has not grown for so long has failed: a thread of the SDK that ends in the wrong moment never says so."""
_PROBE_BYTES = 2**20

Times = Mapping[str, NDArray[np.int64]]
"""Timeline -> nanoseconds, or counts of steps, (T,)."""
STEPS = "step"
"""The timeline of what has no times: Rerun's sequences."""


def timelines_of(stream: Stream) -> dict[str, NDArray[np.int64]]:
    """The times of a stream's samples on its own clock and on its other ones; without times, the numbers of samples."""
    own = _timeline("time", stream.clock)
    for name, clock in stream.other_clocks.items():
        own |= _timeline(f"time {name}", clock)
    return own


def _timeline(name: str, clock: Clock) -> dict[str, NDArray[np.int64]]:
    if not clock.has_times:
        return {STEPS: clock.places}
    return {name: np.asarray(clock.times_ns, np.int64)}


class RerunRecording:
    """One `.rrd` file. A class, because the SDK writes it from a thread of its own, which must be asked how it went.

    Nothing is sent anywhere: the SDK's global recording, its viewer and its servers are not touched.
    """

    def __init__(self, path: Path, *, name: str, identity: str) -> None:
        """Open the file; `name` is shown, and of one `identity` a viewer shows one recording.

        Raises:
            WriteRefused: the environment switches Rerun's logging off.
        """
        self.rr = require("rerun", extra="rerun")
        self.path = path
        recording_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{APPLICATION}:{identity}")
        self._stream = self.rr.RecordingStream(APPLICATION, recording_id=recording_id, send_properties=False)
        if os.environ.get("RERUN", "on").lower() in ("off", "0", "false"):
            raise WriteRefused(f"{path}: the environment variable RERUN switches Rerun's logging off. Unset it.")
        with self._told():
            self._stream.save(str(path))
            self._stream.send_recording_name(name)

    def put(self, entity: str, times: Times, columns: Any) -> None:
        """Values of one entity, a row per time."""
        indexes = [self._index(name, at) for name, at in times.items()]
        with self._told():
            self.rr.send_columns(entity, indexes, columns, recording=self._stream, strict=True)

    def put_static(self, entity: str, columns: Any) -> None:
        """What holds for all times."""
        with self._told():
            self.rr.send_columns(entity, [], columns, recording=self._stream, strict=True)

    def put_property(self, name: str, values: Mapping[str, Any]) -> None:
        """Facts of the recording as a whole."""
        self._stream.send_property(name, self.rr.AnyValues(**values))

    def entity(self, *parts: str) -> str:
        """An entity path; a slash in a stream's name is a level, everything else is escaped as Rerun wants it."""
        levels = [level for part in parts for level in part.split("/") if level]
        return str(self.rr.new_entity_path(levels))

    def close(self) -> None:
        """Wait until everything is written.

        Raises:
            WriteRefused: the SDK could not write, for another reason than the disk's.
            OSError: the disk is full.
        """
        with self._told():
            self._flush()
            self._stream.disconnect()
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 32))
            if _FOOTER not in file.read():
                self._tell("its end is missing.")

    def _flush(self) -> None:
        """Wait for as long as the file grows."""
        size_bytes = -1
        while True:
            try:
                self._stream.flush(timeout_sec=_PATIENCE_S)
                return
            except RuntimeError:
                before_bytes, size_bytes = size_bytes, self.path.stat().st_size
                if size_bytes == before_bytes:
                    # Deleting the stream, and the SDK's own end at exit, would wait for its dead thread for ever.
                    ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._stream))
                    self.rr.unregister_shutdown()
                    raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            self._tell(str(error))

    def _tell(self, reason: str) -> None:
        """The SDK logs the system's reason and raises without it: writing once more brings it out."""
        with self.path.open("ab") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        raise WriteRefused(f"{self.path}: the Rerun SDK did not finish the recording: {reason}") from None

    def _index(self, name: str, at: NDArray[np.int64]) -> Any:
        if name == STEPS:
            return self.rr.TimeColumn(name, sequence=at)
        if len(at) and int(at.min()) >= EPOCH_FROM_NS:
            return self.rr.TimeColumn(name, timestamp=at.astype("datetime64[ns]"))
        return self.rr.TimeColumn(name, duration=at.astype("timedelta64[ns]"))


def split(times: Times, rows: slice | Sequence[int] | NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Some of the times."""
    return {name: at[rows] for name, at in times.items()}
