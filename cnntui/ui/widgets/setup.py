"""What is about to be trained: the net, its settings, and the one key that starts it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from cnntui.core.analysis import analyse
from cnntui.core.layers import shape_text
from cnntui.core.notation import network_text
from cnntui.labs.train import HELP, TrainState
from cnntui.runs.launch import HOW_TO_GET_TORCH, can_train
from cnntui.runs.places import data_root, has_mnist
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState

VALUE = 18  # the column of the values
FOOT = 5  # lines under the settings: what the selected one does, and the keys


class Setup(PaintedState[TrainState]):
    """The net, its settings, what the selected one does, and the one key that starts it."""

    DEFAULT_CSS = "Setup { height: 1fr; margin: 0 2; }"

    def paint(self, canvas: Canvas) -> None:
        """Net, what `x` drops, settings, help, keys; what has no room is scrolled to."""
        colors, state = self.palette, self.state
        analysis = analyse(state.network)
        roomy = canvas.height >= 30
        y = 1 if roomy else 0
        x = canvas.put(0, y, state.network.name, ink(colors.accent, bold=True))
        facts = f"  {shape_text(state.network.input)}   {analysis.params:,} parameters   {analysis.macs:,} MACs"
        canvas.put(x, y, facts, ink(colors.text))
        words = textwrap.wrap("; ".join(network_text(state.network)), max(10, canvas.width))
        seen = words[: 2 if roomy else 1]
        if len(words) > len(seen):
            seen[-1] = f"{seen[-1][: canvas.width - 2]} …"
        for text in seen:
            y = y + 1
            canvas.put(0, y, text, ink(colors.dim))
        for text in state.extras:
            y = y + 1
            x = canvas.put(0, y, "x ", ink(colors.accent, bold=True))
            canvas.put(
                x, y, text if len(text) <= canvas.width - x else f"{text[: canvas.width - x - 1]}…", ink(colors.text)
            )
        top = y + 2
        room = max(1, min(len(state.names), canvas.height - top - FOOT))
        first = max(0, min(state.selected - room + 1 if state.selected >= room else 0, len(state.names) - room))
        for line, name in enumerate(state.names[first : first + room]):
            self._put_setting(canvas, top + line, name)
        self._put_foot(canvas, top + room)

    def _put_setting(self, canvas: Canvas, y: int, name: str) -> None:
        colors, state = self.palette, self.state
        chosen = name == state.name
        canvas.put(0, y, "▸" if chosen else " ", ink(colors.accent))
        canvas.put(2, y, f"{name.replace('_', ' '):<15}", ink(colors.text if chosen else colors.dim))
        value = state.text(name)
        text = f"‹ {value} ›" if chosen else f"  {value}"
        end = canvas.put(VALUE, y, text, ink(colors.accent if chosen else colors.text, bold=chosen))
        if name == "data":
            canvas.put(max(end, VALUE + 7) + 2, y, self._about_data(), ink(colors.dim))

    def _put_foot(self, canvas: Canvas, y: int) -> None:
        """What the selected setting does, in at most two lines, and the keys."""
        colors = self.palette
        for line, text in enumerate(textwrap.wrap(HELP[self.state.name], max(10, canvas.width))[:2], start=1):
            canvas.put(0, y + line, text, ink(colors.text))
        if can_train():
            x = canvas.put(0, y + 3, " space ", ink(colors.on_accent, colors.accent, bold=True))
            canvas.put(x, y + 3, " starts it, in a process of its own: leave, and it goes on", ink(colors.text))
        else:
            canvas.put(0, y + 3, HOW_TO_GET_TORCH, ink(colors.error, bold=True))
        keys = "↑ ↓ choose a setting, ← → change it, e takes another net, o opens a run"
        canvas.put(0, y + 4, keys, ink(colors.dim))

    def _about_data(self) -> str:
        settings = self.state.settings
        root = Path(settings.data_dir) if settings.data_dir else data_root()
        if settings.data == "digits":
            return "1,797 scans of 8×8, from scikit-learn"
        if settings.data == "printed":
            return "4,800 digits of 8×8, drawn with a font: no file is needed"
        if settings.data in ("auto", "mnist"):
            if has_mnist(root):
                return f"MNIST is in {root}"
            return "MNIST, downloaded first" + (", else the bundled digits" if settings.data == "auto" else "")
        return f"from {root}, or downloaded"
