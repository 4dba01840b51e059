"""Standard input, output and error that may be closed (`>&-`), full (`>/dev/full`) or unable to show a name."""

from __future__ import annotations

import io
import os
import sys


def open_standard_streams() -> None:
    """Make all three usable, whatever the caller closed.

    A closed number would be given to the next file that is opened, and what a library prints would land in a dataset.
    """
    if not _is_open(0):
        _take(os.open(os.devnull, os.O_RDONLY), 0)
    if not _is_open(1):
        # Nobody reads: as a pipe whose reader has gone.
        reader, writer = os.pipe()
        _take(writer, 1)
        if reader != 1:
            os.close(reader)
    if not _is_open(2):
        _take(os.open(os.devnull, os.O_WRONLY), 2)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the process ends
    sys.stdout = sys.stdout or _text_stream(1)
    sys.stderr = sys.stderr or _text_stream(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name in the data that the terminal cannot show is escaped: it must not end the run.
            stream.reconfigure(errors="backslashreplace")


def refuses_output() -> bool:
    """True where standard output takes nothing: a full disk. By trying, since the error does not name the file."""
    try:
        os.write(1, b"\n")
    except OSError:
        return True
    return False


def discard_output() -> None:
    """Send what is still waiting to be printed nowhere: Python would try again at the end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _take(handle: int, number: int) -> None:
    if handle != number:
        os.dup2(handle, number)
        os.close(handle)
    os.set_inheritable(number, True)


def _text_stream(number: int) -> io.TextIOWrapper:
    return open(number, "w", encoding="utf-8", closefd=False)
