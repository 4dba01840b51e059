"""A robot log as an episode: which stamp leads, who speaks, what was asked for."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.log import Log, Message
from robokata.containers.logs.open_log import OpenLog, stamps_ns
from robokata.containers.logs.table import settled
from robokata.containers.ros.decode import Columns
from robokata.containers.ros.definition import short_name
from robokata.core.clock import NS_PER_S, Clock, ClockQuality, Reading
from robokata.core.episode import Embodiment, Episode, EpisodeRef, Instruction
from robokata.core.errors import DamagedData, Unsupported
from robokata.core.stream import LATE, Evidence, Fact, Role, Stream
from robokata.formats._logs.calibration import with_calibrations
from robokata.formats._logs.fields import forms_of
from robokata.formats._logs.streams import View, is_steady, is_text, may_vary, role_of, streams_of

_SAME_EPOCH_NS = 3600 * NS_PER_S
"""Header and receive stamps further apart than an hour do not count from the same zero (librealsense stamps
messages from the start of the recording, and headers with the wall clock): the streams of an episode must share one,
so the receive stamp leads. Computers without a common clock are seconds apart, and stay as they are."""
_MAX_INSTRUCTIONS = 100
"""Texts read at open from a language topic: more is a chat, not an instruction."""


def episode_of(log: OpenLog, ref: EpisodeRef) -> Episode:
    """The episode that a log holds.

    Raises:
        DamagedData: its index or the first message of a topic cannot be read.
    """
    firsts = log.firsts()
    # All topics are looked at before any is read whole: one pass then serves them all.
    looks = [_look(log, number, firsts.get(number)) for number in range(len(log.log.topics))]
    views = [_view(log, number, firsts.get(number), look) for number, look in enumerate(looks)]
    streams: dict[str, Stream] = {}
    for view in views:
        for stream in streams_of(view):
            # Publishers of one topic that do not agree on its type are no one stream: both are kept.
            name, again = stream.name, 2
            while name in streams:
                name, again = f"{stream.name}#{again}", again + 1
            streams[name] = stream if again == 2 else replace(stream, name=name)
    return Episode(
        id=ref.key,
        streams=with_calibrations(streams, views),
        embodiment=_embodiment(views),
        instructions=tuple(_instructions(views)),
        extra={**log.log.extra, "topics": {v.topic.name: v.topic.schema.name for v in views}},
        ref=ref,
    )


def steps_of(log: Log) -> int | None:
    """Samples of the fullest topic of state or commands (else of the fullest topic), from the index."""
    counts = list(zip(log.topics, log.counts(), strict=True))
    acting = [n for t, n in counts if n and role_of(t) in (Role.STATE, Role.ACTION) and not is_text(t)]
    return max(acting or [n for _, n in counts], default=None)


class _Look(NamedTuple):
    """What the first message of a topic says."""

    columns: Columns
    reason: str | None
    """Why the topic stays bytes, None where it is a table."""


def _look(log: OpenLog, number: int, first: Message | None) -> _Look:
    decoder = log.decoders[number]
    reason = log.undecoded[number] or (decoder.opaque_because if decoder else None)
    if decoder is None or first is None:
        return _Look({}, reason)
    try:
        columns = settled(decoder.head([first.data], log.where(number))).columns
        if reason is not None:
            return _Look(columns, reason)
        table = settled(decoder.table([first.data], log.where(number)))
    except (DamagedData, Unsupported) as damage:
        # The first message does not fit its definition: the topic stays bytes, and says why.
        log.decoders[number] = None
        return _Look({}, str(damage))
    blob = _blob(table.columns)
    log.is_table[number] = blob is None
    return _Look(table.columns if blob is None else columns, blob)


def _blob(columns: Columns) -> str | None:
    """Why columns are no table, None where they are one."""
    name = next((n for n, c in columns.items() if len(c) and isinstance(c[0], bytes)), None)
    return None if name is None else f"field {name!r} is a blob"


def _view(log: OpenLog, number: int, first: Message | None, look: _Look) -> View:
    """What the columns and the clocks of a topic are: by its first message, or by all where they may differ."""
    topic, decoder = log.log.topics[number], log.decoders[number]
    extra: dict[str, Any] = {**topic.extra, "schema": topic.schema.name, "schema_encoding": topic.schema.encoding}
    late, count = log.index(number).late, len(log.index(number).places)
    order = f"{late} of {count} messages of {topic.name} lie in the file behind messages that were received later"
    columns, reason, stamp = look.columns, look.reason, stamps_ns(look.columns)
    rows: Mapping[str, NDArray[np.int64]] = {}
    kind = short_name(topic.schema.name.replace(".", "/"))
    data = log.surveyed(number) if log.is_table[number] and decoder and may_vary(decoder, kind) else None
    if data is not None:
        reason, stamp = _blob(data.columns), data.header_ns
        log.is_table[number] = reason is None
        columns, rows = data.columns, data.rows
    if reason is not None:
        extra["kept_as_bytes"] = reason
    received_ns = np.asarray([first.receive_ns] if first else [], np.int64) if data is None else data.receive_ns
    has_stamps = _can_lead(stamp, received_ns)
    clocks = _clocks(log, number, count, stamp is not None)
    if first is None or first.publish_ns is None:
        clocks.pop("publish", None)
    main = "header" if has_stamps else "receive"
    if reason is None and decoder is not None and first is not None and "layout.data_offset" in columns:
        parts = decoder.parts(first.data, log.where(number))
        extra["layout"] = {name: value for name, value in parts.items() if name.startswith("layout.")}
        columns = {name: column for name, column in columns.items() if not name.startswith("layout.")}
    frames = next((set(columns[n].tolist()) for n in ("header.frame_id", "frame_id") if n in columns), set())
    # Publishers of one topic may speak of different frames: then it is given in none.
    frame = str(frames.pop()) if len(frames) == 1 else ""
    return View(
        log,
        number,
        topic,
        count,
        clocks.pop(main),
        clocks,
        {**extra, "clock": main},
        {LATE: f"{order}; they are read by receive time"} if late else {},
        Fact(frame, Evidence.FILE) if frame else None,
        {name: column[:1] for name, column in columns.items()},
        {} if decoder is None else forms_of(columns, rows, partial(is_steady, decoder, kind)),
        {},
    )


def _can_lead(stamp: NDArray[np.int64] | None, receive_ns: NDArray[np.int64]) -> bool:
    """True where all known header stamps are filled in, and count from the same zero as the log."""
    if stamp is None or not len(stamp) or len(stamp) != len(receive_ns):
        return False
    return bool(np.all(stamp != 0) and np.all(np.abs(stamp - receive_ns) < _SAME_EPOCH_NS))


def _clocks(log: OpenLog, number: int, count: int, has_header: bool) -> dict[str, Clock]:
    def clock(times: Callable[[], NDArray[np.int64] | None], name: str) -> Clock:
        def load() -> Reading:
            read = times()
            damage = log.data(number).damage
            if read is None or len(read) != count:
                raise damage or DamagedData(log.where(number), f"some of its messages have no {name} stamp.")
            return Reading(read, ClockQuality.MEASURED)

        return Clock(count, load)

    clocks = {
        "receive": clock(lambda: log.data(number).receive_ns, "receive"),
        "publish": clock(lambda: log.data(number).publish_ns, "publish"),
    }
    if has_header:
        clocks["header"] = clock(lambda: log.data(number).header_ns, "header")
    return clocks


def _embodiment(views: list[View]) -> Embodiment | None:
    for view in views:
        if is_text(view.topic) and view.topic.name.endswith("robot_description") and "data" in view.first:
            model = str(view.first["data"][0])
            named = re.search(r"<robot\b[^>]{0,2000}?\bname\s*=\s*[\"']([^\"']{1,200})", model)
            return Embodiment(named.group(1) if named else "unnamed", model=model)
    return None


def _instructions(views: list[View]) -> Iterator[Instruction]:
    """Texts of the language topics; each holds from its message until the next."""
    starts = [int(v.log.index(v.number).receive_ns[0]) for v in views if v.samples]
    for view in views:
        if role_of(view.topic) is not Role.LANGUAGE or "data" not in view.first:
            continue
        texts = ((i, view.parts(i).get("data")) for i in range(min(view.samples, _MAX_INSTRUCTIONS)))
        said = [(i, str(text)) for i, text in texts if text is not None]
        if not said:
            continue
        changes = [said[0], *(b for a, b in itertools.pairwise(said) if a[1] != b[1])]
        if len(changes) == 1:
            yield Instruction(changes[0][1], source=view.topic.name)
            continue
        times = view.log.index(view.number).receive_ns
        at_s = [(int(times[i]) - min(starts)) / NS_PER_S for i, _ in changes]
        for (_, text), start_s, end_s in zip(changes, at_s, [*at_s[1:], None], strict=True):
            yield Instruction(text, start_s=start_s, end_s=end_s, source=view.topic.name)
