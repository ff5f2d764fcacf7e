"""Connections: the input cells that feed an output cell with the names of their weights, wires, and what it all costs."""

from __future__ import annotations

from cnntui.core.layers import shape_text
from cnntui.core.workings import significant
from cnntui.labs.demos.connections import ABOUT, KINDS, PADDINGS, ConnectionsState, Counts, told, told_of_large
from cnntui.ui.theme import Palette, ink, tint
from cnntui.ui.views.demonstration import Demonstration, actions, put_heading, put_sentence, put_settings
from cnntui.ui.widgets.cell_grid import HEAVY
from cnntui.ui.widgets.painted import Canvas
from cnntui.ui.widgets.wires import put_wires

BETWEEN = 6  # columns between the grids
TABLE = 5  # lines
COLUMNS = (8, 12, 9, 7, 16, 16, 10)  # the kind; connections, weights and biases of the drawn layer, of the larger one
TEXT = 2 + 2 + TABLE + 2  # lines: sentences, settings, the table
LEAST_WIRES, MOST_WIRES = 5, 9  # lines
TALL = 2  # lines a row where there is room for frames


class ConnectionsView(Demonstration[ConnectionsState]):
    """Draws the state and turns keys into moves."""

    BINDINGS = actions(
        ("up", "move(-1, 0)", "Move"),
        ("down", "move(1, 0)", "Move"),
        ("left", "move(0, -1)", "Move"),
        ("right", "move(0, 1)", "Move"),
        ("k", "kind(1)", "Kind", True),
        ("K", "kind(-1)", "Kind"),
        ("plus", "kernel(1)", "Kernel", True),
        ("minus", "kernel(-1)", "Kernel"),
        ("p", "padding", "Padding", True),
        ("s", "size", "Size counted", True),
    )

    HELP = (
        "A layer from a picture to a picture. Arrows move the output cell at the right; at the left stand the input cells "
        "that feed it, each with the name of its weight: a number where the weight is used only there, a letter where every "
        "place has the same. The table counts this layer, and a larger one that : sets (size 32, channels 3, filters 16)."
    )

    def paint(self, canvas: Canvas) -> None:
        """The two grids, wires where there is room, sentences, the table."""
        state, colors = self.state, self.palette
        put_heading(canvas, state.kind, ABOUT[state.kind], colors)
        rows = max(state.picture[0], state.output[0])
        room = canvas.height - 2 - TEXT
        pitch = TALL if TALL * rows + 1 <= room else 1
        y = 2 + self._put_grids(canvas, 1, pitch, colors)
        wires = min(MOST_WIRES, canvas.height - y - TEXT - 2)
        if wires >= LEAST_WIRES:
            y = self._put_wires(canvas, y + 1, wires, colors)
        y = put_sentence(canvas, y, told(state), colors, 2)
        settings = (
            ("k", "kind", state.kind),
            ("+ −", "kernel", f"{state.kernel}×{state.kernel}"),
            ("p", "padding", state.padding),
            ("s", "counted", shape_text(state.large)),
        )
        y += y + TABLE + 4 <= canvas.height  # a blank line, where there is room
        put_settings(canvas, 1, y, settings, colors)
        self._put_table(canvas, y + 1, colors)
        put_sentence(canvas, y + 1 + TABLE, told_of_large(state), colors, 2)

    # -- the grids

    def _put_grids(self, canvas: Canvas, y: int, pitch: int, colors: Palette) -> int:
        """Input and output side by side; returns the lines taken, without the titles."""
        state = self.state
        weights = state.weights_of(state.cell)
        labels = {at: state.label(weight) for at, weight in weights.items()}
        # As wide as the last weight's name: the grid stays where it is when the output cell moves.
        width = max(3, len(state.label(state.counts(state.kind).weights - 1)) + 1)
        (height, across), (tall, wide) = state.picture, state.output
        number = max(4, len(str(tall * wide)) + 2)
        x = max(1, (canvas.width - across * width - BETWEEN - wide * number) // 2)
        right = x + across * width + BETWEEN
        canvas.put(x, y, f"input {height}×{across}", ink(colors.text, bold=True))
        canvas.put(right, y, f"output {tall}×{wide}", ink(colors.text, bold=True))
        y += 1
        framed = pitch > 1
        for row in range(height):
            for column in range(across):
                label = labels.get((row, column))
                at = x + column * width + 1, y + framed + row * pitch
                ground = tint(colors.accent, colors, strong=True)
                style = ink(colors.text, ground, bold=True, underline=False) if label else ink(colors.dim)
                canvas.put(*at, (label or "·").rjust(width - 1), style)
        if framed and weights:
            rows, columns = ([place[axis] for place in weights] for axis in (0, 1))
            left, top = x + min(columns) * width, y + min(rows) * pitch
            self._put_frame(
                canvas, left, top, (max(columns) - min(columns) + 1) * width, max(rows) - min(rows) + 1, colors
            )
        for row in range(tall):
            for column in range(wide):
                own = (row, column) == state.cell
                text = str(state.number((row, column)) + 1).rjust(number - 2)
                style = ink(colors.on_accent, colors.accent, bold=True) if own else ink(colors.dim)
                canvas.put(
                    right + column * number, y + framed + row * pitch, f"[{text}]" if own else f" {text} ", style
                )
        middle = y + framed + state.cell[0] * pitch
        canvas.put(right - BETWEEN + 1, middle, "━" * (BETWEEN - 3) + "▶", ink(colors.accent, bold=True))
        return pitch * max(height, tall) + framed

    def _put_frame(self, canvas: Canvas, x: int, y: int, wide: int, rows: int, colors: Palette) -> None:
        style = ink(colors.accent, bold=True)
        canvas.put(x, y, HEAVY[0] + HEAVY[1] * (wide - 1) + HEAVY[2], style)
        for line in range(y + 1, y + TALL * rows):
            canvas.put(x, line, HEAVY[3], style)
            canvas.put(x + wide, line, HEAVY[3], style)
        canvas.put(x, y + TALL * rows, HEAVY[4] + HEAVY[1] * (wide - 1) + HEAVY[5], style)

    def _put_wires(self, canvas: Canvas, y: int, height: int, colors: Palette) -> int:
        """One row of cells, every connection a line; returns the line behind."""
        state = self.state
        across, wide = state.picture[1], state.output[1]
        axis = state.window.columns
        every = list(range(across))
        wires = {o: every if state.kind == "full" else [i for i in axis.reads(o) if i is not None] for o in range(wide)}
        canvas.put(1, y, "one row of them, every connection a line", ink(colors.dim))
        put_wires(canvas, 1, y + 1, min(canvas.width - 2, 60), height, wires, across, state.cell[1], colors)
        return y + height + 2

    # -- the table

    def _put_table(self, canvas: Canvas, y: int, colors: Palette) -> None:
        """A row for each kind: connections, weights, biases, drawn and larger."""
        state = self.state
        drawn = f"here, {shape_text(state.drawn)} to {shape_text(state.made())}"
        large = f"{shape_text(state.large)} to {shape_text(state.made(large=True))}"
        half = sum(COLUMNS[:4])
        canvas.put(half - len(drawn), y, drawn, ink(colors.text, bold=True))
        canvas.put(sum(COLUMNS) - len(large), y, large, ink(colors.text, bold=True))
        heads = ("", *("connections", "weights", "biases") * 2)
        _put_row(canvas, y + 1, heads, ink(colors.dim))
        for line, kind in enumerate(KINDS, start=y + 2):
            own = kind == state.kind
            cells = [f" {'▸' if own else ' '} {kind}"]
            for counts in (state.counts(kind), state.counts(kind, large=True)):
                cells += _cells(counts)
            _put_row(canvas, line, cells, ink(colors.accent if own else colors.text, bold=own))

    # -- keys

    def action_move(self, rows: int, columns: int) -> None:
        """Another output cell."""
        row, column = self.state.cell
        self.make(lambda state: state.to(row + rows, column + columns), undone=False)

    def action_kind(self, by: int) -> None:
        """Another kind."""
        self.make(lambda state: state.next_kind(by))

    def action_kernel(self, by: int) -> None:
        """A larger or smaller window."""
        self.make(lambda state: state.with_(kernel=state.kernel + by))

    def action_padding(self) -> None:
        """The other padding."""
        self.make(lambda state: state.with_padding(PADDINGS[1 - PADDINGS.index(state.padding)]))

    def action_size(self) -> None:
        """Count a layer of another size."""
        self.make(ConnectionsState.next_size)


def _cells(counts: Counts) -> list[str]:
    return [_fitted(each) for each in (counts.connections, counts.weights, counts.biases)]


def _fitted(count: int) -> str:
    text = f"{count:,}"
    return text if len(text) <= COLUMNS[5] - 1 else significant(float(count), 4)


def _put_row(canvas: Canvas, y: int, cells: tuple[str, ...] | list[str], style: object) -> None:
    x = 0
    for place, (text, width) in enumerate(zip(cells, COLUMNS, strict=True)):
        canvas.put(x, y, text.ljust(width) if place == 0 else text.rjust(width), style)  # type: ignore[arg-type]
        x += width
