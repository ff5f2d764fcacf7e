"""What is wired to what: a picture to a picture, fully connected, locally, or by one small set of shared weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from cnntui.core.axis import AnyAxis, ImpossibleError
from cnntui.core.layers import Conv, Linear, Pair, shape_text
from cnntui.core.windows import Window
from cnntui.labs.convolve import MoveError
from cnntui.labs.demos import known, plural

KINDS = ("full", "local", "conv")
ABOUT = {
    "full": "every input cell feeds every output cell",
    "local": "a window feeds each output cell, through weights of its own",
    "conv": "a window feeds each output cell, through shared weights",
}
PADDINGS = ("valid", "same")
SMALLEST, LARGEST = 3, 8  # a side of the picture that is drawn
WIDEST = 5  # a side of the kernel
FARTHEST = 1024  # of what is only counted: a side, channels, filters
SIZES = (((28, 28), 1, 32), ((32, 32), 64, 128), ((224, 224), 3, 64))
Shape = tuple[int, int, int]
FIRST = ord("a")


@dataclass(frozen=True)
class Counts:
    """What a layer is made of."""

    inputs: int
    outputs: int
    places: int
    connections: int
    weights: int
    biases: int


@dataclass(frozen=True)
class ConnectionsState:
    """A layer from a picture to a picture, and the output cell that is looked at.

    Args:
        kind: one of KINDS.
        picture: height and width of the picture that is drawn, of one channel.
        kernel, stride, padding: of the window, which also fix the output's size of a fully connected layer.
        cell: the output cell (row, column).
        size, channels, filters: of the larger layer, which is only counted.
    """

    kind: str = "full"
    picture: Pair = (7, 7)
    kernel: int = 3
    stride: int = 1
    padding: str = "valid"
    cell: Pair = (0, 0)
    size: Pair = (224, 224)
    channels: int = 3
    filters: int = 64

    # -- what follows from it

    def conv(self, filters: int) -> Conv:
        """The convolution with so many filters."""
        padding: Pair | str = (0, 0) if self.padding == "valid" else self.padding
        return Conv(filters, (self.kernel, self.kernel), (self.stride, self.stride), padding)

    @cached_property
    def window(self) -> Window:
        """The window over the picture that is drawn."""
        return Window(*self.conv(1).window((1, *self.picture)))

    @property
    def output(self) -> Pair:
        """Height and width of the output that is drawn."""
        return self.window.output

    @property
    def drawn(self) -> Shape:
        """The picture that is drawn, as (C, H, W)."""
        return 1, *self.picture

    @property
    def large(self) -> Shape:
        """The larger one."""
        return self.channels, *self.size

    def made(self, large: bool = False) -> tuple[int, ...]:
        """The output's shape (O, H, W)."""
        return self.conv(self.filters if large else 1).output(self.large if large else self.drawn)

    def counts(self, kind: str, large: bool = False) -> Counts:
        """The layer of that kind on the picture that is drawn, or on the larger one."""
        shape = self.large if large else self.drawn
        conv, made = self.conv(self.filters if large else 1), self.made(large)
        inputs, outputs, places = prod(shape), prod(made), prod(made[1:])
        if kind == "full":
            weights = Linear(outputs, bias=False).params((inputs,))
            return Counts(inputs, outputs, places, weights, weights, Linear(outputs).params((inputs,)) - weights)
        rows, columns = (_wires(axis) for axis in conv.window(shape))
        connections = rows * columns * shape[0] * made[0]
        if kind == "local":  # the weights of a convolution, but others at each place, and a bias for each output cell
            return Counts(inputs, outputs, places, connections, conv.weights(shape) * places, outputs)
        weights = conv.weights(shape)
        return Counts(inputs, outputs, places, connections, weights, conv.params(shape) - weights)

    def number(self, cell: Pair) -> int:
        """The place of an output cell in reading order, from 0."""
        return cell[0] * self.output[1] + cell[1]

    def weights_of(self, cell: Pair) -> dict[Pair, int]:
        """The input cells (row, column) that feed an output cell, each with the number of its weight, from 0."""
        height, width = self.picture
        place = self.number(cell)
        if self.kind == "full":
            first = place * height * width
            return {(y, x): first + y * width + x for y in range(height) for x in range(width)}
        first = place * self.kernel**2 if self.kind == "local" else 0
        return {at: first + tap for tap, at in enumerate(self.window.cells(*cell)) if at is not None}

    def label(self, weight: int) -> str:
        """The name of a weight: a letter where it is shared, else its number, from 1."""
        return chr(FIRST + weight) if self.kind == "conv" else str(weight + 1)

    @property
    def reached(self) -> int:
        """How many input cells feed the output cell."""
        return len(self.weights_of(self.cell))

    @property
    def neighbour(self) -> Pair | None:
        """The output cell beside this one; None where there is only one."""
        (row, column), (height, width) = self.cell, self.output
        if width > 1:
            return row, column + 1 if column + 1 < width else column - 1
        return (row + 1 if row + 1 < height else row - 1, column) if height > 1 else None

    @property
    def same_weights(self) -> bool | None:
        """Whether this output cell and the one beside it share a weight; None where there is only one."""
        if self.neighbour is None:
            return None
        return not set(self.weights_of(self.cell).values()).isdisjoint(self.weights_of(self.neighbour).values())

    # -- moves

    def with_kind(self, kind: str) -> ConnectionsState:
        """Another kind.

        Raises:
            ValueError: when there is none of that name.
        """
        return replace(self, kind=known(kind, KINDS, "kind"))

    def next_kind(self, by: int = 1) -> ConnectionsState:
        """The next kind, round and round."""
        return self.with_kind(KINDS[(KINDS.index(self.kind) + by) % len(KINDS)])

    def next_size(self) -> ConnectionsState:
        """The next of the sizes that are at hand, round and round."""
        now = (self.size, self.channels, self.filters)
        size, channels, filters = SIZES[(SIZES.index(now) + 1) % len(SIZES) if now in SIZES else 0]
        return self.with_(size=size, channels=channels, filters=filters)

    def with_padding(self, padding: str) -> ConnectionsState:
        """Another padding.

        Raises:
            ValueError: when there is none of that name.
        """
        return self.with_(padding=known(padding, PADDINGS, "padding"))

    def with_(self, **settings: object) -> ConnectionsState:
        """Other settings by their names; the cell stays inside.

        Raises:
            MoveError: when a setting is out of range, or no window fits.
        """
        state: ConnectionsState = replace(self, **settings)  # type: ignore[arg-type]
        for side in state.picture:
            _check("picture", side, SMALLEST, LARGEST)
        _check("kernel", state.kernel, 1, WIDEST)
        for side in state.size:
            _check("size", side, 1, FARTHEST)
        _check("channels", state.channels, 1, FARTHEST)
        _check("filters", state.filters, 1, FARTHEST)
        try:
            for large in (False, True):
                state.made(large)
        except ImpossibleError as error:
            raise MoveError(str(error)) from None
        return state.to(*state.cell)

    def to(self, row: int, column: int) -> ConnectionsState:
        """Another output cell; beyond the border is the border."""
        height, width = self.output
        return replace(self, cell=(min(max(0, row), height - 1), min(max(0, column), width - 1)))


def _check(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise MoveError(f"{what} {value} is not from {least} to {most}")


def _wires(axis: AnyAxis) -> int:
    """How many input cells all outputs of an axis read together, what lies on padding left out."""
    return sum(i is not None for output in range(axis.outputs) for i in axis.reads(output))


def told(state: ConnectionsState) -> str:
    """What feeds the output cell, in a sentence, and whether its neighbour's weights are the same."""
    weights = list(state.weights_of(state.cell).values())
    whole = prod(state.picture)
    row, column = state.cell
    fed = f"all {whole}" if len(weights) == whole else f"{len(weights)} of {whole}"
    said = f"Output {row},{column} is fed by {fed} input cells, through {_named(state, weights)}."
    if state.neighbour is None:
        return said
    beside = list(state.weights_of(state.neighbour).values())
    where = f"{state.neighbour[0]},{state.neighbour[1]}"
    if state.same_weights:
        return f"{said} Output {where} has {_named(state, beside)}: every place shares them."
    return f"{said} Output {where} has others, {_named(state, beside)}."


def _named(state: ConnectionsState, weights: list[int]) -> str:
    """`weights a to i`, or each of them where some are left out."""
    labels = [state.label(weight) for weight in weights]
    if len(labels) == 1:
        return f"weight {labels[0]}"
    if weights == list(range(weights[0], weights[-1] + 1)):
        return f"weights {labels[0]} to {labels[-1]}"
    return f"weights {', '.join(labels)}"


def told_of_large(state: ConnectionsState) -> str:
    """What the larger layer would need, in a sentence."""
    full, local, conv = (state.counts(kind, large=True).weights for kind in KINDS)
    return (
        f"From {shape_text(state.large)} to {shape_text(state.made(large=True))}, conv has {plural(conv, 'weight')}, "
        f"local {times(local, conv)} as many, full {times(full, conv)}."
    )


def times(many: int, few: int) -> str:
    """`49,284 times`; rounded where it does not come out even."""
    even = many % few == 0
    return f"{many // few:,} times" if even else f"about {many / few:,.0f} times"
