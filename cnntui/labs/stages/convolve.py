"""The Convolve screen as a stage: the lab's own moves in words, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from cnntui.core.operation import MAGNITUDE, Operation, setting_text
from cnntui.core.windows import Array
from cnntui.labs.convolve import ConvolveState, MoveError, start
from cnntui.labs.panels import PICTURES, VIEWS, panels, view_at_first
from cnntui.labs.stages import Fact, Index, Stage, Words, WordsError, nearest
from cnntui.labs.stages.scene import Scene, on_lab
from cnntui.labs.words import MOVES

Lab = Scene[ConvolveState]


# -- moves


def _shown(scene: Lab, lab: ConvolveState) -> Lab:
    """The view stays, but where the input is new, or the view is not to be had any more."""
    view = scene.view
    if lab.operation.input.shape != scene.lab.operation.input.shape:
        view = view_at_first(lab, view)
    try:
        panels(lab, view)
    except MoveError:
        view = "cells"
    return Scene(lab, view)


def _view(scene: Lab, name: str) -> Lab:
    if name not in VIEWS:
        raise WordsError(f"no view is called {name!r}; {nearest(name, VIEWS)}")
    panels(scene.lab, name)
    return Scene(replace(scene.lab, looking="output") if name in PICTURES else scene.lab, name)


# -- facts


def _same(lab: ConvolveState) -> bool:
    output, given = lab.operation.output, lab.operation.input
    return output is not None and output.shape == given.shape and bool(np.allclose(output, given))


def _symmetric(lab: ConvolveState) -> bool:
    weight = lab.operation.weight
    return not lab.operation.pool and bool(np.array_equal(weight, weight[..., ::-1, ::-1]))


def _products(operation: Operation) -> int | None:
    """Of the whole output, with those of padding; of a transposed convolution, as many as are stamped."""
    if operation.window is None:
        return None
    rows, columns = operation.kernel_size
    of_each = sum(operation.uses(i, j) for i in range(rows) for j in range(columns))
    return 0 if operation.pool else of_each * int(operation.sliding.shape[1]) * operation.filters


def _terms(lab: ConvolveState, inside: bool = False) -> int | None:
    if lab.operation.window is None:
        return None
    taps = lab.operation.taps(lab.filter, *lab.cell)
    return sum(tap.input is not None for tap in taps) if inside or lab.operation.transposed else len(taps)


def _patches(operation: Operation) -> tuple[int, ...] | None:
    if operation.window is None:
        return None
    channels = 1 if operation.pool else operation.sliding.shape[1]
    return prod(operation.window.output), channels * prod(operation.kernel_size)


def _matrix(operation: Operation) -> tuple[int, ...] | None:
    if operation.window is None or operation.pool:
        return None
    return prod(operation.window.output), operation.input.size


def _filled(operation: Operation) -> int | None:
    """The matrix has a weight wherever a window reads an input cell."""
    if operation.window is None or operation.pool:
        return None
    window = operation.window
    down, across = (
        sum(read is not None for at in range(axis.outputs) for read in axis.reads(at))
        for axis in (window.rows, window.columns)
    )
    return down * across * int(operation.sliding.shape[1])


def _sum(lab: ConvolveState) -> float | None:
    sums = lab.operation.sums
    return None if sums is None else float(sums[(lab.filter, *lab.cell)])


def _of_output(what: Callable[[Array], float]) -> Callable[[ConvolveState], Fact]:
    return lambda lab: None if lab.operation.output is None else float(what(lab.operation.output))


def _weight(lab: ConvolveState) -> Fact:
    return None if lab.operation.pool else float(lab.kernel_plane[lab.tap])


def _params(operation: Operation) -> int:
    if operation.pool:
        return 0
    return operation.weight.size + (0 if operation.bias is None else operation.bias.size)


def _covered(operation: Operation) -> tuple[int, ...]:
    return tuple((k - 1) * d + 1 for k, d in zip(operation.kernel_size, operation.dilation, strict=True))


# What it is called in a sentence, and how it is read.
READ: dict[str, tuple[str, Callable[[ConvolveState], Fact]]] = {
    "output.shape": (
        "the output",
        lambda lab: None if lab.operation.output is None else lab.operation.output.shape[-2:],
    ),
    "output.value": ("the output cell under the window", lambda lab: lab.value),
    "output.cells": (
        "the number of output cells of a filter",
        lambda lab: 0 if lab.operation.output is None else lab.operation.output[0].size,
    ),
    "output.largest": ("the largest number of the output", _of_output(np.max)),
    "output.smallest": ("the smallest number of the output", _of_output(np.min)),
    "output.mean": ("the mean of the output", _of_output(np.mean)),
    "output.sum": ("the sum of the output", _of_output(np.sum)),
    "output.zeros": ("the number of output cells that are 0", _of_output(lambda output: int((output == 0).sum()))),
    "output.same_as_input": ("the output equals the input", _same),
    "ok": ("the settings are possible", lambda lab: lab.operation.problem is None),
    "value": ("the output cell under the window", lambda lab: lab.value),
    "sum": ("the sum under the window, before the activation", _sum),
    "terms": ("the number of products under the window", _terms),
    "terms.inside": ("the number of input cells under the window", lambda lab: _terms(lab, inside=True)),
    "products": ("the number of products of the whole output", lambda lab: _products(lab.operation)),
    "equation": ("the arithmetic", lambda lab: " ; ".join(str(part.equation) for part in lab.parts)),
    "input.shape": ("the input", lambda lab: lab.operation.input.shape[-2:]),
    "input.cells": ("the number of input cells of a channel", lambda lab: lab.operation.input[0].size),
    "input.value": ("the input cell that is followed", lambda lab: float(lab.operation.input[lab.channel][lab.pixel])),
    "input.largest": ("the largest number of the input", lambda lab: float(lab.operation.input.max())),
    "input.smallest": ("the smallest number of the input", lambda lab: float(lab.operation.input.min())),
    "input.sum": ("the sum of the input", lambda lab: float(lab.operation.input.sum())),
    "kernel": ("the kernel", lambda lab: lab.name),
    "kernel.shape": ("the kernel", lambda lab: lab.operation.kernel_size),
    "kernel.covers": ("what the kernel covers", lambda lab: _covered(lab.operation)),
    "kernel.sum": (
        "the sum of the kernel",
        lambda lab: None if lab.operation.pool else float(lab.kernel_plane.sum() / lab.operation.divisor),
    ),
    "kernel.symmetric": ("the kernel equals itself turned by half a turn", _symmetric),
    "divisor": ("the divisor", lambda lab: float(lab.operation.divisor)),
    "weights": ("the number of weights", lambda lab: 0 if lab.operation.pool else lab.operation.weight.size),
    "params": ("the number of weights and biases", lambda lab: _params(lab.operation)),
    "channels": ("the number of input channels", lambda lab: len(lab.operation.input)),
    "filters": ("the number of filters", lambda lab: lab.filters),
    "groups": ("the number of groups", lambda lab: lab.operation.groups),
    "channel": ("the input channel shown", lambda lab: lab.channel),
    "filter": ("the filter shown", lambda lab: lab.filter),
    "op": ("the operation", lambda lab: lab.operation.op),
    "flipped": ("the kernel is flipped", lambda lab: lab.operation.op == "true-conv"),
    "pool": ("the operation is a pool", lambda lab: lab.operation.pool),
    "activation": ("the activation", lambda lab: lab.operation.activation or "none"),
    "magnitude": ("the magnitude is taken", lambda lab: lab.operation.activation == MAGNITUDE),
    "stride": ("the stride", lambda lab: lab.operation.stride[0]),
    "padding": ("the padding", lambda lab: lab.operation.sides[0][0]),
    "padding.word": ("the padding", lambda lab: setting_text(lab.operation.padding)),
    "dilation": ("the dilation", lambda lab: lab.operation.dilation[0]),
    "bias": ("the bias", lambda lab: None if lab.operation.problem else lab.operation.cell_bias(lab.filter)),
    "cell": ("the output cell", lambda lab: lab.cell),
    "pixel": ("the input cell", lambda lab: lab.pixel),
    "pixel.reached": ("the number of output cells that the input cell reaches", lambda lab: len(lab.reached)),
    "tap": ("the weight that is followed", lambda lab: lab.tap),
    "tap.value": ("the weight that is followed", _weight),
    "tap.met": ("the number of output cells that the weight goes into", lambda lab: lab.operation.uses(*lab.tap)),
    "pinned": ("the pinned cell", lambda lab: lab.pinned or False),
    "looking": ("what is followed", lambda lab: lab.looking),
    "patches.shape": ("the matrix of patches", lambda lab: _patches(lab.operation)),
    "matrix.shape": ("the matrix of tied weights", lambda lab: _matrix(lab.operation)),
    "matrix.weights": ("the number of cells of that matrix that hold a weight", lambda lab: _filled(lab.operation)),
}
# With [ROW,COLUMN] of the channel or the filter shown, or [NUMBER,ROW,COLUMN].
GRIDS = {"output": "the output cell", "input": "the input cell", "weight": "the weight"}


def _grid(lab: ConvolveState, name: str, number: int | None) -> Array | None:
    """The grid of a channel or a filter; None where there is none."""
    operation = lab.operation
    if name == "weight" and operation.pool:
        return None
    if number is None:
        if name == "weight":
            return lab.kernel_plane
        number = lab.channel if name == "input" else lab.output_cell[0]
    grids = {"output": operation.output, "input": operation.input, "weight": operation.sliding}[name]
    if grids is None or not 0 <= number < len(grids):
        return None
    plane = grids[number]
    return np.asarray(plane[lab.channel_of_group % len(plane)] if name == "weight" else plane)


def fact(scene: Lab, name: str, index: Index = ()) -> Fact:
    """A fact of the lab; None where there is none now: no output, no such cell.

    Raises:
        WordsError: when there is no such fact.
    """
    if name in GRIDS:
        if len(index) not in (2, 3) or not all(isinstance(at, int) for at in index):
            raise WordsError(
                f"{name} needs a cell: write {name}[ROW,COLUMN], or a number before it of several such grids"
            )
        *number, row, column = (int(at) for at in index)
        grid = _grid(scene.lab, name, number[0] if number else None)
        inside = grid is not None and 0 <= row < grid.shape[0] and 0 <= column < grid.shape[1]
        return float(grid[row, column]) if grid is not None and inside else None
    if name != "view" and name not in READ:
        raise WordsError(f"no fact of convolve is called {name!r}; {nearest(name, STAGE.facts)}")
    if index:
        raise WordsError(f"{name} has no [...]; {', '.join(GRIDS)} have cells")
    return scene.view if name == "view" else READ[name][1](scene.lab)


STAGE = Stage(
    name="convolve",
    about="a window slides over numbers; every sum is written out",
    start=lambda: Scene(start(), "cells"),
    moves={
        **{verb: on_lab(move.arguments, move.about, move.make, _shown) for verb, move in MOVES.items()},
        "view": Words(f"{', '.join(VIEWS[:-1])} or {VIEWS[-1]}", "how the grids are shown", _view),
    },
    facts={**{name: words for name, (words, _) in READ.items()}, **GRIDS, "view": "the view"},
    fact=fact,
    controls={
        "numbers": ("numbers",),
        "kernel": ("kernels",),
        "input": ("pictures",),
        "operation": ("operations",),
        "stride": ("stride",),
        "padding": ("padding",),
        "dilation": ("dilation",),
        "groups": ("groups",),
        "bias": ("bias",),
        "activation": ("activations",),
        "mend": ("mend",),
        "edit": ("edits", "shift"),
        "view": ("view",),
        "play": ("play", "speed", "loop"),
        "pin": ("pin",),
        "undo": ("undo", "redo"),
        "save": ("exports",),
        "words": ("words",),
    },
)
