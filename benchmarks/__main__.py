"""`python -m benchmarks`: every claimed number beside its target, medians of several runs; `trust` runs by itself."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks import measures
from benchmarks.timing import Row, machine


def main() -> int:
    """Run the benchmarks named on the command line, or all."""
    if sys.argv[1:2] == ["trust"]:
        from benchmarks.trust.run import main as trust

        return trust(sys.argv[2:])
    chosen = sys.argv[1:] or list(measures.ALL)
    unknown = [name for name in chosen if name not in measures.ALL]
    if unknown:
        print(f"No benchmark is called {unknown[0]!r}. Known: {', '.join(measures.ALL)}, trust")
        return 2
    print(f"{machine()}\n")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="robokata-bench-") as folder:
        for name in chosen:
            for row in measures.ALL[name](Path(folder)):
                rows.append(row)
                print(
                    f"{'ok  ' if row.holds else 'MISS'} {row.what:<72} {row.measured:<34} target {row.target}",
                    flush=True,
                )
    missed = [row for row in rows if not row.holds]
    print(f"\n{len(rows) - len(missed)} of {len(rows)} targets met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
