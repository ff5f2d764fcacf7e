"""What constructors make: calls such as nn.Conv2d(3, 64, 7, stride=2), in chains and repeats, with numbers left open.

Each is written with a `Say`, who decides what stands for a number. So one walk gives the text, or the plan without the
numbers, or the numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from cnntui.labs.program.text import Doc

Terms = tuple[int, ...]
"""A number as the sum of what it comes from, as channels that were put side by side."""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in a program; in a loop, each time `step` more."""

    terms: Terms
    step: int = 0

    @property
    def value(self) -> int:
        """Where the loop begins."""
        return sum(self.terms)


def numbers(values: Iterable[int]) -> tuple[Number, ...]:
    """Each as a number."""
    return tuple(Number((value,)) for value in values)


Leaf = str | Number | tuple[Number, ...]
Say = Callable[[Number, str], str]
"""What to write for a number, and what it is the argument for."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call; without a default, it is given by its place."""

    name: str
    value: Leaf
    default: Leaf | None = None

    def text(self, say: Say) -> str:
        """Empty where it is the default."""
        value = self._text(self.value, say)
        if self.default is None:
            return value
        return "" if value == self._text(self.default, say) else f"{self.name}={value}"

    def _text(self, leaf: Leaf, say: Say) -> str:
        if isinstance(leaf, str):
            return leaf
        if isinstance(leaf, Number):
            return say(leaf, self.name)
        texts = [say(number, self.name) for number in leaf]
        return texts[0] if len(texts) == 2 and texts[0] == texts[1] else f"({', '.join(texts)})"


class Module:
    """Something that makes a module, with a note for its reader."""

    note: str = ""

    def doc(self, say: Say) -> Doc:
        """The expression."""
        raise NotImplementedError

    def among(self, say: Say) -> list[Doc]:
        """The expressions, where others stand around it."""
        return [self.doc(say)]


@dataclass(eq=False)
class Made(Module):
    """A call."""

    call: str
    arguments: Sequence[Argument] = ()
    note: str = ""

    def doc(self, say: Say) -> Doc:
        """nn.ReLU()."""
        texts = [argument.text(say) for argument in self.arguments]
        return Doc(f"{self.call}(", tuple(filter(None, texts)))


@dataclass(eq=False)
class Chain(Module):
    """Modules one after another."""

    elements: Sequence[Module]
    opening: str = "nn.Sequential("
    closing: str = ")"

    def doc(self, say: Say) -> Doc:
        """nn.Sequential(…)."""
        docs: list[Doc] = []
        notes: list[str] = []
        for element in self.elements:
            made = element.among(say)
            docs += made
            notes += [*[""] * (len(made) - 1), element.note]  # of what comes out at its end
        if self.opening.endswith("[") and len(docs) == 1 and docs[0].opening == "*[":  # a list that is a loop
            return replace(docs[0], opening=self.opening, closing=self.closing)
        return Doc(self.opening, tuple(docs), self.closing, forced=len(docs) > 1, notes=tuple(notes))


def joined(elements: Sequence[Module]) -> Module:
    """One module of several."""
    return elements[0] if len(elements) == 1 else Chain(elements)


@dataclass(eq=False)
class Repeated(Module):
    """The same modules several times, as far as numbers go."""

    turns: Sequence[Sequence[Module]]
    note: str = ""

    def doc(self, say: Say) -> Doc:
        """nn.Sequential(*[… for _ in range(3)])."""
        return Chain([self]).doc(say)

    def among(self, say: Say) -> list[Doc]:
        """Turns that are equal, or whose numbers grow evenly, in a loop; others one after another."""
        docs: list[Doc] = []
        for turn, times, steps in self._runs:
            if times == 1:
                docs += (element.doc(say) for element in turn)
            else:
                inner = joined(turn).doc(_growing(say, steps) if any(steps) else say)
                count = say(Number((times,)), "repeats")
                loop = f"for {'i' if any(steps) else '_'} in range({count})"
                docs.append(Doc("*[", (inner, loop), "]", joint=" "))
        return docs

    @cached_property
    def _runs(self) -> list[tuple[Sequence[Module], int, Terms]]:
        """A turn, how often it comes, and by how much each of its numbers grows every time."""
        found = [facts(joined(turn).doc) for turn in self.turns]
        runs: list[tuple[Sequence[Module], int, Terms]] = []
        at = 0
        while at < len(found):
            times, steps = 1, Terms()
            while at + times < len(found):
                growth = _growth(found[at + times - 1], found[at + times])
                if growth is None or (times > 1 and growth != steps):
                    break
                times, steps = times + 1, growth
            if times == 2 and any(steps):  # two are no row yet
                times = 1
            runs.append((self.turns[at], times, steps))
            at += times
        return runs


Facts = tuple[object, list[tuple[Number, str]]]


def facts(write: Callable[[Say], object]) -> Facts:
    """What is written but for the numbers; and these in order, each with what it is the argument for."""
    said: list[tuple[Number, str]] = []

    def say(number: Number, role: str) -> str:
        said.append((number, role))
        return "#"

    return write(say), said


def _growth(before: Facts, after: Facts) -> Terms | None:
    """What is added to each number from one turn to the next; None where the turns differ in more than that."""
    (plan, old), (next_plan, new) = before, after
    if plan != next_plan or [number.step for number, _ in old] != [number.step for number, _ in new]:
        return None
    growth = tuple(there.value - here.value for (here, _), (there, _) in zip(old, new, strict=True))
    within = any(number.step for number, _ in old)  # rows of rows are not written
    return None if within and any(growth) else growth


def _growing(say: Say, steps: Terms) -> Say:
    ahead: Iterator[int] = iter(steps)
    return lambda number, role: say(Number(number.terms, next(ahead)), role)
