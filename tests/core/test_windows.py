"""Windows against torch: the same numbers for random convolutions and pools, cell by cell and as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from cnntui.core.axis import Axis, ImpossibleError, same_padding
from cnntui.core.windows import (
    Window,
    avg_pool2d,
    conv2d,
    conv_taps,
    conv_transpose2d,
    max_pool2d,
    pool_taps,
    swap_transposed,
)


def random_cell(rng: np.random.Generator, array: np.ndarray) -> tuple[int, int, int]:
    channel, row, column = (int(rng.integers(n)) for n in array.shape)
    return channel, row, column


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)[None]


@pytest.mark.parametrize("seed", range(300))
def test_a_random_convolution_is_torchs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 4))
    in_channels, out_channels = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    kernel, stride, padding, dilation = rng.integers([[1], [1], [0], [1]], [[6], [4], [4], [4]], (4, 2))
    extent = dilation * (kernel - 1) + 1
    height, width = np.maximum(1, extent - 2 * padding) + rng.integers(0, 12, 2)
    x = rng.normal(size=(in_channels, height, width))
    weight = rng.normal(size=(out_channels, in_channels // groups, *kernel))
    bias = rng.normal(size=out_channels) if rng.random() < 0.5 else None
    window = Window(
        *(
            Axis(int(n), int(k), int(s), (int(p), int(p)), int(d))
            for n, k, s, p, d in zip((height, width), kernel, stride, padding, dilation, strict=True)
        )
    )
    expected = F.conv2d(
        tensor(x),
        torch.from_numpy(weight),
        None if bias is None else torch.from_numpy(bias),
        tuple(map(int, stride)),
        tuple(map(int, padding)),
        tuple(map(int, dilation)),
        groups,
    )[0].numpy()
    found = conv2d(x, weight, bias, window, groups)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)

    cell = random_cell(rng, found)
    taps = conv_taps(x, weight, window, cell, groups)
    assert sum(tap.product for tap in taps) + (0 if bias is None else bias[cell[0]]) == pytest.approx(found[cell])
    assert all(tap.value == (0 if tap.input is None else x[tap.input]) for tap in taps)


@pytest.mark.parametrize("seed", range(300))
def test_a_random_pool_is_torchs(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    kernel, stride = rng.integers([[1], [1]], [[6], [5]], (2, 2))
    padding = np.array([rng.integers(0, k // 2 + 1) for k in kernel])
    ceil, counted = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    height, width = np.maximum(1, kernel - 2 * padding) + rng.integers(0, 10, 2)
    x = rng.normal(size=(2, height, width))
    window = Window(
        *(
            Axis(int(n), int(k), int(s), (int(p), int(p)), ceil=ceil)
            for n, k, s, p in zip((height, width), kernel, stride, padding, strict=True)
        )
    )
    arguments = (tuple(map(int, kernel)), tuple(map(int, stride)), tuple(map(int, padding)))
    largest = F.max_pool2d(tensor(x), *arguments, ceil_mode=ceil)[0].numpy()
    mean = F.avg_pool2d(tensor(x), *arguments, ceil_mode=ceil, count_include_pad=counted)[0].numpy()
    np.testing.assert_allclose(max_pool2d(x, window), largest, atol=1e-5)
    np.testing.assert_allclose(avg_pool2d(x, window, counted), mean, atol=1e-5)

    channel, row, column = random_cell(rng, mean)
    taps = pool_taps(x, window, (channel, row, column))
    assert max(tap.value for tap in taps if tap.input) == pytest.approx(largest[channel, row, column])
    total = sum(tap.value for tap in taps) / window.divisor(row, column, counted)
    assert total == pytest.approx(mean[channel, row, column])


@pytest.mark.parametrize("seed", range(100))
def test_a_random_transposed_convolution_is_torchs(seed: int) -> None:
    rng = np.random.default_rng(2000 + seed)
    groups = int(rng.integers(1, 3))
    in_channels, per_group = groups * int(rng.integers(1, 3)), int(rng.integers(1, 3))
    kernel, stride, padding, dilation = rng.integers([[1], [1], [0], [1]], [[5], [4], [3], [3]], (4, 2))
    extra = np.array([rng.integers(0, max(s, d)) for s, d in zip(stride, dilation, strict=True)])
    size = rng.integers(5, 9, 2)
    x = rng.normal(size=(in_channels, *size))
    weight = rng.normal(size=(in_channels, per_group, *kernel))
    axes = [
        Axis(int(n), int(k), int(s), (int(p), int(p)), int(d), transposed=True, output_padding=int(o))
        for n, k, s, p, d, o in zip(size, kernel, stride, padding, dilation, extra, strict=True)
    ]
    expected = F.conv_transpose2d(
        tensor(x),
        torch.from_numpy(weight),
        None,
        tuple(map(int, stride)),
        tuple(map(int, padding)),
        tuple(map(int, extra)),
        groups,
        tuple(map(int, dilation)),
    )[0].numpy()
    window = Window(*axes)
    found = conv_transpose2d(x, weight, None, window, groups)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    cell = random_cell(rng, found)
    taps = conv_taps(x, swap_transposed(weight, groups), window, cell, groups)
    assert sum(tap.product for tap in taps) == pytest.approx(found[cell])


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (3, 1), (4, 1), (4, 3), (5, 2)])
def test_same_padding_puts_the_odd_cell_after(kernel: int, dilation: int) -> None:
    x, weight = np.random.default_rng(0).normal(size=(1, 9, 9)), np.ones((1, 1, kernel, kernel))
    axis = Axis(9, kernel, padding=same_padding(kernel, dilation), dilation=dilation)
    expected = F.conv2d(tensor(x), torch.from_numpy(weight), padding="same", dilation=dilation)[0].numpy()
    np.testing.assert_allclose(conv2d(x, weight, None, Window(axis, axis)), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 5, "kernel": 9}, "kernel 9 > 5"),
        ({"size": 5, "kernel": 9, "padding": (1, 1)}, "kernel 9 > 7 (5 + 1 + 1 of padding)"),
        ({"size": 5, "kernel": 3, "dilation": 3}, "kernel 3 with dilation 3 covers 7 > 5"),
        ({"size": 5, "kernel": 3, "stride": 0}, "stride 0 < 1"),
        ({"size": 5, "kernel": 3, "padding": (-1, 0)}, "padding -1 < 0"),
        ({"size": 2, "kernel": 1, "transposed": True, "output_padding": 1}, "output padding 1 >= 1"),
        ({"size": 1, "kernel": 1, "transposed": True, "padding": (1, 1)}, "= -1 < 1"),
    ],
)
def test_an_impossible_axis_says_which_inequality_fails(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ImpossibleError) as error:
        Axis(**arguments)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_channels_that_do_not_fit_are_refused_with_their_numbers() -> None:
    axis = Axis(4, 1)
    with pytest.raises(ImpossibleError, match="2 input channels × groups 1 = 2, but the input has 3"):
        conv2d(np.zeros((3, 4, 4)), np.zeros((1, 2, 1, 1)), None, Window(axis, axis))
    with pytest.raises(ImpossibleError, match="groups 2 must divide 3 input and 4 output"):
        conv2d(np.zeros((3, 4, 4)), np.zeros((4, 1, 1, 1)), None, Window(axis, axis), groups=2)
