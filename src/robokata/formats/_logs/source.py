"""Logs as a dataset: one log is one episode."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from robokata.containers.logs.log import Log
from robokata.containers.logs.open_log import OpenLog
from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode, EpisodeRef
from robokata.core.errors import DamagedData, UnknownName, Unsupported
from robokata.core.source import Declaration, EpisodeRow, Facts, Size

OPEN_LOGS = 8
"""Logs kept open per source; each holds its index, a few decompressed chunks, and the columns looked at."""


class LogSource:
    """Logs as a dataset: one log is one episode. A class, because it keeps logs open."""

    def __init__(
        self,
        path: Path,
        *,
        format: str,
        files: Mapping[str, Path],
        open_log: Callable[[Path], Log],
        episode_of: Callable[[OpenLog, EpisodeRef], Episode],
        steps_of: Callable[[Log], int | None],
    ) -> None:
        self.format, self.path, self.files = format, path, dict(files)
        self._open_log, self._episode_of, self._steps_of = open_log, episode_of, steps_of
        self._open: OrderedDict[str, Log] = OrderedDict()

    def keys(self) -> Sequence[str]:
        return list(self.files)

    def episode_log(self, key: str) -> Log:
        """The open log of one episode.

        Raises:
            DamagedData: its index cannot be read.
        """
        if key not in self._open:
            self._open[key] = self._open_log(self.files[key])
            if len(self._open) > OPEN_LOGS:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]

    def episode(self, key: str) -> Episode:
        """Open one log.

        Raises:
            UnknownName: no log has this name.
            DamagedData: its index cannot be read.
        """
        if key not in self.files:
            raise UnknownName("episode", key, self.files)
        return self._episode_of(OpenLog(self.episode_log(key)), EpisodeRef(self.format, str(self.path), key))

    def facts(self) -> Facts:
        """What the logs state of themselves, from their indexes. A log that cannot be opened keeps its row."""
        rows, declared, versions, extra, total = [], list[Declaration](), list[str](), {}, 0
        for key, file in self.files.items():
            total += _bytes_of(file)
            name = file.name if file != self.path else None
            try:
                log = self.episode_log(key)
                rows.append(self._row(key, log, name))
                declared += log.declarations()
                versions += [log.version] if log.version else []
                extra[key] = dict(log.extra)
            except (DamagedData, Unsupported) as damage:
                rows.append(EpisodeRow(id=key, file=name))
                declared.append(Declaration(f"episode {key}", "readable", "damaged", str(file), str(damage)))
        return Facts(
            format=self.format,
            version=", ".join(dict.fromkeys(versions)) or None,
            rows=rows,
            declarations=tuple(declared),
            total_size=Size(total),
            extra=extra,
        )

    def _row(self, key: str, log: Log, name: str | None) -> EpisodeRow:
        span = log.span_ns()
        duration_s = None if span is None else (span[1] - span[0]) / NS_PER_S
        return EpisodeRow(id=key, steps=self._steps_of(log), duration_s=duration_s, file=name)


def _bytes_of(path: Path) -> int:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else []
    return sum(file.stat().st_size for file in files)
