"""Sliding windows turned round: from the gradient of what they made to the gradient of what they read.

Forward, each tap of a window gathers one input cell for each output cell; backward, the same taps carry the gradient from
the output cells to those input cells and add it up there. Pictures are (C, H, W), kernels as in `windows`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnntui.core.axis import AnyAxis, Axis
from cnntui.core.windows import Array, Window

Parts = Iterator[tuple[tuple[int, int], Array]]


def conv2d_back(x: Array, weight: Array, window: Window, groups: int, gradient: Array) -> tuple[Array, Array]:
    """Of `conv2d`, with the gradient (O, outH, outW) of its output: the gradients of x and of the weight."""
    out = gradient.reshape(groups, len(gradient) // groups, -1)
    kernel = _tap_by_tap(weight, groups)
    of_kernel = np.empty(kernel.shape, np.result_type(x, gradient))

    def parts() -> Parts:
        for tap, cells in window.gather(x):
            of_kernel[tap] = out @ cells.reshape(groups, -1, out.shape[2]).swapaxes(1, 2)
            yield tap, (kernel[tap].swapaxes(1, 2) @ out).reshape(cells.shape)

    of_x = window.stamp(parts(), x.shape)
    return of_x, _as_kept(of_kernel, weight.shape)


def conv_transpose2d_back(x: Array, weight: Array, window: Window, groups: int, gradient: Array) -> tuple[Array, Array]:
    """Of `conv_transpose2d`: where it stamped, its gradient is gathered, as a convolution gathers."""
    read = x.reshape(groups, len(x) // groups, -1)
    kernel = _tap_by_tap(weight, groups)
    of_kernel = np.empty(kernel.shape, np.result_type(x, gradient))
    of_x = np.zeros(read.shape, np.result_type(weight, gradient))
    _, height, width = x.shape
    for tap, cells in Window(_gathering(window.rows), _gathering(window.columns)).gather(gradient):
        # Cells of output padding may have room for one window more than there are inputs.
        stamped = cells[:, :height, :width].reshape(groups, -1, read.shape[2])
        of_kernel[tap] = read @ stamped.swapaxes(1, 2)
        of_x += kernel[tap] @ stamped
    return of_x.reshape(x.shape), _as_kept(of_kernel, weight.shape)


def _tap_by_tap(weight: Array, groups: int) -> Array:
    """(O, C/groups, kH, kW) -> (kH, kW, groups, O/groups, C/groups): a matrix for each tap and group."""
    parted = weight.reshape(groups, -1, *weight.shape[1:])
    return np.ascontiguousarray(np.moveaxis(parted, (3, 4), (0, 1)))


def _as_kept(kernel: Array, shape: tuple[int, ...]) -> Array:
    """`_tap_by_tap` turned round."""
    return np.moveaxis(kernel, (0, 1), (3, 4)).reshape(shape)


def _gathering(axis: AnyAxis) -> Axis:
    """The axis that reads, tap for tap, the cells on which a transposed one stamps."""
    if not isinstance(axis, Axis):
        raise ValueError("not a transposed axis")
    return Axis(axis.outputs, axis.kernel, axis.stride, axis.padding, axis.dilation)


def max_pool2d_back(x: Array, window: Window, gradient: Array) -> Array:
    """Of `max_pool2d`: all goes to the largest cell of each window, the first in reading order, as in torch."""
    largest = np.full(gradient.shape, -np.inf)
    winner = np.zeros(gradient.shape, int)
    for number, (_, cells) in enumerate(window.gather(x, fill=-np.inf)):
        better = cells > largest
        largest[better], winner[better] = cells[better], number
    parts = ((tap, np.where(winner == number, gradient, 0)) for number, tap in enumerate(window.taps))
    return window.stamp(parts, x.shape)


def avg_pool2d_back(shape: tuple[int, ...], window: Window, count_include_pad: bool, gradient: Array) -> Array:
    """Of `avg_pool2d` of a picture of that shape: an equal share to each cell that was counted."""
    share = gradient / window.divisors(count_include_pad)
    return window.stamp(((tap, share) for tap in window.taps), shape)


def adaptive_avg_pool2d_back(shape: tuple[int, ...], window: Window, gradient: Array) -> Array:
    """Of the mean over adaptive windows: an equal share to each cell, first along the columns, then along the rows."""
    share = gradient / window.divisors()
    for dimension, axis in ((2, window.columns), (1, window.rows)):
        spread = np.zeros((*share.shape[:dimension], shape[dimension], *share.shape[dimension + 1 :]), share.dtype)
        into, out_of = np.moveaxis(spread, dimension, 0), np.moveaxis(share, dimension, 0)
        for output in range(axis.outputs):
            start = axis.position(output, 0) or 0
            into[start : start + axis.counted(output)] += out_of[output]
        share = spread
    return share
