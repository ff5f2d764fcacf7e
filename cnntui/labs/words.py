"""The convolution lab in words: moves, for lessons, the command line and the line under `:`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from cnntui.core.arithmetic import MINUS
from cnntui.core.images import PICTURES, GridError, grid_from_text
from cnntui.core.kernels import Kernel
from cnntui.core.layers import Pair
from cnntui.core.operation import AFTER, MAGNITUDE, OPERATIONS, PADDINGS, Sides
from cnntui.labs.convolve import LOOKING, ConvolveState, MoveError, known_kernels

MOST = 4096  # a setting beyond this is a slip


def number_of(text: str) -> float:
    """A number, a decimal or a fraction: −2.5, 1/9.

    Raises:
        MoveError: when it is none.
    """
    try:
        return float(grid_from_text(text).item())
    except (GridError, ValueError):
        raise MoveError(f"{text!r} is not a number; write one like −1, 0.5 or 1/9") from None


def whole(text: str, least: int = 0) -> int:
    """A whole number of at least `least`.

    Raises:
        MoveError: when it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= MOST):
        raise MoveError(f"{text[:20]!r} is not a whole number from {least} to {MOST}")
    return int(text)


def signed(text: str) -> int:
    """A whole number that may be negative.

    Raises:
        MoveError: when it is none.
    """
    bare = text.replace(MINUS, "-")
    return -whole(bare[1:]) if bare.startswith("-") else whole(bare)


def pair_of(text: str, least: int = 0) -> Pair:
    """One whole number for both axes, or two for rows and columns: 2, 2x1, 2,1.

    Raises:
        MoveError: when it is neither.
    """
    parts = text.replace("×", "x").replace(",", "x").split("x")
    try:
        if len(parts) > 2:
            raise MoveError(text)
        return whole(parts[0], least), whole(parts[-1], least)
    except MoveError:
        raise MoveError(f"{text[:20]!r} is not a whole number from {least} to {MOST}, or two such as 2x3") from None


def padding_of(text: str) -> Sides | str:
    """`valid`, `same`, `full`, a number, rows x columns, or left,right,top,bottom as torch's F.pad has them.

    Raises:
        MoveError: when it is none of these.
    """
    if text in PADDINGS:
        return text
    try:
        if text.count(",") == 3:
            left, right, top, bottom = (whole(part) for part in text.split(","))
            return (top, bottom), (left, right)
        rows, columns = pair_of(text)
    except MoveError:
        raise MoveError(
            f"padding {text[:20]!r} is none of {', '.join(PADDINGS)}, a whole number, two such as 2x3, "
            "or left,right,top,bottom"
        ) from None
    return (rows, rows), (columns, columns)


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise MoveError(f"{text!r} is neither on nor off")
    return text == "on"


def _grid(text: str) -> str:
    name = {"input": "input", "kernel": "kernel", "weight": "kernel"}.get(text)
    if name is None:
        raise MoveError(f"{text!r} is neither input nor kernel")
    return name


def signed_pair(text: str) -> Pair:
    """Two whole numbers that may be negative: 0,1 or −1,0.

    Raises:
        MoveError: when it is none.
    """
    parts = text.split(",")
    if len(parts) != 2:
        raise MoveError(f"{text[:20]!r} is not down,right such as 0,1 or −1,0")
    return signed(parts[0]), signed(parts[1])


def kernel_named(name: str) -> Kernel:
    """A kernel that comes with cnntui, or one of the user's own.

    Raises:
        MoveError: when there is none of that name.
    """
    kernels, _ = known_kernels()
    if name not in kernels:
        near = difflib.get_close_matches(name, kernels, 3)
        raise MoveError(
            f"no kernel is called {name!r}; "
            + (f"near are {', '.join(near)}" if near else f"there are {', '.join(kernels)}")
        )
    return kernels[name]


@dataclass(frozen=True)
class Move:
    """A verb, what comes behind it, and what it does."""

    arguments: str
    about: str
    make: Callable[..., ConvolveState]


MOVES: dict[str, Move] = {
    "op": Move("NAME", f"the operation: {', '.join(OPERATIONS)}", lambda s, name: s.with_op(name)),
    "stride": Move("N or HxW", "cells between two windows", lambda s, n: s.with_(stride=pair_of(n, 1))),
    "padding": Move(
        "N, HxW, l,r,t,b or a word", f"cells around the input, or {', '.join(PADDINGS)}",
        lambda s, n: s.with_(padding=padding_of(n)),
    ),
    "dilation": Move("N or HxW", "cells between two taps", lambda s, n: s.with_(dilation=pair_of(n, 1))),
    "groups": Move("N", "filters read only the channels of their group", lambda s, n: s.with_groups(whole(n, 1))),
    "depthwise": Move("", "a filter of its own for each channel", lambda s: s.depthwise()),
    "ceil": Move("on or off", "a pool's last window may hang over", lambda s, on: s.with_(ceil_mode=_switch(on))),
    "counted": Move(
        "on or off", "whether the mean counts padding", lambda s, on: s.with_(count_include_pad=_switch(on))
    ),
    "output-padding": Move(
        "N or HxW", "cells more at the end of a transposed convolution", lambda s, n: s.with_(output_padding=pair_of(n))
    ),
    "output-size": Move("N or HxW", "of an adaptive pool", lambda s, n: s.with_(output_size=pair_of(n, 1))),
    "activation": Move(
        "NAME or none", ", ".join(AFTER), lambda s, name: s.with_activation(None if name == "none" else name)
    ),
    "bias": Move("B ...", "added to the sum of this filter; several: of each filter",
        lambda s, b, *more: s.with_bias(*map(number_of, (b, *more))),
    ),
    "divisor": Move("N", "by what the sum of products is divided", lambda s, n: s.with_(divisor=_not_zero(n))),
    "kernel": Move(
        "NAME ...", "one of kernels/, or several of one size as filters",
        lambda s, name, *more: s.use_kernels([kernel_named(each) for each in (name, *more)]),
    ),
    "magnitude": Move(
        "NAME NAME", "two kernels and the length of the gradient they give",
        lambda s, a, b: s.use_kernels([kernel_named(a), kernel_named(b)]).with_activation(MAGNITUDE),
    ),
    "picture": Move(
        "NAME [HxW]", f"the input: {', '.join(PICTURES)}",
        lambda s, name, size="": s.use_picture(name, pair_of(size, 1) if size else None),
    ),
    "channels": Move("N", "how many input channels", lambda s, n: s.with_channels(whole(n, 1))),
    "filters": Move("N", "how many filters", lambda s, n: s.with_filters(whole(n, 1))),
    "size": Move("GRID N or HxW", "resize the input or the kernel", lambda s, g, n: s.resized(_grid(g), *pair_of(n, 1))),
    "fill": Move("GRID VALUE", "one number everywhere", lambda s, g, v: s.filled(_grid(g), number_of(v))),
    "clear": Move("GRID", "zeros", lambda s, g: s.filled(_grid(g), 0)),
    "random": Move(
        "GRID [SEED]", "random whole numbers", lambda s, g, seed="": s.random(_grid(g), whole(seed) if seed else None)
    ),
    "transpose": Move("GRID", "rows become columns", lambda s, g: s.transposed(_grid(g))),
    "rotate": Move("GRID", "a quarter turn clockwise", lambda s, g: s.rotated(_grid(g))),
    "shift": Move(
        "GRID DOWN,RIGHT", "everything moves, zeros come in", lambda s, g, by: s.shifted(_grid(g), *signed_pair(by))
    ),
    "input": Move("ROW,COLUMN VALUE", "set a cell", lambda s, at, v: s.set_input(*pair_of(at), number_of(v))),
    "weight": Move("ROW,COLUMN VALUE", "set a weight", lambda s, at, v: s.set_weight(*pair_of(at), number_of(v))),
    "cell": Move("ROW,COLUMN", "look at an output cell", lambda s, at: s.look("output", *pair_of(at))),
    "pixel": Move("ROW,COLUMN", "follow an input cell to its outputs", lambda s, at: s.look("input", *pair_of(at))),
    "tap": Move("ROW,COLUMN", "follow a weight over the input", lambda s, at: s.look("kernel", *pair_of(at))),
    "look": Move(f"{', '.join(LOOKING[:-1])} or {LOOKING[-1]}", "what is followed", lambda s, at: s.look(at)),
    "channel": Move("N", "the input channel shown", lambda s, n: s.to_channel(whole(n))),
    "filter": Move("N", "the filter shown", lambda s, n: s.to_filter(whole(n))),
    "pin": Move("", "keep the output cell in view, or let it go", lambda s: s.pin()),
    "step": Move("[N]", "cells on in reading order", lambda s, n="1": s.step(signed(n))),
}  # fmt: skip


# What can be done to a grid. What ends in a blank needs more words.
EDITS = (
    ("look {grid}", "type a number in a cell: digits, enter sets it"),
    ("random {grid}", "whole numbers, others each time; a seed makes them the same"),
    ("size {grid} ", "more or fewer rows and columns"),
    ("transpose {grid}", "rows become columns"),
    ("rotate {grid}", "a quarter turn clockwise"),
    ("shift {grid} 0,1", "everything one cell to the right (ctrl+arrow)"),
    ("shift {grid} 1,0", "everything one cell down (ctrl+arrow)"),
    ("fill {grid} ", "one number everywhere"),
    ("clear {grid}", "zeros everywhere"),
    ("channels ", "more or fewer input channels"),
    ("filters ", "more or fewer filters"),
    ("depthwise", "a filter of its own for each channel"),
)


def _not_zero(text: str) -> float:
    value = number_of(text)
    if value == 0:
        raise MoveError("divisor 0: nothing can be divided by it")
    return value


def play(state: ConvolveState, words: str) -> ConvolveState:
    """A move in words: `stride 2`, `padding same`, `kernel sobel-x`, `weight 0,2 1`, `shift input 0,1`, `step`.

    Raises:
        MoveError: when there is no such move, or it is not allowed.
    """
    verb, *arguments = words.split() or [""]
    if verb not in MOVES:
        near = difflib.get_close_matches(verb, MOVES, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(MOVES)}"
        raise MoveError(f"no move is called {verb!r}; {meant}")
    move = MOVES[verb]
    try:
        inspect.signature(move.make).bind(state, *arguments)
    except TypeError:
        raise MoveError(f"{words!r} is not understood; write {verb} {move.arguments}".rstrip()) from None
    try:
        return move.make(state, *arguments)
    except MoveError:
        raise
    except ValueError:
        raise MoveError(f"{words!r} is not understood; write {verb} {move.arguments}".rstrip()) from None
