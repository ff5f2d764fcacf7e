"""The table of a comparison: a row a configuration, with its seeds, its mean, its difference to the baseline, and a bar."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from textual import events
from textual.message import Message

from cnntui.labs.compare import CompareState
from cnntui.labs.compare_names import TITLE, names_in, shortened, width_needed
from cnntui.labs.compare_words import Line, interval_words, letter, runs_words
from cnntui.labs.comparison import Comparison, Group
from cnntui.labs.results import LEVEL, mean_text, rounded, scale
from cnntui.ui.theme import Palette, ink
from cnntui.ui.widgets.compare_words import color_of, put_line
from cnntui.ui.widgets.painted import Canvas, PaintedState

HEAD = 4  # columns of what is selected, and of the letter
GAP = 2
LABEL, SHORT_LABEL = 30, 18  # columns of what a configuration is called, at most (or a third of all), and at least
LEAST_BAR, MOST_BAR = 16, 60
SEEN = 2  # columns from which on a deviation is drawn
BAR_WORDS = "┃ mean ├─┤ sd • seed"
PLAIN_WORDS = "# mean [-] sd o seed"


@dataclass(frozen=True)
class Columns:
    """How wide each part is; 0: it is left out.

    `short`: differences without intervals; `few`: marks without words; `spread`: whether any mean has a deviation.
    """

    title: str
    names: list[str]
    label: int
    params: int
    runs: int
    mean: int
    change: int
    bar: int
    short: bool
    few: bool
    spread: bool


class CompareTable(PaintedState[CompareState | None]):
    """Draws the rows about the selected one; a click asks for another."""

    DEFAULT_CSS = "CompareTable { height: 4; margin: 0 1; }"

    class Clicked(Message):
        """A row was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__(None)
        self.plain = False
        self._first = 0
        self._scale = 0.0, 1.0  # where the bars begin and end

    def _visible(self, state: CompareState, room: int) -> list[int]:
        """The groups that are shown: those that were, moved just so far that the selected one is among them."""
        at = state.order.index(state.selected)
        first = max(at - room + 1, min(self._first, at))
        self._first = max(0, min(first, len(state.order) - room))
        return state.order[self._first : self._first + room]

    def paint(self, canvas: Canvas) -> None:
        """The heading, then the rows."""
        state, colors = self.state, self.palette
        if state is None:
            return
        rows = self._visible(state, max(1, canvas.height - 1))
        columns = laid_out(state, rows, canvas.width, self._seen(state, canvas.height - 1))
        self._scale = scale(state.comparison)
        self._put_heading(canvas, state, columns, colors)
        for y, index in enumerate(rows, start=1):
            self._put_row(canvas, y, state, index, columns, colors)

    def _seen(self, state: CompareState, room: int) -> str:
        """Which rows are seen, where not all are."""
        count = len(state.order)
        seen = f"{self._first + 1}–{self._first + room}" if room > 1 else f"{self._first + 1}"
        return f"{seen} of {count}" if room < count else ""

    def _put_heading(self, canvas: Canvas, state: CompareState, columns: Columns, colors: Palette) -> None:
        dim = ink(colors.dim)
        x = canvas.put(HEAD, 0, f"{columns.title:<{columns.label}.{columns.label}}", dim)
        for text, width in (("parameters", columns.params), ("trained", -columns.runs), ("accuracy", columns.mean)):
            if width:
                side = "<" if width < 0 else ">"
                x = canvas.put(x, 0, f"{'':{GAP}}{text[: abs(width)]:{side}{abs(width)}}", dim)
        if columns.change:
            name = f"beside {letter(state.comparison.baseline)}" + ("" if columns.short else f", {LEVEL} interval")
            x = canvas.put(x, 0, f"{'':{GAP}}{name[: columns.change]:<{columns.change}}", dim)
        if columns.bar:
            low, high = (f"{rounded(share).removesuffix('.00')} %" for share in self._scale)
            x = canvas.put(x + GAP, 0, low, dim)
            end = x - len(low) + columns.bar
            canvas.put(end - len(high), 0, high, dim)
            words = PLAIN_WORDS if self.plain else BAR_WORDS
            if end - len(high) - x > len(words) + 2:
                canvas.put(x + 1 + (end - len(high) - x - len(words)) // 2, 0, words, dim)

    def _put_row(
        self, canvas: Canvas, y: int, state: CompareState, index: int, columns: Columns, colors: Palette
    ) -> None:
        comparison, group = state.comparison, state.comparison.groups[index]
        chosen, is_baseline = index == state.selected, index == comparison.baseline
        if chosen:
            ground = ink(None, self.app.current_theme.panel)
            for x in range(canvas.width):
                glyph, style = canvas.rows[y][x]
                canvas.rows[y][x] = (glyph, style + ground)
            part = Canvas(canvas.width, 1, canvas.base + ground)
        else:
            part = Canvas(canvas.width, 1, canvas.base)
        color = color_of(index, colors)
        part.put(0, 0, "▸" if chosen else " ", ink(colors.accent, bold=True))
        out = index in state.left_out
        part.put(2, 0, "○" if out else letter(index), ink(colors.dim if out else color, bold=True))
        name = f"{columns.names[index]:<{columns.label}}"
        x = part.put(HEAD, 0, name, ink(colors.accent if chosen else colors.text, bold=chosen))
        if columns.params:
            x = part.put(x, 0, f"{'':{GAP}}{group.params:>{columns.params},}", ink(colors.dim))
        put_line(part, x + GAP, 0, runs_words(group, columns.few), colors, color, columns.runs)
        x += GAP + columns.runs
        if columns.mean:
            x = part.put(x + GAP, 0, f"{_mean(group, columns.spread):>{columns.mean}}", ink(colors.text, bold=True))
        if columns.change:
            change = (
                [("baseline", "bold")] if is_baseline else [interval_words(comparison.difference(group), columns.short)]
            )
            put_line(part, x + GAP, 0, _aligned(change, columns.change), colors, color, columns.change)
            x += GAP + columns.change
        if columns.bar:
            put_bar(part, x + GAP, columns.bar, comparison, group, self._scale, color, colors, self.plain)
        canvas.rows[y] = part.rows[0]

    def on_click(self, event: events.Click) -> None:
        """Ask for the row under the mouse."""
        event.stop()
        place = self._first + event.y - 1
        if self.state is not None and event.y > 0 and place < len(self.state.order):
            self.post_message(self.Clicked(self.state.order[place]))


def _aligned(change: Line, width: int) -> Line:
    """Differences stand with their points one under the other."""
    (text, tone), *_ = change
    value, space, rest = text.partition(" ")
    return [(f"{value:>6}{space}{rest}", tone)] if value and value[0] in "+−0" else [(text, tone)]


def _mean(group: Group, spread: bool) -> str:
    """Means with and without a deviation stand one under the other, where any has one (`spread`)."""
    gap = " " * len(" ± 0.00") if spread else ""
    if group.summary is None:
        return f"–   {gap}  " if spread else "–"
    text = mean_text(group.summary)
    return text if group.summary.sd is not None else text.removesuffix(" %") + gap + " %"


def laid_out(state: CompareState, rows: list[int], width: int, seen: str) -> Columns:
    """What there is room for beside names that tell the rows apart.

    Bars go first, then words and parameters, then what is not needed of the names, then intervals, at last the
    differences; only then are names cut so far that some are alike.
    """
    comparison = state.comparison
    groups = [comparison.groups[i] for i in rows]
    most = max(LABEL, width // 3)
    whole = min(most, max(len(group.label) for group in comparison.groups))
    needed = min(most, width_needed(comparison, SHORT_LABEL))
    params = max(len("parameters"), *(len(f"{group.params:,}") for group in groups))
    spread = any(group.summary is not None and group.summary.sd is not None for group in groups)
    mean = max(len("accuracy"), *(len(_mean(group, spread)) for group in groups))
    runs, few = (
        max(len("trained"), *(sum(len(text) for text, _ in runs_words(group, short)) for group in groups))
        for short in (False, True)
    )
    full, brief = (_change_width(comparison, groups, short) for short in (False, True))

    def columns(with_params: int, told: int, mean: int, change: int) -> Columns:
        room = width - HEAD - sum(GAP + part for part in (with_params, told, mean, change) if part)
        label = max(1, min(room, max(whole, len(_title(state, TITLE, seen, room)))))
        kind, names = names_in(comparison, label)
        title = _title(state, kind, seen, label)
        bar = room - label - GAP
        bar = min(MOST_BAR, bar) if bar >= LEAST_BAR else 0
        return Columns(title, names, label, with_params, told, mean, change, bar, change == brief, told < runs, spread)

    with_intervals = ((params, runs, mean, full), (params, few, mean, full), (0, few, mean, full))
    without = ((0, few, mean, brief), (0, few, mean, 0))
    wanted = [(whole, parts) for parts in with_intervals]
    for least, parts in (*wanted, *((needed, parts) for parts in (*with_intervals, *without))):
        if width - HEAD - sum(GAP + part for part in parts if part) >= least:
            return columns(*parts)
    return columns(0, few, mean if width >= LABEL else 0, 0)


def _title(state: CompareState, kind: str, seen: str, room: int) -> str:
    """What the rows are, or in which order; and which of them are `seen`, which is never cut."""
    name = "best first" if state.best_first else kind
    for title in (f"{name} {seen}".strip(), seen or name, "config." if name == TITLE else name):
        if len(title) <= room:
            return title
    return shortened(seen or name, max(1, room), max(0, room - 1))


def _change_width(comparison: Comparison, groups: list[Group], short: bool) -> int:
    if len(comparison.groups) == 1:
        return 0
    changes = [interval_words(comparison.difference(group), short) for group in groups]
    title = len("baseline" if short else f"beside a, {LEVEL} interval")
    return max([title, *(len(_aligned([change], 0)[0][0]) for change in changes)])


def put_bar(
    canvas: Canvas,
    x: int,
    room: int,
    comparison: Comparison,
    group: Group,
    scale: tuple[float, float],
    color: str,
    colors: Palette,
    plain: bool,
) -> None:
    """To the mean, with ± the deviation, a dot a seed, and where the baseline's mean is."""
    found = group.summary
    if found is None:
        canvas.put(x, 0, "nothing trained" + ("" if group.failed else " yet"), ink(colors.dim))
        return
    low, high = scale

    def place(share: float) -> float:
        return max(0.0, min(1.0, (share - low) / (high - low))) * room

    def mark(share: float, glyph: str, style: Style) -> None:
        canvas.put(x + min(room - 1, int(place(share))), 0, glyph, style)

    line, own = ink(colors.text), ink(color, bold=True)
    full = int(place(found.mean))
    canvas.put(x, 0, ("=" if plain else "━") * full, own)
    reference = comparison.reference.summary
    if reference is not None and reference is not found:
        mark(reference.mean, "|" if plain else "│", ink(colors.dim))
    if found.sd is not None and place(found.mean + found.sd) - place(found.mean - found.sd) >= SEEN:
        last = int(place(found.mean + found.sd))
        canvas.put(x + full, 0, ("-" if plain else "─") * (last - full), line)
        mark(found.mean - found.sd, "[" if plain else "├", line)
        mark(found.mean + found.sd, "]" if plain else "┤", line)
    for accuracy in group.accuracies:
        mark(accuracy, "o" if plain else "•", line)
    mark(found.mean, "#" if plain else "┃", own)
