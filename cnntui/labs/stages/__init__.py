"""What a lesson can say of a screen: how to set it up, what is there to be seen, and which of its keys a class may have.

A stage is a screen, or a demonstration, in words. Nothing here draws: a lesson is read, checked and played in words, and
`cnntui.ui.stages` has a widget for each stage that obeys them.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

Index = tuple[int | str, ...]
Fact = float | str | bool | tuple[int, ...] | None  # None: not known, or not known yet

STAGES = ("convolve", "build", "train", "explore", "compare", "connections", "shift", "norms", "activations")


class WordsError(ValueError):
    """A move, a fact or a control that is not known, or a move that is not allowed: what is wrong and what to write."""


@dataclass(frozen=True)
class Words:
    """A verb's arguments, what it does, and how.

    `make(state, *arguments)` gives the next state. Its arguments are strings.
    """

    arguments: str
    about: str
    make: Callable[..., Any]


@dataclass(frozen=True)
class Stage:
    """A screen in words.

    Args:
        name: as a lesson writes it.
        about: what is seen there, in one line.
        start: the state at first.
        moves: the verbs. Those in `effects` only ask for something (a training, say): `make` checks their words and
            returns the state as it is; the widget does them, and waits until they are done.
        facts: what can be asked, each with what it is called in a sentence: `output.shape` -> `the output`. A name in
            capitals stands for a layer or the like: `LAYER.params`. `[...]` behind it is an index.
        fact: a fact of a state: (state, dotted name, index). None while it is not known, as the accuracy of a run that is
            under way.

            Raises WordsError when there is no such fact.
        controls: what `show = [...]` can name, each with the view's actions (the names in its BINDINGS) that it lets
            through. What no control names is always there (arrows, looking).
    """

    name: str
    about: str
    start: Callable[[], Any]
    moves: Mapping[str, Words]
    facts: Mapping[str, str]
    fact: Callable[[Any, str, Index], Fact]
    controls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    effects: frozenset[str] = frozenset()

    def play(self, state: Any, move: str) -> Any:
        """A move in words.

        Raises:
            WordsError: when there is no such move, it is not written so, or it is not allowed here.
        """
        verb, *arguments = move.split() or [""]
        if verb not in self.moves:
            raise WordsError(f"no move of {self.name} is called {verb!r}; {nearest(verb, self.moves)}")
        if arguments[:1] == ["="]:
            raise WordsError(
                f"a move is written without = and without quotes: {verb} {self.moves[verb].arguments}".rstrip()
            )
        words = self.moves[verb]
        try:
            inspect.signature(words.make).bind(state, *arguments)
        except TypeError:
            raise WordsError(f"{move!r} is not understood; write {verb} {words.arguments}".rstrip()) from None
        try:
            return words.make(state, *arguments)
        except WordsError:
            raise
        except ValueError as error:
            raise WordsError(str(error) or f"{move!r} is not understood; write {verb} {words.arguments}") from None

    def hidden(self, shown: Iterable[str] | None) -> frozenset[str]:
        """The view's actions that go when only these controls are left; none where `shown` is None.

        Raises:
            WordsError: when one of them is no control.
        """
        if shown is None:
            return frozenset()
        left = frozenset(shown)
        if unknown := sorted(left - self.controls.keys()):
            raise WordsError(f"{self.name} has no control {unknown[0]!r}; {nearest(unknown[0], self.controls)}")
        kept = {action for name in left for action in self.controls[name]}
        return frozenset(action for actions in self.controls.values() for action in actions) - kept


def nearest(word: str, known: Iterable[str]) -> str:
    """What to write instead of a word that is not known."""
    names = list(known)
    near = difflib.get_close_matches(word, names, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def stage(name: str) -> Stage:
    """A stage by its name; its module is imported only now.

    Raises:
        WordsError: when there is none of that name.
    """
    if name not in STAGES:
        raise WordsError(f"no screen is called {name!r}; {nearest(name, STAGES)}")
    found: Stage = import_module(f"cnntui.labs.stages.{name}").STAGE
    return found
