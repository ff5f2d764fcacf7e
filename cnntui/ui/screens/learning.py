"""Learning, written out: the loss, one weight's gradient, what the optimizer makes of it; and steps to take on a copy."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import get_current_worker

from cnntui.core.arithmetic import MINUS, TIMES, read, signed
from cnntui.core.workings import Line
from cnntui.labs.changes import loss_text
from cnntui.labs.explore import ExploreState, MoveError
from cnntui.labs.learned import Learner, Learning
from cnntui.ui.theme import Palette, ink, palette

STEPS = 4  # that are shown, the last ones
BAR = 12  # columns of the largest term's bar
KEYS = "o optimizer · + − learning rate · s one step · b bias · ? help · esc back"
HELP = (
    "s moves every weight of a copy by one step on this picture; o tries another optimizer; + and − make its learning rate"
    " ten times as large or small; b shows the bias; ↑ ↓ scroll; esc goes back to the net as the steps left it."
)
Cells = tuple[str, ...]


class LearningScreen(ModalScreen[ExploreState | None]):
    """A lesson about one weight. Gives the state after the steps taken, or None where none was."""

    CSS = """
    LearningScreen { align: center middle; }
    LearningScreen > Vertical { width: 116; max-width: 98%; height: 96%; border: round $accent; padding: 0 1; }
    LearningScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    LearningScreen #steps { height: auto; border-top: solid $panel; }
    """
    BINDINGS = [
        Binding("s,enter", "step", "One step"),
        Binding("o", "method", "Optimizer"),
        Binding("plus,equals_sign", "rate(1)", "Learning rate"),
        Binding("minus", "rate(-1)", "Learning rate"),
        Binding("b", "bias", "Bias"),
        Binding("question_mark", "help", "Help"),
        Binding("escape,q,w", "close", "Close"),
    ]

    class Stepped(Message):
        """A step was taken, or could not be."""

        def __init__(self, learner: Learner | None, problem: str = "") -> None:
            super().__init__()
            self.learner, self.problem = learner, problem

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner
        self.begun = learner.state
        self.stepping = False
        self.problem = ""
        self.is_helping = False

    def compose(self) -> ComposeResult:
        """The sections, and under them what the steps did."""
        with Vertical():
            with VerticalScroll():
                yield Static(id="learning")
            yield Static(id="steps")

    def on_mount(self) -> None:
        """The title says which weight, the bottom the keys."""
        self.query_one(Vertical).border_subtitle = KEYS
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        for what in ("scroll_y", "virtual_size", "size"):
            self.watch(scroll, what, self.tell_more, init=False)
        self.draw()

    def tell_more(self) -> None:
        """Whether there is more below."""
        scroll = self.query_one(VerticalScroll)
        self.query_one("#steps").border_title = "↓ more" if scroll.scroll_y < scroll.max_scroll_y else ""

    def on_resize(self) -> None:
        """Another width, other lines."""
        self.draw()

    def draw(self) -> None:
        """Write all anew."""
        learning, colors = self.learner.learning, palette(self.app)
        frame = self.query_one(Vertical)
        frame.border_title = f"{learning.weight.words} learns from {learning.picture}, a {learning.label}"
        width = max(40, min(116, round(self.app.size.width * 0.98)) - 6)
        self.query_one("#learning", Static).update(written(learning, width, colors))
        steps = Text(HELP, ink(colors.text)) if self.is_helping else steps_text(self.learner, self.problem, colors)
        self.query_one("#steps", Static).update(steps)

    # -- moves

    def _turn(self, learner: Learner) -> None:
        self.learner, self.problem, self.is_helping = learner, "", False
        self.draw()

    def action_help(self) -> None:
        """What the keys do, or the steps again."""
        self.is_helping = not self.is_helping
        self.draw()

    def action_method(self) -> None:
        """The next optimizer."""
        if not self.stepping:
            self._turn(self.learner.other_method())

    def action_rate(self, power: int) -> None:
        """Ten times the learning rate, or a tenth."""
        if not self.stepping:
            self._turn(self.learner.faster(power))

    def action_bias(self) -> None:
        """The bias, or the weight again."""
        if not self.stepping:
            try:
                self._turn(self.learner.of_bias())
            except MoveError as error:
                self.problem = str(error)
                self.draw()

    def action_step(self) -> None:
        """All weights of the copy one step on."""
        if not self.stepping:
            self.stepping = True
            self._step(self.learner)

    @work(thread=True, exclusive=True, group="step")
    def _step(self, learner: Learner) -> None:
        """Off the event loop: a large net takes its time."""
        worker = get_current_worker()
        try:
            moved = learner.stepped()
            moved.learning  # noqa: B018 (computed here)
            answer = self.Stepped(moved)
        except (MoveError, ValueError) as error:
            answer = self.Stepped(None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    def on_learning_screen_stepped(self, event: Stepped) -> None:
        """The loss has moved."""
        event.stop()
        self.stepping = False
        self.learner, self.problem, self.is_helping = event.learner or self.learner, event.problem, False
        self.draw()

    def action_close(self) -> None:
        """Back to the net, as the steps left it."""
        state = self.learner.state
        self.dismiss(None if state is self.begun else state)


# -- the text


def written(learning: Learning, width: int, colors: Palette) -> Text:
    """The four sections, for so many columns."""
    text = Text(no_wrap=False)
    for section in (_loss, _gradient, _update, _moved):
        section(text, learning, width, colors)
        text.append("\n")
    for note in learning.notes:
        text.append(f"{note}\n", ink(colors.dim))
    text.right_crop(1)
    return text


def steps_text(learner: Learner, problem: str, colors: Palette) -> Text:
    """What the last steps did to the loss, or how to take one."""
    text = Text(problem, ink(colors.error, bold=True)) if problem else Text()
    steps = learner.state.learned.steps if learner.state.learned else ()
    if not steps and not problem:
        text.append("s takes one step ", ink(colors.accent, bold=True))
        text.append("on a copy: every weight moves, and so does the loss.")
    first = max(0, len(steps) - STEPS)
    for count, step in enumerate(steps[first:], start=first + 1):
        text.append("\n" if text.plain else "")
        text.append(f"step {count:>2}  ", ink(colors.dim))
        falls = step.after < step.before
        text.append(f"loss {loss_text(step.before)} → ")
        text.append(loss_text(step.after), ink(colors.accent if falls else colors.error, bold=True))
        text.append("" if falls else "  it grew: the step was too large", ink(colors.dim))
        same = step.picture == learner.state.picture.title
        text.append("" if same else f"  on {step.picture}", ink(colors.dim))
    return text


def _head(text: Text, title: str, about: str, colors: Palette) -> None:
    text.append(title, ink(colors.accent, bold=True))
    text.append(f"  {about}\n", ink(colors.dim))


def _loss(text: Text, learning: Learning, width: int, colors: Palette) -> None:
    _head(text, "THE LOSS", f"how little the net believes in {learning.label}; 0 would be certain", colors)
    _lines(text, learning.loss, width, colors)
    text.append(f"Backward begins with {learning.begins}.\n", ink(colors.text))


def _gradient(text: Text, learning: Learning, width: int, colors: Palette) -> None:
    weight, (more, rest, zeros) = learning.weight, learning.rest
    kind = "bias" if weight.name.endswith("bias") else "weight"
    places = len(learning.terms) + more + zeros
    _head(
        text, "THE GRADIENT", f"the {kind} works at {places:,} place{'s' * (places != 1)}: one product for each", colors
    )
    rows = [
        (
            term.output,
            signed(term.gradient),
            f"{TIMES} {term.input}",
            signed(term.value),
            term.relation,
            signed(term.product),
        )
        for term in learning.terms
    ]
    heads = (f"gradient at {learning.factors[0]}", "", f"{TIMES} {learning.factors[1]}", "", "", "product")
    more_words = f"{more:,} smaller product{'s' * (more > 1)}" + (f", and {zeros:,} of 0" if zeros else "")
    widths = _widths(heads, rows)
    widths[3] += max(0, len(more_words) + 1 - sum(widths[:-1]) - 5)  # what stands under the columns has room
    text.append("  " + _row(heads, widths) + "\n", ink(colors.dim))
    largest = max((abs(read(term.product)) for term in learning.terms), default=0.0)
    for row, term in zip(rows, learning.terms, strict=True):
        text.append(f"  {_row(row, widths)}", ink(colors.text))
        _put_bar(text, read(term.product), largest, min(BAR, width - sum(widths) - 9), colors)
    left = sum(widths[:-1]) + 5
    if more:
        text.append(f"  {more_words:<{left}}{signed(rest):>{widths[-1]}}\n", ink(colors.dim))
    elif zeros:
        text.append(f"  {zeros:,} product{'s' * (zeros > 1)} of 0\n", ink(colors.dim))
    result = signed(learning.gradient.result)
    text.append(f"  {'their sum, the gradient':<{left}}", ink(colors.text))
    text.append(f"{result:>{widths[-1]}}", _sign_style(result, colors, bold=True))
    text.append("\n" if learning.gradient.relation == "=" else "  rounded\n")
    text.append(f"{_capital(learning.direction)}.\n", ink(colors.text))


def _widths(heads: Cells, rows: Sequence[Cells]) -> list[int]:
    """Of the columns: a head over two columns widens the second."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(heads))]
    widths[-1] = max(widths[-1], len(heads[-1]))
    for i in (0, 2):
        widths[i + 1] += max(0, len(heads[i]) - widths[i] - 1 - widths[i + 1])
    return widths


def _row(cells: Cells, widths: Sequence[int]) -> str:
    """Units at the left of their columns, numbers at the right; a head reaches into the column of its numbers."""
    text, at = "", 0
    for i, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        own = cell if i in (0, 2, 4) else f"{cell:>{wide}}"
        text = text[:at].ljust(at) + own if cell else text
        at += wide + 1
    return text


def _put_bar(text: Text, product: float, largest: float, room: int, colors: Palette) -> None:
    style = ink(colors.negative if product < 0 else colors.positive)
    if room > 2 and largest:
        text.append("  " + "▪" * max(1, round(room * abs(product) / largest)), style)
    text.append("\n")


def _update(text: Text, learning: Learning, width: int, colors: Palette) -> None:
    name, rate, words = learning.method
    text.append("THE UPDATE", ink(colors.accent, bold=True))
    text.append(f"  {name}", ink(colors.text, bold=True))
    text.append(f" · {rate}\n", ink(colors.dim))
    if words:
        text.append(f"  {words}\n", ink(colors.dim))
    _lines(text, learning.update, width, colors)


def _moved(text: Text, learning: Learning, width: int, colors: Palette) -> None:
    text.append("OLD → NEW", ink(colors.accent, bold=True))
    text.append(f"  {learning.old} → ", ink(colors.text))
    text.append(learning.new, ink(colors.on_accent, colors.accent, bold=True))
    text.append(f"  {learning.moved}", _sign_style(learning.moved, colors))
    text.append("\n")


def _lines(text: Text, lines: tuple[Line, ...], width: int, colors: Palette) -> None:
    """Name and formula, and the numbers behind it, or under it where it is narrow."""
    names = max(cell_len(line.name) for line in lines)
    formulas = max(cell_len(line.formula) for line in lines)
    longest = max(cell_len(str(line.equation)) for line in lines)
    beside = names + formulas + longest + 8 <= width
    for line in lines:
        text.append(f"  {set_cell_size(line.name, names)} = ", ink(colors.text, bold=True))  # a hat takes no column
        text.append(set_cell_size(line.formula, formulas) if beside else line.formula, ink(colors.dim))
        text.append(" = " if beside else "\n    = ", ink(colors.dim))
        body, relation, result = _parts(line)
        text.append(body, ink(colors.text))
        text.append(f" {relation} ", ink(colors.dim))
        text.append(f"{result}\n", ink(colors.text, bold=True))


def _parts(line: Line) -> tuple[str, str, str]:
    equation = line.equation
    opening, closing = equation.brackets
    return f"{opening}{equation.joint.join(equation.terms)}{closing}", equation.relation, equation.result


def _sign_style(number: str, colors: Palette, bold: bool = False) -> Style:
    return ink(colors.negative if number.startswith(MINUS) else colors.positive, bold=bold)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
