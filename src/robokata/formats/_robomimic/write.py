"""Episodes as demonstrations of one robomimic file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.hdf5.open_files import SUFFIXES
from robokata.core.episode import Episode
from robokata.core.layout import Layout, Place
from robokata.core.stream import Role, Stream
from robokata.formats._counters import Counting
from robokata.formats._hdf5.write import BLOB, new_file, put_attributes, put_blob, put_rows
from robokata.formats._row_table import (
    RowTable,
    carried,
    decoding,
    distinct,
    legal_name,
    picked_rows,
    place_numbers,
    place_pictures,
    rate_of,
)
from robokata.runtime.atomic import appearing

FILE_NAME = "demo.hdf5"
"""Name of the file where the target is a folder: robosuite's own collector calls it so."""
_VALIDATION = ("val", "validation", "dev")
"""What others call the split that robomimic's configurations call `valid`."""
_OWN_GROUPS = ("obs", "next_obs", "states", "actions", "rewards", "dones", "action_dict", "datagen_info")


def plan(episode: Episode, *, anchor: str | None) -> RowTable:
    """Where the streams of one episode go.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: nothing in it can be rows.
    """
    is_own = _is_own(episode) and anchor is None
    name, rows, picked = picked_rows(episode, anchor="actions" if is_own else anchor)
    targets = _targets(episode)
    if is_own:
        # robomimic's own demonstrations are laid out already: T rows, and T + 1 of states that include the last.
        for stream in episode.streams.values():
            if len(stream) in (rows, rows + 1):
                picked[stream.name] = np.arange(len(stream), dtype=np.int64)
    places = [_place(s, targets, picked, anchor=episode.streams[name]) for s in episode.streams.values()]
    layout = Layout(tuple(places), tuple(_notes(episode, places, name)))
    return RowTable(episode, layout, picked, name, rows)


def write_file(path: Path, episodes: Iterable[Episode], *, anchor: str | None, rate_hz: Fraction | None) -> None:
    """Write all episodes into one file, which appears in one rename; a path without `.hdf5` is a folder of that file.

    Raises:
        WriteRefused: the target exists, or an episode does not fit.
        DamagedData: an episode cannot be read.
    """
    is_file = path.suffix.lower() in SUFFIXES
    with appearing(path, is_file=is_file) as place, new_file(place if is_file else place / FILE_NAME) as file:
        data = file.create_group("data")
        splits: dict[str, list[str]] = {}
        rates: set[Fraction | None] = set()
        total, first, counting = 0, None, Counting()
        for number, episode in enumerate(episodes):
            table = plan(counting.own(episode), anchor=anchor)
            first = first or episode
            name = f"demo_{number}"
            put_demo(data.create_group(name), table)
            total += table.rows
            rates.add(rate_hz or rate_of(episode, table.anchor))
            if episode.origin.split:
                splits.setdefault(_mask(episode.origin.split), []).append(name)
        put_attributes(data, _attributes(first, rates))
        data.attrs["total"] = total
        for split, names in sorted(splits.items()):
            file.create_dataset(f"mask/{split}", data=np.asarray([name.encode() for name in names]))


def put_demo(demo: Any, table: RowTable) -> None:
    """One episode as one demonstration.

    Raises:
        DamagedData: a stream cannot be read.
    """
    episode = table.episode
    for place in table.layout.places:
        if place.target is None:
            continue
        stream = episode.streams[place.stream]
        if place.target in ("rewards", "dones") and not place.is_native:
            demo.create_dataset(place.target, data=stream.table[table.picked[stream.name], 0])
        else:
            put_rows(demo, place.target, stream, table.picked[stream.name])
    if "actions" not in demo:
        _put_joined_actions(demo, table)
    demo.attrs["num_samples"] = table.rows
    put_attributes(demo, _demo_attributes(episode))
    put_blob(demo, table.blob())


def _put_joined_actions(demo: Any, table: RowTable) -> None:
    """robomimic trains on one matrix `actions`; several action streams stand in it side by side."""
    parts = [s.table[table.picked[s.name]] for s in _actions(table.episode) if s.name in table.picked]
    if parts:
        demo.create_dataset("actions", data=np.concatenate(parts, axis=1))


def _is_own(episode: Episode) -> bool:
    names = episode.streams
    return "actions" in names and len(names["actions"]) > 0 and any(name.startswith("obs/") for name in names)


def _actions(episode: Episode) -> list[Stream]:
    return [stream for stream in episode.numeric(Role.ACTION) if len(stream)]


def _targets(episode: Episode) -> Mapping[str, str]:
    """Name in the demonstration of every stream that robomimic can hold."""
    targets: dict[str, str] = {}
    actions, is_own = _actions(episode), _is_own(episode)
    for stream in episode.streams.values():
        # Counters of other formats mean nothing here; robomimic's own "bookkeeping" is next_obs.
        if not (stream.is_numeric or stream.is_picture) or (stream.role is Role.BOOKKEEPING and not is_own):
            continue
        wanted = _wanted(stream, actions, targets, is_own=is_own)
        targets[stream.name] = distinct(wanted, targets.values())
    return targets


def _wanted(stream: Stream, actions: Sequence[Stream], taken: Mapping[str, str], *, is_own: bool) -> str:
    top, _, rest = stream.name.partition("/")
    is_clean = all(part.strip(".") for part in stream.name.split("/")) and "\0" not in stream.name and top != BLOB
    if is_own and is_clean and (top in _OWN_GROUPS or not rest):
        return stream.name
    name = legal_name(stream.name.removeprefix("obs/"))
    if stream in actions:
        return "actions" if len(actions) == 1 and len(stream.shape) == 1 else f"action_dict/{name}"
    is_flag = int(np.prod(stream.shape, dtype=np.int64)) == 1
    if stream.role is Role.REWARD and is_flag and "discount" not in name and "rewards" not in taken.values():
        return "rewards"
    if stream.role is Role.ENDING and is_flag and "dones" not in taken.values() and "success" not in name:
        return "dones"
    return f"infos/{name}" if stream.role in (Role.REWARD, Role.ENDING, Role.UNKNOWN) else f"obs/{name}"


def _place(
    stream: Stream, targets: Mapping[str, str], picked: Mapping[str, NDArray[np.int64]], *, anchor: Stream
) -> Place:
    target, rows = targets.get(stream.name), picked.get(stream.name)
    if target is None:
        return carried(stream)
    if stream.is_picture:
        if rows is None:
            return place_pictures(stream, None, target, anchor=anchor, way=decoding(stream)[0])
        way, note = decoding(stream)
        return place_pictures(stream, rows, target, anchor=anchor, way=way, note=note)
    is_flat = target not in ("rewards", "dones") or stream.shape == ()
    # Rows of bytes under a camera's name are read as encoded pictures; carried, they stay numbers.
    is_exact = is_flat and not (stream.values.dtype == np.uint8 and len(stream.shape) == 1)
    return place_numbers(stream, rows, target, anchor=anchor, is_exact=is_exact)


def _notes(episode: Episode, places: Sequence[Place], anchor: str) -> Iterator[str]:
    yield f"rows are the samples of {anchor}; real times, text and other rates are carried beside the demonstration"
    actions = _actions(episode)
    if not actions:
        yield "no stream is an action, so there is no `actions`: robomimic cannot train on the file"
    elif not any(place.target == "actions" for place in places):
        yield f"`actions` is {', '.join(s.name for s in actions)} side by side; each also stands in action_dict/"
    if actions:
        yield "robomimic expects actions in -1..1; the numbers are written as they are"
    absent = [name for name in ("rewards", "dones") if not any(place.target == name for place in places)]
    if absent:
        yield f"the source has no {' and no '.join(absent)}: leave them out of train.dataset_keys"
    split = episode.origin.split
    if split and _mask(split) != split:
        yield f"split {split} is written as mask/{_mask(split)}"


def _mask(split: str) -> str:
    return "valid" if split in _VALIDATION else legal_name(split)


def _attributes(first: Episode | None, rates: set[Fraction | None]) -> dict[str, Any]:
    """Attributes of the group `data`: the source's own, else the little that is known."""
    own = first.extra.get("data") if first is not None else None
    kept = dict(own) if isinstance(own, Mapping) else {}
    if "env_args" not in kept:
        kwargs: dict[str, Any] = {}
        rate = next(iter(rates)) if len(rates) == 1 else None
        if rate is not None:
            kwargs["control_freq"] = int(rate) if rate.denominator == 1 else float(rate)
        if first is not None and first.embodiment is not None:
            kwargs["robots"] = [first.embodiment.name]
        # No simulator, and robomimic reads both keys: it needs them for rollouts only.
        kept["env_args"] = json.dumps({"env_name": "", "type": None, "env_kwargs": kwargs})
    return kept


def _demo_attributes(episode: Episode) -> dict[str, Any]:
    kept = dict(episode.extra) if _is_own(episode) else {}
    if episode.embodiment is not None and episode.embodiment.model is not None:
        kept["model_file"] = episode.embodiment.model
    texts = [told.text for told in episode.instructions]
    if texts and "ep_meta" not in kept:
        # RoboCasa's place for the sentence; LIBERO's holds one for the whole file.
        kept["ep_meta"] = json.dumps({"lang": texts[0]})
    if episode.outcome.success is not None and "success" not in kept:
        kept["success"] = episode.outcome.success
    return kept
