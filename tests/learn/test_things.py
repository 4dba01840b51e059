"""Things by name: what reaches the network of what lies on the table."""

import numpy as np
import pytest
import torch

from robokata.feed.features import columns_of_things, plan_features
from robokata.feed.layout import BodyLayout
from robokata.learn.things import NamedThings

POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")


def _layout(*hands: str, things: int) -> BodyLayout:
    return BodyLayout(
        "robot",
        {
            "observation.state": ("shoulder", "elbow"),
            "observation.tip_pose": tuple(f"{hand}.{part}" for hand in hands for part in POSE),
            "simulation.objects": tuple(f"thing_{n}.{part}" for n in range(things) for part in POSE),
        },
    )


@pytest.mark.parametrize("hands", [("tip",), ("left", "right")])
def test_every_number_of_a_thing_belongs_to_it_whichever_hand_sees_it(hands: tuple[str, ...]) -> None:
    inputs = ("observation.state", "observation.tip_pose", "simulation.objects")
    blocks = plan_features(_layout(*hands, things=3), inputs, seen_from_tip=("simulation.objects",))
    columns = columns_of_things(blocks)
    every = [column for thing in columns for column in thing]
    assert len(columns) == 3
    assert {len(thing) for thing in columns} == {12 * len(hands)}
    # Two joints and the hands' own poses, 9 numbers each, are no things.
    assert sorted(every) == list(range(2 + 9 * len(hands), 2 + 9 * len(hands) + 36 * len(hands)))


def _net(things: int = 3) -> NamedThings:
    torch.manual_seed(0)
    return NamedThings([range(4 * n, 4 * n + 4) for n in range(things)], 2, 8, width=6, heads=2)


def test_where_it_looks_depends_on_the_words_alone() -> None:
    net, meant = _net(), torch.randn(1, 8)
    seen = torch.randn(5, 2, 12)
    is_there = torch.ones(5, 2, 12, dtype=torch.bool)
    share = net.look(meant).unflatten(-1, (2, 3)).softmax(-1)[0]
    moved = seen.clone()
    moved[:, :, 4:8] = torch.randn(5, 2, 4)
    apart = net(moved, is_there, meant.expand(5, -1)) - net(seen, is_there, meant.expand(5, -1))

    def of_thing(values: torch.Tensor) -> torch.Tensor:
        both = torch.stack([values[:, :, 4:8], torch.ones(5, 2, 4)], 1)
        return net.see(both.flatten(1))

    wanted = share[:, 1, None] * (of_thing(moved) - of_thing(seen))[:, None]
    torch.testing.assert_close(apart, wanted.flatten(1))


def test_a_thing_that_is_not_there_has_no_say_and_where_none_is_nothing_is_seen() -> None:
    net, meant = _net(), torch.randn(4, 8)
    seen = torch.randn(4, 2, 12)
    is_there = torch.ones(4, 2, 12, dtype=torch.bool)
    is_there[:, :, 8:] = False
    garbage = seen.clone()
    garbage[:, :, 8:] = 1e6
    torch.testing.assert_close(net(garbage, is_there, meant), net(seen, is_there, meant))
    two = _net(2)
    two.see, two.look = net.see, torch.nn.Linear(8, 4)
    two.look.weight.data = net.look.weight.data.view(2, 3, 8)[:, :2].reshape(4, 8)
    two.look.bias.data = net.look.bias.data.view(2, 3)[:, :2].reshape(4)
    torch.testing.assert_close(net(seen, is_there, meant), two(seen[..., :8], is_there[..., :8], meant))
    nothing = net(seen, torch.zeros_like(is_there), meant)
    assert not nothing.any()
    assert bool(torch.isfinite(nothing).all())


def test_things_are_seen_through_the_same_layers() -> None:
    net, meant = _net(), torch.randn(1, 8)
    with torch.no_grad():
        net.look.weight.zero_()
        net.look.bias.zero_()
    seen = torch.as_tensor(np.random.default_rng(0).normal(size=(1, 2, 12)), dtype=torch.float32)
    is_there = torch.ones(1, 2, 12, dtype=torch.bool)
    swapped = torch.cat([seen[..., 8:], seen[..., 4:8], seen[..., :4]], -1)
    torch.testing.assert_close(net(seen, is_there, meant), net(swapped, is_there, meant))
