"""A store in an object store: whatever fsspec opens (`s3://`, `gs://`, `memory://`)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from robokata.core.errors import DamagedData, MediaMissing, WriteRefused
from robokata.core.require import require
from robokata.runtime.cache import cache_dir
from robokata.runtime.disk import remove_all_leftovers, unfinished_beside
from robokata.store.backend import file_digest, object_name

_FAILED = (OSError, ValueError)
"""What fsspec's file systems raise for refused, lost and unreachable: s3fs translates S3's own errors to OSError."""


class Remote:
    """A place behind fsspec. A class, because it holds the connection."""

    def __init__(self, url: str) -> None:
        fsspec = require("fsspec", extra="remote")
        self.url = url.rstrip("/")
        if url.startswith("s3://"):
            # fsspec imports it late, and its message does not name our extra.
            require("s3fs", extra="remote")
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise WriteRefused(
                f"{url}: {error}. Robokata opens what fsspec opens: s3://, memory://, a folder."
            ) from None

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        """The bytes of a name.

        Raises:
            MediaMissing: there is no such name.
            DamagedData: the place cannot be reached.
        """
        try:
            return bytes(self._fs.cat_file(self._at(name)))
        except FileNotFoundError:
            raise MediaMissing(f"{self.url}/{name}", "the store lacks this part.") from None
        except _FAILED as error:
            raise DamagedData(f"{self.url}/{name}", f"cannot be read: {error}.") from None

    def size(self, name: str) -> int | None:
        """Bytes of a name, None where it is absent.

        Raises:
            DamagedData: the place cannot be reached.
        """
        try:
            return int(self._fs.info(self._at(name))["size"])
        except FileNotFoundError:
            return None
        except _FAILED as error:
            raise DamagedData(f"{self.url}/{name}", f"cannot be asked for: {error}.") from None

    def write(self, name: str, data: bytes) -> None:
        self._put(name, data, mode="overwrite")

    def write_file(self, file: Path) -> str:
        """Hashed, then sent.

        Raises:
            MediaMissing: the file is not there.
            WriteRefused: the place refuses it.
        """
        digest = file_digest(file)
        if digest is None:
            raise MediaMissing(file, "the file that holds the pictures is not there.")
        name = object_name(digest)
        if self.size(name) != file.stat().st_size:
            try:
                self._make_parent(name)
                self._fs.put_file(str(file), self._at(name))
            except _FAILED as error:
                raise WriteRefused(f"{self.url}: cannot be written: {error}.") from None
        return digest

    def create(self, name: str, data: bytes) -> bool:
        """Write a name that is not there; S3 decides which of two writers was first (If-None-Match)."""
        try:
            self._put(name, data, mode="create")
        except FileExistsError:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """Names in a folder, sorted.

        Raises:
            DamagedData: the place cannot be reached.
        """
        try:
            found = self._fs.ls(self._at(folder), detail=False)
        except FileNotFoundError:
            return []
        except _FAILED as error:
            raise DamagedData(f"{self.url}/{folder}", f"cannot be listed: {error}.") from None
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def local(self, name: str) -> Path:
        """A copy in the cache folder, fetched once: its name is its content.

        Raises:
            MediaMissing: there is no such name.
            DamagedData: what arrives is not what the name says.
        """
        digest = name.rpartition("/")[2]
        kept = cache_dir() / "objects" / digest
        if kept.is_file():
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        remove_all_leftovers(kept.parent)
        unfinished = unfinished_beside(kept)
        try:
            self._fs.get_file(self._at(name), str(unfinished))
            if file_digest(unfinished) != digest:
                raise DamagedData(f"{self.url}/{name}", "holds other bytes than its name says.")
            os.replace(unfinished, kept)
        except FileNotFoundError:
            raise MediaMissing(f"{self.url}/{name}", "the store lacks this part.") from None
        except _FAILED as error:
            raise DamagedData(f"{self.url}/{name}", f"cannot be fetched: {error}.") from None
        finally:
            unfinished.unlink(missing_ok=True)
        return kept

    def digest(self, name: str) -> str | None:
        if self.size(name) is None:
            return None
        found = hashlib.sha256()
        try:
            with self._fs.open(self._at(name), "rb") as file:
                while piece := file.read(4 * 2**20):
                    found.update(piece)
        except _FAILED:
            return None
        return found.hexdigest()

    def _put(self, name: str, data: bytes, *, mode: str) -> None:
        try:
            self._make_parent(name)
            self._fs.pipe_file(self._at(name), data, mode=mode)
        except FileExistsError:
            raise
        except _FAILED as error:
            if _was_first(error):
                raise FileExistsError(name) from None
            raise WriteRefused(f"{self.url}: cannot be written: {error}.") from None

    def _make_parent(self, name: str) -> None:
        # Object stores have no folders, and s3fs would try to make the bucket.
        if not isinstance(self._fs.protocol, (tuple, list)) or "s3" not in self._fs.protocol:
            self._fs.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)


def _was_first(error: Any) -> bool:
    """True where S3 refused a conditional write because the name is there (412), or another was being written (409)."""
    cause = getattr(error, "__cause__", None)
    code = str(getattr(cause, "response", {}).get("Error", {}).get("Code", ""))
    return code in ("PreconditionFailed", "ConditionalRequestConflict") or "PreconditionFailed" in str(error)
