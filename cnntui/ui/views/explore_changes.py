"""What is changed by hand in the net, and why it reads what it reads."""

from __future__ import annotations

from dataclasses import replace
from time import sleep

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from cnntui.core.arithmetic import brief
from cnntui.core.network import INPUT
from cnntui.labs import interventions, why
from cnntui.labs.excitement import Patch, dead_channels
from cnntui.labs.explore import LAYER, ExploreState, MoveError
from cnntui.labs.opened import test_picture
from cnntui.labs.why import CARRIED, KINDS
from cnntui.labs.words import number_of
from cnntui.runs.excited import Excitement
from cnntui.ui.screens.dialogs import Ask
from cnntui.ui.views.explore_base import ExploreBase, sheltered

PAUSE = 0.1  # seconds


class ExploreChanges(ExploreBase):
    """Turns keys into changes and into reasons."""

    patches: tuple[str, int] | None = None  # the layer and channel whose strongest patches were looked at last
    _sought: tuple[object, object] | None = None  # which picture of reasons: what is known, and by what key

    class Reasons(Message):
        """Some more of the picture was covered, patch by patch."""

        def __init__(self, state: ExploreState) -> None:
            super().__init__()
            self.state = state

    def action_set(self, bias: bool = False) -> None:
        """Set the number under the cursor: a pixel, a weight; or the bias."""
        try:
            found = interventions.bias(self.state) if bias else interventions.weight_or_pixel(self.state, self.term)
        except MoveError as error:
            self.say(str(error))
            return

        now = brief(found.value)

        def check(text: str) -> str | None:
            try:
                number_of(text)
            except ValueError as error:
                return str(error)
            return None

        def take(text: str | None) -> None:
            if text not in (None, now):
                self.make(lambda state: state.changed(found.node, found.name, found.index, number_of(str(text))))

        self.app.push_screen(Ask(f"{found.words}, now {now}", now, check), take)

    def action_silence(self) -> None:
        """The map looked at off, or on again."""
        self.make(lambda state: state.silence(state.node, state.channel))

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
        if not self.state.has_classes:
            self.say(f"there are no classes to ask about: {self.state.output_words}")
            return
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
    @sheltered
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

    def on_explore_changes_reasons(self, event: Reasons) -> None:
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
        from cnntui.ui.screens.patches import Patches  # who does not ask for it does not wait for it

        gallery = subject.gallery

        def go(patch: Patch | None) -> None:
            if patch is not None and self.subject is not None and self.subject.gallery is gallery:
                shown = test_picture(gallery, patch.picture)
                self.make(lambda now: now.show(shown).aimed(state.node, patch.unit, LAYER))

        self.patches = (state.node, state.channel)
        self.draw()
        plain = self.as_glyphs or self.app.no_color
        self.app.push_screen(Patches(state, gallery, subject.excitement, plain), go)
