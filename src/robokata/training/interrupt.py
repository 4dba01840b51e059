"""Ctrl-C while training: the first ends it after the step it is in, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def between_steps() -> Iterator[Callable[[], bool]]:
    """A question that tells whether Ctrl-C was pressed: in the middle of a step there is nothing that could be kept.

    Whoever handles or ignores the signal in a way of its own is left alone, and so are other threads.
    """
    pressed = threading.Event()
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield pressed.is_set
        return

    def note(number: int, frame: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
