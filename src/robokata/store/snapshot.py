"""`rk.snapshot` and what is asked of snapshots: history, differences, whether they are still what they were."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from robokata.core.declared_rate import open_with_rates
from robokata.core.errors import RateRefused, WriteRefused
from robokata.core.source import Source
from robokata.runtime.episode_filter import choose_episodes
from robokata.runtime.progress import SILENT, Progress
from robokata.store.commit import Edit, Wish, make_snapshot
from robokata.store.difference import Difference, difference
from robokata.store.edit import divided, merged, relabelled, without
from robokata.store.entry import Entry
from robokata.store.resolve import is_snapshot, open_snapshot
from robokata.store.store import Record, open_store
from robokata.store.verification import Verification
from robokata.store.verification import verify as verify_store
from robokata.store.writer import SnapshotSource, relatives_of


def snapshot(
    dataset: str | os.PathLike[str] | Source,
    store: str | None = None,
    *,
    append: bool = False,
    prefix: str = "",
    episodes: Sequence[str] | None = None,
    where: str | None = None,
    delete: Sequence[str] = (),
    relabel: Mapping[str, str] | None = None,
    split: Mapping[str, Fraction] | None = None,
    seed: int = 0,
    materialise: bool = False,
    message: str = "",
    rate_hz: Sequence[str | float] = (),
    format: str | None = None,
    on_progress: Progress = SILENT,
) -> Record:
    """Create an immutable, versioned snapshot; nothing that exists is changed, and what is the same is stored once.

    `dataset` is a dataset, a store (its newest snapshot) or `STORE@ID`; `store` a folder or URL, by default the one
    that the snapshot lies in. `append` adds to the newest snapshot, with `prefix` before the new ids. `delete` leaves
    episodes out, `relabel` gives others another instruction, `split` (name -> share) draws splits with whole
    families. `materialise` copies the data instead of referring to it.

    Raises:
        WriteRefused: no store is named, ids clash, the dataset changed meanwhile, or the disk is full.
        NotADataset: nothing that is recognised lies at the path.
        UnknownName: an episode does not exist.
        RateRefused: rates are declared for a snapshot.
        DamagedData: an episode cannot be read.
    """
    source = open_kept(dataset, rate_hz=rate_hz, format=format)
    url = store or (source.store.url if isinstance(source, SnapshotSource) else None)
    if url is None:
        raise WriteRefused("say where to keep it: --store FOLDER (or s3://bucket/name).")
    labels, shares = dict(relabel or {}), dict(split or {})
    keys = list(choose_episodes(source, episodes=episodes, where=where).keys) if episodes or where else None
    target = open_store(url, is_new=True)

    def split_up(entries: Sequence[Entry]) -> Sequence[Entry]:
        on_progress.started(len(entries))
        return divided(entries, relatives_of(target, entries, advance=on_progress.advance), shares, seed=seed)

    edits: list[Edit] = [lambda entries: without(entries, delete)]
    edits += [lambda entries: relabelled(entries, labels)] if labels else []
    words: dict[str, Any] = {"append": append, "prefix": prefix, "where": where}
    words |= {"episode": list(episodes or ()), "delete": list(delete), "materialise": materialise}
    words |= {
        "relabel": labels,
        "split": ",".join(f"{name}={float(share):g}" for name, share in shares.items()),
        "seed": seed,
    }
    wish = Wish(
        keys=keys,
        is_materialised=materialise,
        join=(lambda old, new: merged(old, new, prefix=prefix)) if append else None,
        edits=[*edits, *([split_up] if shares else [])],
        message=message,
        words=words,
    )
    on_progress.started(len(source.keys() if keys is None else keys))
    return make_snapshot(target, source, wish, advance=on_progress.advance)


def history(store: str) -> tuple[Record, ...]:
    """The snapshots of a store, newest first.

    Raises:
        NotADataset: there is no store.
    """
    return tuple(reversed(open_store(store).history()))


def diff(before: str, after: str) -> Difference:
    """Episodes that were added, removed or changed between two snapshots (`STORE`, `STORE@ID`, `STORE@NUMBER`).

    Raises:
        NotADataset: there is no such snapshot.
    """
    return difference(open_snapshot(before).manifest, open_snapshot(after).manifest)


def verify(store: str, *, snapshots: Sequence[str] | None = None, on_progress: Progress = SILENT) -> Verification:
    """Hash everything again and open every episode of the `snapshots` (default: all) of a store.

    Raises:
        NotADataset: there is no store, or no such snapshot.
    """
    opened = open_store(store)
    wanted = [opened.resolve(each) for each in snapshots] if snapshots else None
    records = [record for record in opened.history() if wanted is None or record.id in wanted]
    on_progress.started(sum(record.episodes for record in records))
    return verify_store(opened, snapshots=wanted, advance=on_progress.advance)


def open_kept(
    dataset: str | os.PathLike[str] | Source, *, rate_hz: Sequence[str | float] = (), format: str | None = None
) -> Source:
    """A dataset, or a snapshot by its name, open.

    Raises:
        RateRefused: rates are declared for a snapshot.
        NotADataset: nothing that is recognised lies at the path.
    """
    if not isinstance(dataset, (str, os.PathLike)) or format is not None or not is_snapshot(str(dataset)):
        place = Path(dataset) if isinstance(dataset, str) else dataset
        return open_with_rates(place, format=format, rate_hz=rate_hz)
    if rate_hz:
        raise RateRefused(f"--rate-hz is for a dataset, and {dataset} is a snapshot: declare it when it is made.")
    return open_snapshot(str(dataset))
