"""An ONNX file -> network: `python -P -m cnntui.training.onnx_reader ANSWER FILE C,H,W SECONDS`. Needs no torch.

An ONNX file is data, and nothing in it is run: its operators are looked up in the table below, their shapes come from
onnx's own shape inference, and only small constants, such as the amounts of a padding, are worked out. Of weights the
sizes are enough, so weights in other files (external data) are never opened.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import inliner, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from cnntui.core import layers, merges, pointwise
from cnntui.core.layers import Layer, Shape, shape_text
from cnntui.core.network import INPUT, Network, Node
from cnntui.core.notation import printable
from cnntui.core.vocabulary import LARGEST, NotationError
from cnntui.training.onnx_operators import OPERATORS, Dims, Op
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
