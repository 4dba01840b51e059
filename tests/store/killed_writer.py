"""Makes snapshots in a row until it is killed: run as `python killed_writer.py STORE DATASET NUMBER`."""

from __future__ import annotations

import sys
from pathlib import Path


def main(store: str, dataset: str, number: str) -> None:
    from robokata.core.detection import open_source
    from robokata.store.commit import Wish, make_snapshot
    from robokata.store.edit import merged, relabelled, without
    from robokata.store.resolve import open_snapshot
    from robokata.store.store import open_store

    opened = open_store(store, is_new=True)
    source = open_source(Path(dataset))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for turn in range(int(number)):
        copied = Wish(is_materialised=True, join=lambda old, new, t=turn: merged(old, new, prefix=f"{store[-3:]}{t}/"))
        make_snapshot(opened, source, copied, advance=lambda n: None)
        newest = open_snapshot(store)
        first = newest.keys()[0]
        words = {newest.keys()[-1]: f"turn {turn}"}
        edits = [lambda e, f=first: without(e, [f]), lambda e, w=words: relabelled(e, w)]
        make_snapshot(opened, newest, Wish(edits=edits))


if __name__ == "__main__":
    main(*sys.argv[1:])
