"""Tests of worker processes: what they answer arrives, a death costs one call, and ending them never waits."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from robokata.core.errors import DamagedData, RobokataError
from robokata.runtime.pool import WorkerKilled, WorkerPool, answer_of, answers_of


def doubled(number: int, *, plus: int = 0) -> int:
    return 2 * number + plus


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def dies_on_fives(number: int) -> int:
    return die(number) if number % 5 == 0 else number


def refuse(error: Exception) -> None:
    raise error


def large(size: int) -> bytes:
    return bytes(size)


def unsendable() -> Callable[[], None]:
    return lambda: None


class Stubborn(Exception):
    """Cannot be made again from what a pickle keeps of it."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one)


@pytest.fixture
def pool() -> Any:
    with WorkerPool(2) as pool:
        yield pool


def test_calls_are_answered_in_any_order_by_as_many_processes_as_are_asked_for(pool: WorkerPool) -> None:
    assert sorted(answers_of([pool.submit(doubled, n, plus=1) for n in range(20)])) == [2 * n + 1 for n in range(20)]
    assert len({answer_of(pool.submit(os.getpid)) for _ in range(20)}) <= 2


def test_errors_come_as_what_they_are_and_a_defect_says_where_it_happened(pool: WorkerPool) -> None:
    with pytest.raises(DamagedData, match=r"arm\.mp4 at byte 12") as damaged:
        answer_of(pool.submit(refuse, DamagedData("arm.mp4", "is cut short.", offset=12)))
    assert not hasattr(damaged.value, "__notes__"), "a message for the user needs no traceback"
    with pytest.raises(ZeroDivisionError) as defect:
        answer_of(pool.submit(refuse, ZeroDivisionError("by zero")))
    assert "in refuse" in defect.value.__notes__[0]


def test_what_cannot_travel_is_an_error_of_its_call_only(pool: WorkerPool) -> None:
    with pytest.raises(Exception, match="lambda"):
        answer_of(pool.submit(unsendable))
    with pytest.raises(Exception, match="lambda"):
        answer_of(pool.submit(lambda: None))
    with pytest.raises(TypeError, match="other"):
        answer_of(pool.submit(refuse, Stubborn("a", "b")))
    assert answer_of(pool.submit(doubled, 4)) == 8


def test_a_death_costs_its_call_and_no_other(pool: WorkerPool) -> None:
    # Calls are handed in while workers die and are started: none may be forgotten.
    running = [(n, pool.submit(dies_on_fives, n)) for n in range(12)]
    for n, future in running:
        if n % 5 == 0:
            with pytest.raises(WorkerKilled):
                answer_of(future)
        else:
            assert answer_of(future) == n
    assert issubclass(WorkerKilled, RobokataError)


@pytest.mark.parametrize(
    ("function", "argument"),
    [(time.sleep, 600), (large, 200_000_000), (len, bytes(200_000_000))],
    ids=["at work", "answering", "being told"],
)
def test_workers_end_at_once_whatever_they_do(function: Callable[[Any], object], argument: Any) -> None:
    pool = WorkerPool(2)
    answer_of(pool.submit(os.getpid))
    futures = [pool.submit(function, argument) for _ in range(6)]
    time.sleep(0.05)
    ending = threading.Thread(target=pool.kill, daemon=True)
    ending.start()
    ending.join(60)
    assert not ending.is_alive()
    assert all(future.done() for future in futures), "nobody waits for an answer that never comes"
    with pytest.raises(RuntimeError, match="were ended"):
        pool.submit(os.getpid)
