"""Worker processes, one per core: they start whole, leave Ctrl-C to their parent, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple, ParamSpec, TypeVar

from robokata.core.errors import RobokataError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_LOOKS_UP_EVERY_S = 0.2
"""Longest time that Ctrl-C waits unnoticed: short for a person, and five wake-ups a second cost nothing."""


class WorkerKilled(RobokataError):
    """A worker process ended in the middle of a call: out of memory, or a library crashed."""


class _Call(NamedTuple):
    future: Future[Any]
    order: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class WorkerPool:
    """Worker processes. A class, because they must be ended when nobody waits for their answers any more.

    Each has a thread of ours that gives it a call and waits for the answer through a pipe of its own: a death costs
    one call, and nothing that two processes share can be left locked. See design/processes.md.
    """

    def __init__(self, workers: int, *, begin: Callable[[], None] | None = None) -> None:
        self._size, self._begin = workers, begin
        # Spawned, not forked: Arrow and OpenGL hold threads and locks, and a fork of their locks deadlocks.
        self._context = multiprocessing.get_context("spawn")
        # Whoever starts it lets Ctrl-C through afterwards: here, and not in the threads that keep it out.
        resource_tracker.ensure_running()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._processes: set[SpawnProcess] = set()
        self._unanswered = 0
        self._is_over = False

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def submit(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Have a worker call a function; one is started where all are busy.

        Raises:
            RuntimeError: the workers were ended.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._is_over:
                raise RuntimeError("these workers were ended")
            self._calls.put(_Call(future, (function, args, kwargs)))
            self._unanswered += 1
            if len(self._threads) < min(self._size, self._unanswered):
                self._threads.append(threading.Thread(target=self._attend, name="worker", daemon=True))
                self._threads[-1].start()
        return future

    def kill(self) -> None:
        """End the workers now, whatever they do; returns when they are gone, so that nothing of theirs comes after."""
        with self._lock:
            self._is_over = True
            processes, threads = list(self._processes), list(self._threads)
        with suppress(queue.Empty):
            while (call := self._calls.get_nowait()) is not None:
                call.future.cancel()
        for _ in threads:
            self._calls.put(None)
        for process in processes:
            process.kill()
        for thread in threads:
            thread.join()

    def _attend(self) -> None:
        """What the thread of one worker does until the end."""
        # Its processes inherit this: Ctrl-C reaches only the parent, even before a worker's first line runs.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        worker: tuple[SpawnProcess, Connection] | None = None
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                worker = self._answered(call, worker)
            del call  # nothing of it is kept until the next one
        if worker is not None:
            self._end(*worker)

    def _answered(
        self, call: _Call, worker: tuple[SpawnProcess, Connection] | None
    ) -> tuple[SpawnProcess, Connection] | None:
        """Have a call answered by a worker, a new one where there is none; the one that lives afterwards."""
        try:
            worker = worker or self._started()
            error, value = _asked(worker[1], call)
        except BaseException as failed:  # noqa: BLE001  # handed to whoever waits for the answer
            error, value = failed, None
            if isinstance(failed, WorkerKilled) and worker is not None:
                self._end(*worker)
                worker = None
        with self._lock:
            self._unanswered -= 1
        if error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result(value)
        return worker

    def _started(self) -> tuple[SpawnProcess, Connection]:
        ours, theirs = self._context.Pipe()
        with theirs:
            process = self._context.Process(target=_work, args=(theirs, self._begin), daemon=True)
            process.start()
        with self._lock:
            self._processes.add(process)
            if self._is_over:
                process.kill()
        return process, ours

    def _end(self, process: SpawnProcess, ours: Connection) -> None:
        ours.close()
        process.kill()
        process.join()
        with self._lock:
            self._processes.discard(process)


def _asked(way: Connection, call: _Call) -> tuple[BaseException | None, Any]:
    """What a worker answers: an error or a value.

    Raises:
        WorkerKilled: it ended instead.
    """
    try:
        way.send(call.order)
        told = way.recv_bytes()
    except (EOFError, ConnectionError):
        raise WorkerKilled("a worker process was killed.") from None
    error, value = multiprocessing.reduction.ForkingPickler.loads(told)
    return error, value


def answer_of(future: Future[Result]) -> Result:
    """What a worker answers. Ctrl-C ends the waiting also where the kernel gave the signal to a library's thread.

    Python runs its handlers in the main thread, and a signal that another thread took does not wake it from a lock.

    Raises:
        WorkerKilled: the worker ended instead.
    """
    while not wait([future], timeout=_LOOKS_UP_EVERY_S).done:
        pass
    return future.result()


def answers_of(futures: Iterable[Future[Result]]) -> Iterator[Result]:
    """What workers answer, in the order in which they come; Ctrl-C and errors as in `answer_of`."""
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_LOOKS_UP_EVERY_S, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def one_thread() -> None:
    """One process per core: software OpenGL and BLAS start no threads of their own in this one."""
    os.environ.update(LP_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


def _work(calls: Connection, begin: Callable[[], None] | None) -> None:
    """What a worker does until its parent lets it go."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread()
    if begin is not None:
        begin()
    with suppress(EOFError, ConnectionError):
        while True:
            told = calls.recv_bytes()
            calls.send_bytes(_answer(told))


def _answer(told: bytes) -> bytes:
    dumps, loads = multiprocessing.reduction.ForkingPickler.dumps, multiprocessing.reduction.ForkingPickler.loads
    try:
        function, args, kwargs = loads(told)
        return bytes(dumps((None, function(*args, **kwargs))))
    except BaseException as error:  # noqa: BLE001  # raised again where somebody waits for the answer
        if not isinstance(error, RobokataError):
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
        try:
            return bytes(dumps((error, None)))
        except Exception:  # noqa: BLE001  # an error that holds what cannot travel
            return bytes(dumps((RuntimeError(traceback.format_exc()), None)))


def _end_with_parent() -> None:
    """A worker in the middle of a call does not see that its parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
