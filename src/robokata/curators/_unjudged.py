"""What a curator does with episodes that it cannot judge: never choose them by chance, and say how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from robokata.core.errors import SelectionRefused


def note_unjudged(curator: str, unjudged: Mapping[str, str], *, episodes: int, keep: int) -> tuple[str, ...]:
    """Notes of a selection: how many episodes were not judged, and why. `unjudged`: episode -> reason.

    Raises:
        SelectionRefused: fewer episodes can be judged than are to be kept, so that the rest would be no choice.
    """
    if not unjudged:
        return ()
    judged = episodes - len(unjudged)
    reasons = "; ".join(f"{reason} ({count})" for reason, count in Counter(unjudged.values()).most_common())
    found = f"{curator} can judge {judged} of {episodes} episodes: {reasons}"
    # To keep all, or none, nothing has to be judged.
    if judged < keep < episodes:
        fewer = f"Keep at most {judged}, take" if judged else "Take"
        raise SelectionRefused(
            f"{found}. {keep} {'is' if keep == 1 else 'are'} to be kept, and what cannot be judged would be chosen by "
            f"chance. {fewer} another curator (random says that it chooses by chance), or mend the data first."
        )
    return (f"{found}.",)
