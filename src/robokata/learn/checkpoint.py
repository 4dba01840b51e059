"""A trained policy as a folder: a card that says what it is, its weights, and what resuming needs."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import DamagedData, NotADataset, TooLarge
from robokata.core.require import require

CARD = "card.json"
STATE = Path("training") / "state.pt"
VERSION = 1
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
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedData(path, f"is no JSON: {error}.") from None
    if not isinstance(data, dict) or not isinstance(data.get("policy"), str):
        raise DamagedData(path, "does not name the policy that opens it.")
    if data.get("version") != VERSION:
        raise DamagedData(path, f"has version {data.get('version')!r}; this Robokata reads {VERSION}.")
    return Card(folder, data["policy"], data)


def write_checkpoint(folder: Path, card: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Weights first, under a name of their own, then the card that names them: a kill leaves one whole pair."""
    torch = require("torch", extra="learn")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".weights-{secrets.token_hex(4)}.pt"
    with unfinished.open("wb") as file:
        # Not to a path: torch writes the file's name into it, and equal weights would differ in their hash.
        torch.save(dict(weights), file)
    digest = sha256_of(unfinished)
    name = f"weights-{digest[:12]}.pt"
    _replace(unfinished, folder / name)
    told = {"version": VERSION, **card, "weights": {"file": name, "sha256": digest}}
    written(
        folder / CARD, lambda place: place.write_text(json.dumps(told, indent=1, allow_nan=False), encoding="utf-8")
    )
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
    written(folder / STATE, lambda place: torch.save(dict(state), place))


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
    try:
        found = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # noqa: BLE001  # torch raises whatever its unpickler and zip reader meet in damaged bytes
        raise DamagedData(path, f"cannot be read: {type(error).__name__}: {error}") from None
    if not isinstance(found, dict):
        raise DamagedData(path, "holds no table of weights.")
    return found


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def written(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there in one rename, over what was there."""
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        write(unfinished)
        _replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _replace(unfinished: Path, path: Path) -> None:
    with unfinished.open("rb") as file:
        # The bytes reach the disk before the name does: a power cut must not leave a name without them.
        os.fsync(file.fileno())
    os.replace(unfinished, path)
