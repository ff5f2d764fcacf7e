"""A stage that needs something trained: where nobody has, a card with the key that trains it stands in the view's place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from textual.widget import Widget

from cnntui.labs.plain import waited_for
from cnntui.labs.recipes import Recipe, Recipes
from cnntui.labs.stages import WordsError
from cnntui.labs.trained import resolved
from cnntui.ui.stages import Holder
from cnntui.ui.stages.waiting import READ_SECONDS, meanwhile, settled, until
from cnntui.ui.widgets.train_card import TrainCard


class CardedHolder(Holder):
    """Shows its view, or the card; a move that needs what is not trained yet waits until it is."""

    def __init__(self, recipes: Recipes, shown: Sequence[str] | None = None) -> None:
        super().__init__(recipes, shown)
        self.card: TrainCard | None = None
        self._opening = ""  # why what was trained could not be opened

    @property
    def seen(self) -> Widget | None:
        """The view, once there is one."""
        raise NotImplementedError

    @property
    def busy(self) -> str:
        """How far the training is that the card began or follows."""
        card = self.card
        if card is None:
            return ""
        if card.going:
            return meanwhile(waited_for(card.run_view))
        is_trained = card.run_view is not None and card.run_view.trained
        return "trained; it is being opened" if is_trained and not self._opening else ""

    async def trained(self) -> None:
        """Open what was trained.

        Raises:
            WordsError: when it cannot be.
        """
        raise NotImplementedError

    async def ask(self, chain: Sequence[Recipe], why: str = "") -> None:
        """Show the card, of what is to be trained, in order."""
        await self.drop_card()
        if self.seen is not None:
            self.seen.display = False
        self._opening = ""
        self.card = TrainCard(chain, partial(resolved, recipes=self.recipes), why)
        await self.mount(self.card)
        await settled(self.card)

    async def drop_card(self) -> None:
        """The view again."""
        card, self.card = self.card, None
        if card is None:
            return
        card.rest()
        focused = card.has_focus
        await card.remove()
        if self.seen is not None:
            self.seen.display = True
        if focused:
            self.take_focus()

    async def train(self) -> None:
        """Train what the card asks for, and wait until it is open; at once, where there is nothing to train.

        Raises:
            WordsError: when it cannot be, or takes more than ten minutes.
        """
        if self.card is None:
            return
        await settled(self.card)
        self.card.action_train()

        def is_open() -> bool:
            problem = self._opening or (self.card.problem if self.card is not None else "")
            if problem:
                raise WordsError(f"not trained: {problem}")
            if self.card is not None:
                self.card.poll_now()
            return self.card is None

        await until(is_open, "the training", READ_SECONDS)

    def on_train_card_told(self, event: TrainCard.Told) -> None:
        """What the task waits for has come further."""
        event.stop()
        self.post_message(self.Changed())

    async def on_train_card_trained(self, event: TrainCard.Trained) -> None:
        """Open it."""
        event.stop()
        try:
            await self.trained()
        except WordsError as error:
            self._opening = str(error)
            self.app.notify(str(error), severity="error", markup=False)
        self.post_message(self.Changed())

    def take_focus(self) -> None:
        """The card's, or the view's."""
        present = self.card or self.seen
        if present is not None:
            present.focus()

    def rest(self) -> None:
        """Nothing is read."""
        for present in self._present():
            present.rest()

    def wake(self) -> None:
        """Read on."""
        for present in self._present():
            present.wake()

    def on_unmount(self) -> None:
        """Nothing is read any more."""
        self.rest()

    def _present(self) -> list[Any]:
        return [one for one in (self.card, self.seen) if one is not None and one.is_mounted]
