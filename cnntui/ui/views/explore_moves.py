"""What can be done on the exploring view: where one looks, what goes in, what is changed, and when."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, cast

from textual import work
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.worker import get_current_worker

from cnntui.core.arithmetic import brief
from cnntui.core.layers import shape_text
from cnntui.core.network import INPUT
from cnntui.core.vocabulary import VOCABULARY
from cnntui.labs import cell, interventions, why
from cnntui.labs.drawing import PadState
from cnntui.labs.excitement import Patch, dead_channels
from cnntui.labs.explore import CELL, LAYER, OVERVIEW, ExploreState, MoveError
from cnntui.labs.handover import as_convolution
from cnntui.labs.history import History
from cnntui.labs.opened import Opened, OpenError, Picture, at_moment, file_picture, test_picture
from cnntui.labs.subject import (
    Subject,
    Wish,
    ask_subject_gallery,
    misread_words,
    with_moments,
)
from cnntui.labs.why import CARRIED, KINDS
from cnntui.labs.words import number_of
from cnntui.runs.excited import Excitement
from cnntui.runs.listing import run_directories
from cnntui.runs.picture_files import PictureError
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.test_pictures import Gallery, GalleryError
from cnntui.runs.weights import Moment
from cnntui.ui.screens.dialogs import Ask, Choose
from cnntui.ui.screens.patches import Patches
from cnntui.ui.widgets.context import ClassColumn
from cnntui.ui.widgets.draw_pad import DrawPad
from cnntui.ui.widgets.layer_panel import LayerPanel

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp
    from cnntui.ui.clock import Clock

DRAW = "draw"
MNIST = (1, 28, 28)  # the input of layers that are written before anything is open
NAME = re.compile(r"[\w.:/~-]+")  # of a net or a file; layers have more than this
FRAMES = 6  # moments a second, when they play
PAUSE = 0.1  # seconds
MOST_RUNS = 30  # that are offered


class ExploreMoves(Widget):
    """Turns keys into moves of the lab; the view draws what comes of it."""

    history: History[ExploreState] | None
    subject: Subject | None
    reader: RunReader | None
    run_view: RunView | None
    wish: Wish
    as_glyphs: bool
    drawing: bool
    playing: bool
    follows: bool  # the newest moment, as it comes
    term: int  # which term of the number looked at
    _sought: tuple[object, object] | None = None  # which picture of reasons: what is known, and by what key

    class Weights(Message):
        """The weights of a moment were read, or could not be."""

        def __init__(self, moment: Moment, model: Opened | None, problem: str = "") -> None:
            super().__init__()
            self.moment, self.model, self.problem = moment, model, problem

    class Reasons(Message):
        """Some more of the picture was covered, patch by patch."""

        def __init__(self, state: ExploreState) -> None:
            super().__init__()
            self.state = state

    class Fetched(Message):
        """The test pictures are there now, or cannot be had."""

        def __init__(self, subject: Subject, gallery: Gallery | None, problem: str = "") -> None:
            super().__init__()
            self.subject, self.gallery, self.problem = subject, gallery, problem

    def draw(self) -> None:
        """Show the state."""
        raise NotImplementedError

    def note(self, text: str) -> None:
        """A line above all."""
        raise NotImplementedError

    def open(self, wish: Wish) -> None:
        """Explore something else."""
        raise NotImplementedError

    @property
    def clock(self) -> Clock:
        """The app's."""
        raise NotImplementedError

    @property
    def state(self) -> ExploreState:
        """The present one; there is one from when something was opened."""
        if self.history is None:
            raise MoveError("nothing is open yet")
        return self.history.present

    def say(self, text: str) -> None:
        """Why something was not done."""
        self.app.clear_notifications()
        self.app.notify(text, severity="warning", markup=False)

    # -- how a move becomes a state

    def look(self, state: ExploreState, term: int | None = None) -> None:
        """Look elsewhere, by default at the term that counts most: nothing that undo takes back."""
        if self.history is not None:
            if term is None:
                term = cell.first(state) if state.level == CELL else 0
            self.history, self.term = self.history.amend(state), term
            self.draw()

    def make(self, change: Callable[[ExploreState], ExploreState]) -> bool:
        """Change something that undo takes back; a move that cannot be is told."""
        if self.history is None:
            return False
        try:
            self.history = self.history.push(change(self.state))
        except MoveError as error:
            self.say(str(error))
            return False
        self.draw()
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Before anything is open, and while a large net is run, only something else can be opened; on the pad only time."""
        if self.history is None or self.state.takes_time:
            return action in ("open",)
        return not self.drawing or action in ("scrub", "play", "pin", "glyphs")

    # -- where one looks

    def action_move(self, rows: int, columns: int) -> None:
        """In the overview another layer or map, in a layer another cell, in a cell another term."""
        state = self.state
        if state.level == OVERVIEW:
            self.look(state.to_layer(columns) if columns else state.to_channel(rows))
        elif state.level == LAYER:
            self.look(state.to_cell(rows, columns))
        else:
            self.term = cell.moved(state, self.term, rows, columns)
            self.draw()

    def action_enter(self) -> None:
        """Into the map, into the number, into the term."""
        state = self.state
        try:
            deeper = state.down(cell.source(state, self.term)) if state.level == CELL else state.deeper()
        except MoveError as error:
            self.say(str(error))
            return
        self.look(deeper)

    def action_back(self) -> None:
        """To where one came from."""
        if self.state.level != OVERVIEW:
            self.look(self.state.up())

    def action_channel(self, by: int) -> None:
        """Another map; in a cell the same tap in another map that it reads."""
        if self.state.level == CELL:
            self.term = cell.channel(self.state, self.term, by)
            self.draw()
        else:
            self.look(self.state.to_channel(by))

    def action_layer(self, by: int) -> None:
        """Another layer, the place kept."""
        self.look(self.state.to_layer(by))

    def action_page(self, by: int) -> None:
        """Eight layers on; in a layer the next of the maps that it reads."""
        if self.state.level == LAYER:
            self.query_one(LayerPanel).turn(by)
        else:
            self.look(self.state.to_layer(8 * by))

    def action_edge(self, by: int) -> None:
        """The first layer, the last."""
        self.look(self.state.to_layer(by * len(self.state.columns)))

    def action_jump(self) -> None:
        """To a layer by its number or name; with a unit, to that number's arithmetic."""

        def check(text: str) -> str | None:
            try:
                self.state.jumped(text)
            except MoveError as error:
                return str(error)
            return None

        def go(text: str | None) -> None:
            if text is not None:
                self.look(self.state.jumped(text))

        layers = self.state.columns
        title = (
            f"jump to: a layer (0 input … {len(layers) - 1} {layers[-1]}), then, if you like, its unit: conv1 4,11,9"
        )
        self.app.push_screen(Ask(title, "", check, suggestions=list(layers)), go)

    def action_sort(self) -> None:
        """Maps by number, or the strongest first."""
        self.look(self.state.toggled("by_strength"), self.term)

    def action_scale(self) -> None:
        """One scale a layer, or one for the net."""
        self.look(self.state.toggled("one_scale"), self.term)

    def action_glyphs(self) -> None:
        """Glyphs or colours."""
        self.as_glyphs = not self.as_glyphs
        self.draw()

    # -- what goes in

    def action_picture(self, by: int) -> None:
        """The next test picture, or the one before."""
        if self.subject is None or self.subject.gallery is None:
            self.say("there are no test pictures here: d draws one, i takes a file")
            return
        gallery = self.subject.gallery
        number = self.state.picture.number
        at = 0 if number is None else (number + by) % gallery.count
        self.make(lambda state: state.show(test_picture(gallery, at)))

    @work(thread=True, exclusive=True, group="gallery")
    def fetch_gallery(self, subject: Subject) -> None:
        """The test pictures of a run that did not keep them: another process loads them, in some seconds."""
        worker = get_current_worker()
        try:
            answer = self.Fetched(subject, ask_subject_gallery(subject.state.model))
        except MoveError as error:
            answer = self.Fetched(subject, None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    def on_explore_moves_fetched(self, event: Fetched) -> None:
        """Now the test pictures can be turned over; who looks at nothing else yet looks at the first."""
        event.stop()
        if event.subject is not self.subject or event.gallery is None:
            return
        begun = event.subject.state.picture
        self.subject = replace(event.subject, gallery=event.gallery)
        if self.state.picture is begun and self.history is not None:
            self.look(self.state.show(test_picture(event.gallery, 0)), self.term)

    def action_misread(self) -> None:
        """The next picture that was misread, the surest mistakes first."""
        subject = self.subject
        if subject is None or subject.gallery is None or not subject.misread:
            self.say("which test pictures are misread is known of a run that was tested: none here")
            return
        numbers = [mistake.picture for mistake in subject.misread]
        present = self.state.picture.number
        at = (numbers.index(present) + 1) % len(numbers) if present in numbers else 0
        gallery = subject.gallery
        self.make(lambda state: state.show(test_picture(gallery, numbers[at])))

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
            file_picture(self.state.model, Path(text).expanduser())
        except PictureError as error:
            return str(error)
        return None

    def _take_file(self, text: str | None) -> None:
        if text is not None:
            self.make(lambda state: state.show(file_picture(state.model, Path(text).expanduser())))

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

    def action_shift(self, rows: int, columns: int) -> None:
        """The picture so many pixels on; what it shows stays what it is."""
        self.make(lambda state: state.shifted(rows, columns))

    async def action_draw(self, on_it: bool = False) -> None:
        """Draw a picture anew, or on the one that is looked at."""
        picture = self.state.picture
        pad_state = PadState.of(picture.pixels) if on_it else PadState.blank(tuple(picture.pixels.shape))
        if not self.query(DrawPad):
            await self.mount(Horizontal(DrawPad(pad_state), ClassColumn(self.state), id="pad"), before="FactLine")
        self.drawing = True
        self.refresh_bindings()
        self._label = picture.label if on_it else None
        self.make(lambda state: state.show(Picture(pad_state.picture, "drawn", self._label)))
        pad = self.query_one(DrawPad)
        pad.show(pad_state)
        pad.focus()

    def on_draw_pad_changed(self, event: DrawPad.Changed) -> None:
        """Every stroke is read at once."""
        event.stop()
        if self.history is not None:
            self.history = self.history.amend(self.state.show(Picture(event.picture, "drawn", self._label)))
            self.draw()

    def on_draw_pad_done(self, event: DrawPad.Done) -> None:
        """Back to the net, with what was drawn."""
        event.stop()
        self.drawing = False
        self.refresh_bindings()
        self.focus()
        self.draw()

    # -- interventions

    def action_set(self, bias: bool = False) -> None:
        """Set the number under the cursor: a pixel, a weight; or the bias."""
        try:
            found = interventions.bias(self.state) if bias else interventions.weight_or_pixel(self.state, self.term)
        except MoveError as error:
            self.say(str(error))
            return

        def check(text: str) -> str | None:
            try:
                number_of(text)
            except ValueError as error:
                return str(error)
            return None

        def take(text: str | None) -> None:
            if text is not None:
                self.make(lambda state: state.changed(found.node, found.name, found.index, number_of(text)))

        self.app.push_screen(Ask(f"{found.words}, now {brief(found.value)}", brief(found.value), check), take)

    def action_silence(self) -> None:
        """The map looked at off, or on again."""
        self.make(lambda state: state.silence(state.node, state.channel))

    def action_undo(self) -> None:
        """Take the last change back."""
        if self.history is not None:
            self.history = self.history.undo()
            self.draw()

    def action_redo(self) -> None:
        """Do it again."""
        if self.history is not None:
            self.history = self.history.redo()
            self.draw()

    def action_restore(self) -> None:
        """Everything as it was trained."""
        if self.state.touched:
            self.make(ExploreState.restored)

    # -- why

    def action_why(self) -> None:
        """The next picture of reasons, or none."""
        self._explain(KINDS[(KINDS.index(self.state.why) + 1) % len(KINDS)])

    def action_ask(self, target: int) -> None:
        """Why that class."""
        if target >= len(self.state.probabilities):
            self.say(f"there is no class {target}: the net has {len(self.state.probabilities)}")
            return
        self.look(self.state.ask(target), self.term)
        self._explain(self.state.why or CARRIED)

    def _explain(self, kind: str) -> None:
        self.look(self.state.reasoned(kind), self.term)

    def find_reasons(self) -> None:
        """If a picture of reasons is asked for that takes long, find it; what was looked for before is not any more."""
        state = self.state
        if not why.is_due(state):
            return
        wanted = (state.known, why.key(state))
        if self._sought is None or self._sought[0] is not wanted[0] or self._sought[1] != wanted[1]:
            self._sought = wanted
            self._find(state)

    @work(thread=True, exclusive=True, group="reasons")
    def _find(self, state: ExploreState) -> None:
        """Off the event loop: the net is run once a patch; not before one stays for a moment where one looks."""
        worker = get_current_worker()
        sleep(PAUSE)
        if worker.is_cancelled:
            return
        for _ in why.reasons(state):
            if worker.is_cancelled:
                return
            self.post_message(self.Reasons(state))

    def on_explore_moves_reasons(self, event: Reasons) -> None:
        """Draw what is known by now."""
        event.stop()
        if self.history is not None and event.state.known is self.state.known:
            self.draw()

    def take_excitement(self, excitement: Excitement) -> None:
        """The trainer told again what excites the units most."""
        if self.subject is not None and self.history is not None:
            self.subject = replace(self.subject, excitement=excitement)
            self.history = self.history.amend(self.state.knowing(dead_channels(excitement)))
            self.draw()

    def action_patches(self) -> None:
        """What excites the unit looked at most: patches of test pictures, one of which is looked at if it is chosen."""
        state, subject = self.state, self.subject
        if state.node == INPUT:
            self.say("the pixels are not excited by anything: choose a layer's channel")
            return
        if subject is None or subject.gallery is None:
            self.say("there are no test pictures here that could excite it")
            return
        gallery = subject.gallery

        def go(patch: Patch | None) -> None:
            if patch is not None:
                shown = test_picture(gallery, patch.picture)
                self.make(lambda now: now.show(shown).look(state.node, patch.unit, level=LAYER, path=()))

        plain = self.as_glyphs or self.app.no_color
        self.app.push_screen(Patches(state, gallery, subject.excitement, plain), go)

    # -- time

    def take_moments(self, view: RunView) -> None:
        """There may be more moments by now; who follows goes to the newest."""
        state = with_moments(self.state, view)
        if self.history is None or state is self.state:
            return
        self.history = self.history.amend(state)
        newest = len(state.moments) - 1
        if self.follows and state.moment != newest:
            self._go(newest)
        else:
            self.draw()

    def action_scrub(self, by: int) -> None:
        """Another moment of the training."""
        self.stop_playing()
        self._scrub(by)

    def _scrub(self, by: int) -> None:
        state = self.state
        if not state.moments:
            self.say("an untrained net has one moment: train it, then scrub through its training")
            return
        last = len(state.moments) - 1
        at = last if state.moment is None else state.moment
        to = max(0, min((self._going if self._going is not None else at) + by, last))
        self.follows = to == last and self.run_view is not None and not self.run_view.over
        if to != at:
            self._go(to)

    _going: int | None = None

    def _go(self, to: int) -> None:
        self._going = to
        self._fetch(self.state, self.state.moments[to])

    @work(thread=True, exclusive=True, group="weights")
    def _fetch(self, state: ExploreState, moment: Moment) -> None:
        """Off the event loop: the file system may be slow, and a checkpoint's hash is computed."""
        worker = get_current_worker()
        try:
            answer = self.Weights(moment, at_moment(state.model, moment))
        except OpenError as error:
            answer = self.Weights(moment, None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    def on_explore_moves_weights(self, event: Weights) -> None:
        """The net as it was then."""
        event.stop()
        self._going = None
        state = self.state
        if event.model is None:
            self.stop_playing()
            if event.moment.kind != "live":  # that one is soon another, without a word
                self.say(event.problem)
            return
        if event.moment in state.moments and self.history is not None:
            at = state.moments.index(event.moment)
            self.history = self.history.amend(state.at(at, event.model))
            self.draw()

    def action_play(self) -> None:
        """From the moment on to the last, one after another."""
        if self.playing:
            self.stop_playing()
            return
        state = self.state
        if len(state.moments) < 2:
            self._scrub(1)
            return
        if not self.clock.moving:
            self._scrub(1)
            return
        self.playing = True
        if state.moment == len(state.moments) - 1:
            self._go(0)
        self.clock.listen("moments", self._frame, every=1 / FRAMES)
        self.draw()

    def _frame(self) -> None:
        state = self.state
        if self._going is not None:
            return
        if state.moment == len(state.moments) - 1:
            self.stop_playing()
        else:
            self._scrub(1)

    def stop_playing(self) -> None:
        """Stay at this moment."""
        if self.playing:
            self.playing = False
            self.clock.ignore("moments")
            self.draw()

    def action_pin(self) -> None:
        """This moment beside the others from now on, or no more."""
        self.look(self.state.pin(), self.term)

    # -- elsewhere

    async def action_convolve(self) -> None:
        """The window, the kernel and the input on the Convolve screen, to play with."""
        try:
            lab = as_convolution(self.state, self.term)
        except MoveError as error:
            self.say(str(error))
            return
        await cast("CnntuiApp", self.app).play_with(lab)

    def action_open(self) -> None:
        """Another run, or a net."""
        runs = [(run.name, "run") for run in run_directories()[:MOST_RUNS]]
        choices = [("a net …", "by name, notation or file: untrained"), *runs]
        self.app.push_screen(Choose("explore", choices, self.wish.word), self._take_wish)

    def _take_wish(self, choice: str | None) -> None:
        if choice is None:
            return
        if choice != "a net …":
            self.open(Wish(choice))
            return

        shape = self.state.analysis.network.input if self.history is not None else MNIST

        def take(text: str | None) -> None:
            if text:
                is_name = NAME.fullmatch(text) and text not in VOCABULARY
                self.open(Wish(text, shape=None if is_name else shape))

        title = f"a net: a name of the zoo, a TOML file, or layers for inputs of {shape_text(shape)}"
        self.app.push_screen(Ask(title, "", lambda text: None), take)
