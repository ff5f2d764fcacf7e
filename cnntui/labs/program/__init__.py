"""A network as PyTorch source, as a careful person would write it by hand: it runs without cnntui.

`writer` walks the network's items: its blocks, and what is repeated with branches in it, are classes. `classes` makes one
of those that differ in nothing but numbers, `torch_layers` and `calls` say what constructors make, and `text` lays it all
out in lines. Parameters are registered in the order of the network's nodes.

Names and texts of a network are its user's: nothing of them comes into a program but through `text` or `printable`.
"""

from __future__ import annotations

from cnntui.core.analysis import analyse
from cnntui.core.layers import Subsample, Table
from cnntui.core.nets import NetFile
from cnntui.core.notation import printable
from cnntui.labs.program.classes import named
from cnntui.labs.program.text import Doc, lines, wrapped
from cnntui.labs.program.writer import Program

SCALE = '''
class Scale(nn.Module):
    """One trainable weight and one bias a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias
'''
TABLE_CONV = '''
class TableConv(nn.Module):
    """A convolution whose output channel o sees only the input channels in row o of a table."""

    outputs: Tensor
    channels: Tensor

    def __init__(
        self,
        in_channels: int,
        table: tuple[tuple[int, ...], ...],
        kernel_size: tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.shape = (len(table), in_channels, *kernel_size)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        pairs = [(output, channel) for output, row in enumerate(table) for channel in row]
        outputs, channels = torch.tensor(pairs).T
        self.register_buffer("outputs", outputs, persistent=False)
        self.register_buffer("channels", channels, persistent=False)
        # As nn.Conv2d starts: uniform within one over the root of how many inputs each output sees.
        seen = [len(row) * kernel_size[0] * kernel_size[1] for row in table]
        bounds = torch.tensor(seen).rsqrt()
        weight = torch.empty(len(pairs), *kernel_size).uniform_(-1, 1)
        self.weight = nn.Parameter(weight * bounds[outputs, None, None])
        self.bias = nn.Parameter(torch.empty(len(table)).uniform_(-1, 1) * bounds) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        # The kernel is zero outside the table.
        kernel = self.weight.new_zeros(self.shape)
        kernel = kernel.index_put((self.outputs, self.channels), self.weight)
        return nn.functional.conv2d(x, kernel, self.bias, self.stride, self.padding, self.dilation)
'''
MAIN = """
if __name__ == "__main__":
    net = {name}().eval()
    with torch.no_grad():
        output = net(torch.zeros({shape}))
    print("output", tuple(output.shape))
    print(f"{{sum(parameter.numel() for parameter in net.parameters()):,}} parameters")
"""


def pytorch(net: NetFile, more: str = "") -> str:
    """A program with the network as a class; run, it prints the output's shape and the number of parameters.

    `more` is source that comes after the classes, such as `prepare.prepare` makes.

    Raises:
        ValueError: `layer NAME: …` when a layer is impossible.
    """
    analysis = analyse(net.network)
    if analysis.error:
        raise ValueError(analysis.error)
    program = Program(net.network, iter(analysis.rows))
    program.write()
    classes = named(program.instances, program.tables.values())
    layers = net.network.layers
    helpers = [SCALE] * any(isinstance(layer, Subsample) for layer in layers) + [TABLE_CONV] * bool(program.tables)
    tensor = "Tensor, " if helpers or not all(each.body.is_chain for each in classes) else ""
    tables = [line for table, name in program.tables.items() for line in lines(_table(table), "", f"{name} = ")]
    head = [_docstring(net), f"import torch\nfrom torch import {tensor}nn", "\n".join(tables)]
    shape = ", ".join(map(str, (1, *net.network.input)))
    parts = [
        "\n\n".join(filter(None, head)),
        *(helper.strip() for helper in helpers),
        *("\n".join(each.lines()) for each in classes),
        *filter(None, [more]),
        MAIN.strip().format(name=classes[-1].name, shape=shape),
    ]
    return "\n\n\n".join(parts) + "\n"


def _docstring(net: NetFile) -> str:
    name = printable(net.network.name) or "network"
    title = name if net.year is None else f"{name} ({net.year})"
    paragraphs = (title, net.idea, net.source and f"Source: {net.source}")
    text = "\n\n".join("\n".join(wrapped(paragraph)) for paragraph in paragraphs if paragraph)
    return f'"""{text}\n"""'


def _table(table: Table) -> Doc:
    rows = (Doc("(", tuple(map(str, row))) if len(row) > 1 else f"({row[0]},)" for row in table.inputs)
    return Doc("(", tuple(rows), forced=True)
