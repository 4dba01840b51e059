"""Worker processes, one per core: they start whole, leave Ctrl-C to their parent, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_LOOKS_UP_EVERY_S = 0.2
"""Longest time that Ctrl-C waits unnoticed: short for a person, and five wake-ups a second cost nothing."""


class WorkerPool:
    """Worker processes. A class, because they must be ended when nobody waits for their answers any more."""

    def __init__(self, workers: int, *, begin: Callable[[], None] | None = None) -> None:
        # Spawned, not forked: Arrow and OpenGL hold threads and locks, and a fork of their locks deadlocks.
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(begin,))

    def submit(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Have a worker call a function; one is started where all are busy."""
        with _uninterrupted():
            return self._executor.submit(function, *args, **kwargs)

    def kill(self) -> None:
        """End the workers now, whatever they do; returns when they are gone, so that nothing of theirs comes after."""
        # The executor has no public way to this before Python 3.14 (kill_workers).
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()


def answer_of(future: Future[Result]) -> Result:
    """What a worker answers. Ctrl-C ends the waiting also where the kernel gave the signal to a library's thread.

    Python runs its handlers in the main thread, and a signal that another thread took does not wake it from a lock.
    """
    while not wait([future], timeout=_LOOKS_UP_EVERY_S).done:
        pass
    return future.result()


def answers_of(futures: Iterable[Future[Result]]) -> Iterator[Result]:
    """What workers answer, in the order in which they come; Ctrl-C as in `answer_of`."""
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_LOOKS_UP_EVERY_S, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until a worker has started: one that is half started complains on the terminal that we are gone."""
    # A worker inherits the mask: Ctrl-C reaches only the parent, even before the worker's first line runs.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    is_main = threading.current_thread() is threading.main_thread()
    # The mask is this thread's: a library's thread takes the signal, and Python hands it to us all the same.
    missed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: missed.append(number)) if is_main else None
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if missed:
        signal.raise_signal(signal.SIGINT)


def one_thread() -> None:
    """One process per core: software OpenGL and BLAS start no threads of their own in this one."""
    os.environ.update(LP_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


def _begin(also: Callable[[], None] | None) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread()
    if also is not None:
        also()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever: the queue that it reads is its own too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
