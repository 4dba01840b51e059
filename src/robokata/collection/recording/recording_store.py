"""The folder that is collected into: recordings that wait for their pictures, finished episodes, and what was undone.

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


class Stage(enum.StrEnum):
    """How far a kept recording is."""

    WAITING = "waiting"
    FILMING = "filming"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass
class Piece:
    """One kept recording of this session."""

    id: str
    journal: Path
    stage: Stage = Stage.WAITING
    share: float = 0.0
    """Of its pictures."""
    why: str = ""
    made: dict[str, Any] | None = None
    is_undone: bool = False
    """Undone while it was being filmed: it is moved aside once it is finished."""


class Workshop:
    """The folder, which its user holds, and the process that finishes episodes. A class, because both change."""

    def __init__(self, out: Path, *, task: str, tell: Callable[[], None], said: Callable[..., None]) -> None:
        self.out, self.task, self._tell, self.said = out, task, tell, said
        self.session = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
        self.recording, self.undone = out / ".recording", out / ".undone"
        try:
            self.recording.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteRefused(f"{out}: {error.strerror}. Choose another folder with --out.") from None
        self.pieces: list[Piece] = []
        self.cut: list[Path] = []
        """Recordings that a crash cut: nobody has said yet whether to keep them."""
        self.made_before = len(list(out.glob("*.mcap"))) + len(list(self.undone.glob("*.mcap")))
        self._wake = asyncio.Event()
        for journal in sorted(self.recording.glob(f"*{SUFFIX}")):
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
            self.pieces.append(Piece(journal.stem, journal))
            self.made_before += 1

    def place_for(self, began: datetime.datetime) -> Path:
        """Where a new recording goes; its name is the episode's id."""
        stem = f"{self.task}-{began:%Y%m%dT%H%M%SZ}"
        taken = {path.stem for folder in (self.out, self.recording, self.undone) for path in folder.glob("*")}
        number = next(n for n in range(10_000) if f"{stem}-{n}" not in taken)
        return self.recording / f"{stem}-{number}{SUFFIX}"

    def keep(self, journal: Path) -> None:
        """Have an episode made of a recording that the operator kept."""
        self.pieces.append(Piece(journal.stem, journal))
        self._wake.set()

    def keep_cut(self) -> None:
        """Keep the recordings that a crash cut, as far as they go."""
        for journal in self.cut:
            mark_kept(journal, {"was_cut": True})
            self.keep(journal)
        self.cut.clear()
        self._tell()

    def discard_cut(self) -> None:
        """Move the recordings that a crash cut aside."""
        for journal in self.cut:
            self._move_aside(journal)
        self.cut.clear()
        self._tell()

    def retry(self) -> None:
        """Try again what failed: the disk may have room now."""
        for piece in self.pieces:
            if piece.stage is Stage.FAILED:
                piece.stage = Stage.WAITING
        self._wake.set()

    async def undo(self) -> str:
        """Move the episode kept last in this session aside; what was done, in words."""
        left = [piece for piece in self.pieces if piece.stage is not Stage.UNDONE and not piece.is_undone]
        if not left:
            return "There is nothing to undo: no episode was kept in this session."
        piece = left[-1]
        if piece.stage is Stage.FILMING:
            piece.is_undone = True
        else:
            self._set_aside(piece)
        return f"Undone: {piece.id} is in {self.undone} now."

    def _set_aside(self, piece: Piece) -> None:
        self._move_aside(self.out / f"{piece.id}.mcap" if piece.stage is Stage.DONE else piece.journal)
        piece.stage = Stage.UNDONE

    def _move_aside(self, path: Path) -> None:
        self.undone.mkdir(exist_ok=True)
        os.rename(path, self.undone / path.name)

    async def run(self) -> None:
        """Finish episodes until cancelled, one after the other."""
        keeper: Process | None = None
        try:
            while True:
                piece = next((piece for piece in self.pieces if piece.stage is Stage.WAITING), None)
                if piece is None:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                if keeper is None or keeper.returncode is not None:
                    keeper = await child.begin("robokata.collection.recording.render_worker")
                await self._finish(piece, keeper)
        finally:
            if keeper is not None:
                keeper.kill()
                await keeper.wait()

    async def finish(self) -> None:
        """Wait until everything that was kept is finished, or has failed."""
        while any(piece.stage in (Stage.WAITING, Stage.FILMING) for piece in self.pieces):
            await asyncio.sleep(0.05)

    async def _finish(self, piece: Piece, keeper: Process) -> None:
        piece.stage = Stage.FILMING
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        job = {"journal": str(piece.journal), "out": str(self.out), "id": piece.id}
        try:
            keeper.stdin.write(json.dumps(job).encode() + b"\n")
            await keeper.stdin.drain()
            while piece.stage is Stage.FILMING:
                line = await keeper.stdout.readline()
                if not line:
                    raise ConnectionError
                self._heard(piece, json.loads(line))
        except ConnectionError:
            await keeper.wait()
            self._failed(piece, "the process that renders its pictures was killed (out of memory?)")
        self._tell()

    def _heard(self, piece: Piece, said: dict[str, Any]) -> None:
        if "failed" in said:
            self._failed(piece, said["failed"])
        elif "done" in said:
            piece.stage, piece.share, piece.made = Stage.DONE, 1.0, said["done"]
            self.said("kept", id=piece.id, **said["done"])
            if piece.is_undone:
                self._set_aside(piece)
        else:
            piece.share = said["filmed"] / max(1, said["of"])
        self._tell()

    def _failed(self, piece: Piece, why: str) -> None:
        piece.stage, piece.why = Stage.FAILED, why
        self.said("failed", id=piece.id, why=why, journal=str(piece.journal))

    def status(self) -> dict[str, Any]:
        """For the page."""
        shown = [piece for piece in self.pieces if piece.stage is not Stage.UNDONE and not piece.is_undone]
        return {
            "kept": len(shown),
            "pieces": [
                {"id": piece.id, "stage": str(piece.stage), "share": piece.share, "why": piece.why, "made": piece.made}
                for piece in shown[-6:]
            ],
            "cut": [journal.stem for journal in self.cut],
        }
