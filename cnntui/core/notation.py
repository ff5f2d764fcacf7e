"""Text to network and back: `conv 6 k5; tanh; avgpool 2`, and the TOML files whose `layers` are written so."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import tomli_w

from cnntui.core import layers, pointwise
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Layer, Shape
from cnntui.core.network import Network, sequential


class NotationError(ValueError):
    """Text that is no layer: which layer, where (line and column, from 1), and what to write instead."""

    def __init__(self, message: str, layer: str = "", line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.layer = layer
        self.line = line
        self.column = column


def _integer(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _pair(text: str) -> tuple[int, int]:
    parts = [_integer(part) for part in text.split("x")]
    if len(parts) > 2:
        raise ValueError(f"{text!r} is not a size such as 3 or 3x5")
    return parts[0], parts[-1]


def _number(text: str) -> float:
    if not re.fullmatch(r"\d*\.?\d+", text):
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def _pair_text(value: Any) -> str:
    return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"


def _four(text: str) -> tuple[int, int, int, int]:
    parts = text.split(",")
    if len(parts) != 4:
        raise ValueError(f"{text!r} is not left,right,top,bottom such as 1,1,0,0")
    left, right, top, bottom = (_integer(part) for part in parts)
    return left, right, top, bottom


def _value_text(value: Any) -> str:
    if isinstance(value, tuple):
        return _pair_text(value) if len(value) == 2 else ",".join(map(str, value))
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


EXAMPLES = {
    "out_channels": "16",
    "out_features": "10",
    "kernel_size": "2",
    "p": "0.5",
    "output_size": "7",
    "scale_factor": "2",
    "padding": "1,1,0,0",
    "num_groups": "4",
}
Reader = Callable[[str], Any]
ACTIVATIONS = (
    pointwise.ReLU, pointwise.ReLU6, pointwise.LeakyReLU, pointwise.ELU, pointwise.GELU, pointwise.SiLU,
    pointwise.Hardswish, pointwise.Tanh, pointwise.Sigmoid, pointwise.Softmax,
)  # fmt: skip


@dataclass(frozen=True)
class _Form:
    """How a layer is written: one leading argument at most, options by letter, flags by word."""

    layer: type[Layer]
    leading: tuple[str, Reader] | None = None
    options: Mapping[str, tuple[str, Reader]] = field(default_factory=dict)
    flags: Mapping[str, tuple[str, Any]] = field(default_factory=dict)

    @property
    def example(self) -> str:
        words = [self.layer.op]
        if self.leading:
            words.append(EXAMPLES[self.leading[0]])
        return " ".join(words)


_SLIDES: dict[str, tuple[str, Reader]] = {"s": ("stride", _pair), "p": ("padding", _pair)}
_CONV: dict[str, tuple[str, Reader]] = {"k": ("kernel_size", _pair), **_SLIDES, "d": ("dilation", _pair)}
_NAMED: dict[str, tuple[str, Any]] = {"same": ("padding", "same"), "valid": ("padding", (0, 0))}
_OUT, _GROUPS, _NOBIAS = ("out_channels", _integer), ("groups", _integer), ("bias", False)
_WINDOW = ("kernel_size", _pair)

VOCABULARY: dict[str, _Form] = {
    form.layer.op: form
    for form in (
        _Form(layers.Conv, _OUT, {**_CONV, "g": _GROUPS}, {**_NAMED, "nobias": _NOBIAS}),
        _Form(layers.DepthwiseConv, None, _CONV, {**_NAMED, "nobias": _NOBIAS}),
        _Form(
            layers.TransposedConv, _OUT, {**_CONV, "g": _GROUPS, "op": ("output_padding", _pair)}, {"nobias": _NOBIAS}
        ),
        _Form(layers.MaxPool, _WINDOW, _SLIDES, {"ceil": ("ceil_mode", True)}),
        _Form(layers.AvgPool, _WINDOW, _SLIDES, {"ceil": ("ceil_mode", True), "nopad": ("count_include_pad", False)}),
        _Form(layers.GlobalAvgPool),
        _Form(layers.AdaptiveAvgPool, ("output_size", _pair)),
        _Form(layers.Upsample, ("scale_factor", _integer)),
        _Form(layers.Pad, ("padding", _four)),
        _Form(layers.Subsample, _WINDOW),
        _Form(pointwise.BatchNorm),
        _Form(pointwise.LayerNorm),
        _Form(pointwise.InstanceNorm),
        _Form(pointwise.GroupNorm, ("num_groups", _integer)),
        _Form(pointwise.LocalResponseNorm),
        *(_Form(activation) for activation in ACTIVATIONS),
        _Form(pointwise.Dropout, ("p", _number)),
        _Form(layers.Flatten),
        _Form(layers.Linear, ("out_features", _integer), {}, {"nobias": _NOBIAS}),
        _Form(pointwise.Identity),
    )
}


def parse_layer(text: str) -> Layer:
    """One layer from its words.

    Raises:
        NotationError: when the words are not in the vocabulary.
    """
    words = list(re.finditer(r"\S+", text))
    if not words:
        raise NotationError("a layer is missing here", text)
    form = VOCABULARY.get(words[0].group())
    if form is None:
        raise NotationError(f"no layer is called {words[0].group()!r}; there are {', '.join(VOCABULARY)}", text)
    values: dict[str, Any] = {}
    for word in words[1:]:
        try:
            name, value = _argument(form, word.group(), values)
        except ValueError as error:
            raise NotationError(str(error), text, column=word.start() + 1) from None
        if name in values:
            raise NotationError(f"{name} is given twice", text, column=word.start() + 1)
        values[name] = value
    missing = [f.name for f in fields(form.layer) if f.default is MISSING and f.name not in values]
    if missing:
        raise NotationError(f"{missing[0]} is missing; write for example {form.example!r}", text, column=len(text) + 1)
    return form.layer(**values)


def _argument(form: _Form, word: str, values: Mapping[str, Any]) -> tuple[str, Any]:
    if word in form.flags:
        return form.flags[word]
    letters = (re.match(r"[a-z]*", word) or [""])[0]
    if letters in form.options:
        name, read = form.options[letters]
        return name, read(word[len(letters) :])
    if form.leading and form.leading[0] not in values and (word[0].isdigit() or word[0] == "."):
        name, read = form.leading
        return name, read(word)
    known = [*(f"{letter}N" for letter in form.options), *form.flags]
    takes = f"{form.layer.op} takes {', '.join(known)}" if known else f"{form.layer.op} takes no such argument"
    raise ValueError(f"{word!r} is not understood; {takes}")


def layer_text(layer: Layer) -> str:
    """A layer in words; `parse_layer` reads them back to an equal layer."""
    form = VOCABULARY[layer.op]
    words = [layer.op]
    defaults = {f.name: f.default for f in fields(layer)}
    changed = {name: value for name in defaults if (value := getattr(layer, name)) != defaults[name]}
    if form.leading and (form.leading[0] in changed or defaults[form.leading[0]] is MISSING):
        value = changed.pop(form.leading[0])
        words.append(_value_text(value))
    for word, (name, value) in form.flags.items():
        if changed.get(name) == value:
            words.append(word)
            del changed[name]
    for letter, (name, _) in form.options.items():
        if name in changed:
            value = changed[name]
            words.append(letter + (_pair_text(value) if isinstance(value, tuple) else str(value)))
    return " ".join(words)


def parse(text: str, shape: Shape, name: str = "network") -> Network:
    """A network from layers separated by `;` or new lines, each `LAYER` or `NAME: LAYER`.

    Raises:
        NotationError: naming the layer, with line and column.
        ImpossibleError: when the input or the names cannot be.
    """
    items: list[tuple[str, int, int]] = []
    for line, content in enumerate(text.splitlines(), start=1):
        for match in re.finditer(r"[^;]+", content):
            if words := match.group().strip():
                items.append((words, line, match.start() + len(match.group()) - len(match.group().lstrip()) + 1))
    parsed: list[Layer] = []
    names: list[str | None] = []
    for index, (words, line, column) in enumerate(items, start=1):
        own, offset = None, 0
        if named := re.match(r"([A-Za-z_][\w-]*)\s*:\s*", words):
            own, offset = named.group(1), named.end()
        try:
            parsed.append(parse_layer(words[offset:]))
        except NotationError as error:
            raise NotationError(
                f"layer {index} ({words}): {error}", words, line, column + offset + error.column - 1
            ) from None
        names.append(own)
    if not parsed:
        raise NotationError("there is no layer in it")
    return sequential(name, shape, parsed, names)


def network_text(network: Network) -> list[str]:
    """Each layer in words, with its name where that is not the one it would get by itself."""
    automatic = sequential(network.name, network.input, network.layers)
    return [
        layer_text(node.layer) if node.name == plain.name else f"{node.name}: {layer_text(node.layer)}"
        for node, plain in zip(network, automatic, strict=True)
    ]


@dataclass(frozen=True)
class NetFile:
    """A network with what its file says about it."""

    network: Network
    year: int | None = None
    idea: str = ""
    source: str = ""


def parse_input(text: str) -> Shape:
    """`C,H,W` as on the command line.

    Raises:
        NotationError: when it is not three whole numbers.
    """
    parts = re.split(r"\s*[,x×]\s*", text.strip())
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise NotationError(f"input {text!r} is not channels,height,width such as 1,28,28")
    return tuple(int(part) for part in parts)


def _input_shape(value: object) -> Shape:
    if not isinstance(value, list) or len(value) != 3 or not all(type(n) is int for n in value):
        raise NotationError(f"input = {value!r} is not [channels, height, width]")
    return tuple(value)


def parse_toml(text: str, name: str = "network", shape: Shape | None = None) -> NetFile:
    """A network file; `shape` overrides its input.

    Raises:
        NotationError: naming the key or the layer.
        ImpossibleError: when the input or the names cannot be.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotationError(f"not TOML: {error}") from None
    unknown = sorted(data.keys() - {"name", "input", "layers", "year", "idea", "source"})
    if unknown:
        raise NotationError(f"unknown key {unknown[0]!r}; a network has name, input, layers, year, idea, source")
    written = data.get("layers")
    if not isinstance(written, list) or not all(isinstance(item, str) for item in written):
        raise NotationError('layers = ["conv 6 k5", "relu", ...] is missing or is not a list of texts')
    if shape is None:
        if "input" not in data:
            raise NotationError("input = [channels, height, width] is missing")
        shape = _input_shape(data["input"])
    own, idea, source = (
        printable(str(data.get(key, default))) for key, default in (("name", name), ("idea", ""), ("source", ""))
    )
    network = parse("\n".join(item.replace("\n", ";") for item in written), shape, own)
    return NetFile(network, data.get("year"), idea, source)


def printable(text: str) -> str:
    """Without what a terminal would obey, or show two columns wide."""
    return "".join(glyph for glyph in text if glyph.isprintable() and unicodedata.east_asian_width(glyph) not in "WF")


def to_toml(net: NetFile) -> str:
    """The file that `parse_toml` reads back to an equal network."""
    network = net.network
    data: dict[str, Any] = {"name": network.name}
    data |= {key: value for key in ("year", "idea", "source") if (value := getattr(net, key))}
    return tomli_w.dumps(data | {"input": list(network.input), "layers": network_text(network)})


def zoo_directory() -> Path:
    """Where the zoo's files are."""
    return Path(__file__).parents[1] / "nets"


def zoo() -> list[str]:
    """The names of the zoo."""
    return sorted(path.stem for path in zoo_directory().glob("*.toml"))


def load_net(net: str, shape: Shape | None = None) -> NetFile:
    """NET as on the command line: a zoo name, a `.toml` path, or notation (which needs `shape`).

    Raises:
        NotationError: with one line that says what is wrong and what to do.
        ImpossibleError: when the input or the names cannot be.
    """
    path = zoo_directory() / f"{net}.toml"
    if re.fullmatch(r"[\w.-]+", net) and path.is_file():
        return parse_toml(path.read_text("utf-8"), net, shape)
    if net.endswith(".toml"):
        return read_net(Path(net), shape)
    if re.fullmatch(r"[\w.~-]*/[\w./~-]*", net):
        raise NotationError(f"{net}: a net's file ends in .toml")
    if re.fullmatch(r"[\w.-]+", net) and net not in VOCABULARY:
        raise NotationError(f"no net is called {net!r}; the zoo has {', '.join(zoo())}, or give a .toml file or layers")
    if shape is None:
        raise NotationError("layers need their input: add --input C,H,W, for example --input 1,28,28")
    return NetFile(parse(net, shape))


def read_net(path: Path, shape: Shape | None = None) -> NetFile:
    """The network in a file.

    Raises:
        NotationError: with the path, when it cannot be read or is no network.
    """
    try:
        return parse_toml(path.read_text("utf-8"), path.stem, shape)
    except (OSError, UnicodeDecodeError) as error:
        raise NotationError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    except (NotationError, ImpossibleError) as error:
        raise NotationError(f"{path}: {error}") from None
