"""Walks the items of a network, and writes for each class what its constructor makes and what its forward says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cnntui.core import merges, pointwise
from cnntui.core.analysis import Row
from cnntui.core.items import Branches, Call, From, Item, Items, Repeat, Single, walk
from cnntui.core.layers import Layer, Shape, Table, shape_text
from cnntui.core.network import INPUT, Network
from cnntui.core.notation import printable
from cnntui.labs.program.calls import Chain, Module, Repeated, joined
from cnntui.labs.program.classes import SPOKEN_FOR, Body, Instance, Origin, Statement, Value
from cnntui.labs.program.text import Doc, identifier, unique
from cnntui.labs.program.torch_layers import modules, terms_after

# What torch.nn.Module calls its own: a submodule of that name would be hidden by it, or hide it.
MODULE_OWN = frozenset(
    [
        "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu",
        "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state",
        "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers",
        "named_children", "named_modules", "named_parameters", "parameters", "register_backward_hook", "register_buffer",
        "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
        "register_full_backward_pre_hook", "register_load_state_dict_post_hook", "register_load_state_dict_pre_hook",
        "register_module", "register_parameter", "register_state_dict_post_hook", "register_state_dict_pre_hook",
        "requires_grad_", "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train",
        "training", "type", "xpu", "zero_grad",
    ]
)  # fmt: skip
BASES = {"add": "residual", "mul": "gate", "cat": "branch"}  # attributes beside a branch that passes its input on
HINTS = {"add": "Residual", "mul": "Gated", "cat": "Joined", "": "Stack"}  # classes that have no name of their own
MOST_TERMS = 8
NOTHING: Mapping[str, Value] = {}


class Program:
    """What the classes of one program share: the facts of its layers, used up one by one."""

    def __init__(self, network: Network, rows: Iterator[Row]) -> None:
        self.network, self.rows = network, rows
        self.instances: list[Instance] = []
        self.tables: dict[Table, str] = {}
        self._blocks = {block.name: block for block in network.blocks}

    def write(self) -> None:
        """Write the network's own class, and before it all that it needs, as `instances`."""
        shape = self.network.input
        writer = _Writer(self, self.network.items, Origin(), whole=True)
        writer.finish(identifier(self.network.name, "net"), Value("", (shape[0],), shape))

    def table(self, table: Table) -> str:
        """The constant that holds a table."""
        if table not in self.tables:
            name = identifier(table.name, "table").upper()
            self.tables[table] = unique(name, SPOKEN_FOR, self.tables.values())
        return self.tables[table]

    def origin(self, call: Call) -> Origin:
        """What the block's own text says of its numbers."""
        block = self._blocks.get(call.block)
        if block is None:
            return Origin(call.block)
        text = "\n".join(block.layers)
        inside = re.findall(r"@[\w.-]+\s*\(((?:[^()\n]|\([^()\n]*\))*)\)", text)
        expressions = [*re.findall(r"\{([^{}]*)\}", text), *(part for found in inside for part in found.split(","))]
        arguments = dict(zip(block.arguments, call.arguments, strict=True))
        return Origin(call.block, arguments, tuple(dict.fromkeys(expressions)))


@dataclass
class _Cursor:
    """Where a writer stands: a value, and the modules that it goes through before anything else happens."""

    value: Value
    target: str = ""  # the variable for what comes of it, once there is one
    base: str = ""  # what its variable and its attributes are called
    pending: list[Module] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of what is pending
    fresh: bool = False  # whether the last statement made `value`, and nothing has read it


class _Writer:
    """One class: walks its items and writes its body."""

    def __init__(self, program: Program, items: Items, origin: Origin, whole: bool = False) -> None:
        self.program, self.items, self.origin = program, items, origin
        self.needed = set(_sources(items))
        self.whole = whole  # the network itself: its shapes are known, and noted
        self.is_turn = False  # not a class, but what stands in a loop
        self.height = 0  # how deep classes stand in it
        self.modules: list[tuple[str, Module]] = []
        self.statements: list[Statement] = []
        self.values: dict[str, Value] = {}  # by the name that `from` knows
        self.kept: set[str] = set()  # variables that stay as they are
        self.variables: set[str] = set()

    def finish(self, hint: str, start: Value, given: Mapping[str, Value] = NOTHING) -> tuple[Instance, Value]:
        """The class, and what it makes of `start`; `given` are values of its surroundings that it reads by name."""
        entry = "inputs" if INPUT in self.needed and INPUT not in given else "x"
        inside = Value(entry, (sum(start.terms),), start.shape)
        self.values[INPUT] = inside
        for name, value in given.items():
            text = "inputs" if name == INPUT else self.variable(name)
            self.values[name] = Value(text, (sum(value.terms),), value.shape)
        others = [self.values[name].text for name in given]
        self.kept.update(others, {"inputs"})
        cursor = _Cursor(inside, target="x")
        self.steps(self.items, cursor)
        if self.statements or others or entry == "inputs":
            self.flush(cursor)
            body = Body(self.modules, tuple(self.statements), (entry, *others), cursor.value.text)
        else:
            body = Body([("", Chain(cursor.pending, "super().__init__("))])
        instance = Instance(hint, self.origin, start, body, self.height)
        self.program.instances.append(instance)
        # Inside, the input's channels are one number; outside, they may be a sum.
        terms, shape = cursor.value.terms, cursor.value.shape
        return instance, Value("", start.terms + terms[1:] if terms[:1] == inside.terms else terms, shape)

    def steps(self, items: Items, cursor: _Cursor) -> None:
        for item in items:
            self.step(item, cursor)
            if item.name in self.needed:
                self.keep(item.name, cursor)

    def step(self, item: Item, cursor: _Cursor) -> None:
        match item:
            case Single(layer):
                self.single(layer, item.name, cursor)
            case Branches():
                self.branches(item, cursor)
            case From(source):
                self.leave(cursor)
                cursor.value = self.values[source]
            case Repeat(items, times) if times > 1 and _sources((item,)):
                self.loop(item, cursor)
            case Repeat(items, 1) if not item.name or not self.is_one_module(items):
                self.steps(items, cursor)
            case _ if item.name and not self.is_turn:
                self.flush(cursor)
                self.module(item, cursor)
                self.flush(cursor, item.name)
            case _:
                self.module(item, cursor)

    # -- values and variables

    def variable(self, name: str) -> str:
        text = unique(identifier(name, "value"), self.variables, SPOKEN_FOR)
        self.variables.add(text)
        return text

    def attribute(self, base: str, module: Module) -> str:
        name = unique(identifier(base, "layers"), dict(self.modules), MODULE_OWN)
        self.modules.append((name, module))
        return name

    def state(self, value: str | Doc, cursor: _Cursor) -> None:
        """Put a value in the cursor's variable."""
        cursor.target = cursor.target or self.variable(cursor.base)
        self.statements.append(Statement(cursor.target, value))
        cursor.value, cursor.fresh = replace(cursor.value, text=cursor.target), True

    def flush(self, cursor: _Cursor, base: str = "") -> None:
        """Through what is pending, as one attribute."""
        if cursor.pending:
            own = cursor.names[0] if len(cursor.names) == 1 else "layers"
            attribute = self.attribute(base or cursor.base or own, joined(cursor.pending))
            cursor.pending, cursor.names = [], []
            self.state(f"self.{attribute}({cursor.value.text})", cursor)

    def keep(self, name: str, cursor: _Cursor) -> None:
        """In a variable of its own, for those who come back to it."""
        self.flush(cursor, name)
        if cursor.value.text not in self.kept:
            own = self.variable(name)
            if cursor.fresh:
                self.statements[-1] = replace(self.statements[-1], target=own)
            else:
                self.statements.append(Statement(own, cursor.value.text))
            self.kept.add(own)
            cursor.value, cursor.fresh = replace(cursor.value, text=own), False
        self.values[name] = cursor.value

    def leave(self, cursor: _Cursor) -> None:
        """The cursor goes elsewhere: what it made is read by nobody, unless it was kept."""
        self.flush(cursor)
        if cursor.fresh:
            self.statements[-1] = replace(self.statements[-1], target="_")
        cursor.fresh = False

    # -- items

    def single(self, layer: Layer, name: str | None, cursor: _Cursor) -> None:
        row = next(self.program.rows)
        made = modules(layer, row.input or (), cursor.value.terms, self.program.table)
        if made:
            made[-1].note = self.note(name, row.input, row.output)
            cursor.pending += made
            cursor.names.append(layer.op)
        terms = terms_after(layer, cursor.value.terms, row.input or ())
        cursor.value = Value(cursor.value.text, terms, row.output or ())

    def note(self, name: str | None, before: Shape | None, after: Shape | None) -> str:
        if not self.whole or after is None:
            return ""
        told = printable(name or "").strip()
        # The shape comes first: a comment must not begin as `type:` or `noqa` do.
        shape = shape_text(after) if told or (before != after and len(after) == 3) else ""
        return ", ".join(filter(None, (shape, told)))

    def module(self, item: Item, cursor: _Cursor) -> None:
        """A call or a repeat, as modules of their own."""
        before = cursor.value.shape
        if isinstance(item, Call):
            made, after = self.instance(item.block, item.items, self.program.origin(item), cursor.value)
            elements: list[Module] = [made]
        elif isinstance(item, Repeat) and item.times == 1:
            elements, after = self.turn(item.items, cursor.value, self.whole)
            before = after.shape  # noted within
        elif isinstance(item, Repeat):
            elements, after = self.repeated(item, cursor.value)
        else:
            raise TypeError(item)
        if elements:
            elements[-1].note = elements[-1].note or self.note(None, before, after.shape)
            cursor.pending += elements
            cursor.names.append(item.block if isinstance(item, Call) else "blocks")
        cursor.value = replace(after, text=cursor.value.text)

    def instance(
        self, hint: str, items: Items, origin: Origin, value: Value, given: Mapping[str, Value] = NOTHING
    ) -> tuple[Instance, Value]:
        """A class for these items."""
        writer = _Writer(self.program, items, origin)
        made = writer.finish(hint, value, given)
        self.height = max(self.height, writer.height + 1)
        return made

    def is_one_module(self, items: Items) -> bool:
        return _is_plain(items) and not self.needed & set(_bound(items))

    def turn(self, items: Items, value: Value, once: bool = False) -> tuple[list[Module], Value]:
        """Plain items as modules; shapes are noted of those that are there but `once`."""
        writer = _Writer(self.program, (), self.origin, whole=once)
        writer.is_turn = True
        cursor = _Cursor(value)
        writer.steps(items, cursor)
        self.height = max(self.height, writer.height)
        return cursor.pending, cursor.value

    def repeated(self, item: Repeat, value: Value, given: Mapping[str, Value] = NOTHING) -> tuple[list[Module], Value]:
        """What is repeated, as modules: where it branches or repeats itself, of a class of its own."""
        is_simple = _is_plain(item.items) and not any(isinstance(inner, Repeat) for inner in item.items)
        start = value.terms
        turns: list[list[Module]] = []
        for _ in range(item.times):
            if is_simple:
                turn, value = self.turn(item.items, value)
                turns.append(turn)
            else:
                made, value = self.instance(_hint(item.items), item.items, self.origin, value, given)
                turns.append([made])
        if len(value.terms) > len(start) and value.terms[: len(start)] == start:  # what has been added, in one term
            value = replace(value, terms=(*start, sum(value.terms[len(start) :])))
        return [Repeated(turns)] if turns[0] else [], value

    def loop(self, item: Repeat, cursor: _Cursor) -> None:
        """What is repeated and reads values from outside."""
        self.flush(cursor)
        given = {source: self.values[source] for source in dict.fromkeys(_sources((item,)))}
        elements, after = self.repeated(item, cursor.value, given)
        attribute = self.attribute(item.name or "blocks", Chain(elements, "nn.ModuleList([", "])"))
        if cursor.value.text != cursor.target:
            self.state(cursor.value.text, cursor)
        read = Doc("block(", (cursor.target, *(value.text for value in given.values())))
        self.statements.append(Statement(cursor.target, read, over=attribute))
        cursor.value, cursor.fresh = replace(after, text=cursor.target), False

    def branches(self, item: Branches, cursor: _Cursor) -> None:
        self.flush(cursor)
        passing = [all(map(_is_passing, branch)) for branch in item.branches]
        base = BASES[item.merge.op] if any(passing) else "branch"
        several = passing.count(False) > 1
        ends = [
            self.branch(branch, _Cursor(cursor.value, base=f"{base}{number}" if several else base))
            for number, branch in enumerate(item.branches, 1)
        ]
        row = next(self.program.rows)
        shape = row.output or ()
        texts = [end.text for end in ends]
        terms = next(end.terms for end in ends if end.shape == shape or isinstance(item.merge, merges.Cat))
        merged: Doc
        match item.merge:
            case merges.Cat():
                first, *rest = (term for end in ends for term in end.terms)
                terms = (first, *rest) if len(rest) < MOST_TERMS else (first, sum(rest))
                merged = Doc("torch.cat(", (Doc("[", tuple(texts), "]"), "dim=1"))
            case merges.Add():
                merged = Doc("(", tuple(texts), joint=" + ")
            case _:
                gates = (len(end.shape) < len(shape) for end in ends)
                stretched = (text + "[:, :, None, None]" * gate for text, gate in zip(texts, gates, strict=True))
                merged = Doc("(", tuple(stretched), joint=" * ")
        cursor.value = Value("", terms, shape)
        self.state(merged, cursor)

    def branch(self, items: Items, cursor: _Cursor) -> Value:
        """What a branch makes: a variable, or the call of the one module that it is."""
        count = len(self.statements)
        self.steps(items, cursor)
        self.flush(cursor)
        value = cursor.value
        if len(self.statements) == count + 1 and cursor.fresh and isinstance(call := self.statements[-1].value, str):
            self.statements.pop()
            self.variables.discard(value.text)
            return replace(value, text=call)
        return value


def _sources(items: Items) -> list[str]:
    """The names of their surroundings, and of their own, that items go back to."""
    found: list[str] = []
    for item in items:
        match item:
            case From(source):
                found.append(source)
            case Branches(branches):
                found += (source for branch in branches for source in _sources(branch))
            case Repeat(inner, times):
                own = set(_bound(inner)) if times > 1 else ()
                found += (source for source in _sources(inner) if source not in own)
    return found


def _bound(items: Items) -> Iterator[str]:
    """The names that items give for others to go back to."""
    for item in items:
        if item.name is not None:
            yield item.name
        for inner in item.branches if isinstance(item, Branches) else ():
            yield from _bound(inner)
        if isinstance(item, Repeat) and item.times == 1:
            yield from _bound(item.items)


def _is_plain(items: Items) -> bool:
    """Whether they are modules one after another."""
    return all(_is_plain(item.items) if isinstance(item, Repeat) else isinstance(item, Single | Call) for item in items)


def _is_passing(item: Item) -> bool:
    """Whether it makes nothing new."""
    return isinstance(item, From) or (isinstance(item, Single) and isinstance(item.layer, pointwise.Identity))


def _hint(items: Items) -> str:
    """What to call a class that has no name."""
    met = (item.merge.op for item in walk(items) if isinstance(item, Branches))
    return HINTS[next(met, "")]
