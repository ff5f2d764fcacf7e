"""The text of a page and its task, one above the other: which of them has how much room, and whose the keys are."""

from __future__ import annotations

from textual import events
from textual.containers import Vertical
from textual.widgets import Input, Label

from cnntui.ui.widgets.task_box import TaskBox

BEGINNINGS = "0123456789-−.+("  # of a number that is typed


class Heading(Label):
    """The lesson and the page; on a narrow screen perhaps two lines."""

    def on_resize(self) -> None:
        """What is under it has more or less room."""
        self.post_message(TaskBox.Resized())


class Reader(Vertical):
    """The text and the task. Where a number is asked for, digits are for it."""

    can_focus = True

    def on_resize(self) -> None:
        """There is more or less room."""
        self.fit()

    def on_task_box_resized(self, event: TaskBox.Resized) -> None:
        """So there is."""
        event.stop()
        self.fit()

    def fit(self) -> None:
        """The text takes what the task leaves: the task follows it at once, and is never out of sight."""
        box, heading = self.query_one(TaskBox), self.query_one(Heading)
        taken = heading.size.height + (box.outer_size.height if box.display else 0) + 1
        room = max(3, self.content_size.height - taken)
        text = self.query_one("#text")
        if self.display and (text.styles.max_height is None or text.styles.max_height.value != room):
            text.styles.max_height = room

    async def on_key(self, event: events.Key) -> None:
        """A number can be typed at once; on a slow link its keys are here before its line has the focus."""
        box = self.query_one(TaskBox)
        if box.asked is None or box.asked.unit is None:
            return
        line, character = box.query_one(Input), event.character or ""
        typing = self.screen.focused is line
        if (character and character in BEGINNINGS) or (typing and event.is_printable):
            box.type(character)
        elif typing and event.key == "enter":
            await line.action_submit()
        elif typing and event.key == "escape":
            self.focus()
        else:
            return
        event.stop()
        event.prevent_default()
