"""`kata collect sim` as a user starts it: a process of its own, and what it prints."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SRC = Path(__file__).parents[2] / "src"


class Served:
    """A running server. A class, because a thread reads what it says."""

    def __init__(
        self, out: Path, *words: str, largest_file_bytes: int | None = None, most_files: int | None = None
    ) -> None:
        def limited() -> None:
            if most_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
            if largest_file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))

        self.out = out
        settings = ["--out", str(out), "--port", "0", "--size", "96x128", "--json", *words]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robokata.cli.main", "collect", "sim", *settings],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SRC)},
            preexec_fn=limited,
        )
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: self.events or self.process.poll() is not None, seconds=60)
        assert self.events, self.process.communicate()[1]
        self.url: str = self.events[0]["url"]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def end(self) -> dict[str, Any]:
        """Ctrl-C; the last thing it says."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self._reader.join()
        assert self.process.stderr is not None
        assert code == 0, self.process.stderr.read()
        return self.events[-1]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self._reader.join()


@contextmanager
def served(out: Path, *words: str, **more: Any) -> Iterator[Served]:
    """A server that is gone afterwards, whatever the test did."""
    server = Served(out, *words, **more)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
        for pipe in (server.process.stdout, server.process.stderr):
            if pipe is not None:
                pipe.close()


def until(holds: Callable[[], Any], *, seconds: float = 30) -> None:
    """Wait for something to happen."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
