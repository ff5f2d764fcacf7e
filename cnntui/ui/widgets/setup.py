"""What is about to be trained: the net, its settings, and the one key that starts it."""

from __future__ import annotations

from pathlib import Path

from cnntui.core.analysis import analyse
from cnntui.core.layers import shape_text
from cnntui.core.notation import network_text
from cnntui.labs.train import TrainState
from cnntui.runs.launch import HOW_TO_GET_TORCH, can_train
from cnntui.runs.places import data_root, has_mnist
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState


class Setup(PaintedState[TrainState]):
    """The net, its settings, and the one key that starts it."""

    DEFAULT_CSS = "Setup { height: 1fr; margin: 1 2; }"

    def paint(self, canvas: Canvas) -> None:
        """Net, settings, key."""
        colors, state = self.palette, self.state
        analysis = analyse(state.network)
        x = canvas.put(0, 0, state.network.name, ink(colors.accent, bold=True))
        canvas.put(
            x, 0, f"  {shape_text(state.network.input)}   {analysis.params:,} parameters   {analysis.macs:,} MACs"
        )
        words = "; ".join(network_text(state.network))
        for line in range(2):
            canvas.put(0, 1 + line, words[line * canvas.width : (line + 1) * canvas.width], ink(colors.dim))
        for line, name in enumerate(state.names):
            chosen = line == state.selected
            value = str(getattr(state.settings, name))
            y = 4 + line
            canvas.put(0, y, "▸" if chosen else " ", ink(colors.accent))
            canvas.put(2, y, f"{name.replace('_', ' '):<11}", ink(colors.text if chosen else colors.dim))
            text = f"‹ {value} ›" if chosen else f"  {value}"
            end = canvas.put(14, y, text, ink(colors.accent if chosen else colors.text, bold=chosen))
            if name == "data":
                canvas.put(max(end, 24) + 2, y, self._about_data(), ink(colors.dim))
        y = 5 + len(state.names)
        if can_train():
            x = canvas.put(0, y, " space ", ink(colors.on_accent, colors.accent, bold=True))
            canvas.put(x, y, " starts it, in a process of its own: leave, and it goes on")
        else:
            canvas.put(0, y, HOW_TO_GET_TORCH, ink(colors.error, bold=True))
        canvas.put(0, y + 2, "↑ ↓ choose a setting, ← → change it, e takes another net, o opens a run", ink(colors.dim))

    def _about_data(self) -> str:
        settings = self.state.settings
        root = Path(settings.data_dir) if settings.data_dir else data_root()
        if settings.data == "digits":
            return "1,797 scans of 8×8, bundled with scikit-learn"
        if settings.data in ("auto", "mnist"):
            if has_mnist(root):
                return f"MNIST is in {root}"
            return "MNIST, downloaded first" + (", else the bundled digits" if settings.data == "auto" else "")
        return f"from {root}, or downloaded"
