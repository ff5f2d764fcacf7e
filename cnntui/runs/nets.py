"""Every NET of the command line: ours at once, other people's through a process of its own."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable

from cnntui.core.layers import Shape
from cnntui.core.nets import NetFile, load_net
from cnntui.core.vocabulary import VOCABULARY, NotationError

HOW_TO_GET_TORCH = "other people's networks are read with torch: pip install 'cnntui[train]'"
HOW_TO_GET_ONNX = ".onnx files are read with onnx: pip install 'cnntui[onnx]'"
SECONDS = 60.0
CALLABLE = re.compile(r"([\w.~/-]+):([A-Za-z_][\w.]*)")
TORCH_READER, ONNX_READER = "cnntui.training.importer", "cnntui.training.onnx_reader"


Stopped = Callable[[], bool] | None


def load_any(net: str, shape: Shape | None = None, seconds: float = SECONDS, stopped: Stopped = None) -> NetFile:
    """NET as on the command line: all that `load_net` takes, `torchvision:NAME`, `module:callable`, and `file.onnx`.

    Args:
        net: what to read. A callable takes no arguments; an `nn.Module` class or object does as well.
        shape: (C, H, W); what torchvision's and .onnx nets have no need of, and a callable has.
        seconds: after so many the reader's process is killed.
        stopped: asked now and then whether nobody waits for the answer any more; then it is killed too.

    Raises:
        NotationError: with one line that says what is wrong and what to do.
        ImpossibleError: when the input or the names cannot be.
    """
    if net.endswith(".onnx"):
        _need("onnx", HOW_TO_GET_ONNX)
        return _read(ONNX_READER, net, shape, seconds, stopped)
    if net.startswith("torchvision:"):
        _need("torchvision", f"{net}: {HOW_TO_GET_TORCH}")
        return _read(TORCH_READER, net, shape, seconds, stopped)
    if net.endswith(".py"):
        raise NotationError(f"{net}: which network of it? write {net}:NAME, for a function or class of that file")
    if is_callable(net):
        _need("torch", f"{net}: {HOW_TO_GET_TORCH}")
        if shape is None:
            raise NotationError(f"{net} needs its input: add --input C,H,W, for example --input 3,32,32")
        return _read(TORCH_READER, net, shape, seconds, stopped)
    return load_net(net, shape)


def is_callable(net: str) -> bool:
    """Whether a text is `module:callable`; `stem:relu` is notation, a layer with a name."""
    match = CALLABLE.fullmatch(net)
    return match is not None and match[2] not in VOCABULARY


def _need(package: str, otherwise: str) -> None:
    """Looks, does not import."""
    if importlib.util.find_spec(package) is None:
        raise NotationError(otherwise)


def _read(reader: str, net: str, shape: Shape | None, seconds: float, stopped: Stopped) -> NetFile:
    # Only here: a net of ours is to be there at once.
    from cnntui.runs.imports import read

    return read(reader, net, shape, seconds, stopped)
