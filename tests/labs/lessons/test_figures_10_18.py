"""The figures of lessons 10 to 18, worked out here another way, stand in their text; their programs run as they stand."""

from __future__ import annotations

import contextlib
import io
import math
import re
from typing import Any

import numpy as np
import pytest

from cnntui.core.notation import parse
from cnntui.labs.demos.norms import drawn
from cnntui.labs.lessons.tasks import Number
from tests.labs.lessons import opened, rendered

# -- counting


def conv(inputs: int, outputs: int, kernel: int = 3) -> int:
    """Parameters of a square window, with biases."""
    return outputs * (inputs * kernel * kernel + 1)


def linear(inputs: int, outputs: int) -> int:
    return outputs * (inputs + 1)


FILTERS = ((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512), *((512, 512),) * 5)
VGG_CONVS = sum(conv(*each) for each in FILTERS)
VGG_LINEAR = linear(512 * 7 * 7, 4096) + linear(4096, 4096) + linear(4096, 1000)
WIDE = linear(64 * 7 * 7, 128)
DIGITS = conv(1, 32) + conv(32, 64) + WIDE + linear(128, 10)
STEM = conv(3, 64, 7)
STEM_MACS = 112 * 112 * 64 * 3 * 7 * 7
COURSE = conv(1, 16) + conv(16, 32) + linear(32 * 2 * 2, 10)

# -- a plus that is shifted, behind an edge kernel, relu and a pool of 3×3

PLUS = [[float(4 in (y, x) and 1 <= y <= 7 and 1 <= x <= 7) for x in range(9)] for y in range(9)]
SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]


def behind(picture: list[list[float]], pool: int) -> list[float]:
    """The numbers that come out, with one cell of padding."""

    def at(y: int, x: int) -> float:
        return picture[y][x] if 0 <= y < 9 and 0 <= x < 9 else 0

    def made(y: int, x: int) -> float:
        return max(0, sum(SOBEL[i][j] * at(y + i - 1, x + j - 1) for i in range(3) for j in range(3)))

    places = range(0, 9, pool)
    return [max(made(y + i, x + j) for i in range(pool) for j in range(pool)) for y in places for x in places]


def kept(down: int, right: int, pool: int = 3) -> str:
    """The share of them that a shift leaves as they were."""
    moved = [
        [PLUS[y - down][x - right] if 0 <= y - down < 9 and 0 <= x - right < 9 else 0 for x in range(9)]
        for y in range(9)
    ]
    pairs = list(zip(behind(PLUS, pool), behind(moved, pool), strict=True))
    return f"{100 * sum(a == b for a, b in pairs) / len(pairs):.0f} %"


# -- receptive fields, counted: which pixels can be reached backwards from one unit far from any border


def seen(layers: list[tuple[int, int]]) -> int:
    """The pixels of a row that a unit sees behind windows of (kernel, stride)."""
    units = {10_000}
    for kernel, stride in reversed(layers):
        units = {unit * stride + tap for unit in units for tap in range(kernel)}
    return len(units)


CONV, POOL = (3, 1), (2, 2)
PAIRS = [CONV, CONV, POOL, CONV, CONV, POOL]


def slipped(layers: list[tuple[int, int]]) -> int:
    """r = stride · r + (kernel − 1), which is wrong."""
    field = 1
    for kernel, stride in reversed(layers):
        field = stride * field + kernel - 1
    return field


def spread(layers: int) -> float:
    """The deviation of a sum of so many steps of −1, 0 or 1."""
    return math.sqrt(layers * 2 / 3)


# -- normalisation, by the definition

X = drawn(0)
AXES = {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}


def normalised(kind: str) -> float:
    """The first number, as numpy has it."""
    axes = AXES[kind]
    mean, variance = X.mean(axes, keepdims=True), X.var(axes, keepdims=True)
    return float(((X - mean) / np.sqrt(variance + 1e-5))[0, 0, 0, 0])


PAIR = X[0, :2]
GROUPED = float((X[0, 0, 0, 0] - PAIR.mean()) / np.sqrt(PAIR.var() + 1e-5))
OVER = {kind: math.prod(X.shape[axis] for axis in axes) for kind, axes in AXES.items()}


def told(value: float, places: int) -> str:
    """A number as the lessons have it."""
    return f"{value:,.{places}f}".replace("-", "−")


FIGURES: dict[str, list[str]] = {
    "equivariance": [
        f"{linear(32 * 7 * 7, 10):,} for ten classes",
        f"{linear(32, 10):,} parameters",
        f"has moved by one cell, and only {kept(0, 1, pool=1)} of the map's cells",
        f"one cell to the *left*: {kept(0, -1)} of its output",
        f"One cell to the right it was {kept(0, 1)}, two {kept(0, 2)}; three {kept(0, 3)}; one down {kept(1, 0)}",
    ],
    "activations": [
        f"elu: {told(math.expm1(-1), 3)}",
        f"gelu: {told(-0.5 * math.erfc(1 / math.sqrt(2)), 3)}",
        f"tanh: {told(math.tanh(-1), 3)}",
        f"sigmoid: {told(1 / (1 + math.e), 3)}",
        "leakyrelu: −0.01",
        f"tanh says {told(math.tanh(4), 3)}",
        f"{0.25**10:.2e}".replace("-", "−"),
        f"does, with {linear(28 * 28, 10):,}",
    ],
    "receptive-field": [
        ", ".join(str(seen([CONV] * layers)) for layers in (1, 2, 5, 10)) + f" and {seen([CONV] * 20)} pixels wide",
        ", ".join(str(seen([CONV, POOL, CONV, POOL][:depth])) for depth in (1, 2, 3, 4)),
        ", ".join(str(seen(PAIRS[:depth])) for depth in range(1, 7)),
        f"{slipped(PAIRS)} comes of the slip r = stride · r + (kernel − 1), which is wrong",
        f"from {told(spread(10), 1)} to {told(spread(40), 1)}",
        f"see {seen([CONV] * 40)} pixels instead of {seen([CONV] * 10)}",
        f"takes {math.ceil((224 - 1) / 2)} layers",
        f"should see {seen([CONV, POOL, CONV])}×{seen([CONV, POOL, CONV])} pixels",
    ],
    "feature-hierarchy": [
        f"its {COURSE:,} parameters",
        f"{seen([CONV])}, {seen([CONV, POOL])}, {seen([CONV, POOL, CONV])}: as wide as the whole scan",
    ],
    "counting": [
        f"= {conv(1, 32):,}",
        f"64·32·3·3 + 64 = {conv(32, 64):,}",
        f"·128 + 128 = {WIDE:,}",
        f"128·10 + 10 = {linear(128, 10):,}",
        f"In all {DIGITS:,}",
        f"The wide layer has {WIDE / DIGITS:.0%}".replace("%", " %"),
        f"That has {STEM:,} parameters",
        f"{STEM_MACS:,} MACs, which are {2 * STEM_MACS:,} FLOPs",
        f"hold {VGG_CONVS:,} of them, its three linear layers {VGG_LINEAR:,}",
        f"VGG-16 of 2014 has {VGG_CONVS + VGG_LINEAR:,} parameters",
    ],
    "normalisation": [
        "4 becomes {}, {}, {} or {}".format(
            *(told(value, 2) for value in (*(normalised(kind) for kind in AXES), GROUPED))
        ),
        f"Here {OVER['batch']} numbers share a mean",
        f"over all its channels: {OVER['layer']}",
        f"a channel of one picture: {OVER['instance']}",
        f"for 64 channels {2 * 64} parameters",
        f"{2 * 64 + 1} numbers that no gradient changes",
        f"{2 * (32 + 32 + 64 + 64 + 128)} belong to the 5 bn",
    ],
    "in-pytorch": [
        f"32·7·7 = {32 * 7 * 7:,}",
        "28×28. The hook hangs on the convolution",
        "14×14 is often said, and wrong",
        f"which has {COURSE:,} parameters",
    ],
    "train-it": [
        f"The net on the screen has {conv(1, 20) + conv(20, 40) + linear(40 * 2 * 2, 10):,} parameters",
        f"ln 10 = {math.log(10):.3f}",
        f"{-math.log(0.99):.3f} for p = 0.99",
        f"Half sure costs {math.log(2):.3f}",
        f"{-math.log(0.01):.2f} for p = 0.01",
        f"{conv(1, 32) + linear(32 * 4 * 4, 128) + linear(128, 10):,} parameters",
        f"with {conv(1, 32) + conv(32, 64) + conv(64, 64) + linear(64 * 3 * 3, 64) + linear(64, 10):,} parameters",
    ],
}


@pytest.mark.parametrize(("ident", "figure"), [(ident, each) for ident, every in FIGURES.items() for each in every])
def test_a_figure_stands_in_its_lesson(ident: str, figure: str) -> None:
    assert figure in rendered(ident)


def test_answers_that_are_typed() -> None:
    """What the number tasks take for right."""
    answers = {
        ("receptive-field", "second-layer"): seen([CONV] * 2) ** 2,
        ("receptive-field", "by-hand"): seen(PAIRS),
        ("feature-hierarchy", "sees"): seen([CONV, POOL, CONV]),
        ("counting", "conv-64"): conv(32, 64),
        ("counting", "stem"): STEM_MACS,
        ("in-pytorch", "in-features"): 32 * 7 * 7,
        ("in-pytorch", "hook"): 28,
        ("train-it", "guessing"): math.log(10),
    }
    found = {}
    for ident in {ident for ident, _ in answers}:
        lesson = opened(ident)
        for page in lesson.pages:
            if isinstance(page.task, Number):
                found[ident, page.task.id] = page.task.wanted(lesson.scope(page))
    assert found == pytest.approx(answers)


# -- the programs of lesson 16


def programs() -> list[str]:
    blocks = [part for page in opened("in-pytorch").pages for piece in page.pieces for part in piece.text.parts]
    text = "\n".join(part for part in blocks if isinstance(part, str))
    return re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)


def ran(program: str, **names: Any) -> tuple[dict[str, Any], str]:
    """A program of a lesson with what it takes for granted: its names, and what it prints."""
    import torch
    from torch import nn
    from torch.nn import functional

    names = {"torch": torch, "nn": nn, "F": functional, **names}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(program, names)
    return names, said.getvalue()


def test_the_program_is_the_net_that_is_to_be_built() -> None:
    torch = pytest.importorskip("torch")
    net = ran(programs()[0])[0]["net"]
    layers = "conv 6 k5 p2; relu; maxpool 2; conv 16 k5; relu; maxpool 2; flatten; linear 10"
    built = parse(layers, (1, 28, 28))
    assert [len(net), net(torch.zeros(1, 1, 28, 28)).shape[1]] == [len(built.nodes), 10]
    assert sum(p.numel() for p in net.parameters()) == conv(1, 6, 5) + conv(6, 16, 5) + linear(400, 10)


def test_the_weights_are_where_the_program_says() -> None:
    pytest.importorskip("torch")
    from cnntui.training.model import build

    course = build(opened("in-pytorch").nets["course"].network)
    convs = [module for module in course.modules() if type(module).__name__ == "Conv2d"]
    assert [list(each.state_dict()["weight"].shape) for each in convs] == [[16, 1, 3, 3], [32, 16, 3, 3]]
    found = ran(programs()[1], net={3: convs[1]})[0]
    assert tuple(found["w"].shape) == (32, 16, 3, 3)


def test_the_hook_prints_what_the_convolution_made() -> None:
    pytest.importorskip("torch")
    net = ran(programs()[0])[0]["net"]
    assert ran(programs()[2], net=net)[1].strip() == "torch.Size([1, 6, 28, 28])"


def test_the_loop_trains() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = ran(programs()[0])[0]["net"]
    x, y = torch.randn(8, 1, 28, 28), torch.arange(8)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    before = torch.nn.functional.cross_entropy(net(x), y).item()
    names, _ = ran(programs()[3], net=net, opt=optimizer, batches=[(x, y)] * 20)
    assert names["loss"].item() < before / 2
