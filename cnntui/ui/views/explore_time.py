"""When: the moments of the training, scrubbed through, played, held beside each other."""

from __future__ import annotations

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from cnntui.labs.explore import ExploreState
from cnntui.labs.opened import Opened, OpenError, at_moment
from cnntui.labs.subject import with_moments
from cnntui.runs.weights import Moment
from cnntui.ui.views.explore_base import ExploreBase, sheltered

FRAMES = 6  # moments a second, when they play


class ExploreTime(ExploreBase):
    """Turns keys into other moments."""

    class Weights(Message):
        """The weights of a moment were read, or could not be."""

        def __init__(self, moment: Moment, model: Opened | None, problem: str = "") -> None:
            super().__init__()
            self.moment, self.model, self.problem = moment, model, problem

    def take_moments(self, found: tuple[Moment, ...]) -> None:
        """There may be more moments by now; who follows goes to the newest."""
        state = with_moments(self.state, found)
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
        to = max(0, min(by + (state.place if self.going is None else self.going), last))
        to = max(0, to - 1) if state.moment is None and self.going is None and by > 0 else to
        self.follows = to == last and self.run_view is not None and not self.run_view.over
        if to != state.moment:
            self._go(to)

    going: int | None = None  # the moment that is being read

    def _go(self, to: int) -> None:
        self.going = to
        self._fetch(self.state, self.state.moments[to])

    @work(thread=True, exclusive=True, group="weights")
    @sheltered
    def _fetch(self, state: ExploreState, moment: Moment) -> None:
        """Off the event loop: the file system may be slow, and a checkpoint's hash is computed."""
        worker = get_current_worker()
        try:
            answer = self.Weights(moment, at_moment(state.model, moment))
        except OpenError as error:
            answer = self.Weights(moment, None, str(error))
        if not worker.is_cancelled:
            self.post_message(answer)

    def on_explore_time_weights(self, event: Weights) -> None:
        """The net as it was then."""
        event.stop()
        self.going = None
        state = self.state
        if event.model is None:
            self.stop_playing()
            if event.moment.kind != "live":  # that one is soon another, without a word
                self.say(event.problem)
            return
        steps = [moment.step for moment in state.moments]
        if event.model.run == state.model.run and event.moment.step in steps:  # a live one may be a snapshot by now
            self.look(state.at(steps.index(event.moment.step), event.model), self.term)

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
        if self.going is not None:
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
