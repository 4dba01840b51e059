"""The output folder of a session: recordings that wait for rendering, finished episodes, undone episodes.

| place | holds |
|---|---|
| `OUT/<id>.mcap` | a finished episode; it appears in one rename |
| `OUT/.recording/<id>.journal` | a recording: growing, waiting for its pictures, or cut by a crash |
| `OUT/.undone/` | what was kept and then undone; nothing is deleted |
"""

from __future__ import annotations

import asyncio
import datetime
import enum
import json
import os
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robokata.collection.recording import child_process as child
from robokata.collection.recording.journal import SUFFIX, mark_kept, read_journal
from robokata.core.errors import DamagedData, WriteRefused


class RecordingStage(enum.StrEnum):
    """How far a kept recording is."""

    WAITING = "waiting"
    RENDERING = "rendering"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass
class StoredRecording:
    """One kept recording of this session."""

    id: str
    journal: Path
    stage: RecordingStage = RecordingStage.WAITING
    share: float = 0.0
    """Of its pictures."""
    why: str = ""
    made: dict[str, Any] | None = None
    is_undone: bool = False
    """Undone while it was being rendered: it is moved aside once it is finished."""

    @property
    def counts(self) -> bool:
        """False once the operator has undone it."""
        return self.stage is not RecordingStage.UNDONE and not self.is_undone


class RecordingStore:
    """The folder, and the process that renders kept recordings into episodes."""

    def __init__(self, out: Path, *, task: str, notify: Callable[[], None], log_event: Callable[..., None]) -> None:
        self.out, self.task, self._notify, self.log_event = out, task, notify, log_event
        self.session = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
        self.journals, self.undone = out / ".recording", out / ".undone"
        try:
            self.journals.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteRefused(f"{out}: {error.strerror}. Choose another folder with --out.") from None
        self.recordings: list[StoredRecording] = []
        self.cut: list[Path] = []
        """Recordings that a crash cut; the operator has not yet decided whether to keep them."""
        self.made_before = len(list(out.glob("*.mcap"))) + len(list(self.undone.glob("*.mcap")))
        self._wake = asyncio.Event()
        for journal in sorted(self.journals.glob(f"*{SUFFIX}")):
            self._take_up(journal)

    def _take_up(self, journal: Path) -> None:
        try:
            kept = read_journal(journal).kept
        except DamagedData:
            journal.unlink()  # killed before its first line was whole: there is nothing in it
            return
        if kept is None:
            self.cut.append(journal)
        else:
            self.recordings.append(StoredRecording(journal.stem, journal))
            self.made_before += 1

    def place_for(self, began: datetime.datetime) -> Path:
        """Where a new recording goes; its name is the episode's id."""
        stem = f"{self.task}-{began:%Y%m%dT%H%M%SZ}"
        taken = {path.stem for folder in (self.out, self.journals, self.undone) for path in folder.glob("*")}
        number = next(n for n in range(10_000) if f"{stem}-{n}" not in taken)
        return self.journals / f"{stem}-{number}{SUFFIX}"

    def keep(self, journal: Path) -> None:
        """Have an episode made of a recording that the operator kept."""
        self.recordings.append(StoredRecording(journal.stem, journal))
        self._wake.set()

    def keep_cut(self) -> None:
        """Keep the recordings that a crash cut, as far as they go."""
        for journal in self.cut:
            mark_kept(journal, {"was_cut": True})
            self.keep(journal)
        self.cut.clear()
        self._notify()

    def discard_cut(self) -> None:
        """Move the recordings that a crash cut aside."""
        for journal in self.cut:
            self._move_aside(journal)
        self.cut.clear()
        self._notify()

    def retry(self) -> None:
        """Try again what failed: the disk may have room now."""
        for recording in self.recordings:
            if recording.stage is RecordingStage.FAILED:
                recording.stage = RecordingStage.WAITING
        self._wake.set()

    async def undo(self) -> str:
        """Move the episode kept last in this session aside; what was done, in words."""
        left = [recording for recording in self.recordings if recording.counts]
        if not left:
            return "There is nothing to undo: no episode was kept in this session."
        recording = left[-1]
        if recording.stage is RecordingStage.RENDERING:
            recording.is_undone = True
        else:
            self._set_aside(recording)
        return f"Undone: {recording.id} is in {self.undone} now."

    def _set_aside(self, recording: StoredRecording) -> None:
        self._move_aside(
            self.out / f"{recording.id}.mcap" if recording.stage is RecordingStage.DONE else recording.journal
        )
        recording.stage = RecordingStage.UNDONE

    def _move_aside(self, path: Path) -> None:
        self.undone.mkdir(exist_ok=True)
        os.rename(path, self.undone / path.name)

    async def run(self) -> None:
        """Finish episodes until cancelled, one after the other."""
        worker: Process | None = None
        try:
            while True:
                recording = next(
                    (recording for recording in self.recordings if recording.stage is RecordingStage.WAITING), None
                )
                if recording is None:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                if worker is None or worker.returncode is not None:
                    worker = await child.begin("robokata.collection.recording.render_worker")
                await self._finish(recording, worker)
        finally:
            if worker is not None:
                worker.kill()
                await worker.wait()

    async def finish(self) -> None:
        """Wait until everything that was kept is finished, or has failed."""
        while any(each.stage in (RecordingStage.WAITING, RecordingStage.RENDERING) for each in self.recordings):
            await asyncio.sleep(0.05)

    async def _finish(self, recording: StoredRecording, worker: Process) -> None:
        recording.stage = RecordingStage.RENDERING
        assert worker.stdin is not None
        assert worker.stdout is not None
        job = {"journal": str(recording.journal), "out": str(self.out), "id": recording.id}
        try:
            worker.stdin.write(json.dumps(job).encode() + b"\n")
            await worker.stdin.drain()
            while recording.stage is RecordingStage.RENDERING:
                line = await worker.stdout.readline()
                if not line:
                    raise ConnectionError
                self._handle_message(recording, json.loads(line))
        except ConnectionError:
            await worker.wait()
            self._failed(recording, "the process that renders its pictures was killed (out of memory?)")
        self._notify()

    def _handle_message(self, recording: StoredRecording, message: dict[str, Any]) -> None:
        if "failed" in message:
            self._failed(recording, message["failed"])
        elif "done" in message:
            recording.stage, recording.share, recording.made = RecordingStage.DONE, 1.0, message["done"]
            self.log_event("kept", id=recording.id, **message["done"])
            if recording.is_undone:
                self._set_aside(recording)
        else:
            recording.share = message["filmed"] / max(1, message["of"])
        self._notify()

    def _failed(self, recording: StoredRecording, why: str) -> None:
        recording.stage, recording.why = RecordingStage.FAILED, why
        self.log_event("failed", id=recording.id, why=why, journal=str(recording.journal))

    def status(self) -> dict[str, Any]:
        """For the page."""
        shown = [recording for recording in self.recordings if recording.counts]
        return {
            "kept": len(shown),
            "recordings": [
                {
                    "id": recording.id,
                    "stage": str(recording.stage),
                    "share": recording.share,
                    "why": recording.why,
                    "made": recording.made,
                }
                for recording in shown[-6:]
            ],
            "cut": [journal.stem for journal in self.cut],
        }
