"""What goes into the net: test pictures, files, drawings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual import work
from textual.containers import Horizontal
from textual.message import Message
from textual.worker import get_current_worker

from cnntui.core.windows import Array
from cnntui.labs.drawing import PadState
from cnntui.labs.explore import MoveError
from cnntui.labs.opened import Picture, file_picture, test_picture
from cnntui.labs.subject import Subject, ask_subject_gallery, misread_words
from cnntui.runs.picture_files import PictureError
from cnntui.runs.test_pictures import Gallery, GalleryError
from cnntui.ui.screens.dialogs import Ask, Choose
from cnntui.ui.views.explore_base import ExploreBase, sheltered
from cnntui.ui.widgets.context import ClassColumn
from cnntui.ui.widgets.draw_pad import DrawPad


class ExplorePictures(ExploreBase):
    """Turns keys into other pictures."""

    class Fetched(Message):
        """The test pictures are there now, or cannot be had."""

        def __init__(self, subject: Subject, gallery: Gallery | None, problem: str = "") -> None:
            super().__init__()
            self.subject, self.gallery, self.problem = subject, gallery, problem

    def action_picture(self, by: int) -> None:
        """The next test picture, or the one before."""
        if self.subject is None or self.subject.gallery is None:
            self.say("there are no test pictures here: d draws one, i takes a file")
            return
        number = self.state.picture.number
        at = 0 if number is None else (number + by) % self.subject.gallery.count
        self._take_number(str(at))

    @work(thread=True, exclusive=True, group="gallery")
    @sheltered
    def fetch_gallery(self, subject: Subject) -> None:
        """The test pictures of a run that did not keep them: another process loads them, in some seconds."""
        worker = get_current_worker()
        try:
            answer = self.Fetched(subject, ask_subject_gallery(subject.state.model))
        except MoveError as error:
            answer = self.Fetched(subject, None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    def on_explore_pictures_fetched(self, event: Fetched) -> None:
        """Now the test pictures can be turned over; who looks at nothing else yet looks at the first."""
        event.stop()
        if self.subject is None or event.subject.state.model.run != self.subject.state.model.run:
            return  # something else was opened meanwhile
        if event.gallery is None:
            self.say(f"no test pictures: {event.problem}")
            return
        begun = event.subject.state.picture
        self.subject = replace(self.subject, gallery=event.gallery)
        if self.state.picture is begun and self.history is not None:
            self.look(self.state.show(test_picture(event.gallery, 0)))

    def action_misread(self) -> None:
        """The next picture that was misread, the surest mistakes first."""
        subject = self.subject
        if subject is None or subject.gallery is None or not subject.misread:
            self.say("no misread pictures to show: they are known once a run has been tested, at the end of an epoch")
            return
        numbers = [mistake.picture for mistake in subject.misread]
        present = self.state.picture.number
        at = (numbers.index(present) + 1) % len(numbers) if present in numbers else 0
        self._take_number(str(numbers[at]))

    def action_input(self) -> None:
        """Choose what goes in."""
        subject = self.subject
        choices = [("draw", "with the arrow keys or the mouse"), ("file", "a picture file")]
        if subject is not None and subject.gallery is not None:
            choices.insert(0, ("number", f"a test picture, 0 to {subject.gallery.count - 1:,}"))
            choices += [misread_words(mistake, self.state.model.classes) for mistake in subject.misread]
        self.app.push_screen(Choose("what goes in", choices), self._take_input)

    async def _take_input(self, choice: str | None) -> None:
        match choice:
            case None:
                return
            case "draw":
                await self.action_draw()
            case "file":
                self.app.push_screen(Ask("a picture file", "", self._file_problem), self._take_file)
            case "number":
                self.app.push_screen(Ask("number of the test picture", "", self._number_problem), self._take_number)
            case _:
                self._take_number(choice.removeprefix("test "))

    def _file_problem(self, text: str) -> str | None:
        try:
            self._of_file(text)
        except MoveError as error:
            return str(error)
        return None

    def _take_file(self, text: str | None) -> None:
        if text is not None:
            self.make(lambda state: state.show(self._of_file(text)))

    def _of_file(self, text: str) -> Picture:
        if not text.strip():
            raise MoveError("type the path of a picture file")
        try:
            return file_picture(self.state.model, Path(text).expanduser())
        except (PictureError, RuntimeError, ValueError) as error:  # a home that is not there, a NUL
            raise MoveError(str(error)) from None

    def _number_problem(self, text: str) -> str | None:
        try:
            self._numbered(text)
        except MoveError as error:
            return str(error)
        return None

    def _take_number(self, text: str | None) -> None:
        if text is not None:
            self.make(lambda state: state.show(self._numbered(text)))

    def _numbered(self, text: str) -> Picture:
        if self.subject is None or self.subject.gallery is None:
            raise MoveError("there are no test pictures here")
        try:
            return test_picture(self.subject.gallery, int(text.replace(",", "")))
        except GalleryError as error:
            raise MoveError(str(error)) from None
        except ValueError:
            raise MoveError(f"{text[:20]!r} is not a whole number") from None

    # -- the pad

    _label: int | None = None  # of what is drawn on
    _begun: Array | None = None  # what was on the pad at first

    def action_shift(self, rows: int, columns: int) -> None:
        """The picture so many pixels on; what it shows stays what it is."""
        self.make(lambda state: state.shifted(rows, columns))

    async def action_draw(self, on_it: bool = False) -> None:
        """Draw a picture anew, or on the one that is looked at."""
        picture = self.state.picture
        pad_state = self._pad(picture, on_it)
        if not self.query(DrawPad):
            await self.mount(Horizontal(DrawPad(pad_state), ClassColumn(self.state), id="pad"), before="FactLine")
        self.drawing = True
        self.refresh_bindings()
        self._label, self._begun = picture.label if on_it else None, pad_state.picture
        self.make(lambda state: state.show(Picture(pad_state.picture, "drawn", self._label)))
        pad = self.query_one(DrawPad)
        pad.show(pad_state)
        pad.focus()

    def _pad(self, picture: Picture, on_it: bool) -> PadState:
        """With the picture on it, or empty."""
        if on_it:
            return PadState.of(picture.pixels, self.state.paper)
        channels, height, width = picture.pixels.shape
        return PadState.blank((channels, height, width), self.state.paper)

    def on_draw_pad_changed(self, event: DrawPad.Changed) -> None:
        """Every stroke is read at once."""
        event.stop()
        if self.history is not None:
            self.history = self.history.amend(self.state.show(Picture(event.picture, "drawn", self._label)))
            self.draw()

    def on_draw_pad_done(self, event: DrawPad.Done) -> None:
        """Back to the net, with what was drawn; where nothing was, with the picture that was there."""
        event.stop()
        self.drawing = False
        self.refresh_bindings()
        self.focus()
        if self.history is not None and self.state.picture.pixels is self._begun:
            self.action_undo()
        self.draw()
