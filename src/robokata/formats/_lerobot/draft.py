"""What is written of one episode into a LeRobot dataset, whatever stands before it: made in any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.stream import Role
from robokata.formats._lerobot.features import features_of, kept_info, kind_of
from robokata.formats._lerobot.modality import modality_of
from robokata.formats._lerobot.nested import Nested, facts_of
from robokata.formats._lerobot.plan import Column, Form, Options, Plan, made_column, plan_of
from robokata.formats._lerobot.statistics import Moments, believable, moments_by_name, sampled_pictures
from robokata.formats._lerobot.table import Cells, write_cells
from robokata.formats._lerobot.videos import clip_of_column
from robokata.media.clips import Clip
from robokata.media.encode import encode_png
from robokata.packing.carry import pack


class Holds(NamedTuple):
    """What a feature holds in one episode: it must be the same in all."""

    stream: str
    kind: str


class Turn(NamedTuple):
    """From which row on a text holds."""

    row: int
    text: str


class Claim(NamedTuple):
    """A number that the source gave a text, and that its columns point to."""

    text: str
    number: int


class Draft(NamedTuple):
    """One episode, but for the numbers that depend on those before it."""

    episode: str
    rows: int
    rate_hz: Fraction
    features: Mapping[str, dict[str, Any]]
    holds: Mapping[str, Holds]
    columns: Mapping[str, NDArray[Any] | Cells | Nested]
    """What stands in the table, by feature, without the counters that depend on other episodes."""
    clips: Mapping[str, Clip]
    """The packets of each camera that is video."""
    moments: Mapping[str, Moments]
    pictures: Mapping[str, Mapping[str, Any]]
    """Statistics of each camera."""
    texts: tuple[str, ...]
    turns: tuple[Turn, ...]
    claims: tuple[Claim, ...]
    pointers: tuple[str, ...]
    """Features whose numbers stand for texts."""
    carried: bytes
    """What the dataset has no place for."""
    info: Mapping[str, Any]
    modality: Mapping[str, Any]
    robot: str | None
    split: str | None


def draft_of(episode: Episode, *, options: Options, scratch: Path, modality: str) -> Draft:
    """Everything that can be said of an episode by itself; files that only this needs go to `scratch`.

    Raises:
        WriteRefused: the episode has no place in a LeRobot dataset.
        DamagedData: it cannot be read.
    """
    plan = plan_of(episode, options, measures=False)
    count = len(plan.rows)
    counters = {name: made_column(name, count, plan.rows.rate_hz) for name in ("timestamp", "frame_index")}
    columns = {c.target: cells for c in plan.columns if (cells := _cells(c, scratch)) is not None} | counters
    cameras = [c for c in plan.columns if c.form not in (Form.NUMBERS, Form.TEXTS, Form.NESTED)]
    pointers = [c.target for c in plan.columns if c.stream.role is Role.LANGUAGE and c.form is Form.NUMBERS]
    return Draft(
        episode=episode.id,
        rows=count,
        rate_hz=plan.rows.rate_hz,
        features=features_of(plan, options),
        holds={c.target: Holds(c.stream.name, kind_of(c)) for c in plan.columns},
        columns=columns,
        clips={
            c.target: clip_of_column(c, scratch, rate_hz=plan.rows.rate_hz, options=options)
            for c in cameras
            if c.form is not Form.IMAGES
        },
        moments=moments_by_name({name: cells for name, cells in columns.items() if is_numbers(cells)}),
        pictures={c.target: _picture_statistics(episode, c) for c in cameras},
        texts=tuple(dict.fromkeys(i.text for i in episode.instructions)) or ("",),
        turns=tuple(_turns(episode, plan)),
        claims=tuple(_claims(episode)) if pointers else (),
        pointers=tuple(pointers),
        carried=pack(plan.carried, plan.layout),
        info=kept_info(episode),
        modality=modality_of(plan.columns, modality),
        robot=episode.embodiment.name if episode.embodiment else None,
        split=episode.origin.split,
    )


def _turns(episode: Episode, plan: Plan) -> list[Turn]:
    """Texts that have a span, each from the row of its start on."""
    times_s = (plan.rows.clock.times_ns - plan.rows.clock.times_ns.min()) / NS_PER_S
    turns = []
    for instruction in episode.instructions:
        if instruction.start_s is not None and instruction.source.startswith(("task", "language", "instruction")):
            # Half a millisecond: the second was computed from the same times, and written as a float.
            has_begun = times_s >= instruction.start_s - 5e-4
            turns.append(Turn(int(np.argmax(has_begun)) if has_begun.any() else len(times_s), instruction.text))
    return turns


def _claims(episode: Episode) -> list[Claim]:
    """The source's numbers of texts."""
    found = []
    for instruction in episode.instructions:
        stream = episode.streams.get(instruction.source)
        if stream is None or not stream.is_numeric or not len(stream):
            continue
        times_s = (stream.clock.times_ns - stream.clock.times_ns.min()) / NS_PER_S
        row = int(np.searchsorted(times_s, (instruction.start_s or 0.0) - 5e-4))
        found.append(Claim(instruction.text, int(stream.table[min(row, len(stream) - 1), 0])))
    return found


def is_numbers(cells: NDArray[Any] | Cells | Nested) -> TypeGuard[NDArray[Any]]:
    """True for a column of numbers."""
    return isinstance(cells, np.ndarray) and cells.dtype.kind in "fiub" and len(cells) > 0


def _cells(column: Column, scratch: Path) -> NDArray[Any] | Cells | Nested | None:
    """What stands in the table; None for videos."""
    if column.form in (Form.COPIED_VIDEO, Form.ENCODED_VIDEO):
        return None
    facts = facts_of(column.stream) if column.form is Form.NESTED else None
    if facts is not None:
        return Nested(np.asarray(column.stream.values[:]), facts["schema"])
    if column.form is not Form.IMAGES:
        values = np.asarray(column.stream.values[column.picked])
        return values.reshape(len(values)) if column.stream.shape == (1,) else values
    names: list[str] = []
    return write_cells(_pictures(column, names), names, scratch)


def _pictures(column: Column, names: list[str]) -> Iterator[bytes]:
    """The encoded picture of each row; `names` gets what each is called."""
    pictures, last = column.stream.pictures, -1
    data, suffix = b"", ""
    for row, ordinal in enumerate(column.picked.tolist()):
        if ordinal != last:
            encoded = pictures.encoded(ordinal)
            data = encoded.data if encoded is not None else encode_png(np.asarray(pictures[ordinal]))
            suffix = "jpg" if encoded is not None and encoded.codec == "jpeg" else "png"
            last = ordinal
        names.append(f"frame_{row:06d}.{suffix}")
        yield data


def _picture_statistics(episode: Episode, column: Column) -> Mapping[str, Any]:
    """What the source declares, where the pictures stay and it can be believed; else from a few pictures."""
    stream = column.stream
    channels = stream.shape[2] if len(stream.shape) == 3 else 1
    channels = 3 if column.form is Form.ENCODED_VIDEO else channels
    if column.form is not Form.ENCODED_VIDEO and len(column.picked) == len(stream):
        declared = episode.declared_statistics.get(stream.name, {})
        if believable(declared, channels):
            return {
                name: np.asarray(value).reshape(-1).astype(int).tolist()
                if name == "count"
                else np.asarray(value, np.float64).reshape(channels, 1, 1).tolist()
                for name, value in declared.items()
            }
    moments = sampled_pictures(stream.pictures, column.picked)
    if len(moments.mean) == 1 and channels == 3:
        return _of_three_colours(moments)
    return moments.stated((channels, 1, 1))


def _of_three_colours(moments: Moments) -> dict[str, Any]:
    """Statistics of a grey camera as of the three equal colours that its video has."""
    stated = moments.stated((1, 1, 1))
    return {name: value if name == "count" else value * 3 for name, value in stated.items()}


def refuse_misfit(draft: Draft, first: Draft, version: str) -> None:
    """Refuse an episode that differs from the first, before anything of it is written.

    Raises:
        WriteRefused: it has other streams, another rate, or another shape or type.
    """
    had, has = first.holds, draft.holds
    missing, added = [name for name in had if name not in has], [name for name in has if name not in had]
    if missing or added:
        changed = (
            f"has no stream {', '.join(had[n].stream for n in missing)}, and the first episode had"
            if missing
            else f"has the stream {', '.join(has[n].stream for n in added)}, and the first episode had not"
        )
        raise WriteRefused(
            f"episode {draft.episode} {changed}. LeRobot {version} holds one set of streams per dataset: write the "
            f"episodes to two datasets."
        )
    if draft.rate_hz != first.rate_hz:
        raise WriteRefused(
            f"episode {draft.episode} has the rate {draft.rate_hz} Hz, and the first {first.rate_hz} Hz. LeRobot "
            f"{version} holds one rate per dataset: write the episodes to two datasets."
        )
    for name, (stream, found) in has.items():
        expected = had[name].kind
        if found != expected:
            raise WriteRefused(
                f"stream {stream} of episode {draft.episode} holds {found}, and in the first episode {expected}. "
                f"LeRobot {version} holds one shape and type per dataset."
            )
