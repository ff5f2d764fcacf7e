"""Undo: keeping the states before this one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Kept(Generic[S]):
    """A state, and those that were kept before it: keeping one more costs nothing."""

    state: S
    rest: Kept[S] | None


@dataclass(frozen=True, slots=True)
class History(Generic[S]):
    """The present state, what can be undone (the last first) and what can be done again (the next first)."""

    present: S
    past: Kept[S] | None = None
    future: Kept[S] | None = None

    def push(self, state: S) -> History[S]:
        """A new state that undo will take back."""
        return History(state, Kept(self.present, self.past))

    def amend(self, state: S) -> History[S]:
        """A new state that undo need not take back: where one looks, not what one made."""
        return replace(self, present=state)

    def undo(self) -> History[S]:
        """One state back, or this one when there is none."""
        if self.past is None:
            return self
        return History(self.past.state, self.past.rest, Kept(self.present, self.future))

    def redo(self) -> History[S]:
        """One state forward again, or this one when there is none."""
        if self.future is None:
            return self
        return History(self.future.state, Kept(self.present, self.past), self.future.rest)
