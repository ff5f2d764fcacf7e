"""Any nn.Module -> network: it is run once, and every function of torch that it calls is written down as a layer.

The process behind `load_any`: `python -P -m cnntui.training.importer ANSWER NET C,H,W SECONDS`.

The run is on torch's meta device, where tensors have shapes and no numbers. So it costs nothing, and it cannot depend on
the picture: a net that decides by its numbers fails there. It is then run on a picture of zeros, and the network's idea
says so. Listening to functions, and not to modules, is what finds the sums and reshapes between modules, and layers
written as functions; which module was running only gives the layer its name.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.machinery
import inspect
import sys
import types
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's readers know it by this name
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves

from cnntui.core import layers, merges
from cnntui.core.items import MOST_LAYERS
from cnntui.core.layers import Layer, Shape, shape_text
from cnntui.core.network import INPUT, Network, Node
from cnntui.core.vocabulary import NotationError
from cnntui.training.reading import Found, UnknownError, Value, finished, node_name, serve, told, vocabulary
from cnntui.training.torch_functions import BATCH, READERS, Call, Reader, Seen, dropout

UNSEEN = "what it makes does not come from its input by functions that torch shows"
TORCHVISION = "torchvision:"
DEFAULT_INPUT = (3, 224, 224)
INPUTS = {"inception_v3": (3, 299, 299)}
NAMED = 8  # of a module's names, where another was asked for


# The run.


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


class Recorder(TorchFunctionMode):
    """Writes down which layers a module's run comes to.

    Args:
        model: the module that is run.
        parameters: its parameters by their names, as they are in the run.
        picture: the batch that it is run on.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, Tensor], picture: Tensor) -> None:
        super().__init__()
        self.found: dict[str, Found] = {}
        self.used: dict[str, list[str]] = {}
        self.notes: dict[str, None] = {}
        self._parameters = {id(parameter): path for path, parameter in parameters.items()}
        self._paths = {id(module): path for path, module in model.named_modules()}
        self.shapes = {INPUT: tuple(picture.shape[1:])}
        self._running: list[nn.Module] = []
        self._values: dict[int, Value] = {}
        self._alive: list[Tensor] = []  # a tensor has its id to itself only as long as it lives
        self._know(picture, Value(INPUT, tuple(picture.shape), version=_version(picture)))

    def enter(self, module: nn.Module, args: Any) -> None:
        """A module begins: torch's forward pre-hook."""
        self._running.append(module)

    def leave(self, module: nn.Module, args: Any, result: Any) -> None:
        """A module ends: torch's forward hook. What it made unseen, a scripted module for one, is of no layer."""
        for tensor in _tensors(result):
            if id(tensor) not in self._values and any(id(read) in self._values for read in _tensors(args)):
                self._know(tensor, self._unknown(self._layer(type(module).__name__), UNSEEN))
        self._running.pop()

    def value(self, tensor: Tensor) -> Value:
        """What is known of it now."""
        value = self._values.get(id(tensor))
        if value is None:
            return self._unknown("its output", UNSEEN)
        if _version(tensor) != value.version and not value.problem:
            return self._unknown(
                self._layer(), f"what it reads of {value.node} was changed in place, by part or as a view"
            )
        return value

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function; where it makes a tensor of what is known, that is known then."""
        kwargs = kwargs or {}
        reads = {id(tensor): self.value(tensor) for tensor in _tensors((args, kwargs)) if id(tensor) in self._values}
        result = func(*args, **kwargs)
        made = _tensors(result)
        if not made or not reads:
            return result
        old = reads.get(id(result))
        if READERS.get(func) is dropout and old and old.version == _version(result) and not kwargs.get("inplace"):
            result = result.clone()  # when not training it returns its input: two layers, and yet one tensor
            made = [result]
        for tensor in made:
            self._know(tensor, self._made(func, args, kwargs, tensor, len(made), reads))
        return result

    def _know(self, tensor: Tensor, value: Value) -> None:
        self._values[id(tensor)] = value
        self._alive.append(tensor)

    def _made(
        self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Tensor, count: int, reads: Mapping[int, Value]
    ) -> Value:
        for value in reads.values():
            if value.problem:
                return value
        if len(self.found) > MOST_LAYERS:
            raise NotationError(f"more than {MOST_LAYERS:,} layers")
        name = str(resolve_name(func) or getattr(func, "__name__", func)).removeprefix("torch.")
        reader = READERS.get(func)
        if reader is None or count != 1:
            first = next(iter(reads.values()))
            before = first if func in (F.log_softmax, torch.log_softmax, Tensor.log_softmax) else None
            return self._unknown(self._layer(name), "", before)
        try:
            return self._read(reader, args, dict(kwargs), out, reads)
        except UnknownError as error:
            return self._unknown(self._layer(name), str(error))

    def _read(
        self, reader: Reader, args: Any, kwargs: dict[str, Any], out: Tensor, reads: Mapping[int, Value]
    ) -> Value:
        x, *rest = args or (kwargs.pop("input", None),)
        operands = _tensors((x, rest, kwargs))
        known = [tensor for tensor in operands if id(tensor) in reads]
        source = reads[id(known[0])]
        call = Call(x, out, self.shapes[source.node], source.seen)
        try:
            bound = inspect.signature(reader).bind(call, *rest, **kwargs)
        except TypeError as error:
            raise UnknownError(str(error)) from None
        layer = reader(*bound.args, **bound.kwargs)
        if isinstance(layer, Seen):
            return Value(source.node, layer.shape, version=_version(out))
        weights = [tensor for tensor in operands if id(tensor) not in reads]
        if isinstance(layer, merges.Merge):
            if weights:
                raise UnknownError(f"{layer.op} is of layers, not of a parameter or a constant")
        elif len(known) > 1 or known[0] is not x:
            raise UnknownError(f"{layer.op} reads one layer, and its weights are parameters")
        if isinstance(layer, layers.Flatten):  # in whichever shape it sees them, they are the same numbers in order
            inputs: tuple[str, ...] = (source.node,)
        else:
            inputs = tuple(self._source(tensor, reads[id(tensor)], layer) for tensor in known)
        self.notes |= dict.fromkeys(call.notes)
        return self._add(layer, inputs, out, [w for w in weights if id(w) in self._parameters])

    def _source(self, tensor: Tensor, value: Value, layer: Layer) -> str:
        """The node that an operand comes from, where the operand has that node's shape. A gate may be stretched."""
        shape = self.shapes[value.node]
        seen = value.seen if isinstance(layer, merges.Mul) else tuple(tensor.shape)
        gate = isinstance(layer, merges.Mul) and len(shape) == 1 and seen == (BATCH, *shape, 1, 1)
        if seen != (BATCH, *shape) and not gate:
            raise UnknownError(f"it reads {value.node}, {shape_text(shape)}, reshaped to {shape_text(seen[1:])}")
        return value.node

    def _add(self, layer: Layer, inputs: tuple[str, ...], out: Tensor, weights: list[Tensor]) -> Value:
        module = self._running[-1] if self._running else None
        path = self._paths.get(id(module), "")
        named = bool(path) and module is not None and next(module.children(), None) is None
        name = node_name(path if named else f"{path or 'forward'}.{layer.op}", self.found)
        shape = tuple(out.shape[1:])
        params = sum(weight.numel() for weight in {id(weight): weight for weight in weights}.values())
        self.found[name] = Found(Node(name, layer, inputs), shape, params, named)
        self.used[name] = [self._parameters[id(weight)] for weight in weights]
        self.shapes[name] = shape
        return Value(name, tuple(out.shape), version=_version(out))

    def _layer(self, function: str = "") -> str:
        """Where it is, for messages: the module's path and type; for a function between modules, its name."""
        module = self._running[-1] if self._running else None
        path = self._paths.get(id(module), "")
        own = module is not None and type(module).__module__.startswith("torch.nn.")
        what = type(module).__name__ if own or not function else function
        return f"layer {path} ({what})" if path else f"{what} in its forward"

    def _unknown(self, where: str, why: str, before: Value | None = None) -> Value:
        because = f": {' '.join(why.split())}" if why else f"; {vocabulary()}"
        said = f"{where} has no counterpart in the notation{because}"
        return Value("", (), said, before)


def _run(model: nn.Module, shape: Shape, meta: bool) -> tuple[Recorder, Value]:
    """One run, recorded, and what its output is."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    buffers: dict[str, Tensor] = dict(model.named_buffers())
    first = next((p for p in parameters.values() if p.is_floating_point()), torch.empty(0))
    device = torch.device("meta") if meta else first.device
    if meta:
        parameters = {name: nn.Parameter(p.to("meta"), p.requires_grad) for name, p in parameters.items()}
        buffers = {name: buffer.to("meta") for name, buffer in buffers.items()}
    picture = torch.zeros(BATCH, *shape, device=device, dtype=first.dtype)
    recorder = Recorder(model, parameters, picture)
    hooks = (
        nn.modules.module.register_module_forward_pre_hook(recorder.enter),
        nn.modules.module.register_module_forward_hook(recorder.leave, always_call=True),
    )
    try:
        with torch.no_grad(), device, recorder:
            result = torch.func.functional_call(model, {**parameters, **buffers}, (picture,))
    finally:
        for hook in hooks:
            hook.remove()
    outputs = _tensors(result)
    if len(outputs) != 1:
        raise NotationError(
            f"it returns {type(result).__name__} of {len(outputs)} tensors; a network here has one output"
        )
    return recorder, recorder.value(outputs[0])


def read_module(model: nn.Module, shape: Shape, name: str) -> tuple[Network, str]:
    """A module, as it computes when it does not train, as a network; and how it was read.

    Args:
        model: is run on two pictures of `shape`, (C, H, W).
        shape: its input.
        name: what the network is called.

    Raises:
        NotationError: naming the layer that has no counterpart, or of which the analysis says something else.
        ImpossibleError: as `Network`.
    """
    model = getattr(model, "_orig_mod", model).eval()  # what torch.compile wraps
    notes = []
    try:
        if any(map(nn.parameter.is_lazy, model.parameters())):
            with torch.no_grad():
                model(torch.zeros(BATCH, *shape))  # layers that learn their sizes from the first picture
    except Exception as error:  # other people's code
        raise NotationError(f"on a picture of {shape_text(shape)} it raised {told(error)}") from None
    try:
        recorder, value = _run(model, shape, meta=True)
        how = "recorded while torch ran it once, without numbers"
    except NotationError:
        raise
    except Exception as reason:  # other people's code, on a device that it does not know
        try:
            recorder, value = _run(model, shape, meta=False)
        except NotationError:
            raise
        except Exception as error:
            raise NotationError(f"on a picture of {shape_text(shape)} it raised {told(error)}") from None
        how = "recorded while torch ran it once, on a picture of zeros"
        notes.append(f"where its way depends on the numbers, it is the way of zeros ({told(reason)})")
    network, found, told_of = finished(name, shape, value, BATCH, recorder.shapes, recorder.found)
    notes += told_of
    notes += _parameters(model, found, recorder)
    return network, "; ".join((how, *recorder.notes, *notes))


def _parameters(model: nn.Module, found: Collection[Found], recorder: Recorder) -> list[str]:
    """What to say of parameters that no layer has; raises where two layers share one."""
    owner: dict[str, str] = {}
    for each in found:
        for path in recorder.used[each.node.name]:
            other = owner.setdefault(path, each.node.name)
            if other != each.node.name:
                raise NotationError(f"layers {other} and {each.node.name} share {path}; here each has its own")
    idle = [(path, p) for path, p in model.named_parameters() if path not in owner]
    if not idle:
        return []
    where = ", ".join(dict.fromkeys(path.partition(".")[0] for path, _ in idle))
    return [f"without {sum(p.numel() for _, p in idle):,} parameters ({where}) that its output does not use"]


# From NET to a module.


def read(net: str, shape: Shape | None) -> tuple[Network, str]:
    """`torchvision:NAME` or `module:callable` as a network, and how it was read.

    Raises:
        NotationError: with one line that says what is wrong.
        ImpossibleError: as `Network`.
    """
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if net.startswith(TORCHVISION):
        name = net.removeprefix(TORCHVISION)
        return read_module(torchvision_model(name), shape or INPUTS.get(name, DEFAULT_INPUT), name)
    where, _, attribute = net.rpartition(":")
    return read_module(made(where, attribute), shape or DEFAULT_INPUT, attribute)


def torchvision_model(name: str) -> nn.Module:
    """A classifier of torchvision, without weights; nothing is downloaded.

    Raises:
        NotationError: when there is none of that name: with those that are most like it.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        close = difflib.get_close_matches(name.lower(), known, 3, 0.5) or ["resnet18", "vgg16", "densenet121"]
        raise NotationError(f"torchvision has no such classifier; there is {', '.join(close)}")
    with _Bodiless():
        return models.get_model(name, weights=None)  # type: ignore[no-any-return]


class _Bodiless(TorchFunctionMode):
    """Parameters are made without numbers. (The meta device would do, but for the nets that compute their widths.)"""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As the function, on the meta device where it makes a tensor of one value."""
        on = {"device": "meta"} if func in (torch.empty, torch.zeros, torch.ones) else {}
        return func(*args, **{**(kwargs or {}), **on})


def made(where: str, attribute: str) -> nn.Module:
    """The module that a callable makes, an `nn.Module` class or object included.

    Args:
        where: a dotted module, looked for in the current directory as well, or the path of a .py file.
        attribute: a name in it, or names with dots between.

    Raises:
        NotationError: when it is not there, or raises, or makes something else.
    """
    sys.path.append(str(Path.cwd()))  # at the end: nothing of Python's own is hidden by a file of that name
    thing: Any = _module(where)
    for name in attribute.split("."):
        if not hasattr(thing, name):
            known = [own for own, value in vars(thing).items() if own[0] != "_" and callable(value)]
            close = difflib.get_close_matches(name, known, 3, 0.5) or known[:NAMED]
            raise NotationError(f"{where} has no {attribute}" + (f"; there is {', '.join(close)}" if close else ""))
        thing = getattr(thing, name)
    if not isinstance(thing, nn.Module):
        if not callable(thing):
            raise NotationError(
                f"{attribute} is of type {type(thing).__name__}, not a function or class that makes an nn.Module"
            )
        try:
            thing = thing()
        except BaseException as error:  # SystemExit is no way out of here
            raise NotationError(f"{attribute}() raised {told(error)}") from None
    if not isinstance(thing, nn.Module):
        raise NotationError(f"{attribute}() returned {type(thing).__name__}, not an nn.Module")
    return thing


def _module(where: str) -> Any:
    path = Path(where)
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        if not path.is_file():
            raise NotationError(f"there is no file {where}")
        sys.path.append(str(path.absolute().parent))
        loader = importlib.machinery.SourceFileLoader(path.stem, str(path.absolute()))
        module = types.ModuleType(path.stem)
        module.__file__ = loader.path
        sys.modules.setdefault(path.stem, module)  # where dataclasses look for the module of a class
        loader.exec_module(module)
        return module
    except NotationError:
        raise
    except ModuleNotFoundError as error:
        if error.name and f"{where}.".startswith(f"{error.name}."):
            raise NotationError(f"no module is called {error.name}, neither installed nor in {Path.cwd()}") from None
        raise NotationError(f"importing {where} raised {told(error)}") from None
    except BaseException as error:  # SystemExit is no way out of here
        raise NotationError(f"importing {where} raised {told(error)}") from None


if __name__ == "__main__":
    serve(read)
