"""One axis of a sliding window: which input index does tap `k` of output `o` read?

Every window here is separable, so two axes are a whole 2-D convolution or pool. The same table (output x tap -> input)
drives the arithmetic, the highlighting on the screens and the exact receptive fields; a transposed convolution is the
same table with the roles of stepping and reading exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field


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
        object.__setattr__(self, "outputs", self._transposed_outputs() if self.transposed else self._outputs())

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

    def position(self, output: int, tap: int) -> int | None:
        """Where the tap lies, in input cells; negative or at least `size` means padding. None: between two inputs."""
        if self.transposed:
            where, rest = divmod(output + self.padding[0] - tap * self.dilation, self.stride)
            return None if rest else where
        return output * self.stride - self.padding[0] + tap * self.dilation

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
        return f"{left}{inner}{right} + 1 = {self.outputs}" if self.stride > 1 else f"{inner} + 1 = {self.outputs}"


def same_padding(kernel: int, dilation: int = 1) -> tuple[int, int]:
    """Padding that keeps the size at stride 1: `d(k-1)` in all, the extra cell after (torch's `padding="same"`)."""
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2
