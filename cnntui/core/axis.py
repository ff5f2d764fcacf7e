"""One axis of a sliding window: which input index does tap `k` of output `o` read?

Every window here is separable, so two axes are a whole 2-D convolution or pool. The same table (output x tap -> input)
drives the arithmetic, the highlighting on the screens and the exact receptive fields; a transposed convolution is the
same table with the roles of stepping and reading exchanged, an adaptive pool one whose windows differ in length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 10**9  # outputs of one axis
NEAR = 64


class ImpossibleError(ValueError):
    """A configuration that cannot be computed: says which inequality fails, with its numbers."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a window, in torch's terms.

    Args:
        size: input cells, at least 1.
        kernel: taps.
        stride: input cells between two outputs; for a transposed axis, output cells between two inputs.
        padding: cells of padding before and after.
        dilation: input cells between two taps.
        ceil: torch's `ceil_mode`: a last window may hang over the end.
        transposed: a transposed convolution.
        output_padding: torch's, for a transposed axis: extra cells at the end.

    Raises:
        ImpossibleError: when no window fits, or an argument is out of its range.
    """

    size: int
    kernel: int
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    dilation: int = 1
    ceil: bool = False
    transposed: bool = False
    output_padding: int = 0
    outputs: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for name, value, least in (
            ("input", self.size, 1),
            ("kernel", self.kernel, 1),
            ("stride", self.stride, 1),
            ("dilation", self.dilation, 1),
            ("padding", min(self.padding), 0),
            ("output padding", self.output_padding, 0),
        ):
            if value < least:
                raise ImpossibleError(f"{name} {value} < {least}")
        outputs = self._transposed_outputs() if self.transposed else self._outputs()
        if outputs > LARGEST:
            raise ImpossibleError(f"output size {outputs:,} > {LARGEST:,}")
        object.__setattr__(self, "outputs", outputs)

    @property
    def extent(self) -> int:
        """Cells from the first to the last tap: `d(k-1) + 1`."""
        return self.dilation * (self.kernel - 1) + 1

    def _outputs(self) -> int:
        """`o = (n + pl + pr - d(k-1) - 1)//s + 1`, with torch's rule for `ceil_mode` (ATen, Pool.h)."""
        before, after = self.padding
        room = self.size + before + after - self.extent
        if self.ceil:
            outputs = (room + self.stride - 1) // self.stride + 1
            # The last window must start inside the input or the padding before it.
            if (outputs - 1) * self.stride >= self.size + before:
                outputs -= 1
        else:
            outputs = room // self.stride + 1
        if outputs < 1:
            raise ImpossibleError(self._too_large())
        return outputs

    def _too_large(self) -> str:
        window = f"kernel {self.kernel}"
        if self.dilation > 1:
            window = f"kernel {self.kernel} with dilation {self.dilation} covers {self.extent}"
        before, after = self.padding
        padded = self.size + before + after
        return f"{window} > {padded}" + (f" ({self.size} + {before} + {after} of padding)" if before or after else "")

    def _transposed_outputs(self) -> int:
        if self.output_padding >= max(self.stride, self.dilation):
            raise ImpossibleError(
                f"output padding {self.output_padding} >= {max(self.stride, self.dilation)}, "
                "the larger of stride and dilation"
            )
        outputs = (self.size - 1) * self.stride - sum(self.padding) + self.extent + self.output_padding
        if outputs < 1:
            raise ImpossibleError(
                f"({self.size} - 1)·{self.stride} - {sum(self.padding)} of padding + {self.extent} "
                f"+ {self.output_padding} = {outputs} < 1"
            )
        return outputs

    def _stepped(self, index: int, tap: int) -> int:
        return index * self.stride - self.padding[0] + tap * self.dilation

    def _unstepped(self, index: int, tap: int) -> int | None:
        where, rest = divmod(index + self.padding[0] - tap * self.dilation, self.stride)
        return None if rest else where

    def position(self, output: int, tap: int) -> int | None:
        """Where the tap lies, in input cells; negative or at least `size` means padding. None: between two inputs."""
        return self._unstepped(output, tap) if self.transposed else self._stepped(output, tap)

    def readers(self, index: int) -> list[tuple[int, int]]:
        """The outputs that read input `index`, each with the tap: the table of `position` turned round."""
        step = self._stepped if self.transposed else self._unstepped
        found = [(output, tap) for tap in range(self.kernel) if (output := step(index, tap)) is not None]
        return sorted((output, tap) for output, tap in found if 0 <= output < self.outputs)

    def reads(self, output: int) -> tuple[int | None, ...]:
        """For each tap the input index it reads, or None where it meets padding (or, transposed, nothing)."""
        return tuple(
            where if where is not None and 0 <= where < self.size else None
            for where in (self.position(output, tap) for tap in range(self.kernel))
        )

    def counted(self, output: int) -> int:
        """Taps that average pooling counts: input and padding, never the overhang of `ceil` (ATen, AvgPool2d)."""
        start = output * self.stride - self.padding[0]
        return min(start + self.kernel, self.size + self.padding[1]) - start

    def formula(self) -> str:
        """The output size, written out with its numbers."""
        before, after = self.padding
        padding = f"2·{before}" if before == after else f"{before} + {after}"
        if self.transposed:
            return (
                f"({self.size} − 1)·{self.stride} − {padding} + {self.dilation}·({self.kernel} − 1) "
                f"+ {self.output_padding} + 1 = {self.outputs}"
            )
        room = f"{self.size} + {padding} − {self.dilation}·({self.kernel} − 1) − 1"
        left, right = ("⌈", "⌉") if self.ceil else ("⌊", "⌋")
        inner = f"({room})/{self.stride}"
        if self.ceil and -(-(self.size + before + after - self.extent) // self.stride) + 1 > self.outputs:
            return f"{left}{inner}{right} + 1 − 1 that would start beyond the input = {self.outputs}"
        return f"{left}{inner}{right} + 1 = {self.outputs}" if self.stride > 1 else f"{inner} + 1 = {self.outputs}"


@dataclass(frozen=True, slots=True)
class AdaptiveAxis:
    """One axis of an adaptive pool: output i has the window `[floor(i·n/o), ceil((i+1)·n/o))` (ATen, AdaptivePooling.h).

    Taps are counted from each window's start; a window shorter than `kernel`, the longest one, lacks the last taps.

    Raises:
        ImpossibleError: when there is to be no output.
    """

    size: int
    outputs: int
    kernel: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.outputs < 1:
            raise ImpossibleError(f"output size {self.outputs} < 1")
        whole, rest = divmod(self.size, self.outputs)
        # A window begins or ends amid a cell, most of them at both sides, unless the outputs are a multiple of the rest.
        object.__setattr__(self, "kernel", whole + (0 if not rest else 1 if self.outputs % rest == 0 else 2))

    def _start(self, output: int) -> int:
        return output * self.size // self.outputs

    def position(self, output: int, tap: int) -> int | None:
        """The input cell of the tap, or None where the window is shorter."""
        return self._start(output) + tap if tap < self.counted(output) else None

    def reads(self, output: int) -> tuple[int | None, ...]:
        """For each tap the input index it reads."""
        return tuple(self.position(output, tap) for tap in range(self.kernel))

    def readers(self, index: int) -> list[tuple[int, int]]:
        """The outputs that read input `index`, each with the tap."""
        first, last = index * self.outputs // self.size, -(-(index + 1) * self.outputs // self.size)
        around = range(max(0, first - 1), min(last + 1, self.outputs))
        return [(o, index - self._start(o)) for o in around if 0 <= index - self._start(o) < self.counted(o)]

    def counted(self, output: int) -> int:
        """The window's length."""
        return -(-(output + 1) * self.size // self.outputs) - self._start(output)

    def formula(self) -> str:
        """The windows, written out."""
        return f"window i from ⌊i·{self.size}/{self.outputs}⌋ to ⌈(i+1)·{self.size}/{self.outputs}⌉ − 1"


AnyAxis = Axis | AdaptiveAxis


def nearest(setting: str, arguments: Mapping[str, Any]) -> Any | None:
    """The value of one argument of `Axis` nearest to the given one with which, the others as they are, it is possible."""
    given = arguments[setting]
    furthest: int = (
        arguments["size"] + sum(map(abs, arguments["padding"])) + arguments["kernel"] * arguments["dilation"]
    )
    if setting != "padding":
        given = min(given, furthest)

    def possible(step: int) -> Any | None:
        # Padding on both sides alike, so that the picture stays in the middle.
        value = (max(0, given[0] + step), max(0, given[1] + step)) if setting == "padding" else given + step
        try:
            Axis(**{**arguments, setting: value})
        except ImpossibleError:
            return None
        return value

    # Step by step near by; further off by doubling, then halving: what is possible there is so all the way.
    for distance in range(NEAR):
        for step in (-distance, distance):
            if (value := possible(step)) is not None:
                return value
    distance = NEAR
    while distance <= 2 * furthest:
        for sign in (-1, 1):
            if (value := possible(sign * distance)) is not None:
                low, high = distance // 2, distance
                while high - low > 1:
                    middle = (low + high) // 2
                    if (closer := possible(sign * middle)) is None:
                        low = middle
                    else:
                        high, value = middle, closer
                return value
        distance *= 2
    return None


def same_padding(kernel: int, dilation: int = 1) -> tuple[int, int]:
    """Padding that keeps the size at stride 1: `d(k-1)` in all, the extra cell after (torch's `padding="same"`)."""
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2
