"""What an operator's device may say, and what becomes of it."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.collection.session.client_clock import ClientClock, Exchange
from robokata.collection.session.clutch import ClutchAnchor, follow_device
from robokata.collection.session.commands import FASTEST_M_S, Bounds, Command, command_bounds, parse_command
from robokata.collection.session.latest_command import LatestCommand
from robokata.core.errors import CommandRefused
from robokata.geometry.poses import angle_between_rad, pose_of, rotation_from_vector
from robokata.robots.franka_panda import ROBOT

BOUNDS = command_bounds(ROBOT, np.array([[0.0, 0.0, 0.3]]))
SOUND: dict[str, Any] = {
    "v": 1,
    "type": "command",
    "arm": "arm",
    "kind": "twist",
    "values": [0.1, 0, 0, 0, 0, 0.5],
    "opening": 0.5,
    "seq": 7,
    "t_ms": 1000.0,
    "device": "keyboard",
}


def a_clock(offset_ns: int = 0, round_trip_ns: int = 0) -> ClientClock:
    clock = ClientClock()
    clock.add(Exchange(0, offset_ns + round_trip_ns // 2, round_trip_ns))
    return clock


def heard(said: Any, bounds: Bounds = BOUNDS, *, received_ns: int = 1_000_000_000) -> Command:
    return parse_command(said, bounds, client="browser-1", clock=a_clock(), received_ns=received_ns)


def test_a_sound_command_is_taken_word_for_word() -> None:
    command = heard(SOUND)
    assert (command.arm, command.kind, command.device, command.sequence) == ("arm", "twist", "keyboard", 7)
    assert command.values.tolist() == [0.1, 0, 0, 0, 0, 0.5]
    assert (command.opening_share, command.client_ns, command.sent_ns) == (0.5, 10**9, 10**9)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"values": [math.nan, 0, 0, 0, 0, 0]}, "values holds a number that is not finite"),
        ({"values": [math.inf, 0, 0, 0, 0, 0]}, "values holds a number that is not finite"),
        ({"values": [10**400, 0, 0, 0, 0, 0]}, "values holds a number that is not finite"),
        ({"values": [1.2, 0, 0, 0, 0, 0]}, "1.2 m/s is more than 1"),
        ({"values": [0, 0, 0, 0, 3, 3]}, "4.24 rad/s is more than 4"),
        ({"values": [0, 0, 0]}, "values has to be 6 numbers"),
        ({"values": ["0"] * 6}, "values holds something that is no number"),
        ({"values": [True] * 6}, "values holds something that is no number"),
        (
            {"kind": "pose", "values": [9, 0, 0.2, 0, 0, 0, 1]},
            "(9 0 0.2) lies outside (-0.41 -0.53 -0.01) .. (0.41 0.53 0.9) m",
        ),
        ({"kind": "pose", "values": [0, 0, 0.2, 0, 0, 0, 0]}, "the quaternion has length 0 instead of 1"),
        ({"kind": "pose", "frame": "headset", "values": [11, 0, 0, 0, 0, 0, 1]}, "the device is 11 m away"),
        ({"kind": "joints", "values": [0, 0, 0, 1, 0, 0, 0]}, "joint 4 at 1 rad is outside -3.07 .. -0.0698"),
        ({"kind": "joints", "values": [0] * 6}, "values has to be 7 numbers"),
        ({"kind": "wave"}, "kind 'wave' is none of twist, pose, joints"),
        ({"frame": "headset"}, "only a pose can be in the headset's frame"),
        ({"frame": "moon"}, "frame 'moon' is neither world nor headset"),
        ({"arm": "third"}, "no arm 'third': there is arm"),
        ({"opening": 1.5}, "opening 1.5 is not within 0 and 1"),
        ({"opening": math.nan}, "opening holds a number that is not finite"),
        ({"seq": -1}, "seq -1 is no rising number"),
        ({"t_ms": math.nan}, "t_ms holds a number that is not finite"),
        ({"v": 2}, "version 2 instead of 1"),
        ({"device": "mind"}, "device 'mind' is none of keyboard, gamepad, mouse, headset, leader, program"),
        ({"t_ms": 500.0}, "500 ms old when it came: the connection is slow"),
    ],
)
def test_a_command_that_must_not_reach_the_robot_is_refused_and_says_why(change: dict[str, Any], why: str) -> None:
    with pytest.raises(CommandRefused) as refused:
        heard(SOUND | change)
    assert str(refused.value) == why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(list(SOUND)), inner, max_size=6),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(list(SOUND)), JSON), JSON)
def test_whatever_is_said_is_either_refused_or_finite_and_in_range(change: dict[str, Any], other: Any) -> None:
    for said in (SOUND | change, other):
        try:
            command = heard(said)
        except CommandRefused:
            continue
        assert np.isfinite(command.values).all()
        assert command.opening_share is None or 0 <= command.opening_share <= 1
        if command.kind == "twist":
            assert np.linalg.norm(command.values[:3]) <= FASTEST_M_S


def test_a_command_before_the_clocks_were_compared_is_refused() -> None:
    with pytest.raises(CommandRefused, match="no exchange of clocks yet"):
        parse_command(json.loads(json.dumps(SOUND)), BOUNDS, client="b", clock=ClientClock(), received_ns=0)


def test_a_connection_that_is_too_slow_to_say_how_old_a_command_is_commands_nothing() -> None:
    slow = a_clock(round_trip_ns=4_000_000_000)
    with pytest.raises(CommandRefused, match="4000 ms for a round trip: the connection is too slow"):
        parse_command(SOUND, BOUNDS, client="b", clock=slow, received_ns=10**9)
    slow.add(Exchange(5 * 10**9, 5 * 10**9, 5 * 10**9 + 1000))  # one quick exchange is enough
    assert parse_command(SOUND, BOUNDS, client="b", clock=slow, received_ns=10**9).sequence == 7


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**8)), min_size=1, max_size=20),
)
def test_the_offset_is_wrong_by_at_most_half_the_smallest_round_trip(
    offset_ns: int, legs: list[tuple[int, int]]
) -> None:
    clock, now_ns = ClientClock(), 10**9
    for there_ns, back_ns in legs:
        clock.add(Exchange(now_ns, now_ns + there_ns + offset_ns, now_ns + there_ns + back_ns))
        now_ns += 10**9 // 2
    ours = clock.ours_ns(0)
    assert ours is not None
    assert abs(ours - offset_ns) <= min(there + back for there, back in legs) / 2 + 1


def test_an_old_exchange_is_forgotten_because_clocks_drift() -> None:
    clock = a_clock(offset_ns=0, round_trip_ns=10)
    later_ns = 100 * 10**9
    clock.add(Exchange(later_ns, later_ns + 5_000_500, later_ns + 1000))
    assert clock.ours_ns(0) == 5_000_000


def test_a_slot_holds_the_newest_and_counts_what_it_replaced() -> None:
    box: LatestCommand[int] = LatestCommand()
    assert box.take() is None
    for number in range(5):
        box.put(number)
    delivery = box.take()
    assert delivery is not None
    assert (delivery.item, delivery.overwritten) == (4, 4)
    assert box.take() is None


def test_two_threads_lose_no_count_and_the_newest_is_never_replaced_by_an_older_one() -> None:
    slot: LatestCommand[int] = LatestCommand()
    writer = threading.Thread(target=lambda: [slot.put(number) for number in range(20_000)])
    writer.start()
    taken = []
    while writer.is_alive() or not taken or taken[-1].item != 19_999:
        if (delivery := slot.take()) is not None:
            taken.append(delivery)
    assert [each.item for each in taken] == sorted(each.item for each in taken)
    assert sum(1 + each.overwritten for each in taken) == 20_000


small = st.floats(-0.5, 0.5)
vectors = st.tuples(small, small, small).map(np.array)


@given(vectors, vectors, vectors, vectors, st.floats(-3, 3))
def test_a_closed_clutch_repeats_the_hands_motion(at: Any, by: Any, turn: Any, tip_turn: Any, yaw_rad: float) -> None:
    device, tip = pose_of(at), pose_of([0.1, 0.2, 0.3], rotation_from_vector(tip_turn))
    moved = pose_of(at + by, rotation_from_vector(turn))
    out = follow_device(ClutchAnchor(device, tip), moved, operator_yaw_rad=yaw_rad)
    assert np.allclose(follow_device(ClutchAnchor(device, tip), device, operator_yaw_rad=yaw_rad), tip)
    assert np.isclose(np.linalg.norm(out[:3, 3] - tip[:3, 3]), np.linalg.norm(by))
    assert np.isclose(angle_between_rad(tip[:3, :3], out[:3, :3]), np.linalg.norm(turn), atol=1e-6)


def test_up_is_up_and_ahead_is_where_the_operator_looks() -> None:
    """WebXR: y is up, -z ahead, x right; the table of frames in the documentation."""
    grip = ClutchAnchor(np.eye(4), np.eye(4))
    for moved, seen in (([0, 1, 0], [0, 0, 1]), ([0, 0, -1], [1, 0, 0]), ([1, 0, 0], [0, -1, 0])):
        assert np.allclose(follow_device(grip, pose_of(moved))[:3, 3], seen)
    turned = follow_device(grip, pose_of([0, 0, -1]), operator_yaw_rad=math.pi / 2)
    assert np.allclose(turned[:3, 3], [0, 1, 0])
