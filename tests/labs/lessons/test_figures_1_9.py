"""The figures of lessons 1 to 9, worked out here another way, stand in their text; wrong ones are called so."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from cnntui.labs.lessons.tasks import Doing, Number
from tests.labs.lessons import opened, passages, rendered

Grid = list[list[float]]


def out(cells: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """The places of a window in a row, counted."""
    beyond = cells + padding
    return len([at for at in range(-padding, beyond, stride) if at + dilation * (kernel - 1) < beyond])


def conv(inputs: int, outputs: int, kernel: int) -> int:
    """Parameters of a square window, with biases."""
    return outputs * (inputs * kernel * kernel + 1)


def slid(grid: Grid, kernel: Grid) -> Grid:
    """Multiplied and added at every place."""
    taps = [(i, j, weight) for i, row in enumerate(kernel) for j, weight in enumerate(row)]
    places = [range(len(grid) - len(kernel) + 1), range(len(grid[0]) - len(kernel[0]) + 1)]
    return [[round(sum(w * grid[y + i][x + j] for i, j, w in taps), 9) for x in places[1]] for y in places[0]]


def told(value: float) -> str:
    """A number as the lessons have it."""
    return f"{value:,.10g}".replace("-", "−")


PHOTO, PLACES = 224 * 224 * 3, out(224, 3) ** 2
LOCAL, SHARED = PLACES * 27 * 64, 27 * 64
TO_1000 = PHOTO * 1000 + 1000
EDGE: Grid = [[1, 0, -1]] * 3
SOBEL: Grid = [[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]
SQUARE = [[float(2 <= y <= 4 and 2 <= x <= 4) for x in range(7)] for y in range(7)]
BOARD = [[float((x + y) % 2 == 0) for x in range(5)] for y in range(5)]
MAP: Grid = [[1, 3, 2, 1], [5, 2, 0, 2], [4, 8, 1, 6], [3, 1, 5, 4]]


def pooled(of: Callable[[list[float]], float]) -> list[float]:
    return [of([MAP[y + i][x + j] for i in (0, 1) for j in (0, 1)]) for y in (0, 2) for x in (0, 2)]


def mean(cells: list[float]) -> float:
    return sum(cells) / len(cells)


RED = slid([[0.9, 0.8, 0.7]] * 3, SOBEL)[0][0]
RISE = slid([[1.0, 2, 3, 4, 5]], [[1, 0, -1]])[0]
PREWITT = max(map(max, slid(SQUARE, [[-1, 0, 1]] * 3)))

FIGURES: dict[str, list[str]] = {
    "why-not-fully-connected": [
        told(PHOTO),
        told(TO_1000),
        told(conv(3, 64, 3)),
        f"about {TO_1000 / conv(3, 64, 3):,.0f} times as many",
        told(28 * 28 * 512 + 512),
        f"{PHOTO * 512:,} weights, and 512 biases",
    ],
    "local-and-shared": [
        f"{PHOTO:,} / 27 ≈ {PHOTO / 27:,.0f}",
        f"{LOCAL:,} weights. Shared, it takes {SHARED:,}: {LOCAL // SHARED:,} times fewer",
        told(PHOTO * PLACES * 64 // SHARED),
        f"{8 * 8 * SHARED:,}: 64 times the {SHARED:,}",
        f"784·784 = {784 * 784:,} weights. One kernel of 3×3 does it with 9",
    ],
    "sliding-window": [
        f"the first output cell is {told(slid(BOARD, EDGE)[0][0])}, and so are all 9 of them",
        f"Under the top left window that gives {told(slid(SQUARE, EDGE)[0][0])}",
        f"The outputs are {told(RISE[0])}, {told(RISE[1])} and {told(RISE[2])}",
        "An input of 7×7 has 5×5 places for a window of 3×3",
    ],
    "correlation-or-convolution": [
        f"Cell 2,1 is {told(slid(SQUARE, SOBEL)[2][1])}",
        "Sobel's does not do it: its weights add up to 0",
        "for them the two operations are one",
    ],
    "channels": [
        f"In the red channel alone its sum is {told(RED)}",
        f"the output is one number: {told(round(3 * RED, 9))}",
        f"times those {64 * 128 * 9:,}",
        f"{32 * 32 * 64 * 32 * 32 * 128:,} weights",
    ],
    "im2col": [
        f"a matrix of {out(4, 2) ** 2}×{2 * 2}",
        f"It has 9×16 places, and only {9 * 4} of them hold a weight",
        f"patches {32 * 32:,} × {64 * 9}",
        f"Yes, {32 * 32 * 128 * 64 * 9:,}",
    ],
    "output-size": [
        f"8 − 3 + 1 = {out(8, 3)} places",
        f"makes {out(224, 3)} of them without padding, and {out(224, 3, padding=1)} with padding 1",
        f"are {out(224, 3)} at stride 1 and {out(224, 3, stride=2)} at stride 2",
        f"7×7 at stride 2 with padding 3, makes 224 into {out(224, 7, 2, 3)}",
        f"Yes, {out(28, 3, 2, 1)}: exactly half",
        f"its first maps are {out(32, 5)}×{out(32, 5)}",
        f"a map of 64 has ⌊31.5⌋ + 1 = {out(64, 5, 2, 2)} cells",
        f"what is there, {out(8, 3)}×{out(8, 3)}",
        f"keeps the size: {out(8, 3, padding=1)}×{out(8, 3, padding=1)}",
        f"one weight only: {out(8, 3, padding=2)}×{out(8, 3, padding=2)}",
        f"At dilation 2 a kernel of 3×3 covers {2 * 2 + 1}×{2 * 2 + 1}",
        f"it takes 11×11 at stride 4, and its first maps are 64×{out(224, 11, 4, 2)}×{out(224, 11, 4, 2)}",
        "So begin ResNet and GoogLeNet",
    ],
    "classic-filters": [
        f"to such a step through all its rows is {told(max(map(max, slid(SQUARE, SOBEL))))}",
        f"the magnitude is {0.75 * 2**0.5:.4f}",
        "`sobel-x`",
        "Prewitt",
        "A Gaussian",
        "`box`",
        "Laplacian",
        "`emboss`",
        "`cross`",
        "sharpen",
    ],
    "pooling": [
        "5 2 0 2 {:g} {:g} 4 8 1 6 → {:g} {:g}".format(*pooled(max)),
        "{:g}, {:g} and {:g}".format(*pooled(mean)[1:]),
        f"divided by 2 five times is {224 // 2**5}",
        f"{64 * 7 * 7 * 10:,} weights",
        f"it takes {64 * 10} weights",
    ],
}
# Right elsewhere or not at all: a passage that has one of them says so.
SLIPS = {
    "local-and-shared": ["150,000", "7.5 billion", told(8 * 8 * 8 * SHARED)],
    "output-size": ["AlexNet starts"],
}
CALLED_WRONG = re.compile(r"\b(wrong|not right|slip)\b")


@pytest.mark.parametrize(("ident", "figure"), [(ident, each) for ident, all_ in FIGURES.items() for each in all_])
def test_the_figure_stands_in_the_lesson(ident: str, figure: str) -> None:
    """Not as a part of a longer number."""
    assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|[.,]\d)", rendered(ident)), figure


@pytest.mark.parametrize(("ident", "slip"), [(ident, each) for ident, all_ in SLIPS.items() for each in all_])
def test_a_wrong_figure_is_called_wrong(ident: str, slip: str) -> None:
    """Wherever it stands."""
    found = [passage for passage in passages(opened(ident)) if slip in " ".join(passage.split())]
    assert found
    assert all(CALLED_WRONG.search(passage) for passage in found)


def answered(ident: str, task_id: str, given: str) -> str | None:
    """What is wrong with an answer to a task that asks for a number."""
    lesson = opened(ident)
    page, task = next((page, page.task) for page in lesson.pages if page.task and page.task.id == task_id)
    assert isinstance(task, Number)
    return task.problem(given, lesson.scope(page))


def test_answers_that_the_text_does_not_tell() -> None:
    """Prewitt's largest answer, and the mean of the first window: worked out here, and right."""
    assert answered("classic-filters", "prewitt", told(PREWITT)) is None
    assert answered("pooling", "first-mean", told(pooled(mean)[0])) is None
    assert answered("pooling", "first-mean", told(pooled(max)[0])) is not None


def test_five_halvings() -> None:
    """From 224 to 7, one of them there at the start."""
    task = next(task for task in opened("pooling").tasks if task.id == "to-seven")
    assert isinstance(task, Doing)
    assert 224 // 2 ** (1 + len(task.solution)) == 7
