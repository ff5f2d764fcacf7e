"""The line in which layers are written."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input


class Editor(Input):
    """One line; what is pasted from several becomes one, and tab completes instead of moving on."""

    BINDINGS = [Binding("tab", "complete", "Complete", show=False)]

    class Complete(Message):
        """The rest of the word is wanted."""

    def __init__(self) -> None:
        super().__init__(placeholder="conv 16 k3 same", select_on_focus=False)
        self.cursor_blink = False

    def action_complete(self) -> None:
        """Ask for it."""
        self.post_message(self.Complete())

    def _on_paste(self, event: events.Paste) -> None:
        lines = (line.strip() for line in event.text.splitlines())
        event.text = "; ".join(line for line in lines if line)  # which Input, whose turn is next, puts in
