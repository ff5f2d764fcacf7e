"""What the net reads a picture as: a bar a class, what it was before something was changed, and the label marked."""

from __future__ import annotations

from textwrap import wrap

import numpy as np

from cnntui.core.windows import Array
from cnntui.labs.classes import percent
from cnntui.labs.explore import ExploreState
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.painted import Canvas

NAME = 9  # columns of a class's name at most
PERCENT = 7  # >99.9 %
WAS = len(" was >99.9 %")
LEAST = 5  # columns of a bar beside the words of what was before
LABEL = len(" ◂ label")
TELLING = 0.0005  # by how much a share has to rise or fall for that to be told
TEN = 10  # classes: where there is no room for so many and a title, the title is left out
EIGHTHS = " ▏▎▍▌▋▊▉"


def before(state: ExploreState) -> Array | None:
    """The probabilities to compare with: of the pinned moment, else of what nothing was changed in; None: of nothing."""
    if not state.has_classes:
        return None
    if state.pinned_trace is not None:
        return np.nan_to_num(state.pinned_trace.probabilities)
    return np.nan_to_num(state.untouched.probabilities) if state.touched else None


def shown(state: ExploreState, most: int) -> list[int]:
    """Which classes: all in their order, or the surest ones, the label and the one asked about among them."""
    odds = state.probabilities
    if len(odds) <= most:
        return list(range(len(odds)))
    surest = [int(i) for i in np.argsort(-odds, kind="stable")[: max(0, most - 1)]]
    for wanted in (state.target, state.picture.label):
        if wanted is not None and 0 <= wanted < len(odds) and wanted not in surest and len(surest) > 1:
            surest[-1 if wanted == state.picture.label else -2] = wanted
    return surest


def put_class_bars(
    canvas: Canvas, x: int, y: int, wide: int, tall: int, state: ExploreState, colors: Palette, plain: bool
) -> int:
    """Draw them in at most so many columns and lines; returns the lines taken.

    A class is its name, a bar to 100 %, its percent; ✓ or ✗ at the one that is read says whether that is the label, ◂ at
    another one that it is; the class asked about is in the accent colour. What was before is a dim bar behind, as a title
    says, and in words where there is room, else ▲ or ▼. Where the output is a map there are no classes: it is said what
    it is.
    """
    if not state.has_classes:
        lines = wrap(state.output_words, max(1, wide))[:tall]
        for line, text in enumerate(lines):
            canvas.put(x, y + line, text, ink(colors.dim))
        return len(lines)
    odds, was = state.probabilities, before(state)
    if was is not None and tall > min(TEN, len(odds)) and _put_title(canvas, x, y, wide, state, colors, plain):
        return 1 + _put_classes(canvas, x, y + 1, wide, tall - 1, state, was, colors, plain)
    return _put_classes(canvas, x, y, wide, tall, state, was, colors, plain)


def _put_title(canvas: Canvas, x: int, y: int, wide: int, state: ExploreState, colors: Palette, plain: bool) -> bool:
    """Which bar is of now, and what the other is of; nothing where there is no room for that."""
    other = state.pinned_words or "before"
    now, then = ("#", ".") if plain else ("█", "░")
    if len(other) + len("█ now · ░ ") > wide:
        return False
    x = canvas.put(x, y, now, ink(colors.accent))
    x = canvas.put(x, y, " now", ink(colors.text))
    canvas.put(x, y, f" · {then} {other}", ink(colors.dim))
    return True


def _put_classes(
    canvas: Canvas,
    x: int,
    y: int,
    wide: int,
    tall: int,
    state: ExploreState,
    was: Array | None,
    colors: Palette,
    plain: bool,
) -> int:
    odds, label = state.probabilities, state.picture.label
    classes = shown(state, tall)
    names = {i: state.class_name(i) for i in classes}
    widest = min(NAME, max(map(len, names.values()), default=1), max(1, wide - PERCENT - 5))
    room = wide - widest - 1 - 1 - PERCENT - 2
    in_words = was is not None and room - WAS >= LEAST
    room -= WAS if in_words else was is not None
    is_told = label not in (None, state.read) and room - LABEL + 2 >= LEAST
    mark = LABEL if is_told else 2
    room = max(1, room - mark + 2)
    for line, i in enumerate(classes):
        name, is_read = names[i], i == state.read
        color = colors.accent if i == state.target else colors.text
        text = name if len(name) <= widest else name[: widest - 1] + "…"
        end = canvas.put(x, y + line, f"{text:>{widest}} ", ink(color, bold=is_read))
        _put_bar(canvas, end, y + line, room, odds[i], None if was is None else was[i], colors, plain)
        end = canvas.put(end + room, y + line, f" {percent(odds[i]):>{PERCENT}}", ink(colors.text, bold=is_read))
        if was is not None and not in_words:
            risen = float(odds[i] - was[i])
            arrow = "" if abs(risen) <= TELLING else "▲" if risen > 0 else "▼"
            canvas.put(end, y + line, arrow, ink(colors.positive if risen > 0 else colors.negative))
            end += 1
        if is_read and label is not None:
            is_right = i == label
            canvas.put(
                end, y + line, " ✓" if is_right else " ✗", ink(colors.text if is_right else colors.error, bold=True)
            )
        elif i == label:
            canvas.put(end, y + line, " ◂ label" if is_told else " ◂", ink(colors.text, bold=True))
        if in_words and was is not None and percent(was[i]) != percent(odds[i]):
            canvas.put(end + mark, y + line, f" was {percent(was[i])}", ink(colors.dim))
    left = len(odds) - len(classes)
    if left:
        rest = f"… {left} more: {percent(max(0.0, 1 - float(odds[classes].sum())))}"
        canvas.put(x, y + len(classes), rest[:wide], ink(colors.dim))
    return len(classes) + bool(left)


def _put_bar(
    canvas: Canvas,
    x: int,
    y: int,
    room: int,
    odds: float,
    was: float | None,
    colors: Palette,
    plain: bool,
) -> None:
    """To an eighth of a column; what was before goes on behind it, or is a mark in it."""
    length = float(np.clip(odds, 0, 1)) * room
    whole, part = int(length), round((length % 1) * 8)
    canvas.put(x, y, ("#" if plain else "█") * whole, ink(colors.accent))
    if part and whole < room and not plain:
        canvas.put(x + whole, y, "█" if part == 8 else EIGHTHS[part], ink(colors.accent))
    elif part >= 4 and whole < room:
        canvas.put(x + whole, y, "-", ink(colors.accent))
    if was is None:
        return
    reached = round(float(np.clip(was, 0, 1)) * room)
    first = whole + bool(part)
    if reached > first:
        canvas.put(x + first, y, ("." if plain else "░") * (reached - first), ink(colors.dim))
    elif reached < whole:
        canvas.put(x + reached, y, "|" if plain else "▏", ink(colors.background, colors.accent))
