"""Classes that differ in nothing but numbers become one, whose constructor takes the numbers that differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from cnntui.core.expressions import evaluate
from cnntui.core.layers import Shape
from cnntui.labs.program.calls import Argument, Made, Module, Number, Say, Terms, facts
from cnntui.labs.program.text import INDENT, Doc, class_name, identifier, lines, unique

# What a program has names for already.
SPOKEN_FOR = frozenset(
    ["Scale", "TableConv", "Tensor", "torch", "nn", "self", "x", "inputs", "block", "i", "net", "output"]
)


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor: the variable that holds it, what its channels (or features) come from, and its shape."""

    text: str
    terms: Terms
    shape: Shape

    @property
    def role(self) -> str:
        """What a constructor calls the first of its sizes."""
        return "in_channels" if len(self.shape) == 3 else "in_features"


@dataclass(frozen=True, slots=True)
class Origin:
    """The block of the network that a class comes from: its name, its arguments, the expressions in its text."""

    block: str = ""
    arguments: Mapping[str, int] = field(default_factory=dict)
    expressions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """An assignment; with `over`, for each module of that list."""

    target: str
    value: str | Doc
    over: str = ""

    def lines(self, typed: bool) -> list[str]:
        """Its source, in forward."""
        before = f"{self.target}{': Tensor' * typed} = "
        if not self.over:
            return lines(self.value, INDENT * 2, before)
        return [f"{INDENT * 2}for block in self.{self.over}:", *lines(self.value, INDENT * 3, before)]


@dataclass(frozen=True, slots=True)
class Body:
    """A class without its name: attributes and what forward does with them; or a chain, which has no parameters."""

    modules: Sequence[tuple[str, Module]]
    statements: tuple[Statement, ...] = ()
    parameters: tuple[str, ...] = ()
    result: str = ""

    @property
    def is_chain(self) -> bool:
        """Whether it is an nn.Sequential."""
        return not self.parameters

    def docs(self, say: Say) -> tuple[tuple[str, Doc], ...]:
        """The attributes and what they are."""
        return tuple((name, module.doc(say)) for name, module in self.modules)


@dataclass(eq=False)
class Instance(Module):
    """A class as it is needed in one place; `made` says how it is called there, once it has a name.

    Args:
        hint: what to name it after.
        origin: where its numbers come from.
        start: what it reads, as the place knows it.
        body: what it is.
        height: how deep classes stand in it.
    """

    hint: str
    origin: Origin
    start: Value
    body: Body
    height: int
    note: str = ""
    made: Made = field(default_factory=lambda: Made(""))

    def doc(self, say: Say) -> Doc:
        """Its call."""
        return self.made.doc(say)

    def key(self) -> object:
        """Equal for those that can be one class."""
        plan, said = facts(self.body.docs)
        form = tuple((len(number.terms), number.step != 0) for number, _ in said)
        body = self.body
        return self.hint, self.origin.block, plan, form, body.statements, body.parameters, body.result


@dataclass(frozen=True, slots=True)
class Class:
    """A class with its name, its parameters, and the text of each number in its body, in order."""

    name: str
    parameters: tuple[str, ...]
    body: Body
    numbers: tuple[str, ...]

    def lines(self) -> list[str]:
        """Its source."""
        told = iter(self.numbers)
        docs = self.body.docs(lambda number, role: next(told))
        made: list[str] = []
        for (name, doc), (_, module) in zip(docs, self.body.modules, strict=True):
            made += lines(doc, INDENT * 2, f"self.{name} = " if name else "", note=module.note)
        given = Doc("def __init__(", ("self", *(f"{name}: int" for name in self.parameters)), ") -> None:")
        constructor = lines(given, INDENT)
        if self.body.is_chain:
            return [f"class {self.name}(nn.Sequential):", *constructor, *made]
        tensors = Doc("def forward(", ("self", *(f"{name}: Tensor" for name in self.body.parameters)), ") -> Tensor:")
        return [
            f"class {self.name}(nn.Module):",
            *([*constructor, f"{INDENT * 2}super().__init__()", *made, ""] if made else ()),
            *lines(tensors, INDENT),
            *self._forward(),
        ]

    def _forward(self) -> Iterator[str]:
        typed = {*self.body.parameters}
        for statement in self.body.statements:
            # What a module makes is of any type: the result is told its own.
            yield from statement.lines(statement.target == self.body.result and statement.target not in typed)
            typed.add(statement.target)
        yield f"{INDENT * 2}return {self.body.result}"


def named(instances: Sequence[Instance], taken: Iterable[str]) -> list[Class]:
    """The classes, each after those that it needs; the deepest, the network's own, is the last. No name is `taken`."""
    classes: list[Class] = []
    taken = {*SPOKEN_FOR, *taken}
    for _, level in groupby(sorted(instances, key=lambda each: each.height), lambda each: each.height):
        alike: dict[object, list[Instance]] = {}
        for each in level:
            alike.setdefault(each.key(), []).append(each)
        for group in alike.values():
            name = unique(class_name(group[0].hint, "Block"), taken)
            taken.add(name)
            classes.append(_Naming(group, taken).named(name))
    return classes


Column = tuple[int, ...]
"""A number of a class, in each of the places where the class is needed."""


class _Naming:
    """What to write for each number of a class: itself, a parameter, or an expression of parameters."""

    def __init__(self, group: Sequence[Instance], taken: set[str]) -> None:
        self.group, self.taken = group, taken
        self.parameters: dict[str, Column] = {}
        self.used: set[str] = set()
        self.known: dict[Column, tuple[str, set[str]]] = {}
        origins = [each.origin.arguments for each in group]
        own = {name: self._parameter(name, tuple(each[name] for each in origins)) for name in origins[0]}
        for expression in group[0].origin.expressions:
            try:
                column = tuple(evaluate(expression, each) for each in origins)
            except ValueError:
                continue
            self.known.setdefault(column, _in_python(expression, own))
        self.start = self._parameter(group[0].start.role, tuple(sum(each.start.terms) for each in group))

    def _parameter(self, name: str, column: Column) -> str:
        own = unique(identifier(name, "n"), self.parameters, self.taken)
        self.parameters[own] = column
        self.known.setdefault(column, (own, {own}))
        return own

    def named(self, name: str) -> Class:
        """The class; each instance learns how to call it."""
        columns = zip(*(facts(each.body.docs)[1] for each in self.group), strict=True)
        texts = tuple(self._text([number for number, _ in column], column[0][1]) for column in columns)
        # What it reads comes first, and by its place; the others by their names.
        names = sorted(filter(self.used.__contains__, self.parameters), key=lambda name: name != self.start)
        for index, each in enumerate(self.group):
            values = [
                Number(each.start.terms if name == self.start else (self.parameters[name][index],)) for name in names
            ]
            each.made = Made(
                name,
                [
                    Argument(name, value, "" if place else None)
                    for place, (name, value) in enumerate(zip(names, values, strict=True))
                ],
            )
        return Class(name, tuple(names), self.group[0].body, texts)

    def _text(self, said: Sequence[Number], role: str) -> str:
        total = tuple(number.value for number in said)
        terms = list(zip(*(number.terms for number in said), strict=True))
        text = self._known(total) or self._sum(terms) or self._told(total, role)
        steps = tuple(number.step for number in said)
        if not any(steps):
            return text
        by = self._known(steps) or self._told(steps, "step")
        return f"{text} + {by if by.isidentifier() or by.isdigit() else f'({by})'} * i"

    def _known(self, column: Column) -> str:
        if len(set(column)) == 1:
            return str(column[0])
        text, names = self.known.get(column, ("", set()))
        self.used |= names
        return text

    def _sum(self, columns: Sequence[Column]) -> str:
        """Of parts that are known; those that are the same everywhere are added up."""
        varying = [column for column in columns if len(set(column)) > 1]
        if any(column not in self.known for column in varying):
            return ""
        constant = sum(column[0] for column in columns if column not in varying)
        return " + ".join([*map(self._known, varying), *([str(constant)] if constant else [])])

    def _told(self, column: Column, role: str) -> str:
        """By one parameter more."""
        own = self._parameter(role, column)
        self.used.add(own)
        return own


def _in_python(expression: str, names: Mapping[str, str]) -> tuple[str, set[str]]:
    """An expression of the notation in Python, and the parameters in it; `names` says what its names became."""
    words = re.findall(r"[0-9]+|[A-Za-z_]\w*|//|[-+*%()]", expression)
    said = (names.get(word) or (str(int(word)) if word.isdigit() else word) for word in words)
    spaced = re.sub(r"(?<=[\w)])(//|[-+*%])", r" \1 ", "".join(said))
    return spaced, {names[word] for word in words if word in names}
