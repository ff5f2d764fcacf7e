"""Where a run is, in three lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.style import Style

from cnntui.labs.classes import whole_percent
from cnntui.labs.plain import duration, percent, size, speed, trained
from cnntui.labs.watching import backbone_rate, rate
from cnntui.runs.reader import RunView
from cnntui.runs.spec import ENDED
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, Painted

STALLED_AFTER = 10.0
BRIEF_SECONDS = 1.0
PHASES = {"evaluating": "testing"}  # in words that people use


class RunLine(Painted):
    """Where the run is: name, device, state; then progress, time, speed, memory, accuracy."""

    DEFAULT_CSS = "RunLine { height: 3; margin: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.view: RunView | None = None

    def show(self, view: RunView) -> None:
        """Show a run."""
        self.view = view
        self.repaint()

    def paint(self, canvas: Canvas) -> None:
        """Three lines."""
        view, colors = self.view, self.palette
        if view is None:
            return
        status = view.status
        x = canvas.put(0, 0, view.spec.net, ink(colors.accent, bold=True))
        x = canvas.put(x, 0, f" on {view.data.name if view.data else view.spec.data}", ink(colors.text))
        ranks = f"{view.spec.ranks} ranks, " if view.spec.ranks > 1 else ""
        x = canvas.put(x, 0, f"   {ranks}{(status.device if status else None) or '…'}   ", ink(colors.dim))
        text, style = self._state(view)
        x = canvas.put(x, 0, text, style)
        canvas.put(max(x + 2, canvas.width - len(view.spec.run)), 0, view.spec.run, ink(colors.dim))
        self._put_progress(canvas, view)
        self._put_facts(canvas, view)

    def _put_facts(self, canvas: Canvas, view: RunView) -> None:
        """The facts in the order of what they are worth, as many as fit."""
        x = 0
        for text, strong in facts(view):
            if x + len(text) > canvas.width:
                break
            x = canvas.put(x, 2, text, ink(self.palette.text if strong else self.palette.dim, bold=strong)) + 3

    def _state(self, view: RunView) -> tuple[str, Style]:
        colors, status = self.palette, view.status
        if view.state in ("crashed", "failed"):
            return f"✗ {view.state}", ink(colors.error, bold=True)
        if view.alive == "stalled":
            return "‖ stalled: its process is stopped", ink(colors.error, bold=True)
        if view.alive == "stale":
            return "? nothing heard for a minute", ink(colors.error, bold=True)
        if view.state == "training" and status and status.progress_age > STALLED_AFTER:
            phase = PHASES.get(status.phase, status.phase)
            return f"no progress for {status.progress_age:.0f} s ({phase})", ink(colors.error, bold=True)
        return f"{view.label}{_phase(view)}", ink(colors.accent if not view.ended else colors.text, bold=True)

    def _put_progress(self, canvas: Canvas, view: RunView) -> None:
        colors, status = self.palette, view.status
        x = canvas.put(0, 1, f"epoch {status.epoch if status else 0}/{view.spec.epochs} ", ink(colors.text))
        after = f" {whole_percent(view.progress):>5}"
        if view.seconds_left is not None:
            after += f"  {duration(view.seconds_left)} left"
        room = max(8, min(60, canvas.width - x - len(after) - 1))
        done = round(view.progress * room)
        x = canvas.put(x, 1, "━" * done, ink(colors.accent))
        x = canvas.put(x, 1, "─" * (room - done), ink(colors.dim))
        canvas.put(x, 1, after, ink(colors.text))


def _phase(view: RunView) -> str:
    """What the trainer does, where its state does not say it; not what is over as soon as it is read."""
    status = view.status
    if status is None or status.phase in ("", view.state) or view.state in ("paused", *ENDED):
        return ""
    brief = status.phase == "evaluating" and status.progress_age < BRIEF_SECONDS
    return "" if brief else f": {PHASES.get(status.phase, status.phase)}"


def facts(view: RunView) -> Iterator[tuple[str, bool]]:
    """What there is to say beside the progress, the most wanted first; whether it stands out."""
    status = view.status
    if not view.logged:
        yield "its log is gone", True
    elif view.read < 1:
        yield f"reading the log {whole_percent(view.read)}", True
    if view.test_accuracy and view.data:
        yield f"test {percent(view.test_accuracy[-1][1])} of {view.data.test:,}", True
    if status is not None and not view.ended:
        if status.images_per_second and view.state != "paused":
            yield speed(status), True
            if view.ranks is not None and view.ranks.gain is not None:
                yield f"{view.ranks.gain:.2f} times one alone", False
        yield f"lr {rate(view):.4g}{backbone_rate(view)}", False
        if status.memory:
            total = f" of {size(status.memory_total)}" if status.memory_total else ""
            yield f"{size(status.memory)}{total}", False
        if (status.device or "").startswith("cuda"):
            load = "n/a" if status.utilization is None else f"{status.utilization} %"
            heat = "n/a" if status.temperature is None else f"{status.temperature} °C"
            yield f"GPU {load} {heat}", False
    if view.spec.frozen:
        yield trained(view.spec.network, view.spec), False
    if view.checkpoint is not None:
        yield f"checkpoint at {view.checkpoint.step:,}", False
