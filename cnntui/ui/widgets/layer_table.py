"""The stack as a table: one row a layer, its facts beside it."""

from __future__ import annotations

from rich.text import Text
from textual.binding import Binding
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from cnntui.core.layers import shape_text
from cnntui.core.network import Row
from cnntui.core.receptive_field import field_text
from cnntui.labs.build import BuildState
from cnntui.ui.theme import palette

NARROW = 100  # columns of the view below which the table leaves out what can be spared


class LayerTable(DataTable[Text]):
    """Updates the cells that changed; the selected row is the lab's."""

    DEFAULT_CSS = """
    LayerTable { height: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; }
    LayerTable:focus { background-tint: $foreground 0%; }
    LayerTable > .datatable--header { background: $background; color: $border; text-style: none; }
    LayerTable > .datatable--cursor { background: $panel; color: $accent; text-style: bold; }
    LayerTable:focus > .datatable--cursor { background: $panel; color: $accent; }
    """

    BINDINGS = [
        Binding("home", "scroll_top", "First layer", show=False),
        Binding("end", "scroll_bottom", "Last layer", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._wide: bool | None = None

    def show(self, state: BuildState) -> None:
        """Show a state; rows are only added or removed when their number changes."""
        wide = self.app.size.width >= NARROW
        rows = self._rows(state, wide)
        if wide != self._wide or not self.columns:
            self._wide = wide
            self.clear(columns=True)
            for title in self._titles(wide):
                self.add_column(title)
        while self.row_count > len(rows):
            self.remove_row(self.ordered_rows[-1].key)
        for index, cells in enumerate(rows):
            if index >= self.row_count:
                self.add_row(*cells)
                continue
            for column, cell in enumerate(cells):
                at = Coordinate(index, column)
                if self.get_cell_at(at) != cell:
                    self.update_cell_at(at, cell, update_width=True)
        if self.cursor_row != state.selected:
            self.move_cursor(row=state.selected, scroll=True)

    def _titles(self, wide: bool) -> list[Text]:
        titles = ["#", "layer", "output", "parameters", "MACs", "field", "of the parameters"]
        if not wide:
            titles[3] = "params"
        return [
            Text(t, justify="left" if t in ("layer", "of the parameters") else "right")
            for t in self._chosen(titles, wide)
        ]

    @staticmethod
    def _chosen(cells: list[str], wide: bool) -> list[str]:
        return cells if wide else [cells[i] for i in (0, 1, 2, 3, 5)]

    def _rows(self, state: BuildState, wide: bool) -> list[list[Text]]:
        colors = palette(self.app)
        total = max(1, state.analysis.params)
        rows: list[list[Text]] = []
        for index, (row, text) in enumerate(zip(state.analysis.rows, state.texts, strict=True)):
            cells = self._chosen([f"{'✗' if row.problem else ''}{index + 1}", text, *_facts(row, total)], wide)
            style = colors.error if row.problem else colors.dim if row.output is None else ""
            rows.append(
                [
                    Text(cell, style=style, justify="left" if column == 1 or column == 6 else "right")
                    for column, cell in enumerate(cells)
                ]
            )
        return rows


def _facts(row: Row, total: int) -> list[str]:
    if row.output is None:
        return ["impossible" if row.problem else "waits", "", "", "", ""]
    field = "image"
    if row.field:
        field = field_text(row.field)
    share = row.params / total
    bar = "█" * int(share * 8) + ("▏▎▍▌▋▊▉"[int(share * 64) % 8 - 1] if int(share * 64) % 8 else "")
    return [shape_text(row.output), f"{row.params:,}", f"{row.macs:,}", field, bar or ("▏" if row.params else "")]
