"""The normalisations: a tensor as small grids, those of one mean in heavy frames, and how one number is made."""

from __future__ import annotations

from cnntui.core.arithmetic import MINUS, number, short
from cnntui.core.shading import scale_of, shade
from cnntui.core.windows import Array
from cnntui.core.workings import Line
from cnntui.labs.demos.norms import ABOUT, AXES, SHAPE, NormsState, named, told, told_of_params
from cnntui.ui.theme import Palette, heat, ink, readable_on
from cnntui.ui.views.demonstration import Demonstration, actions, put_heading, put_sentence, put_settings
from cnntui.ui.widgets.cell_grid import HEAVY, LIGHT
from cnntui.ui.widgets.painted import Canvas

CELL = 5  # columns: a mark, four glyphs
BOX = SHAPE[3] * CELL + 3, SHAPE[2] + 2  # columns and lines of a grid with its frame
LABEL = 7  # columns of the pictures' names
TENSOR = 1 + SHAPE[0] * BOX[1]  # lines, with the channels' names
TEXT = 8  # lines below: settings, arithmetic, sentences
FORMULAS = {
    "mean": "the sum / n",
    "variance": f"the sum of (x {MINUS} mean)² / n",
    "result": f"(x {MINUS} mean) / √(variance + ε)",
}


class NormsView(Demonstration[NormsState]):
    """Draws the state and turns keys into moves."""

    BINDINGS = actions(
        ("up", "move(-1, 0)", "Move"),
        ("down", "move(1, 0)", "Move"),
        ("left", "move(0, -1)", "Move"),
        ("right", "move(0, 1)", "Move"),
        ("k", "kind(1)", "Kind", True),
        ("K", "kind(-1)", "Kind"),
        ("g", "groups", "Groups", True),
        ("v", "look", "Before, after", True),
        ("plus", "change(1)", "Change the number", True),
        ("minus", "change(-1)", "Change the number"),
    )

    HELP = (
        "A batch of pictures with some channels each. A normalisation takes away a mean and divides by a deviation; the "
        "kinds differ in the numbers over which these are taken. Grids with one letter share a mean; in heavy frames are "
        "those of the number in brackets. Batch normalisation does this while it trains; later it uses running averages."
    )

    def paint(self, canvas: Canvas) -> None:
        """The tensor before or after, or both where there is room; then one number, written out."""
        state, colors = self.state, self.palette
        both = canvas.height >= 1 + 2 * (TENSOR + 1) + TEXT
        about = f"{ABOUT[state.kind]}, over {AXES[state.kind]}"
        put_heading(canvas, f"{named(state)} normalisation", about, colors)
        y = 1
        for after in (False, True) if both else (state.after,):
            values = state.normalised if after else state.tensor
            y = self._put_tensor(canvas, y, values, "after" if after else "before", colors) + both
        settings = (
            *(("k", "kind", named(state)), ("g", "groups", str(state.parts))),
            *(() if both else (("v", "shown", "after" if state.after else "before"),)),
            ("+ −", "number", number(state.value, 4)),
        )
        put_settings(canvas, 1, y, settings, colors)
        for line in state.lines:
            y += 1
            self._put_line(canvas, y, line, colors)
        y = put_sentence(canvas, y + 1, told(state), colors, 2)
        put_sentence(canvas, y, told_of_params(state), colors, 2)

    def _put_line(self, canvas: Canvas, y: int, line: Line, colors: Palette) -> None:
        """One line of the arithmetic: its formula where there is room, then the same with numbers."""
        terms = f"{' '.join(line.equation.terms)} {line.equation.relation} "
        formula = f"{FORMULAS[line.name]} = "
        x = canvas.put(1, y, f"{line.name:<9}", ink(colors.text, bold=True))
        if x + len(formula) + len(terms) + len(line.equation.result) <= canvas.width:
            x = canvas.put(x, y, formula, ink(colors.dim))
        x = canvas.put(x, y, terms, ink(colors.text))
        canvas.put(x, y, line.equation.result, ink(colors.accent, bold=True))

    def _put_tensor(self, canvas: Canvas, y: int, values: Array, name: str, colors: Palette) -> int:
        """A grid for each picture and channel; returns the line behind them."""
        left = LABEL if canvas.width >= LABEL + SHAPE[1] * BOX[0] else 0
        canvas.put(0, y, name[:left], ink(colors.accent))
        scale = scale_of(values)
        for channel in range(SHAPE[1]):
            canvas.put(left + channel * BOX[0] + 1, y, f"channel {channel}", ink(colors.dim))
        for picture in range(SHAPE[0]):
            top = y + 1 + picture * BOX[1]
            canvas.put(0, top + 1, "picture"[:left], ink(colors.dim))
            canvas.put(0, top + 2, str(picture)[:left], ink(colors.dim))
            for channel in range(SHAPE[1]):
                self._put_grid(canvas, left + channel * BOX[0], top, values, scale, (picture, channel), colors)
        return y + TENSOR

    def _put_grid(
        self, canvas: Canvas, x: int, y: int, values: Array, scale: float, which: tuple[int, int], colors: Palette
    ) -> None:
        """One channel of one picture in its frame, which has the letter of its mean."""
        state = self.state
        own = state.numbers[which] == state.numbers[state.place[:2]]
        box, style = (HEAVY, ink(colors.accent, bold=True)) if own else (LIGHT, ink(colors.dim))
        wide, tall = BOX
        canvas.put(x, y, box[0] + box[1] * (wide - 2) + box[2], style)
        canvas.put(x + 2, y, f" {chr(ord('a') + int(state.numbers[which]))} ", style)
        for line in range(y + 1, y + tall - 1):
            canvas.put(x, line, box[3], style)
            canvas.put(x + wide - 1, line, box[3], style)
        canvas.put(x, y + tall - 1, box[4] + box[1] * (wide - 2) + box[5], style)
        shades = shade(values[which], scale)
        for row in range(SHAPE[2]):
            for column in range(SHAPE[3]):
                background = heat(int(shades[row, column]), colors)
                plain = background == colors.background
                text = short(float(values[(*which, row, column)]), CELL - 1) or "?"
                at = x + 1 + column * CELL
                canvas.put(
                    at + 1,
                    y + 1 + row,
                    text.rjust(CELL - 1),
                    ink(colors.text if plain else readable_on(background), background),
                )
        if which == state.place[:2]:
            row, column = state.place[2:]
            at = x + 1 + column * CELL
            canvas.put(at, y + 1 + row, "[", ink(colors.accent, bold=True))
            canvas.put(at + CELL, y + 1 + row, "]", ink(colors.accent, bold=True))

    # -- keys

    def action_move(self, rows: int, columns: int) -> None:
        """Another number."""
        self.make(lambda state: state.moved(rows, columns), undone=False)

    def action_kind(self, by: int) -> None:
        """Another kind."""
        self.make(lambda state: state.next_kind(by))

    def action_groups(self) -> None:
        """More groups."""
        self.make(NormsState.next_groups)

    def action_look(self) -> None:
        """The numbers before, or after."""
        self.make(lambda state: state.seen(not state.after), undone=False)

    def action_change(self, by: int) -> None:
        """The number, larger or smaller by one."""
        self.make(lambda state: state.with_value(state.value + by))
