"""The words of the notation: `conv 6 k5 s2 same`, a layer's name and its arguments, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from cnntui.core import layers, pointwise
from cnntui.core.layers import Layer, Table

LARGEST = 1_000_000  # of any number in a layer's words
NO_TABLES: Mapping[str, Table] = {}


class NotationError(ValueError):
    """Text that is no layer: which layer, where (line and column, from 1), and what to write instead.

    `excerpt` is the line in question with a caret under the place, or empty where there is no such line.
    """

    def __init__(self, message: str, layer: str = "", line: int = 1, column: int = 1, excerpt: str = "") -> None:
        super().__init__(message)
        self.layer = layer
        self.line = line
        self.column = column
        self.excerpt = excerpt


def whole(text: str) -> int:
    """A whole number from 0 to a million, or ValueError."""
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"{text!r} is not a whole number")
    if len(text) > len(str(LARGEST)) or int(text) > LARGEST:
        raise ValueError(f"{text} > {LARGEST:,}")
    return int(text)


def _pair(text: str) -> tuple[int, int]:
    parts = [whole(part) for part in text.split("x")]
    if len(parts) > 2:
        raise ValueError(f"{text!r} is not a size such as 3 or 3x5")
    return parts[0], parts[-1]


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+", text):
        raise ValueError(f"{text!r} is not a number")
    value = float(text)
    if value > LARGEST:
        raise ValueError(f"{text} > {LARGEST:,}")
    return value


def _pair_text(value: Any) -> str:
    return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"


def _four(text: str) -> tuple[int, int, int, int]:
    parts = text.split(",")
    if len(parts) != 4:
        raise ValueError(f"{text!r} is not left,right,top,bottom such as 1,1,0,0")
    left, right, top, bottom = (whole(part) for part in parts)
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
_OUT, _GROUPS, _NOBIAS = ("out_channels", whole), ("groups", whole), ("bias", False)
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
        _Form(layers.Upsample, ("scale_factor", whole)),
        _Form(layers.Pad, ("padding", _four)),
        _Form(layers.Subsample, _WINDOW),
        _Form(pointwise.BatchNorm),
        _Form(pointwise.LayerNorm),
        _Form(pointwise.InstanceNorm),
        _Form(pointwise.GroupNorm, ("num_groups", whole)),
        _Form(pointwise.LocalResponseNorm),
        *(_Form(activation) for activation in ACTIVATIONS),
        _Form(pointwise.Dropout, ("p", _number)),
        _Form(layers.Flatten),
        _Form(layers.Linear, ("out_features", whole), {}, {"nobias": _NOBIAS}),
        _Form(pointwise.Identity),
    )
}


def parse_layer(text: str, tables: Mapping[str, Table] = NO_TABLES) -> Layer:
    """One layer from its words; `tables` are those that `table NAME` can name.

    Raises:
        NotationError: when the words are not in the vocabulary.
    """
    named = re.search(r"\stable(?:\s+(\S+))?(?=\s|$)", text)
    if not named:
        return _parsed(text)
    layer, name, column = _parsed(text[: named.start()] + text[named.end() :]), named[1] or "", named.start() + 2
    if not isinstance(layer, layers.Conv):
        raise NotationError(f"only conv takes a table, not {layer.op}", text, column=column)
    if name not in tables:
        known = f"there is {', '.join(tables)}" if tables else "a net's file defines one as [table.NAME]"
        raise NotationError(f"no table is called {name!r}; {known}", text, column=column)
    return replace(layer, table=tables[name])


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Layer:
    words = list(re.finditer(r"\S+", text))
    if not words:
        raise NotationError("a layer is missing here", text)
    form = VOCABULARY.get(words[0].group())
    if form is None:
        raise NotationError(unknown_layer(words[0].group()), text, column=words[0].start() + 1)
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


def unknown_layer(word: str) -> str:
    """What to say of a word that is no layer: the names that are most like it."""
    close = get_close_matches(word, VOCABULARY, 3, 0.5) or get_close_matches(word.lower(), VOCABULARY, 3, 0.3)
    known = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(VOCABULARY)}"
    return f"no layer is called {word!r}; {known}"


def matching(typed: str) -> list[str]:
    """The layers that a beginning could become, or whose description holds it: an example, two spaces, what it is."""
    wanted = typed.lower()
    entries = [
        (name, f"{form.example:<16}  {(form.layer.__doc__ or '').splitlines()[0]}") for name, form in VOCABULARY.items()
    ]
    begin = [text for name, text in entries if name.startswith(wanted)]
    return begin + [text for name, text in entries if not name.startswith(wanted) and wanted in text.lower()]


LETTERS = {"k": "kernel", "s": "stride", "p": "padding", "d": "dilation", "g": "groups", "op": "output padding"}
LEADING = {"out_channels": "OUT", "out_features": "OUT", "kernel_size": "K", "p": "P", "output_size": "HxW",
           "scale_factor": "N", "padding": "l,r,t,b", "num_groups": "G"}  # fmt: skip


def usage(name: str) -> str | None:
    """How a layer is written, on one line; None for what is no layer."""
    form = VOCABULARY.get(name)
    if form is None:
        return None
    leading = f" {LEADING[form.leading[0]]}" if form.leading else ""
    options = [f"{letter}N {LETTERS[letter]}" for letter in form.options]
    return f"{name}{leading}" + "".join(f" · {part}" for part in (*options, *form.flags))


@lru_cache(maxsize=4096)
def layer_text(layer: Layer) -> str:
    """A layer in words; `parse_layer` reads them back to an equal layer, but for one where branches meet."""
    form = VOCABULARY.get(layer.op)
    if form is None:
        return layer.op  # where branches meet there are no arguments
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
    if isinstance(layer, layers.Conv) and layer.table:
        words.append(f"table {layer.table.name}")
    return " ".join(words)
