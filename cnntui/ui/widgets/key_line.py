"""The last line: the keys that matter here. As many as fit; `?` lists them all."""

from __future__ import annotations

from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen

from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, Painted

KEY_NAMES = {
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "question_mark": "?",
    "plus": "+",
    "minus": "−",
    "equals_sign": "=",
    "colon": ":",
    "slash": "/",
    "grave_accent": "`",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "full_stop": ".",
    "escape": "esc",
    "pageup": "page up",
    "pagedown": "page down",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}
ARROWS = ["↑", "↓", "←", "→"]


def key_name(key: str) -> str:
    """A key as it is printed: shift+↑."""
    *modifiers, last = key.split("+")
    return "+".join([*modifiers, KEY_NAMES.get(last, last)])


def joined(names: list[str]) -> str:
    """Several keys that do the same; all four arrows are one word, digits are from one to another."""
    for modifier in ("", "shift+", "ctrl+"):
        four = [modifier + arrow for arrow in ARROWS]
        if set(four) <= set(names):
            names = [f"{modifier}arrows", *(name for name in names if name not in four)]
    if len(names) > 2 and all(len(name) == 1 for name in names) and "".join(names) in "0123456789":
        return f"{names[0]} to {names[-1]}"
    return ", ".join(names)


def listed(active: dict[str, ActiveBinding]) -> list[tuple[str, str, str, bool]]:
    """Key, its name, what it does, and whether it belongs on the last line; in the order of the bindings."""
    return [
        (a.binding.key, key_name(a.binding.key), a.binding.description, a.binding.show)
        for a in active.values()
        if a.binding.description and not a.binding.system
    ]


class KeyLine(Painted):
    """One painted line instead of a widget a key: it is painted at once, and sends little when the focus moves."""

    DEFAULT_CSS = "KeyLine { dock: bottom; height: 1; background: $panel; }"

    def on_mount(self) -> None:
        """The keys follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._update)

    def _update(self, _: Screen[object]) -> None:
        self.repaint()

    def _places(self, width: int) -> list[tuple[int, int, str, str, str]]:
        """From column, to column, key, its name, what it does."""
        places: list[tuple[int, int, str, str, str]] = []
        x = 1
        for key, name, what, shown in listed(self.screen.active_bindings):
            end = x + len(name) + len(what) + 1
            another = any(what == place[-1] for place in places)
            if shown and not another and end <= width - 8:
                places.append((x, end, key, name, what))
                x = end + 2
        return places

    def paint(self, canvas: Canvas) -> None:
        """Key, what it does; at the right where the rest is."""
        palette = self.palette
        for x, _, _, name, what in self._places(canvas.width):
            end = canvas.put(x, 0, name, ink(palette.accent, bold=True))
            canvas.put(end + 1, 0, what, ink(palette.text))
        canvas.put(canvas.width - 7, 0, "? keys", ink(palette.dim))

    def on_click(self, event: events.Click) -> None:
        """A key may be clicked."""
        for x, end, key, _, _ in self._places(self.content_size.width):
            if x <= event.x < end:
                self.app.simulate_key(key)
