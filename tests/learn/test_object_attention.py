"""Things by name: what reaches the network of what lies on the table."""

import numpy as np
import pytest
import torch

from robokata.learn.object_attention import NamedThings, mentions
from robokata.loading.features import Thing, plan_features, things_of
from robokata.loading.layout import BodyLayout

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
    things = things_of(blocks)
    every = [column for thing in things for column in thing.columns]
    assert [thing.name for thing in things] == ["thing_0", "thing_1", "thing_2"]
    assert {len(thing.columns) for thing in things} == {12 * len(hands)}
    # Two joints and the hands' own poses, 9 numbers each, are no things.
    assert sorted(every) == list(range(2 + 9 * len(hands), 2 + 9 * len(hands) + 36 * len(hands)))


CUBES_AND_TRAYS = ("red_cube", "green_cube", "blue_cube", "yellow_tray", "purple_tray")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("Put the red cube into the yellow tray.", "red_cube", "yellow_tray"),
        ("place the blue block in the purple tray", "blue_cube", "purple_tray"),
        ("into the purple tray goes the green cube", "purple_tray", "green_cube"),
        ("lift the green one", "green_cube", "green_cube"),
    ],
)
def test_what_is_named_first_and_last_is_looked_at_before_anything_is_learnt(text: str, first: str, last: str) -> None:
    net = _net(CUBES_AND_TRAYS)
    both = torch.eye(5).repeat_interleave(4, 1).reshape(5, 1, 20).repeat(1, 2, 1)
    share = net(both, torch.ones(5, 2, 20, dtype=torch.bool), torch.randn(1, 8).expand(5, -1), [text] * 5)
    # Thing n alone holds ones in sample n: what comes out of each view is the share of that thing.
    views = share.unflatten(1, (2, -1))[:, :, 0]
    for view, name in enumerate((first, last)):
        assert views[CUBES_AND_TRAYS.index(name), view] > 0.95
    torch.testing.assert_close(views.sum(0), torch.ones(2))


def test_a_word_that_many_names_share_tells_little() -> None:
    found = dict(zip(CUBES_AND_TRAYS, mentions("a red cube on a tray", CUBES_AND_TRAYS), strict=True))
    assert found["red_cube"] == (1.0, 1 / 6)
    assert found["green_cube"] == (1 / 3, 2 / 6)
    assert found["purple_tray"] == (1 / 2, 5 / 6)


@pytest.mark.parametrize("text", ["", "stapel die Klötze"])
def test_where_nothing_is_named_the_first_and_the_last_of_all_are_looked_at(text: str) -> None:
    assert mentions(text, ("red", "green")) == [(0.0, 0.0), (0.0, 0.5)]


def test_what_the_words_mean_besides_is_learnt() -> None:
    """The cube goes where no name says: the first words choose the tray, though neither is named."""
    net = _net(("cube", "left_tray", "right_tray"))
    texts, said = ["port cube", "starboard cube"] * 8, torch.eye(8)[:2].repeat(8, 1)
    seen = torch.as_tensor(np.random.default_rng(0).normal(size=(16, 2, 12)), dtype=torch.float32)
    is_there = torch.ones(16, 2, 12, dtype=torch.bool)
    wanted = torch.stack([seen[n, 1, 4 * (1 + n % 2)] for n in range(16)])
    optimiser = torch.optim.Adam(net.parameters(), lr=0.3)
    for _ in range(100):
        optimiser.zero_grad()
        out = net(seen, is_there, said, texts).unflatten(1, (2, 2, 2, 4))
        loss = (out[:, 1, 0, 1, 0] - wanted).abs().mean()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.05


def _net(names: tuple[str, ...] = ("ball", "cup", "box")) -> NamedThings:
    torch.manual_seed(0)
    net = NamedThings([Thing(name, tuple(range(4 * n, 4 * n + 4))) for n, name in enumerate(names)], 2, 8)
    assert net.width == 2 * 2 * 2 * 4
    return net


def _trained(names: tuple[str, ...] = ("ball", "cup", "box")) -> NamedThings:
    net = _net(names)
    torch.nn.init.normal_(net.look.weight)
    torch.nn.init.normal_(net.look.bias)
    return net


def test_where_it_looks_depends_on_the_words_alone() -> None:
    net, meant, texts = _trained(), torch.randn(1, 8).expand(5, -1), ["the cup"] * 5
    seen = torch.randn(5, 2, 12)
    is_there = torch.ones(5, 2, 12, dtype=torch.bool)
    moved = seen.clone()
    moved[:, :, 4:8] += 1.0
    apart = (net(moved, is_there, meant, texts) - net(seen, is_there, meant, texts)).unflatten(1, (2, 2, 8))
    # What changes is the cup's share of what changed, the same for every sample, whatever lies where.
    assert bool((apart[:, :, 0] > 0).all())
    torch.testing.assert_close(apart[:, :, 0], apart[:1, :, :1][:, :, 0, :1].expand(5, 2, 8))
    assert not apart[:, :, 1].any()


def test_a_thing_that_is_not_there_has_no_say_and_where_none_is_nothing_is_seen() -> None:
    net, meant, texts = _trained(), torch.randn(4, 8), ["the ball in the cup"] * 4
    seen = torch.randn(4, 2, 12)
    is_there = torch.ones(4, 2, 12, dtype=torch.bool)
    is_there[:, :, 8:] = False
    garbage = seen.clone()
    garbage[:, :, 8:] = 1e6
    torch.testing.assert_close(net(garbage, is_there, meant, texts), net(seen, is_there, meant, texts))
    two = _net(("ball", "cup"))
    two.look.weight.data = net.look.weight.data.view(2, 3, 8)[:, :2].reshape(4, 8)
    two.look.bias.data = net.look.bias.data.view(2, 3)[:, :2].reshape(4)
    torch.testing.assert_close(net(seen, is_there, meant, texts), two(seen[..., :8], is_there[..., :8], meant, texts))
    nothing = net(seen, torch.zeros_like(is_there), meant, texts)
    assert not nothing.any()
    assert bool(torch.isfinite(nothing).all())
