"""The nets that a lesson can name: those of the zoo, and layers. Never a file, and nothing that would be imported."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Shape
from cnntui.core.nets import load_net, zoo, zoo_directory
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.core.vocabulary import VOCABULARY, NotationError
from cnntui.labs.lessons.document import short
from cnntui.labs.stages import WordsError, nearest
from cnntui.runs.nets import is_callable

FILE = re.compile(r"(?<!/)/(?!/)|\\|\.(toml|onnx|pyw?|pth?|safetensors)\s*$|^torchvision:", re.IGNORECASE)
NAMED = re.compile(r"[\w.-]+")


def network_of(text: str, shape: Shape | None = None, name: str = "net") -> Network:
    """A net of the zoo, or layers.

    Raises:
        WordsError: when it is neither.
    """
    try:
        if NAMED.fullmatch(text) and (zoo_directory() / f"{text}.toml").is_file():
            return load_net(text, shape).network
        if FILE.search(text) or is_callable(text):
            raise WordsError(f"{text[:60]!r} names a file or a module: a lesson's net is one of the zoo, or layers")
        if shape is None and NAMED.fullmatch(text) and text not in VOCABULARY:
            raise WordsError(f"no net of the zoo is called {text!r}; {nearest(text, zoo())}")
        if shape is None:
            raise WordsError(f"{text[:60]!r} are layers: say for which input, as three numbers C, H, W")
        return parse(text, shape, name)
    except (NotationError, ImpossibleError) as error:
        raise WordsError(str(error)) from None


@cache
def analysed(text: str, *shape: int) -> Analysis:
    """The facts of a net, as `network_of` takes it.

    Raises:
        WordsError: when it is none, or cannot be.
    """
    found = analyse(network_of(text, shape or None))
    if found.error:
        raise WordsError(found.error)
    return found


def written_net(written: object) -> tuple[Any, ...]:
    """A net as a lesson has it: `"vgg16"`, or `{ layers = "conv 64; relu", input = [3, 224, 224] }`; what `analysed` takes.

    Raises:
        WordsError: when it is written otherwise.
    """
    if isinstance(written, str):
        return (written,)
    if not (isinstance(written, dict) and written.keys() <= {"layers", "input"} and "layers" in written):
        raise WordsError('a net is one of the zoo in quotes, or { layers = "conv 64; relu", input = [3, 224, 224] }')
    return layers_text(written["layers"]), *input_shape(written.get("input"))


def layers_text(layers: object) -> str:
    """Layers in one text, or in a list of texts.

    Raises:
        WordsError: when they are neither.
    """
    if isinstance(layers, list) and all(isinstance(one, str) for one in layers):
        return "; ".join(layers)
    if not isinstance(layers, str):
        raise WordsError(f'{short(layers)} are no layers in quotes, such as "conv 64; relu"')
    return layers


def input_shape(shape: object) -> tuple[int, int, int]:
    """Channels, height and width.

    Raises:
        WordsError: when they are not three whole numbers above 0.
    """
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)):
        raise WordsError(f"input = {short(shape)} is not [channels, height, width]")
    return shape[0], shape[1], shape[2]
