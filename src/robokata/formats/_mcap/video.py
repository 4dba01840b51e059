"""Packets of a video as messages of an MCAP file: their times, and what is said of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robokata.containers.ros import encode as ros
from robokata.media.bare import PacketRun


def packets_in_words(run: PacketRun) -> str:
    """What the messages hold, for the loss report."""
    words = "the same packets"
    spare = len(run.ranks) - len(np.unique(run.picked))
    if spare:
        words += f", and {spare} more that are needed to decode them"
    if run.additions:
        words += f"; the key frames now say {' and '.join(run.additions)}, as the container did"
    if run.is_reordered:
        words += "; they lie in decoding order (B-frames), which viewers may not show"
    return words


def packets_not_shown(run: PacketRun) -> list[int]:
    """Numbers of the packets that are only decoded."""
    hidden: list[int] = np.flatnonzero(~np.isin(run.ranks, run.picked)).tolist()
    return hidden


def packet_times(
    run: PacketRun, times_ns: NDArray[np.int64], log_ns: NDArray[np.int64], publish_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Stamps of the pictures by rank, and receive and publish times of the packets by position, (K,) each.

    Packets that no sample asks for take the time of the next sample. Where packets come in another order than their
    pictures the stamps tell the order, and are made to rise by a nanosecond where the clock does not.
    """
    slots = np.minimum(np.searchsorted(run.picked, np.arange(len(run.ranks))), len(times_ns) - 1)
    shown, before = times_ns[slots], int(run.picked[0])
    if times_ns[0] >= before:
        shown[:before] = times_ns[0] - np.arange(before, 0, -1)
    if run.is_reordered:
        steps = np.arange(len(shown))
        shown = np.maximum.accumulate(shown - steps) + steps
        if not ros.stamps(shown).any():
            # Outside of ROS's 32 bits of seconds: times from the first picture still tell the order.
            shown = shown - shown[0]
    return shown, log_ns[slots], publish_ns[slots]
