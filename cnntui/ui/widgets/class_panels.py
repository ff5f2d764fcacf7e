"""How the net does class by class: bars, and the matrix of what is taken for what."""

from __future__ import annotations

from collections.abc import Hashable

from cnntui.core.shading import ZERO
from cnntui.labs.classes import bar_floor, class_name, share, usual_mistake, whole_percent
from cnntui.labs.plain import percent
from cnntui.labs.watching import names
from cnntui.runs.events import MOST_CLASSES
from cnntui.ui.theme import Palette, heat, ink, readable_on
from cnntui.ui.widgets.painted import Canvas
from cnntui.ui.widgets.panel import Panel, Shown, identity

SOON = "tested at the end of each epoch: not yet"
NAME = 10  # columns of a class's name at most


class ClassesPanel(Panel):
    """The share of each class that is read right."""

    def title(self, shown: Shown) -> str:
        """Of which epoch, in which order."""
        classes = shown.view.classes
        worst = ", worst first" if shown.looking.worst_first else ""
        return f"right after epoch {classes.epoch}{worst}" if classes else ""

    def depends(self, shown: Shown) -> Hashable:
        """The counts, the order, the place."""
        looking = shown.looking
        return (identity(shown.view.classes), identity(shown.view.data), looking.worst_first, looking.corner)

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """A bar a class; where bars do not begin at zero, that is said."""
        view, classes = shown.view, shown.view.classes
        if classes is None:
            canvas.put(0, 1, SOON, ink(colors.dim))
            return
        order, floor = shown.looking.class_order(view), bar_floor(classes)
        lines = canvas.height - 1
        first = max(0, min(shown.looking.corner[0], len(order) - lines))
        self.page = (1, max(1, lines))
        note = f"bars from {whole_percent(floor)}"
        if len(order) > lines:
            note += f"   {first + 1} to {first + lines} of {len(order)}, ↑ ↓"
        canvas.put(0, 0, f"{note} to 100 %"[: canvas.width] if len(order) <= lines else note, ink(colors.dim))
        widest = min(NAME, max((len(class_name(names(view), i)) for i in order), default=1))
        counts = [f"{classes.right[i]:,} of {classes.counts[i]:,}" for i in order]
        numbers = max(map(len, counts), default=0) if canvas.width >= 44 else 0
        room = max(1, min(60, canvas.width - widest - 1 - 9 - (numbers + 1 if numbers else 0)))
        for line, i in enumerate(order[first : first + lines]):
            right = share(classes.right[i], classes.counts[i])
            y = 1 + line
            x = canvas.put(0, y, f"{class_name(names(view), i)[:widest]:>{widest}} ", ink(colors.text, bold=True))
            done = round(max(0.0, right - floor) / (1 - floor) * room)
            canvas.put(x, y, "█" * done, ink(colors.negative))
            canvas.put(x + done, y, "·" * (room - done), ink(colors.dim))
            x = canvas.put(x + room, y, f"{percent(right):>9}", ink(colors.text))
            if numbers:
                canvas.put(x + 1, y, f"{counts[first + line]:>{numbers}}", ink(colors.dim))


class ConfusionPanel(Panel):
    """How many of each class (row) are read as each class (column): off the diagonal are the mistakes."""

    def title(self, shown: Shown) -> str:
        """How to read it."""
        classes = shown.view.classes
        return f"row: is, column: read as   epoch {classes.epoch}" if classes else ""

    def depends(self, shown: Shown) -> Hashable:
        """The counts and the place."""
        return (identity(shown.view.classes), identity(shown.view.data), shown.looking.corner)

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """The part of the matrix that there is room for, from the corner that is looked at."""
        view, classes = shown.view, shown.view.classes
        if classes is None:
            canvas.put(0, 1, SOON, ink(colors.dim))
            return
        matrix = classes.confusion
        if matrix is None:
            canvas.put(0, 1, f"not counted beyond {MOST_CLASSES} classes", ink(colors.dim))
            return
        count = len(matrix)
        labels = [class_name(names(view), i) for i in range(count)]
        widest = min(NAME, max(map(len, labels), default=1))
        digits = max((len(str(n)) for row in matrix for n in row), default=1)
        # Wider columns and a line between the rows where there is room: numbers that stand free are found sooner.
        cell = max(digits + 1, min(widest, 5) + 1, min(9, (canvas.width - widest - 1) // count))
        columns = max(1, min(count, (canvas.width - widest - 1) // cell))
        rows = max(1, min(count, canvas.height - 2))
        spaced = canvas.height - 2 >= 2 * count
        top, left = min(shown.looking.corner[0], count - rows), min(shown.looking.corner[1], count - columns)
        self.page = (columns, rows)
        self._put_note(canvas, matrix, labels, (top, left, rows, columns), colors)
        for place, column in enumerate(range(left, left + columns)):
            canvas.put(
                widest + 1 + place * cell, 1, f"{labels[column][: cell - 1]:>{cell - 1}}", ink(colors.accent, bold=True)
            )
        most = max((matrix[r][c] for r in range(count) for c in range(count) if r != c), default=0) or 1
        for line, row in enumerate(range(top, top + rows)):
            y = 2 + line * (2 if spaced else 1)
            canvas.put(0, y, f"{labels[row][:widest]:>{widest}}", ink(colors.text, bold=True))
            for place, column in enumerate(range(left, left + columns)):
                x = widest + 1 + place * cell
                self._put_count(canvas, x, y, matrix[row][column], cell - 1, row == column, most, colors)

    def _put_count(
        self, canvas: Canvas, x: int, y: int, count: int, width: int, right: bool, most: int, colors: Palette
    ) -> None:
        """The diagonal is quiet, nothing is a dot, mistakes are on a ground: the more, the stronger."""
        if right:
            canvas.put(x, y, f"{count:>{width}}", ink(colors.dim))
        elif not count:
            canvas.put(x, y, f"{'·':>{width}}", ink(colors.dim))
        else:
            ground = heat(ZERO + max(20, round(127 * count / most)), colors)
            canvas.put(x, y, f"{count:>{width}}", ink(readable_on(ground), ground, bold=True))

    def _put_note(
        self,
        canvas: Canvas,
        matrix: list[list[int]],
        labels: list[str],
        part: tuple[int, int, int, int],
        colors: Palette,
    ) -> None:
        mistake = usual_mistake(matrix)
        text = "nothing is misread"
        if mistake is not None:
            count, label, read = mistake
            text = f"most often: {labels[label]} read as {labels[read]}, {count:,} time{'s' * (count > 1)}"
        canvas.put(0, 0, text, ink(colors.text))
        top, left, rows, columns = part
        if rows < len(matrix) or columns < len(matrix):
            where = f"columns {left + 1}–{left + columns}, rows {top + 1}–{top + rows} of {len(matrix)}: arrows"
            y = canvas.height - 1 if rows + 2 < canvas.height else 0
            canvas.put(0, y, where.ljust(canvas.width), ink(colors.accent))
