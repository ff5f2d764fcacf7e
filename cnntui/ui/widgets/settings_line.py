"""The settings of a convolution with their keys, and how the output's size comes about."""

from __future__ import annotations

from cnntui.core.arithmetic import number
from cnntui.core.operation import ADAPTIVE, Operation, setting_text
from cnntui.labs.convolve import ConvolveState
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState

ROOMY = 90
NOTES = {
    "picture": "orange is above zero, blue below   v the next view, V back to the numbers",
    "ascii": ". : + * # @ rise from zero, , ; ~ = % & fall from it",
    "im2col": "each row is one window, laid flat: times the kernel, it is one output cell",
    "matrix": "each row holds the same weights, moved: times the input, it is one output cell",
}


ACTIONS = {
    "o": "operations", "s": "stride", "p": "padding", "d": "dilation", "g": "groups", "+": "bias", "a": "activations",
    "k": "kernels", ":": "words",
}  # fmt: skip


class SettingsLine(PaintedState[ConvolveState]):
    """Two lines: each setting behind the key that changes it; the size formula."""

    DEFAULT_CSS = "SettingsLine { height: 2; }"

    hidden: frozenset[str] = frozenset()  # actions whose keys are not told

    def __init__(self, state: ConvolveState) -> None:
        super().__init__(state)
        self.view = "cells"

    def show_view(self, state: ConvolveState, view: str) -> None:
        """Show another state in a view."""
        self.view = view
        self.show(state)

    def paint(self, canvas: Canvas) -> None:
        """What does not fit is left out; `:` reaches all of them."""
        colors = self.palette
        x, gap = 0, "   " if canvas.width >= ROOMY else "  "
        for key, name, value in settings(self.state):
            if x + len(key) + len(name) + len(value) + 2 > canvas.width:
                break
            key = "" if ACTIONS[key] in self.hidden else key
            x = canvas.put(x, 0, key, ink(colors.accent, bold=True))
            x = canvas.put(x, 0, f" {name} " if key else f"{name} ", ink(colors.dim))
            x = canvas.put(x, 0, f"{value}{gap}", ink(colors.text, bold=True))
        note = NOTES.get(self.view, "")
        if "view" in self.hidden:
            note = note.partition("   v ")[0]
        canvas.put(0, 1, note or size_formula(self.state.operation, canvas.width), ink(colors.dim))


def settings(state: ConvolveState) -> list[tuple[str, str, str]]:
    """Key, name and value of what can be set here, the usual first."""
    operation = state.operation
    shown = [("o", "op", operation.op)]
    if operation.op in ADAPTIVE:
        shown += [("k", "output size", setting_text(operation.output_size))]
        return [*shown, ("a", "then", operation.activation or "nothing")]
    shown += [("s", "stride", setting_text(operation.stride))]
    shown += [("p", "padding", padding_text(operation))]
    if operation.pool:
        shown += [(":", "ceil", "on")] if operation.ceil_mode else []
        shown += [(":", "counted", "off")] if operation.op == "avg" and not operation.count_include_pad else []
    else:
        shown += [("d", "dilation", setting_text(operation.dilation))]
        if operation.transposed and operation.output_padding != (0, 0):
            shown += [(":", "output padding", setting_text(operation.output_padding))]
        if len(operation.input) > 1 or operation.groups > 1:
            shown += [("g", "groups", str(operation.groups))]
        shown += [("+", "bias", number(0 if operation.problem else operation.cell_bias(state.filter), 3))]
    return [*shown, ("a", "then", operation.activation or "nothing")]


def padding_text(operation: Operation) -> str:
    """The padding in cells, behind its name where it has one."""
    cells = setting_text(operation.sides)
    named = isinstance(operation.padding, str) and operation.padding != "valid"
    return f"{operation.padding} {cells}" if named else cells


def size_formula(operation: Operation, room: int) -> str:
    """How the output's size comes about, once where rows and columns are alike, in so many columns of text."""
    window = operation.window
    if window is None:
        return ""
    rows, columns = window.rows.formula(), window.columns.formula()
    if rows == columns:
        return f"size {rows}"
    if window.rows.size == window.rows.outputs == 1:
        return f"columns {columns}"
    both = f"rows {rows}   columns {columns}"
    return both if len(both) <= room else f"rows {rows}   columns {window.columns.outputs}"
