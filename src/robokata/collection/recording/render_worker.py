"""The process that renders kept recordings into episodes: a file each, after which the journal is removed.

One JSON object per line comes in on its standard input (a recording to keep), and goes out on its standard output
(how far it is). Killed at any moment it leaves the journal, or the finished file, and is asked again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from robokata.collection.recording.episode import episode_from
from robokata.collection.recording.journal import read_journal
from robokata.core.errors import RobokataError
from robokata.core.leaf_kinds import writable_format

NICENESS = 10
"""Behind the loop and the live pictures: no operator waits for it."""
_SAYS_EVERY_S = 0.2


def main() -> None:
    """Render what is asked for until standard input closes."""
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what libraries print must not come between the lines

        def say(**words: Any) -> None:
            answers.write(json.dumps(words) + "\n")
            answers.flush()

        for line in sys.stdin:
            job = json.loads(line)
            try:
                done = render_recording(Path(job["journal"]), Path(job["out"]), id=job["id"], say=say)
                say(id=job["id"], done=done)
            except (RobokataError, OSError) as error:
                say(id=job["id"], failed=str(error))


def render_recording(journal: Path, out: Path, *, id: str, say: Any = None) -> dict[str, Any]:
    """Make the episode `id` of a journal and remove the journal; what was made, in numbers.

    Raises:
        DamagedData: the journal holds nothing that an episode could be made of.
        WriteRefused: the disk is full.
    """
    began_s = time.monotonic()
    path = out / f"{id}.mcap"
    recording = read_journal(journal)
    if not path.exists():  # else a kill came between the two steps below
        said_s = began_s

        def filmed(moments: int, of: int) -> None:
            nonlocal said_s
            if say is not None and (time.monotonic() - said_s > _SAYS_EVERY_S or moments == of):
                said_s = time.monotonic()
                say(id=id, filmed=moments, of=of)

        episode = episode_from(recording, id=id, filmed=filmed)
        writable_format("mcap").write(path, [episode])
    journal.unlink()
    rows = recording.rows
    return {
        "path": str(path),
        "steps": len(rows),
        "success": bool(rows[-1]["success"]) if rows else False,
        "duration_s": len(rows) / recording.head["scene"]["control_hz"],
        "took_s": round(time.monotonic() - began_s, 3),
    }


if __name__ == "__main__":
    main()
