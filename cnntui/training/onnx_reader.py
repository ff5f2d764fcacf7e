"""An ONNX file -> network: `python -P -m cnntui.training.onnx_reader ANSWER FILE C,H,W SECONDS`. Needs no torch.

An ONNX file is data, and nothing in it is run: its operators are looked up in the table below, their shapes come from
onnx's own shape inference, and only small constants, such as the amounts of a padding, are worked out. Of weights the
sizes are enough, so weights in other files (external data) are never opened.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import inliner, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from cnntui.core import layers, merges, pointwise
from cnntui.core.axis import same_padding
from cnntui.core.layers import Layer, Pair, Shape, shape_text
from cnntui.core.network import INPUT, Network, Node
from cnntui.core.notation import printable
from cnntui.core.vocabulary import LARGEST, NotationError
from cnntui.training.reading import Found, UnknownError, Value, finished, node_name, serve, told, vocabulary

LARGEST_FILE = 2 << 30  # protobuf's own limit
SMALL = 4096  # numbers of a constant that is worked out
BATCH = 2  # where the file leaves it open
# Worked out where all that they read is constant and small.
FOLDED = {"Constant", "ConstantOfShape", "Concat", "Reshape", "Slice", "Transpose", "Cast", "Gather", "Unsqueeze"}
FOLDED |= {"Squeeze", "Expand", "Identity", "Add", "Sub", "Mul", "Div"}
# How many inputs after the first are parameters; the running means of a batch norm are none.
WEIGHTS = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "MatMul": 1, "BatchNormalization": 2, "LayerNormalization": 2}
WEIGHTS |= {"GroupNormalization": 2}

Dims = tuple[int, ...]


# What an operator is among our layers.


@dataclass(frozen=True)
class Op:
    """An operator of the file.

    Args:
        kind: its type, Conv for one.
        source: the shape of the node that made its first input's numbers, without the batch.
        attributes: by name.
        reads: the shape of each of its inputs, the batch first; None where it is left out.
        constants: the numbers of each of its inputs, where they are constant and few.
        made: the shape of its output, the batch first.
        opset: the version of the operators that the file goes by.
    """

    kind: str
    source: Shape
    attributes: Mapping[str, Any]
    reads: Sequence[Dims | None]
    constants: Sequence[np.ndarray | None]
    made: Dims
    opset: int

    @property
    def x(self) -> Dims:
        """The shape of its first input."""
        return self._known(0)

    @property
    def weight(self) -> Dims:
        """The shape of its second input."""
        return self._known(1)

    def _known(self, index: int) -> Dims:
        shape = self.reads[index] if index < len(self.reads) else None
        if shape is None:
            raise UnknownError("the shape of what it reads is not known")
        return shape

    @property
    def picture(self) -> Dims:
        """The shape of its first input, which is (batch, C, H, W)."""
        if len(self.x) != 4:
            raise UnknownError(f"it reads {shape_text(self.x[1:])}, not channels, height and width")
        return self.x

    def has(self, index: int) -> bool:
        """Whether there is an input of that place."""
        return index < len(self.reads) and self.reads[index] is not None

    def get(self, name: str, default: Any, index: int | None = None) -> Any:
        """An attribute, or where newer operators have it as input `index`, that constant."""
        if name in self.attributes:
            return self.attributes[name]
        if index is None or not self.has(index):
            return default
        constant = self.constants[index]
        if constant is None:
            raise UnknownError(f"its {name} is computed")
        return constant.tolist()

    def demand(self, **settings: Any) -> None:
        """Attributes that are to be what they are by default."""
        for name, value in settings.items():
            given = self.get(name, value)
            same = math.isclose(given, value, rel_tol=1e-6) if isinstance(value, float) else given == value
            if not same:
                raise UnknownError(f"its {name} is {given}, not {value}")


Reader = Callable[[Op], tuple[Layer, ...]]
"""The layers that an operator is; none where it makes the same numbers in the same order."""


def _just(layer: Layer, **settings: Any) -> Reader:
    """A layer that has one setting only of what the operator can be told."""

    def read(op: Op) -> tuple[Layer, ...]:
        op.demand(**settings)
        return (layer,)

    return read


def _two(values: Sequence[int]) -> Pair:
    return int(values[0]), int(values[1])


def _pads(op: Op, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """The padding before and after, of the rows and of the columns."""
    auto = op.get("auto_pad", b"NOTSET").decode()
    if auto in ("NOTSET", "VALID"):
        top, left, bottom, right = map(int, op.get("pads", (0, 0, 0, 0)) if auto == "NOTSET" else (0, 0, 0, 0))
        return (top, bottom), (left, right)
    sides = []
    for n, k, s, d in zip(op.picture[2:], kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        small, large = total // 2, total - total // 2
        sides.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return sides[0], sides[1]


def _padded(op: Op, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[tuple[Layer, ...], Pair | str]:
    """Padding as a convolution has it: the same on both sides, `same`, or else a layer before it."""
    rows, columns = _pads(op, kernel, stride, dilation)
    if rows[0] == rows[1] and columns[0] == columns[1]:
        return (), (rows[0], columns[0])
    if stride == (1, 1) and (rows, columns) == tuple(map(same_padding, kernel, dilation)):
        return (), "same"
    return (layers.Pad((*columns, *rows)),), (0, 0)


def _window(op: Op, kernel: Sequence[int]) -> tuple[Pair, Pair, Pair]:
    if len(op.picture) != 4 or len(kernel) != 2:
        raise UnknownError("its window is not one of height and width")
    return _two(kernel), _two(op.get("strides", (1, 1))), _two(op.get("dilations", (1, 1)))


def _conv(op: Op) -> tuple[Layer, ...]:
    out, _, *sizes = op.weight
    kernel, stride, dilation = _window(op, sizes)
    before, padding = _padded(op, kernel, stride, dilation)
    groups, bias = int(op.get("group", 1)), op.has(2)
    if groups == out == op.x[1] and groups > 1:
        return (*before, layers.DepthwiseConv(kernel, stride, padding, dilation, bias))
    return (*before, layers.Conv(out, kernel, stride, padding, dilation, groups, bias))


def _transposed(op: Op) -> tuple[Layer, ...]:
    _, out, *sizes = op.weight
    kernel, stride, dilation = _window(op, sizes)
    op.demand(auto_pad=b"NOTSET")
    (top, bottom), (left, right) = _pads(op, kernel, stride, dilation)
    if "output_shape" in op.attributes or (top, left) != (bottom, right):
        raise UnknownError("its padding differs from side to side, where tconv has one for both")
    groups, extra = int(op.get("group", 1)), _two(op.get("output_padding", (0, 0)))
    return (layers.TransposedConv(out * groups, kernel, stride, (top, left), dilation, groups, op.has(2), extra),)


def _pool(op: Op) -> tuple[Layer, ...]:
    kernel, stride, dilation = _window(op, op.get("kernel_shape", ()))
    if dilation != (1, 1):
        raise UnknownError(f"its dilations are {list(dilation)}, where pools have 1")
    rows, columns = _pads(op, kernel, stride, dilation)
    uneven = rows[0] != rows[1] or columns[0] != columns[1]
    touching, ceil = None if stride == kernel else stride, bool(op.get("ceil_mode", 0))
    if op.kind == "MaxPool" and not uneven:
        return (layers.MaxPool(kernel, touching, (rows[0], columns[0]), ceil),)
    counted = bool(op.get("count_include_pad", 0)) or not any(rows + columns)
    if op.kind == "AveragePool" and not uneven:
        return (layers.AvgPool(kernel, touching, (rows[0], columns[0]), ceil, counted),)
    if op.kind == "AveragePool" and counted:
        return layers.Pad((*columns, *rows)), layers.AvgPool(kernel, touching, (0, 0), ceil)
    raise UnknownError(f"its padding of rows {rows} and columns {columns} differs from side to side")


def _global(op: Op) -> tuple[Layer, ...]:
    if len(op.x) != 4:
        raise UnknownError("it is over other things than height and width")
    return (layers.AdaptiveAvgPool((1, 1)),)


def _mean(op: Op) -> tuple[Layer, ...]:
    axes = {axis % 4 for axis in op.get("axes", (), 1)}
    if len(op.x) != 4 or axes != {2, 3}:
        raise UnknownError("gap is the mean over height and width, no other")
    return (layers.AdaptiveAvgPool((1, 1)) if op.get("keepdims", 1) else layers.GlobalAvgPool(),)


def _batchnorm(op: Op) -> tuple[Layer, ...]:
    op.demand(training_mode=0)
    return (pointwise.BatchNorm(),)


def _layernorm(op: Op) -> tuple[Layer, ...]:
    if op.get("axis", -1) % len(op.x) != 1:
        raise UnknownError("it is over some dimensions, where ln is over all of them")
    return (pointwise.LayerNorm(),)


def _instancenorm(op: Op) -> tuple[Layer, ...]:
    scale, bias = op.constants[1:3]
    if scale is None or bias is None or (scale != 1).any() or (bias != 0).any() or len(op.picture) != 4:
        raise UnknownError("it has weights, where in has none")
    return (pointwise.InstanceNorm(),)


def _groupnorm(op: Op) -> tuple[Layer, ...]:
    if op.weight != (op.x[1],):
        raise UnknownError("it has a weight a group, where gn has one a channel")
    return (pointwise.GroupNorm(int(op.get("num_groups", 1))),)


def _lrn(op: Op) -> tuple[Layer, ...]:
    op.demand(size=5, alpha=1e-4, beta=0.75, bias=1.0)
    return (pointwise.LocalResponseNorm(),)


def _clip(op: Op) -> tuple[Layer, ...]:
    low, high = op.get("min", -math.inf, 1), op.get("max", math.inf, 2)
    if low != 0 or not (high == 6 or high > 3e38):  # the largest float32 is how some say that there is no limit
        raise UnknownError(f"it clamps to {low} and {high}, where relu6 clamps to 0 and 6")
    return (pointwise.ReLU6() if high == 6 else pointwise.ReLU(),)


def _softmax(op: Op) -> tuple[Layer, ...]:
    old = op.opset < 13  # it flattened everything from its axis on
    axis = op.get("axis", 1 if old else -1) % len(op.x)
    if axis != 1 or (old and len(op.x) > 2):
        raise UnknownError("it is not over the channels, as softmax is")
    return (pointwise.Softmax(),)


def _dropout(op: Op) -> tuple[Layer, ...]:
    return (pointwise.Dropout(round(float(op.get("ratio", 0.5, 1)), 6)),)


def _gemm(op: Op) -> tuple[Layer, ...]:
    op.demand(alpha=1.0, beta=1.0, transA=0)
    if op.has(2) and math.prod(op.reads[2] or ()) != op.made[-1]:
        raise UnknownError("its bias is not one an output")
    return (layers.Linear(op.made[-1], op.has(2)),)


def _matmul(op: Op) -> tuple[Layer, ...]:
    if len(op.x) != 2 or len(op.weight) != 2:
        raise UnknownError("it multiplies other things than a vector and a matrix")
    return (layers.Linear(op.weight[1], bias=False),)


def _cat(op: Op) -> tuple[Layer, ...]:
    if op.get("axis", 1) % len(op.x) != 1:
        raise UnknownError("it is not along the channels, as cat is")
    return (merges.Cat(),) if len(op.reads) > 1 else ()


def _pad(op: Op) -> tuple[Layer, ...]:
    amounts = list(map(int, op.get("pads", (), 1)))
    if op.has(3):
        axes = [int(axis) % 4 for axis in op.get("axes", (), 3)]
        full = [0] * 8
        for place, axis in enumerate(axes):
            full[axis], full[axis + 4] = amounts[place], amounts[place + len(axes)]
        amounts = full
    mode, value = op.get("mode", b"constant").decode(), op.get("value", 0, 2)
    if mode != "constant" or value or len(amounts) != 8 or any(amounts[:2] + amounts[4:6]) or min(amounts) < 0:
        raise UnknownError(f"it is {mode} by {amounts}, where pad puts zeros around a picture")
    return (layers.Pad((amounts[3], amounts[7], amounts[2], amounts[6])),)


def _resize(op: Op) -> tuple[Layer, ...]:
    (height, width), (tall, wide) = op.picture[2:], op.made[2:]
    scale = tall // height
    mode = op.get("mode", b"nearest").decode()
    where = op.get("coordinate_transformation_mode", b"half_pixel" if op.opset >= 11 else b"asymmetric").decode()
    rounds = op.get("nearest_mode", b"round_prefer_floor" if op.opset >= 11 else b"floor").decode()
    blocks = rounds == "floor" if where == "asymmetric" else where.endswith("half_pixel") and rounds.startswith("round")
    if mode != "nearest" or not blocks or (tall, wide) != (height * scale, width * scale):
        raise UnknownError(
            f"it goes from {height}×{width} to {tall}×{wide} by {mode}, where upsample makes each cell a square block"
        )
    return (layers.Upsample(scale),)


def _reshaped(op: Op) -> tuple[Layer, ...]:
    vector = len(op.made) == 2 and op.made[1] == math.prod(op.source)
    return (layers.Flatten(),) if vector and len(op.source) == 3 else ()


def _same(op: Op) -> tuple[Layer, ...]:
    return ()


OPERATORS: Mapping[str, Reader] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    "GlobalAveragePool": _global,
    "ReduceMean": _mean,
    "BatchNormalization": _batchnorm,
    "LayerNormalization": _layernorm,
    "InstanceNormalization": _instancenorm,
    "GroupNormalization": _groupnorm,
    "LRN": _lrn,
    "Relu": _just(pointwise.ReLU()),
    "Clip": _clip,
    "LeakyRelu": _just(pointwise.LeakyReLU(), alpha=0.01),
    "Elu": _just(pointwise.ELU(), alpha=1.0),
    "Gelu": _just(pointwise.GELU(), approximate=b"none"),
    "HardSwish": _just(pointwise.Hardswish()),
    "Swish": _just(pointwise.SiLU(), alpha=1.0),
    "Tanh": _just(pointwise.Tanh()),
    "Sigmoid": _just(pointwise.Sigmoid()),
    "Softmax": _softmax,
    "Dropout": _dropout,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _just(merges.Add()),
    "Sum": _just(merges.Add()),
    "Mul": _just(merges.Mul()),
    "Concat": _cat,
    "Pad": _pad,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _reshaped),
    **dict.fromkeys(("Identity", "Cast"), _same),
}


# The file.


@dataclass
class Graph:
    """The operators of a file, read from the first to the last."""

    model: onnx.ModelProto
    picture: Dims
    found: dict[str, Found] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.opset = next((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.constants = {t.name: value for t in self.model.graph.initializer if (value := _small(t)) is not None}
        self.shapes = _shapes(self.model)
        while self._fold():  # what was worked out may be what a shape depends on
            self.shapes = _shapes(self.model)
        self.weights = {t.name: tuple(t.dims) for t in self.model.graph.initializer}
        self.uses = Counter(name for node in self.model.graph.node for name in node.input)
        self.values: dict[str, Value] = {}
        self.outputs = {INPUT: self.picture[1:]}

    def _fold(self) -> bool:
        """Work out what reads small constants only; whether there was any."""
        graph, folded = self.model.graph, set()
        for node in graph.node:
            known = [self.constants[name] for name in node.input if name in self.constants]
            if node.op_type == "Shape" and not node.attribute and self.shapes.get(node.input[0]):
                value = np.array(self.shapes[node.input[0]])
            elif node.op_type in FOLDED and len(known) == len(node.input) and node.domain in ("", "ai.onnx"):
                if node.op_type in ("ConstantOfShape", "Expand") and math.prod(map(int, known[-1].flat)) > SMALL:
                    continue
                value = _worked_out(node, known, self.opset)
            else:
                continue
            if value.size <= SMALL:
                folded.add(node.output[0])
                self.constants[node.output[0]] = value
                graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        kept = [node for node in graph.node if node.output[0] not in folded]
        del graph.node[:]
        graph.node.extend(kept)
        return bool(folded)

    def read(self) -> None:
        """Every operator."""
        (given,) = _inputs(self.model.graph)
        self.values[given.name] = Value(INPUT, self.picture)
        for node in self.model.graph.node:
            known = [self.values[name] for name in node.input if name in self.values]
            if not known:
                continue
            try:
                value = next((v for v in known if v.problem), None) or self._value(node, known)
            except UnknownError as error:
                value = _problem(node, str(error))
            first, *others = node.output
            self.values[first] = value
            self.values |= dict.fromkeys(others, _problem(node, "only its first output has one"))

    def _value(self, node: onnx.NodeProto, known: list[Value]) -> Value:
        made = self.shapes.get(node.output[0])
        reader = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if reader is None:
            before = known[0] if node.op_type == "LogSoftmax" else None
            return replace(_problem(node, ""), before=before)
        if made is None:
            raise UnknownError("its output's shape is not known, perhaps because the input does not fit")
        if bias := self._bias(node):
            return bias
        if silu := self._silu(node, known):
            return silu
        op = self._op(node, made, known)
        read = reader(op)
        if not read:
            return Value(known[0].node, made)
        merge = isinstance(read[-1], merges.Merge)
        if merge and len(known) != len(node.input):
            raise UnknownError(f"{read[-1].op} is of layers, not of a constant")
        if not merge and (len(known) > 1 or node.input[0] not in self.values):
            raise UnknownError(f"{read[-1].op} reads one layer, and its weights are constants")
        if read == (layers.Flatten(),):  # in whichever shape it sees them, they are the same numbers in order
            inputs: tuple[str, ...] = (known[0].node,)
        else:
            inputs = tuple(self._source(value, isinstance(read[-1], merges.Mul)) for value in known)
        return self._add(node, read, inputs, made)

    def _op(self, node: onnx.NodeProto, made: Dims, known: list[Value]) -> Op:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        reads: list[Dims | None] = []
        for name in node.input:
            shape = self.weights.get(name, self.shapes.get(name))
            if name and shape is None:
                raise UnknownError("the shape of what it reads is not known")
            reads.append(shape if name else None)
        constants = [self.constants.get(name) for name in node.input]
        return Op(node.op_type, self.outputs[known[0].node], attributes, reads, constants, made, self.opset)

    def _source(self, value: Value, gates: bool) -> str:
        """The node that a value comes from, where the value has that node's shape; a gate may have 1×1 besides."""
        shape = self.outputs[value.node]
        wanted = [(self.picture[0], *shape)] + [(self.picture[0], *shape, 1, 1)] * (gates and len(shape) == 1)
        if value.seen not in wanted:
            raise UnknownError(f"it reads {value.node}, {shape_text(shape)}, reshaped to {shape_text(value.seen[1:])}")
        return value.node

    def _add(self, node: onnx.NodeProto, read: tuple[Layer, ...], inputs: tuple[str, ...], made: Dims) -> Value:
        own, named = _own_name(node, set(self.weights))
        for before in read[:-1]:
            name = node_name(f"{own}.{before.op}", self.found)
            self._found(Node(name, before, inputs), before.output(self.outputs[inputs[0]]), 0, named=False)
            inputs = (name,)
        trained = list(filter(None, node.input[1 : 1 + WEIGHTS.get(node.op_type, 0)]))
        if any(name not in self.weights for name in trained):
            raise UnknownError("its weights are computed")
        params = sum(math.prod(self.weights[name]) for name in trained)
        if any(self.uses[name] > 1 for name in trained):
            self.notes["some of its layers share stored weights, counted for each"] = None
        eps = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        if not math.isclose(eps, 1e-5, rel_tol=1e-6):
            self.notes[f"{read[-1].op} has eps {eps:g} there, not 1e-05"] = None
        name = node_name(own, self.found)
        self._found(Node(name, read[-1], inputs), made[1:], params, named)
        return Value(name, made)

    def _found(self, node: Node, output: Shape, params: int, named: bool) -> None:
        self.found[node.name] = Found(node, output, params, named)
        self.outputs[node.name] = output

    def _bias(self, node: onnx.NodeProto) -> Value | None:
        """An Add of constants to what a MatMul made, and nothing else reads: the bias of a linear layer."""
        if node.op_type != "Add" or len(node.input) != 2:
            return None
        for x, bias in (node.input, reversed(node.input)):
            value = self.values.get(x)
            found = self.found.get(value.node) if value else None
            size = math.prod(self.weights.get(bias, (0,)))
            alone = self.uses[x] == 1 and value is not None and self.shapes.get(node.output[0]) == value.seen
            if value and found and alone and found.node.layer == layers.Linear(size, bias=False):
                with_bias = replace(
                    found, node=replace(found.node, layer=layers.Linear(size)), params=found.params + size
                )
                self.found[value.node] = with_bias
                return value
        return None

    def _silu(self, node: onnx.NodeProto, known: list[Value]) -> Value | None:
        """A Mul of x and of its sigmoid, which nothing else reads: what exporters make of silu."""
        if node.op_type != "Mul" or len(known) != 2:
            return None
        for gate, x, name in ((known[0], known[1], node.input[0]), (known[1], known[0], node.input[1])):
            found = self.found.get(gate.node)
            if found and found.node == Node(gate.node, pointwise.Sigmoid(), (x.node,)) and self.uses[name] == 1:
                self.found[gate.node] = replace(found, node=replace(found.node, layer=pointwise.SiLU()))
                return gate
        return None


def _worked_out(node: onnx.NodeProto, values: Sequence[np.ndarray], opset: int) -> np.ndarray:
    """One operator on constants, by onnx's reference in numpy."""
    inputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in node.input]
    output = onnx.helper.make_value_info(node.output[0], onnx.TypeProto())
    graph = onnx.helper.make_graph([node], "one", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    (result,) = ReferenceEvaluator(model).run(None, dict(zip(node.input, values, strict=True)))
    return np.asarray(result)


def _problem(node: onnx.NodeProto, why: str) -> Value:
    own = printable(node.name or node.output[0])[:80]
    kind = printable(node.op_type)[:40]
    said = f"layer {own} ({kind}) has no counterpart in the notation{f': {why}' if why else f'; {vocabulary()}'}"
    return Value("", (), said)


def _own_name(node: onnx.NodeProto, weights: set[str]) -> tuple[str, bool]:
    """The module's path, where the exporter kept it: `/layer1/conv/Conv`, or a weight called `layer1.conv.weight`."""
    parts = node.name.strip("/").split("/")
    if node.name.startswith("/") and len(parts) > 1:
        return ".".join(parts[:-1])[:200], True
    for name in node.input[1:2]:
        if name in weights and "." in name:
            return name.rpartition(".")[0][:200], True
    return (node.name or node.op_type)[:200], False


def _small(tensor: onnx.TensorProto) -> np.ndarray | None:
    """The numbers of a constant in this file, where they are few."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or math.prod(tensor.dims) > SMALL:
        return None
    return np.asarray(numpy_helper.to_array(tensor))


def _inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def _dims(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)


def _shapes(model: onnx.ModelProto) -> dict[str, Dims]:
    """The shape of every value, where onnx's own inference comes to one."""
    inferred = shape_inference.infer_shapes(model, strict_mode=False, data_prop=True).graph
    every = [(value, _dims(value)) for value in (*inferred.input, *inferred.value_info, *inferred.output)]
    # A value that is one number has a shape without dimensions; one of unknown shape has no shape.
    return {
        value.name: tuple(d for d in dims if d is not None)
        for value, dims in every
        if None not in dims and value.type.tensor_type.HasField("shape")
    }


def load(path: Path) -> onnx.ModelProto:
    """The model in a file, without external data.

    Raises:
        NotationError: when it cannot be read, or is none.
    """
    try:
        if not path.is_file():
            raise NotationError("there is no such file")
        if path.stat().st_size > LARGEST_FILE:
            raise NotationError(f"it has {path.stat().st_size >> 20:,} MB > {LARGEST_FILE >> 20:,}, which ONNX allows")
        model = onnx.ModelProto()
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise NotationError(str(error.strerror)) from None
    except NotationError:
        raise
    except Exception:  # protobuf's DecodeError, under whatever name
        raise NotationError("it is not an ONNX file, or it is damaged") from None
    if not model.graph.node:
        raise NotationError("it is not an ONNX file, or a net without layers")
    return model


def _given(model: onnx.ModelProto, shape: Shape | None) -> Dims:
    """Make the model's input what is asked for, or what the file says; returns it with the batch."""
    inputs = _inputs(model.graph)
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise NotationError(
            f"it has {len(inputs)} inputs and {len(model.graph.output)} outputs; a network here has one of each"
        )
    dims = _dims(inputs[0])
    if len(dims) != 4:
        raise NotationError(f"its input has {len(dims)} dimensions, not batch, channels, height and width")
    if shape is None:
        if None in dims[1:]:
            raise NotationError("it leaves its input open: add --input C,H,W, for example --input 3,224,224")
        shape = tuple(d for d in dims[1:] if d is not None)
    if max(shape) > LARGEST:
        raise NotationError(f"its input is {list(shape)}: {max(shape)} > {LARGEST:,}")
    picture = (dims[0] or BATCH, *shape)
    for dim, size in zip(inputs[0].type.tensor_type.shape.dim, picture, strict=True):
        dim.dim_value = size
    del model.graph.value_info[:]  # what was true for the exporter's input
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return picture


def _lighten(model: onnx.ModelProto) -> None:
    """Check that each weight has the numbers that its sizes promise, and let them go: their sizes are enough."""
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            node.attribute[0].t.name = node.output[0]
            model.graph.initializer.append(node.attribute[0].t)
    kept = [node for node in model.graph.node if node.op_type != "Constant" or node.attribute[0].name != "value"]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for tensor in model.graph.initializer:
        if min(tensor.dims, default=0) < 0:
            raise NotationError(
                f"it is damaged: weight {printable(tensor.name)[:80]} has sizes {list(tensor.dims)[:8]}"
            )
        if tensor.data_location == onnx.TensorProto.EXTERNAL or not tensor.raw_data:
            continue
        wanted = math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        if len(tensor.raw_data) != wanted and tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64):
            size = f"{len(tensor.raw_data):,} bytes of {wanted:,}"
            raise NotationError(f"it is damaged: weight {printable(tensor.name)[:80]} holds {size}")
        if math.prod(tensor.dims) > SMALL:
            tensor.ClearField("raw_data")


def read(net: str, shape: Shape | None) -> tuple[Network, str]:
    """An ONNX file as a network, and how it was read.

    Raises:
        NotationError: with one line that says what is wrong.
        ImpossibleError: as `Network`.
    """
    path = Path(net)
    model = load(path)
    picture = _given(model, shape)
    try:
        _lighten(model)
        if model.functions:
            model = inliner.inline_local_functions(model)
        graph = Graph(model, picture)
        graph.read()
    except (NotationError, MemoryError):
        raise
    except Exception as error:  # onnx raises whatever it likes on what it does not like
        raise NotationError(f"onnx cannot read it: {told(error)}") from None
    value = graph.values.get(model.graph.output[0].name)
    if value is None:
        raise NotationError("its output does not come from its input")
    made = f"opset {graph.opset}, by {printable(model.producer_name)[:40] or 'an unnamed program'}"
    notes = [f"read from an ONNX file ({made}); what its exporter folded, batch norms mostly, stays folded"]
    network, _, told_of = finished(printable(path.stem), picture[1:], value, picture[0], graph.outputs, graph.found)
    return network, "; ".join((*notes, *told_of, *graph.notes))


if __name__ == "__main__":
    serve(read)
