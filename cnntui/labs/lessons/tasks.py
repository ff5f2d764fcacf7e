"""What a lesson asks for: something done on the stage, one of several answers, or a number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from cnntui.core.arithmetic import MINUS
from cnntui.labs.lessons.expressions import Expression, Figure, Literal, Name, in_words
from cnntui.labs.lessons.scope import LessonScope
from cnntui.labs.stages import WordsError

ROUNDING = 1e-6
SHOULD = {
    "is": "",
    "is_not": "another than ",
    "at_least": "at least ",
    "at_most": "at most ",
    "above": "above ",
    "below": "below ",
}
COMPARISONS = tuple(SHOULD)
NO_NUMBER = Literal(0)


@dataclass(frozen=True)
class Text:
    """Words with figures among them: for each pair of braces a `Figure`, and the moves that come before it is read."""

    parts: tuple[str | tuple[Figure, tuple[str, ...]], ...]

    def filled(self, scope: LessonScope) -> str:
        """With the figures as they are.

        Raises:
            WordsError: when one of them cannot be computed.
        """
        return "".join(part if isinstance(part, str) else _figure(*part, scope) for part in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)


def _figure(figure: Figure, after: tuple[str, ...], scope: LessonScope) -> str:
    if after:
        if scope.stage is None:
            raise WordsError(f"after {after[0]}: there is no screen on this page")
        state = scope.state
        for move in after:
            state = scope.stage.play(state, move)
        scope = scope.on(scope.stage, state)
    return figure.text(scope)


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
    said: Text = field(default_factory=lambda: Text(()))

    def problem(self, scope: LessonScope) -> str | None:
        """What is not yet right, in words; None when it is.

        Raises:
            WordsError: when the fact is none.
        """
        found, wanted = self.fact.value(scope), self.wanted.value(scope)
        if found is not None and wanted is not None and _holds(found, self.how, wanted):
            return None
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


def _place(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else in_words(value)


def _holds(found: Any, how: str, wanted: Any) -> bool:
    if how in ("is", "is_not"):
        same: bool = found == wanted
        if _number(found) and _number(wanted):
            same = abs(found - wanted) <= ROUNDING * max(1.0, abs(wanted))
        return same == (how == "is")
    if not (_number(found) and _number(wanted)):
        return False
    slack = ROUNDING * max(1.0, abs(wanted))
    answers: dict[str, bool] = {
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
    """What all tasks have: a name, what is asked, and hints in steps."""

    id: str
    ask: Text
    hints: tuple[Text, ...]
    line: int


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
    reply: Text = field(default_factory=lambda: Text(()))

    def wanted(self, scope: LessonScope) -> float | None:
        """The answer; None while it is not known."""
        found = self.answer.value(scope)
        if found is not None and not _number(found):
            raise WordsError(f"the answer is {in_words(found)}, which is no number")
        return None if found is None else float(found)

    def margin(self, wanted: float) -> float:
        """How far from the answer is right, too."""
        own = self.tolerance * abs(wanted) if self.relative else self.tolerance
        return own + ROUNDING * max(1.0, abs(wanted))

    def problem(self, typed: str, scope: LessonScope) -> str | None:
        """What is wrong with an answer; None when it is right."""
        given = typed_number(typed.replace("%", "") if self.unit == "%" else typed)
        if given is None:
            return f"{typed.strip()[:20]!r} is no number; write one like 1,792 or 0.5 or 1/9 or 12 %"
        wanted = self.wanted(scope)
        if wanted is None:
            return "the answer is not known yet: do first what the page asks for"
        if abs(given - wanted) <= self.margin(wanted):
            return None
        for slip in self.slips:
            led = slip.number.value(scope)
            if led is not None and abs(given - float(led)) <= self.margin(float(led)):
                return slip.said.filled(scope)
        return f"{in_words(given)} is too {'small' if given < wanted else 'large'}"


def typed_number(text: str) -> float | None:
    """A number as people type it: 1,792 · −2 · 0.5 · 1/9 · 12 % · 2e6; None when it is none."""
    bare = re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", text.strip().replace(MINUS, "-").replace(" ", ""))
    bare, percent = bare.removesuffix("%"), bare.endswith("%")
    if not re.fullmatch(r"-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?(/\d+)?", bare[:40], re.IGNORECASE):
        return None
    above, _, under = bare.partition("/")
    if under and not int(under):
        return None
    value = float(Fraction(above) / int(under or 1))
    return value / 100 if percent else value
