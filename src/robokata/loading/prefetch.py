"""Batches made one step ahead of the training, and how long it had to wait for them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Failed(NamedTuple):
    error: BaseException


class Prefetched(Generic[T]):
    """Iterator over `make()` that runs in a thread. A class, because it owns the thread and sums the waiting."""

    def __init__(self, make: Callable[[], T], *, ahead: int = 2) -> None:
        # Two ahead: one would stall at every slow batch, more only cost memory.
        self.waited_s = 0.0
        self._queue: queue.Queue[T | _Failed] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._make = make
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            item: T | _Failed
            try:
                item = self._make()
            except BaseException as error:  # noqa: BLE001  # handed to the thread that asked
                item = _Failed(error)
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if isinstance(item, _Failed):
                return

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        start = time.perf_counter()
        item = self._queue.get()
        self.waited_s += time.perf_counter() - start
        if isinstance(item, _Failed):
            raise item.error
        return item

    def close(self) -> None:
        """End the thread; what it had made is dropped."""
        self._stop.set()
        self._thread.join()


@contextmanager
def prefetched(make: Callable[[], T], *, ahead: int = 2) -> Iterator[Prefetched[T]]:
    """Batches from a thread that ends when the block does."""
    batches = Prefetched(make, ahead=ahead)
    try:
        yield batches
    finally:
        batches.close()
