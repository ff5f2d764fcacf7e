"""Where one looks on the exploring view: layers, maps, cells, terms; and what is taken elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from cnntui.core.explanation import Source
from cnntui.core.layers import shape_text
from cnntui.core.vocabulary import VOCABULARY
from cnntui.labs import cell
from cnntui.labs.ascent import ascents
from cnntui.labs.explore import CELL, LAYER, OVERVIEW, MoveError
from cnntui.labs.overview import rounded
from cnntui.labs.wish import Wish
from cnntui.runs.listing import name_of, run_directories
from cnntui.ui.screens.dialogs import Ask, Choose
from cnntui.ui.views.explore_base import ExploreBase
from cnntui.ui.widgets.layer_panel import LayerPanel

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

MNIST = (1, 28, 28)  # the input of layers that are written before anything is open
NAME = re.compile(r"[\w.:/~-]+")  # of a net or a file; layers have more than this
MOST_RUNS = 30  # that are offered


class ExploreLooking(ExploreBase):
    """Turns keys into other places to look at."""

    def action_move(self, rows: int, columns: int) -> None:
        """In the overview another layer or map, in a layer another cell, in a cell another term."""
        state = self.state
        if state.level == OVERVIEW:
            self.look(state.to_layer(columns) if columns else state.to_channel(rows))
        elif state.level == LAYER:
            self.look(state.to_cell(rows, columns))
        else:
            self.term = cell.moved(state, self.term, rows, columns)
            self.draw()

    def action_enter(self) -> None:
        """Into the map, into the number, into the term."""
        state = self.state
        try:
            deeper = state.down(cell.source(state, self.term)) if state.level == CELL else state.deeper()
        except MoveError as error:
            self.say(str(error))
            return
        self.look(deeper)

    def action_back(self) -> None:
        """To where one came from."""
        if self.state.level != OVERVIEW:
            self.look(self.state.up())

    def action_ascend(self) -> None:
        """To one of the numbers that this one goes into."""
        try:
            found = {str(source): (source, value) for source, value in ascents(self.state)}
        except MoveError as error:
            self.say(str(error))
            return

        def go(choice: str | None) -> None:
            if choice is not None and self.history is not None and found[choice][0].node in self.state.rows:
                source = found[choice][0]
                self.look(self.state.look(source.node, source.unit, path=(), level=CELL))

        choices = [(name, f"= {rounded(value)}") for name, (_, value) in found.items()]
        self.app.push_screen(Choose(f"{Source(self.state.node, self.state.unit)} goes into", choices), go)

    def action_channel(self, by: int) -> None:
        """Another map; in a cell the same tap in another map that it reads."""
        if self.state.level == CELL:
            self.term = cell.channel(self.state, self.term, by)
            self.draw()
        else:
            self.look(self.state.to_channel(by))

    def action_layer(self, by: int) -> None:
        """Another layer, the place kept."""
        self.look(self.state.to_layer(by))

    def action_page(self, by: int) -> None:
        """Eight layers on; in a layer the next of the maps that it reads."""
        if self.state.level == LAYER:
            self.query_one(LayerPanel).turn(by)
        else:
            self.look(self.state.to_layer(8 * by))

    def action_edge(self, by: int) -> None:
        """The first layer, the last."""
        self.look(self.state.to_layer(by * len(self.state.columns)))

    def action_jump(self) -> None:
        """To a layer by its number or name; with a unit, to that number's arithmetic."""

        def check(text: str) -> str | None:
            try:
                self.state.jumped(text)
            except MoveError as error:
                return str(error)
            return None

        def go(text: str | None) -> None:
            try:
                if text is not None:
                    self.look(self.state.jumped(text))
            except MoveError as error:  # something else was opened meanwhile
                self.say(str(error))

        layers = self.state.columns
        title = (
            f"jump to: a layer (0 input … {len(layers) - 1} {layers[-1]}), then, if you like, its unit: conv1 4,11,9"
        )
        self.app.push_screen(Ask(title, "", check, suggestions=list(layers)), go)

    def action_sort(self) -> None:
        """Maps by number, or the strongest first."""
        self.look(self.state.toggled("by_strength"), self.term)
        self.app.clear_notifications()
        self.app.notify("maps in order of strength" if self.state.by_strength else "maps in order of number")

    def action_scale(self) -> None:
        """One scale a layer, or one for the net."""
        self.look(self.state.toggled("one_scale"), self.term)
        self.app.clear_notifications()
        self.app.notify(
            "one scale of colours for the net" if self.state.one_scale else "a scale of colours for each layer"
        )

    def action_glyphs(self) -> None:
        """Glyphs or colours."""
        self.as_glyphs = not self.as_glyphs
        self.draw()

    # -- elsewhere

    async def action_convolve(self) -> None:
        """The window, the kernel and the input on the Convolve screen, to play with."""
        from cnntui.labs.handover import as_convolution  # who does not ask for it does not wait for it

        try:
            lab = as_convolution(self.state, self.term)
        except MoveError as error:
            self.say(str(error))
            return
        await cast("CnntuiApp", self.app).play_with(lab)

    def action_open(self) -> None:
        """Another run, or a net."""
        runs = [(name_of(run), "run") for run in run_directories(waiting=False)[:MOST_RUNS]]
        choices = [("a net …", "by name, notation or file: untrained"), *runs]
        self.app.push_screen(Choose("explore", choices, self.wish.word), self._take_wish)

    def _take_wish(self, choice: str | None) -> None:
        if choice is None:
            return
        if choice != "a net …":
            self.open(Wish(choice))
            return

        shape = self.state.analysis.network.input if self.history is not None else MNIST

        def take(text: str | None) -> None:
            if text:
                is_name = NAME.fullmatch(text) and text not in VOCABULARY
                self.open(Wish(text, shape=None if is_name else shape))

        title = f"a net: a name of the zoo, a TOML file, or layers for inputs of {shape_text(shape)}"
        self.app.push_screen(Ask(title, "", lambda text: None), take)
