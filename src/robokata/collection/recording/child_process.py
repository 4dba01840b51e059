"""Child processes of the server: started with its own Python, ended with it."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process

_LONGEST_LINE_BYTES = 1 << 20


async def begin(module: str) -> Process:
    """Start `python -m module` in a session of its own: Ctrl-C reaches the server only, which ends it in order."""
    # One thread of software OpenGL each: the control loop needs a core whenever it wakes.
    environment = {**os.environ, "LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,
        limit=_LONGEST_LINE_BYTES,
        env=environment,
    )


async def end(process: Process, *, patience_s: float) -> None:
    """Close its input and wait; end it by force where that takes longer than `patience_s`."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), patience_s)
    except TimeoutError:
        process.kill()
        await process.wait()
