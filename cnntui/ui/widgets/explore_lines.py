"""The lines of text around Explore's body: what is explored, the number looked at, the moments of the training."""

from __future__ import annotations

from cnntui.core.network import INPUT
from cnntui.labs.explore import OVERVIEW, ExploreState
from cnntui.labs.overview import moment_words, reading, rounded, words_of
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState

KNOB, RAIL, TICK = "●", "─", "┼"
UNDO = "  u undo"


class Headline(PaintedState[ExploreState]):
    """The net and its weights; the picture and what the net reads."""

    DEFAULT_CSS = "Headline { height: 1; margin: 0 1; }"

    def paint(self, canvas: Canvas) -> None:
        """One line: the picture at the right, since it is what changes."""
        state, colors = self.state, self.palette
        right = f"{state.picture.title}: {reading(state)}"[-canvas.width :]
        x = canvas.put(0, 0, state.analysis.network.name, ink(colors.accent, bold=True))
        start = canvas.width - len(right)
        for words in (f" · {moment_words(state)}", " · changed" if state.touched else ""):
            if words and x + len(words) + 2 <= start:
                style = ink(colors.accent, bold=True) if state.touched else ink(colors.text)
                x = canvas.put(x, 0, words, style)
                break
        run = f" · {state.model.run.name}" if state.model.run else ""
        if x + len(run) + 3 <= start:
            canvas.put(x, 0, run, ink(colors.dim))
        canvas.put(start - 2, 0, "  ")
        wrong = state.has_classes and state.picture.label not in (None, state.read)
        canvas.put(start, 0, right, ink(colors.error if wrong else colors.text, bold=True))


class FactLine(PaintedState[ExploreState]):
    """The number looked at, and the way to it; what it was at the pinned moment, or what was changed by hand."""

    DEFAULT_CSS = "FactLine { height: 1; margin: 0 1; }"

    def paint(self, canvas: Canvas) -> None:
        """One line."""
        state, colors = self.state, self.palette
        words = words_of(state)
        touched = state.touched
        hint = ""
        then = state.then
        if then is not None and state.pinned is not None:
            hint = f"then ({state.pinned[0]}): {rounded(then)}, now {rounded(state.value)}"
        elif touched:
            hint = touched[-1] + (f" and {len(touched) - 1} more" if len(touched) > 1 else "") + UNDO
        elif state.node != INPUT and state.is_dead(state.node, state.channel):
            hint = "† dead: never above 0 on the test pictures"
        elif state.node != INPUT:
            what = "map" if len(state.unit) == 3 else "number"
            hint = {OVERVIEW: f"⏎ what makes this {what}", "layer": "⏎ take it apart"}.get(state.level, "esc back up")
        for place in (" = ", " = ", "", " · ") if then is not None or touched else ():
            if len(words) + 2 + len(hint) <= canvas.width:
                break
            if place:  # what was changed has to be said; the place, if it can be
                words = words.rpartition(place)[0] or words
            else:
                hint = hint.removesuffix(UNDO)
        x = canvas.put(0, 0, words, ink(colors.text))
        if x + 2 + len(hint) <= canvas.width:
            style = ink(colors.accent, bold=True) if touched or then is not None else ink(colors.dim)
            canvas.put(canvas.width - len(hint), 0, hint, style)


class MomentLine(PaintedState[ExploreState]):
    """Where in its training the net is: a rail with the moments whose weights are kept."""

    DEFAULT_CSS = "MomentLine { height: 1; margin: 0 1; }"

    def __init__(self, state: ExploreState) -> None:
        super().__init__(state)
        self.playing = False
        self.live = False
        self.drawing = False

    def paint(self, canvas: Canvas) -> None:
        """The step, the rail, how many there are."""
        state, colors = self.state, self.palette
        moments = state.moments
        if not moments:
            canvas.put(0, 0, "an untrained net has one moment: train it to scrub through time", ink(colors.dim))
            return
        at = min(state.place, len(moments) - 1)
        step = state.model.step if state.moment is None else moments[at].step
        x = canvas.put(0, 0, "of no step" if step is None else f"step {step:,}", ink(colors.text, bold=True))
        if state.moment is not None and moments[at].epoch is not None:
            x = canvas.put(x, 0, f" epoch {moments[at].epoch}", ink(colors.dim))
        way = "live" if self.live and at == len(moments) - 1 else "playing" if self.playing else "space play"
        way = "" if self.drawing else way
        pinned = f"⇄ {state.pinned[0]}" if state.pinned else "t pin"
        count = f"{at + 1}/{len(moments)}" if state.moment is not None else f"{len(moments)}"
        tail = f" {count}  , . scrub  {way}  {pinned}"
        x = max(x + 1, 24)
        room = canvas.width - x - len(tail)
        if room >= 8:
            self._put_rail(canvas, x, room, at)
        canvas.put(max(x, canvas.width - len(tail)), 0, tail, ink(colors.dim))

    def _put_rail(self, canvas: Canvas, x: int, room: int, at: int) -> None:
        """Each moment its place in order: they were kept at steps ever farther apart."""
        colors, count = self.palette, len(self.state.moments)
        places = [round(i * (room - 1) / max(1, count - 1)) for i in range(count)]
        canvas.put(x, 0, RAIL * room, ink(colors.dim))
        for place in places:
            canvas.put(x + place, 0, TICK, ink(colors.dim))
        canvas.put(x, 0, "━" * places[at], ink(colors.accent))
        canvas.put(x + places[at], 0, KNOB, ink(colors.accent, bold=True))
