"""A trained policy as a folder: a card that says what it is, its weights, and what resuming needs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import DamagedData, NotADataset, TooLarge
from robokata.core.require import require
from robokata.runtime.atomic import replace_json, replacing

CARD = "card.json"
STATE = Path("training") / "state.pt"
VERSION = 1
_WAITING = ".weights.pt"
"""Weights that have no name yet: it follows from their hash."""
_LARGEST_CARD_BYTES = 64 * 2**20


class Card(NamedTuple):
    """What a checkpoint says of itself."""

    folder: Path
    policy: str
    """Leaf that opens it."""
    data: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The card's file, for errors."""
        return str(self.folder / CARD)

    def field(self, name: str, kind: type) -> Any:
        """One field.

        Raises:
            DamagedData: it is absent or of another kind.
        """
        value = self.data.get(name)
        if not isinstance(value, kind):
            raise DamagedData(self.place, f"field {name!r} is {type(value).__name__}, not {kind.__name__}.")
        return value


def read_card(folder: Path) -> Card:
    """The card of a checkpoint.

    Raises:
        NotADataset: the folder holds no checkpoint.
        DamagedData: the card is no card of ours, or of a later version.
    """
    path = folder / CARD
    if not path.is_file():
        raise NotADataset(
            f"{folder}: holds no policy: {CARD} is not there. Train one: kata train DATASET --out {folder}"
        )
    if path.stat().st_size > _LARGEST_CARD_BYTES:
        raise TooLarge(path, f"the card has {path.stat().st_size:,} bytes.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedData(path, f"is no JSON: {error}.") from None
    if not isinstance(data, dict) or not isinstance(data.get("policy"), str):
        raise DamagedData(path, "does not name the policy that opens it.")
    if data.get("version") != VERSION:
        raise DamagedData(path, f"has version {data.get('version')!r}; this Robokata reads {VERSION}.")
    return Card(folder, data["policy"], data)


def write_checkpoint(folder: Path, card: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Weights first, under a name of their own, then the card that names them: a kill leaves one whole pair."""
    torch = require("torch", extra="learn")
    waiting = folder / _WAITING
    with replacing(waiting) as file:
        # Not to a path: torch writes the file's name into it, and equal weights would differ in their hash.
        torch.save(dict(weights), file)
    digest = sha256_of(waiting)
    name = f"weights-{digest[:12]}.pt"
    os.replace(waiting, folder / name)
    told = {"version": VERSION, **card, "weights": {"file": name, "sha256": digest}}
    replace_json(folder / CARD, told, indent=1)
    for other in folder.glob("weights-*.pt"):
        if other.name != name:
            other.unlink(missing_ok=True)


def read_weights(card: Card, *, device: str = "cpu") -> dict[str, Any]:
    """The weights that a card names, whole and unchanged. No code of theirs is run (`weights_only`).

    Raises:
        DamagedData: they are absent, or not the bytes that the card was written for.
    """
    torch = require("torch", extra="learn")
    told = card.field("weights", dict)
    name = told.get("file")
    if not isinstance(name, str) or not os.path.basename(name):
        raise DamagedData(card.place, f"names no file of weights: {told!r:.80}.")
    path = card.folder / os.path.basename(name)
    if not path.is_file():
        raise DamagedData(path, "the weights that the card names are not there.")
    if sha256_of(path) != told.get("sha256"):
        raise DamagedData(path, "the weights are not those that the card was written for.")
    return _loaded(torch, path, device)


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Everything that resuming needs, in one file, in one rename."""
    torch = require("torch", extra="learn")
    (folder / STATE).parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder / STATE) as file:
        torch.save(dict(state), file)


def clear_unbegun(folder: Path) -> None:
    """Remove what a training leaves that was killed before its first checkpoint: unfinished files and nothing else."""
    training = (folder / STATE).parent
    is_alone = training.is_dir() and [child.name for child in folder.iterdir()] == [training.name]
    if is_alone and all(child.name.startswith(".") for child in training.iterdir()):
        shutil.rmtree(training, ignore_errors=True)


def remove_checkpoint(folder: Path) -> None:
    """Remove a first checkpoint that could not be written whole; the folder stays, empty, and can be trained into."""
    shutil.rmtree((folder / STATE).parent, ignore_errors=True)
    for file in (folder / CARD, folder / _WAITING, *folder.glob("weights-*.pt")):
        with suppress(OSError):
            file.unlink()


def read_state(folder: Path, *, device: str = "cpu") -> dict[str, Any]:
    """What `write_state` kept.

    Raises:
        NotADataset: nothing was begun here.
        DamagedData: the file is damaged.
    """
    torch = require("torch", extra="learn")
    path = folder / STATE
    if not path.is_file():
        raise NotADataset(f"{folder}: nothing to resume: {STATE} is not there. Train without --resume.")
    return _loaded(torch, path, device)


def _loaded(torch: Any, path: Path, device: str) -> dict[str, Any]:
    _refuse_packed(path)
    try:
        found = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # noqa: BLE001  # torch raises whatever its unpickler and zip reader meet in damaged bytes
        raise DamagedData(path, f"cannot be read: {type(error).__name__}: {error}") from None
    if not isinstance(found, dict):
        raise DamagedData(path, "holds no table of weights.")
    return found


def _refuse_packed(path: Path) -> None:
    """torch stores weights as they are; a zip that packs them could unpack to any size."""
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
        raise DamagedData(path, f"is no file of weights: {error}.") from None
    claimed = sum(member.file_size for member in members)
    if claimed > path.stat().st_size:
        raise TooLarge(path, f"claims to unpack to {claimed:,} bytes, and torch packs nothing.")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
