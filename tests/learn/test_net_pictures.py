"""Pictures as the network gets them."""

import numpy as np
import torch

from robokata.learn.image_augmentation import as_net_pictures, moved

RNG = np.random.default_rng(0)
SCENE = RNG.integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)


def test_black_is_minus_one_white_is_one_and_an_absent_picture_is_zero():
    pictures = {"a": np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)])}
    made = as_net_pictures(pictures, {"a": np.array([True, True])}, ["a"])
    assert made.shape == (2, 1, 3, 4, 4)
    torch.testing.assert_close(made[0], -torch.ones(1, 3, 4, 4))
    torch.testing.assert_close(made[1], torch.ones(1, 3, 4, 4))
    assert not as_net_pictures(pictures, {"a": np.array([True, False])}, ["a"])[1].any()


def test_a_moved_picture_is_what_padding_with_its_edge_and_cropping_gives():
    for down in range(-3, 4):
        for right in range(-3, 4):
            padded = np.pad(SCENE[0], ((3, 3), (3, 3), (0, 0)), mode="edge")
            np.testing.assert_array_equal(
                moved(SCENE[0], down, right), padded[3 + down : 27 + down, 3 + right : 27 + right]
            )


def test_colour_and_shift_are_one_gain_and_one_lift_per_picture_within_the_share():
    there = {"a": np.ones(5, bool)}
    plain = as_net_pictures({"a": SCENE}, there, ["a"]).double()
    changed = as_net_pictures({"a": SCENE}, there, ["a"], rng=np.random.default_rng(1), colour_share=0.2).double()
    for was, now in zip(plain.flatten(0, 1), changed.flatten(0, 1), strict=True):
        for channel in range(3):
            gain, lift = np.polyfit(was[channel].flatten(), now[channel].flatten(), 1)
            assert 0.8 * (1 - 0.2 / 3) <= gain <= 1.2 * (1 + 0.2 / 3)
            assert -0.2 <= lift <= 0.2
            np.testing.assert_allclose(now[channel], was[channel] * gain + lift, atol=1e-5)


def test_the_way_of_a_gpu_gives_the_same_numbers():
    """A device may be the CPU as well: the same code, wherever torch runs it."""
    pictures = {"a": SCENE, "b": SCENE[::-1]}
    there = {"a": np.array([True, True, False, True, True]), "b": np.array([True, False, True, True, True])}
    for shift_px, colour_share in ((0, 0.0), (3, 0.0), (0, 0.2), (3, 0.2)):
        for seed in range(5):
            here, away = (
                as_net_pictures(
                    pictures,
                    there,
                    ["a", "b"],
                    rng=np.random.default_rng(seed),
                    shift_px=shift_px,
                    colour_share=colour_share,
                    device=device,
                )
                for device in (None, "cpu")
            )
            assert torch.equal(here, away)


def test_the_same_generator_gives_the_same_pictures_and_another_gives_others():
    def made(seed: int) -> torch.Tensor:
        rng = np.random.default_rng(seed)
        return as_net_pictures({"a": SCENE}, {"a": np.ones(5, bool)}, ["a"], rng=rng, shift_px=2, colour_share=0.1)

    assert torch.equal(made(3), made(3))
    assert not torch.equal(made(3), made(4))
