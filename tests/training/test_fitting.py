"""What the screens make of a picture, in numpy, is what the trainer makes of it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from cnntui.core.layers import Shape
from cnntui.runs.preparation import Preparation
from cnntui.training.data import Fitting
from tests.training.test_preparation import SHAPES, how

pytestmark = pytest.mark.usefixtures("one_thread")


def check(picture: tuple[int, int, int], shape: Shape, seed: int = 0) -> None:
    luck = np.random.default_rng(seed)
    mean, deviation = luck.random(picture[0]), luck.uniform(0.05, 0.5, picture[0])
    of = Preparation(shape, picture, tuple(mean), tuple(deviation))
    images = luck.integers(0, 256, (3, *picture), dtype=np.uint8)
    expected = Fitting.restored(shape, mean.tolist(), deviation.tolist())(torch.from_numpy(images)).numpy()
    made = of.prepared(images)
    assert made.dtype == np.float64
    assert made.shape == (3, *shape)
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(of.prepared(images[1]), made[1])
    np.testing.assert_array_equal(of.prepared(images[1].astype(float)), made[1])


@pytest.mark.parametrize(("picture", "shape"), SHAPES.values(), ids=SHAPES)
def test_it_is_prepared_as_the_trainer_does(picture: tuple[int, int, int], shape: Shape) -> None:
    check(picture, shape)


def test_random_sizes_are_prepared_as_the_trainer_does() -> None:
    luck = random.Random(0)
    for seed in range(200):
        channels = luck.choice([1, 1, 3, 4])
        picture = channels, luck.randrange(1, 40), luck.randrange(1, 40)
        check(picture, (luck.choice([1, 3]) if channels == 1 else channels, *luck.choices(range(1, 70), k=2)), seed)


def test_a_stroke_between_two_levels_is_taken_as_it_is() -> None:
    of = how((1, 8, 8), (1, 8, 8), mean=[0.0], deviation=[1.0])
    assert of.prepared(np.full((1, 8, 8), 12.75))[0, 3, 3] == pytest.approx(0.05)


def test_what_cannot_be_prepared_is_one_line() -> None:
    picture = np.zeros((1, 8, 8))
    with pytest.raises(ValueError, match=r"^a picture of 1×8×8 is not one of 1×28×28$"):
        how((1, 28, 28), (1, 28, 28)).prepared(picture)
    with pytest.raises(ValueError, match=r"^how the pictures become inputs of the net is not known: "):
        how(None, (1, 8, 8), mean=[]).prepared(picture)
    with pytest.raises(ValueError, match=r"^pictures of 1×8×8 with 1 means do not fill 2×8×8$"):
        how((1, 8, 8), (2, 8, 8)).prepared(picture)
