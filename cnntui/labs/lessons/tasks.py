"""What a lesson asks for: something done on the stage, one of several answers, or a number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any

from cnntui.core.arithmetic import MINUS
from cnntui.labs.lessons.expressions import Expression, Literal, Name, in_words
from cnntui.labs.lessons.figures import Figure
from cnntui.labs.lessons.keys import Keys
from cnntui.labs.lessons.reckoning import reckoned
from cnntui.labs.lessons.scope import LessonScope, played
from cnntui.labs.stages import WordsError

ROUNDING = 1e-6  # between what a screen computed and what is asked for
LONGEST = 40  # of what is typed
EXACT = 1e-9  # between what is typed and what is computed: 138,357,544 is not 138,357,545
SHOULD = {
    "is": "",
    "is_not": "another than ",
    "at_least": "at least ",
    "at_most": "at most ",
    "above": "above ",
    "below": "below ",
}
COMPARISONS = tuple(SHOULD)
SIZES = ("at_least", "at_most", "above", "below")  # of numbers only
NO_NUMBER = Literal(0)


class FigureError(WordsError):
    """A figure that cannot be computed, and its line."""

    def __init__(self, what: object, line: int) -> None:
        super().__init__(str(what))
        self.line = line


@dataclass(frozen=True)
class Filling:
    """What stands in braces: a figure, the moves that come before it is read, with `;` between; as written, and where."""

    figure: Figure
    after: str
    written: str
    line: int

    def text(self, scope: LessonScope) -> str:
        """As it is now.

        Raises:
            FigureError: when it cannot be computed.
        """
        try:
            if self.after and scope.stage is None:
                raise WordsError(f"after {self.after}: there is no screen on this page")
            if self.after and scope.stage is not None:
                scope = scope.on(scope.stage, played(scope.stage, scope.state, self.after))
            return self.figure.text(scope)
        except WordsError as error:
            raise FigureError(error, self.line) from None


@dataclass(frozen=True)
class Text:
    """Words with figures among them."""

    parts: tuple[str | Filling, ...] = ()

    def filled(self, scope: LessonScope) -> str:
        """With the figures as they are.

        Raises:
            FigureError: when one of them cannot be computed.
        """
        return "".join(part if isinstance(part, str) else part.text(scope) for part in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)


@dataclass(frozen=True)
class Check:
    """One thing that must hold of the stage: a fact, a comparison and what it is compared with.

    Args:
        fact: what is asked.
        how: one of COMPARISONS.
        wanted: what it is compared with.
        said: what to tell while it does not hold; empty: what is, and what should be.
    """

    fact: Expression
    how: str
    wanted: Expression
    said: Text = Text()

    def problem(self, scope: LessonScope) -> str | None:
        """What is not yet right, in words; None when it is.

        Raises:
            WordsError: when the fact is none, or is no number and should be of a size.
        """
        found, wanted = self.fact.value(scope), self.wanted.value(scope)
        for value in (found, wanted) if self.how in SIZES else ():
            if value is not None and not _number(value):
                raise WordsError(f"{self.how} compares numbers, and {in_words(value)} is none")
        if found is not None and wanted is not None and _holds(found, self.how, wanted):
            return None
        if found is None and _is_impossible(scope):
            return "what is on the screen is impossible: there it says why, and what would work"
        if self.said:
            return self.said.filled(scope)
        what = self._called(scope)
        if found is None:
            return f"{what} is not known yet"
        if isinstance(found, bool) and isinstance(wanted, bool):
            return f"{what}: {'not yet' if wanted else 'it should not be so'}"
        should = SHOULD[self.how]
        shown, needed = (_place(value) if self._is_place else in_words(value) for value in (found, wanted))
        return f"{what} is {shown}; it should be {should}{needed}"

    @property
    def _is_place(self) -> bool:
        return isinstance(self.fact, Name) and self.fact.path in ("cell", "pixel", "tap", "pinned")

    def _called(self, scope: LessonScope) -> str:
        """What the fact is called in a sentence."""
        if not isinstance(self.fact, Name):
            return "what is asked for"
        indices = [part.value(scope) for part in self.fact.index]
        index = ",".join(map(in_words, indices))
        index = f"({index})" if any(isinstance(one, str) for one in indices) else index
        words = (scope.stage.facts if scope.stage else {}).get(self.fact.path)
        if words is None and scope.stage is not None and "." in self.fact.path:
            layer, _, rest = self.fact.path.partition(".")
            general = next((key for key in scope.stage.facts if re.fullmatch(r"[A-Z]+\." + re.escape(rest), key)), None)
            words = f"{scope.stage.facts[general]} of {layer}" if general else None
        return f"{words or self.fact.path}{f' {index}' if index else ''}"


def _is_impossible(scope: LessonScope) -> bool:
    """Whether the settings of the stage cannot be: then it has no facts of what comes out."""
    return scope.stage is not None and "ok" in scope.stage.facts and scope.stage.fact(scope.state, "ok", ()) is False


def _place(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else in_words(value)


def _holds(found: Any, how: str, wanted: Any) -> bool:
    if not (_number(found) and _number(wanted)):
        return bool(found == wanted) == (how == "is")
    # Two whole numbers are not rounded: 138,357,544 is not 138,357,545.
    slack = 0.0 if found == found // 1 and wanted == wanted // 1 else ROUNDING * max(1.0, abs(wanted))
    answers: dict[str, bool] = {
        "is": abs(found - wanted) <= slack,
        "is_not": not abs(found - wanted) <= slack,
        "at_least": found >= wanted - slack,
        "at_most": found <= wanted + slack,
        "above": found > wanted + slack,
        "below": found < wanted - slack,
    }
    return answers[how]


def _number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


@dataclass(frozen=True)
class Task:
    """What all tasks have: a name, what is asked, hints in steps, and the lines of the file where that stands."""

    id: str
    ask: Text
    hints: tuple[Text, ...]
    keys: Keys = field(repr=False, compare=False)

    @property
    def line(self) -> int:
        """The first line."""
        return self.keys.first


@dataclass(frozen=True)
class Doing(Task):
    """Something to do on the stage.

    `solution` are moves; `wrong` are others, each of which must not pass.
    """

    checks: tuple[Check, ...] = ()
    solution: tuple[str, ...] = ()
    wrong: tuple[tuple[str, ...], ...] = ()

    def problem(self, scope: LessonScope) -> str | None:
        """The first thing that is not yet right."""
        return next((problem for check in self.checks if (problem := check.problem(scope))), None)


@dataclass(frozen=True)
class Choice(Task):
    """One answer of several, or all that are right: `right` are their places, from 0; `replies` say why, one each."""

    choices: tuple[Text, ...] = ()
    right: frozenset[int] = frozenset()
    replies: tuple[Text, ...] = ()

    def problem(self, chosen: frozenset[int], scope: LessonScope) -> str | None:
        """Why that is not the answer; None when it is."""
        if chosen == self.right:
            return None
        if not chosen:
            return "choose an answer"
        if wrong := chosen - self.right:
            return self.replies[min(wrong)].filled(scope) if self.replies else "that is not it"
        return f"right so far, and not yet all: {len(chosen)} chosen"

    def reply(self, scope: LessonScope) -> str:
        """Why the right answer is right."""
        return " ".join(self.replies[place].filled(scope) for place in sorted(self.right)) if self.replies else ""


@dataclass(frozen=True)
class Slip:
    """A wrong number that is known, and what leads to it."""

    number: Expression
    said: Text

    def value(self, scope: LessonScope) -> float | None:
        """The number; None while it is not known.

        Raises:
            WordsError: when it is none.
        """
        return _value(self.number, scope, "the slip")


def _value(expression: Expression, scope: LessonScope, what: str) -> float | None:
    found = expression.value(scope)
    if found is not None and not (_number(found) and isfinite(found)):
        raise WordsError(f"{what} is {in_words(found)}, which is no number")
    return None if found is None else float(found)


@dataclass(frozen=True)
class Number(Task):
    """A number to be typed.

    Args:
        answer: the right one.
        tolerance: how far from it is right, too; with `relative` as a share of the answer.
        unit: of what it is a number.
        slips: wrong numbers with what leads to them.
        reply: what to tell when it is right.
    """

    answer: Expression = NO_NUMBER
    tolerance: float = 0.0
    relative: bool = False
    unit: str = ""
    slips: tuple[Slip, ...] = ()
    reply: Text = Text()

    def wanted(self, scope: LessonScope) -> float | None:
        """The answer; None while it is not known.

        Raises:
            WordsError: when it is no number.
        """
        return _value(self.answer, scope, "the answer")

    def margin(self, wanted: float) -> float:
        """How far from the answer is right, too."""
        own = self.tolerance * abs(wanted) if self.relative else self.tolerance
        return own + EXACT * (abs(wanted) + EXACT)

    def problem(self, typed: str, scope: LessonScope) -> str | None:
        """What is wrong with an answer; None when it is right."""
        given = typed_number(typed.strip().removesuffix(self.unit))
        if given is None:
            return f"{typed.strip()[:20]!r} is no number; write one like 1,792 or 0.5 or 1/9 or 12 % or 3*3*64"
        wanted = self.wanted(scope)
        if wanted is None:
            return "the answer is not known yet: do first what the page asks for"
        if abs(given - wanted) <= self.margin(wanted):
            return None
        for slip in self.slips:
            led = slip.value(scope)
            if led is not None and abs(given - led) <= self.margin(led):
                return slip.said.filled(scope)
        return f"{in_words(given)} is too {'small' if given < wanted else 'large'}"


TYPED = re.compile(
    r"([+-]?)([0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+|(?=\.[0-9]))(\.[0-9]*)?(e[+-]?[0-9]{1,2})?(?:/([0-9]+))?(%?)",
    re.IGNORECASE,
)


def typed_number(text: str) -> float | None:
    """A number as people type it: 1,792 · −2 · 0.5 · 1/9 · 12 % · 2e6 · 3*3*64 + 64; None when it is none."""
    bare = "".join(text.split()).replace(MINUS, "-")
    match = TYPED.fullmatch(bare) if len(bare) <= LONGEST else None
    if match is None or (match[5] and not int(match[5])):
        return reckoned(bare)
    sign, whole, decimals, power, under, percent = match.groups("")
    value = Fraction(f"{sign}{whole.replace(',', '')}{decimals}{power}") / int(under or 1)
    return float(value / 100 if percent else value)
