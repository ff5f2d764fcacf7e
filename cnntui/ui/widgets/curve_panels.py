"""The panels with curves: loss; accuracy or errors; learning rate and speed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from cnntui.labs.curves import loss_text, nearest, reach, smoothed
from cnntui.labs.plain import percent
from cnntui.labs.watching import LETTERS
from cnntui.runs.reader import Points, RunView
from cnntui.ui.theme import OTHERS, Palette, ink
from cnntui.ui.widgets.chart import Axes, Line, put_chart
from cnntui.ui.widgets.painted import Canvas
from cnntui.ui.widgets.panel import Panel, Shown

SOON = "the first steps are still to come"
FIRST_TEST = "tested at the end of each epoch: not yet"
TABLE = 36  # columns of the epochs' numbers


def _reach(shown: Shown) -> tuple[float, float]:
    """The steps that are shown: from the first on, or the last of those that are."""
    curve = shown.looking.curve(shown.view)
    if shown.looking.recent and curve:
        return curve[0][0], max(curve[-1][0], curve[0][0] + 1)
    ends = [points[-1][0] for view in _views(shown) for points in (view.train_loss, view.test_loss) if points]
    return 0, reach(_steps(shown.view), max(ends, default=0))


def _views(shown: Shown) -> list[RunView]:
    return [shown.view, *(view for _, view in shown.others)]


def _steps(view: RunView) -> int | None:
    return view.data.steps if view.data else None


class LossPanel(Panel):
    """Both losses by step; a value that is not finite is a gap."""

    def title(self, shown: Shown) -> str:
        """How it is drawn, or what the cursor reads."""
        looking = shown.looking
        softened = shown.view.spec.label_smoothing  # only what is trained on: the test loss lies below for that alone
        how = [f"train: labels smoothed {softened:g}"] if softened else []
        how += ["log"] if looking.log else []
        how += [f"smoothed {looking.kept:g}"] if looking.smoothing else []
        how += ["the last steps"] if looking.recent else []
        return ", ".join(how)

    def depends(self, shown: Shown) -> Hashable:
        """The curves and how they are drawn."""
        looking = shown.looking
        curves = [(looking.curve(view), view.test_loss) for view in _views(shown)]
        how = (looking.log, looking.smoothing, looking.recent, looking.cursor)
        return (*curves, how, _steps(shown.view), tuple(name for name, _ in shown.others))

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """Lines that say which is which, then the chart."""
        view, looking = shown.view, shown.looking
        top = self._put_legend(canvas, shown, colors)
        left, right = _reach(shown)
        axes = Axes(left, right, looking.log, looking.cursor)
        if not put_chart(
            canvas, top, canvas.height - top, list(self._lines(shown, colors)), axes, colors, shown.glyphs
        ):
            canvas.put(0, top + 1, SOON if not view.train_loss else "", ink(colors.dim))

    def _lines(self, shown: Shown, colors: Palette) -> Iterator[Line]:
        looking = shown.looking
        for (letter, color), (_, view) in zip(_marks(colors), shown.others, strict=False):
            yield Line(self._curve(shown, view), color, letter, end=letter)
        train = looking.curve(shown.view)
        if looking.smoothing:
            yield Line(train, colors.dim, ".")
        yield Line(self._curve(shown, shown.view), colors.positive, "*")
        yield Line(shown.view.test_loss, colors.negative, "●", dotted=True)

    def _curve(self, shown: Shown, view: RunView) -> Points:
        curve = shown.looking.curve(view)
        return smoothed(curve, shown.looking.kept) if shown.looking.smoothing else curve

    def _put_legend(self, canvas: Canvas, shown: Shown, colors: Palette) -> int:
        """What each curve is at its end, or at the cursor; the other runs on the lines below. Returns the lines used."""
        view, cursor = shown.view, shown.looking.cursor
        x = canvas.put(0, 0, f"step {cursor:,.0f}  ", ink(colors.accent, bold=True)) if cursor is not None else 0
        x = canvas.put(x, 0, "* train " if shown.glyphs else "─ train ", ink(colors.positive))
        x = canvas.put(x, 0, _at(shown.looking.curve(view), cursor), ink(colors.text))
        x = canvas.put(x + 2, 0, "● test ", ink(colors.negative))
        canvas.put(x, 0, _at(view.test_loss, cursor), ink(colors.text))
        entries = [
            (letter, color, f"{name} {_at(shown.looking.curve(other), cursor)}")
            for (letter, color), (name, other) in zip(_marks(colors), shown.others, strict=False)
        ]
        return _put_others(canvas, 1, entries, colors)


def _marks(colors: Palette) -> list[tuple[str, str]]:
    return list(zip(LETTERS, OTHERS[colors.background], strict=False))


def _put_others(canvas: Canvas, y: int, entries: list[tuple[str, str, str]], colors: Palette) -> int:
    """The other runs' letters and names, as many a line as fit; returns the line below."""
    x = 0
    for letter, color, text in entries:
        if x and x + 2 + len(text) > canvas.width:
            x, y = 0, y + 1
        x = canvas.put(x, y, f"{letter} ", ink(color, bold=True))
        x = canvas.put(x, y, f"{text}   ", ink(colors.text))
    return y + 1 if entries else y


def _at(points: Points, cursor: float | None) -> str:
    """The value at the cursor, else the last one."""
    point = nearest(points, cursor) if cursor is not None else points[-1] if points else None
    return loss_text(point[1]) if point is not None else "–"


class AccuracyPanel(Panel):
    """The share of the test set that is read right, or wrong, by epoch."""

    def title(self, shown: Shown) -> str:
        """Which of the two."""
        return "errors by epoch, log" if shown.looking.errors else "by epoch"

    def depends(self, shown: Shown) -> Hashable:
        """The accuracies."""
        curves = tuple(view.test_accuracy for view in _views(shown))
        return (curves, shown.looking.errors, _steps(shown.view), tuple(name for name, _ in shown.others))

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """The curve, and beside it the last epochs in numbers."""
        view, errors = shown.view, shown.looking.errors
        if not view.test_accuracy:
            canvas.put(0, 1, FIRST_TEST, ink(colors.dim))
            return
        last, best = view.test_accuracy[-1][1], max(y for _, y in view.test_accuracy)
        x = canvas.put(0, 0, "● test ", ink(colors.negative))
        x = canvas.put(x, 0, f"{percent(last)} right, {_error(last)} wrong", ink(colors.text, bold=True))
        canvas.put(x, 0, f"   best {percent(best)}", ink(colors.dim))
        entries = [
            (letter, color, f"{name} {percent(other.test_accuracy[-1][1]) if other.test_accuracy else '–'}")
            for (letter, color), (name, other) in zip(_marks(colors), shown.others, strict=False)
        ]
        top = _put_others(canvas, 1, entries, colors)
        lines = [
            Line(_by_epoch(other, errors), color, letter, dotted=True, end=letter)
            for (letter, color), (_, other) in zip(_marks(colors), shown.others, strict=False)
        ]
        lines.append(Line(_by_epoch(view, errors), colors.negative, "●", dotted=True))
        epochs = max(float(view.spec.epochs), *(line.points[-1][0] for line in lines if line.points))
        beside = canvas.width >= 2 * TABLE
        room = Canvas(canvas.width - TABLE if beside else canvas.width, canvas.height, canvas.base)
        axes = Axes(0, epochs, errors, form="{:.4g} %", most=100.0, whole=True)
        put_chart(room, top, canvas.height - top, lines, axes, colors, shown.glyphs)
        for y in range(top, canvas.height):
            canvas.rows[y][: room.width] = room.rows[y]
        if beside:
            self._put_epochs(canvas, room.width + 2, top, view, colors)

    def _put_epochs(self, canvas: Canvas, x: int, y: int, view: RunView, colors: Palette) -> None:
        canvas.put(x, y, f"{'epoch':>5} {'right':>8} {'wrong':>12}", ink(colors.dim))
        for line, test in enumerate(view.tests[::-1][: canvas.height - y - 1], start=1):
            wrong = round((1 - test.accuracy) * test.count)
            canvas.put(
                x, y + line, f"{test.epoch:>5} {percent(test.accuracy):>9} {wrong:>6,} of {test.count:,}"[: TABLE - 2]
            )


def _error(accuracy: float) -> str:
    """What is left of 100 % as `percent` prints the accuracy: the two add up on the screen."""
    return f"{100 - float(percent(accuracy).removesuffix(' %')):.2f} %"


def _by_epoch(view: RunView, errors: bool) -> Points:
    """(epoch, percent) of a run."""
    steps = _steps(view) or (view.test_accuracy[-1][0] if view.test_accuracy else 1)
    each = view.spec.epochs / max(1, steps)
    return tuple((x * each, 100 * (1 - y if errors else y)) for x, y in view.test_accuracy)


class RatePanel(Panel):
    """The learning rate and the speed by step, one under the other."""

    def depends(self, shown: Shown) -> Hashable:
        """Both curves."""
        view = shown.view
        return (view.lr, view.images_per_second, _steps(view), shown.looking.cursor)

    def paint(self, canvas: Canvas, shown: Shown, colors: Palette) -> None:
        """Two charts."""
        view, cursor = shown.view, shown.looking.cursor
        if not view.lr:
            canvas.put(0, 1, SOON, ink(colors.dim))
            return
        half = canvas.height // 2
        steps = reach(_steps(view), view.lr[-1][0])
        for top, height, what, points, color, form in (
            (0, half, "learning rate", view.lr, colors.accent, "{:.4g}"),
            (half, canvas.height - half, "images/s", view.images_per_second, colors.negative, "{:,.0f}"),
        ):
            at = nearest(points, cursor) if cursor is not None else points[-1]
            x = canvas.put(0, top, f"{what} ", ink(color, bold=True))
            if at is not None:
                canvas.put(x, top, f"{form.format(at[1])}  at step {at[0]:,.0f}", ink(colors.text))
            put_chart(
                canvas,
                top + 1,
                height - 1,
                [Line(points, color, "*")],
                Axes(0, steps, cursor=cursor, form=form, from_zero=True),
                colors,
                shown.glyphs,
            )
