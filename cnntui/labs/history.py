"""Undo: keeping the states before this one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class History(Generic[S]):
    """The present state, what can be undone and what can be done again, as linked pairs (latest, rest)."""

    present: S
    past: tuple[S, object] | None = None
    future: tuple[S, object] | None = None

    def push(self, state: S) -> History[S]:
        """A new state that undo will take back."""
        return History(state, (self.present, self.past))

    def amend(self, state: S) -> History[S]:
        """A new state that undo need not take back: where one looks, not what one made."""
        return replace(self, present=state)

    def undo(self) -> History[S]:
        """One state back, or this one when there is none."""
        if self.past is None:
            return self
        state, rest = self.past
        return History(state, rest, (self.present, self.future))  # type: ignore[arg-type]

    def redo(self) -> History[S]:
        """One state forward again, or this one when there is none."""
        if self.future is None:
            return self
        state, rest = self.future
        return History(state, (self.present, self.past), rest)  # type: ignore[arg-type]
