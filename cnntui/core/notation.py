"""Text to network and back: `conv 6 k5; tanh; [ conv 8 p1 | id ] cat; ( bn; relu ) x3; @block(64, 2)`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cnntui.core.axis import ImpossibleError
from cnntui.core.expressions import evaluate
from cnntui.core.items import Block, Branches, Call, From, Item, Items, Repeat, Single
from cnntui.core.layers import Shape, Table
from cnntui.core.merges import MERGES
from cnntui.core.network import DEEPEST, INPUT, Network
from cnntui.core.vocabulary import NO_TABLES, NotationError, layer_text, parse_layer, whole

MOST_READ = 2_000  # blocks, each with other arguments
NAME = r"[A-Za-z_][\w.-]*"
BLOCK_NAME = r"[A-Za-z_][\w-]*"


def parse(
    text: str,
    shape: Shape,
    name: str = "network",
    blocks: Iterable[Block] = (),
    tables: Mapping[str, Table] = NO_TABLES,
) -> Network:
    """A network from items separated by `;` or new lines.

    Raises:
        NotationError: naming the layer, with line and column.
        ImpossibleError: when the input or the names cannot be.
    """
    kept = tuple(blocks)
    items = parse_items(text, kept, tables, known={INPUT})
    return Network(name, shape, items, kept, tuple(tables.values()))


def parse_items(
    text: str, blocks: Iterable[Block] = (), tables: Mapping[str, Table] = NO_TABLES, known: set[str] | None = None
) -> Items:
    """The items of a text. `known` are the names that `from` can reach; None: that is checked later, by `Network`.

    Raises:
        NotationError: naming the layer, with line and column.
    """
    reader = _Reader(text, _Definitions({block.name: block for block in blocks}, tables))
    try:
        items = reader.sequence("", known)
    except NotationError as error:
        line = "".join(glyph if glyph.isprintable() else " " for glyph in text.split("\n")[error.line - 1])
        error.excerpt = f"{line}\n{' ' * (error.column - 1)}^"
        raise
    if not items:
        raise NotationError("there is no layer in it")
    return items


class _Definitions:
    """The blocks and tables of a file, and the blocks that have been read."""

    def __init__(self, blocks: Mapping[str, Block], tables: Mapping[str, Table]) -> None:
        self.blocks, self.tables = blocks, tables
        self._read: dict[tuple[str, tuple[int, ...]], tuple[Items, int]] = {}
        self._open: list[str] = []
        self.depth = self.reached = 0  # brackets and blocks that are open, and the most that have been

    def enter(self, levels: int = 1) -> None:
        """Brackets or blocks inside those that are open.

        Raises:
            ImpossibleError: when that is too deep.
        """
        if self.depth + levels > DEEPEST:
            raise ImpossibleError(f"brackets and blocks inside one another, deeper than {DEEPEST}")
        self.reached = max(self.reached, self.depth + levels)

    def call(self, name: str, arguments: tuple[int, ...]) -> Call:
        """A block with its arguments.

        Raises:
            NotationError: when there is no such block, or its layers cannot be read.
        """
        block = self.blocks.get(name)
        if block is None:
            known = f"there is {', '.join(self.blocks)}" if self.blocks else "a net's file defines one as [block.NAME]"
            raise NotationError(f"no block is called {name!r}; {known}")
        if len(arguments) != len(block.arguments):
            wanted = ", ".join(block.arguments) or "nothing"
            raise NotationError(f"@{name} takes {wanted}: {len(block.arguments)} numbers, not {len(arguments)}")
        if name in self._open:
            raise NotationError(f"block {name} calls itself: {' -> '.join([*self._open, name])}")
        if (name, arguments) not in self._read:
            if len(self._read) >= MOST_READ:
                raise NotationError(f"blocks with more than {MOST_READ:,} different arguments")
            self._open.append(name)
            before, self.reached = self.reached, self.depth
            values = dict(zip(block.arguments, arguments, strict=True))
            try:
                items = _Reader("\n".join(block.layers), self, values).sequence("", {INPUT})
            except NotationError as error:
                raise NotationError(f"block {name}, {error}") from None
            finally:
                self._open.pop()
            if not items:
                raise NotationError(f"block {name} has no layers")
            self._read[name, arguments] = items, self.reached - self.depth
            self.reached = max(before, self.reached)
        items, levels = self._read[name, arguments]
        self.enter(levels)
        return Call(name, arguments, items)


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, definitions: _Definitions, values: Mapping[str, int] | None = None) -> None:
        self.text, self.definitions, self.values = text, definitions, values
        self.at = 0
        self.count = 0
        self.added: list[str] = []  # names, in order

    def sequence(self, closing: str, known: set[str] | None) -> Items:
        """Items up to one of the closing characters, or to the end of the text where there are none."""
        items: list[Item] = []
        while True:
            self._skip("; \t\r\n\f\v")
            if self.at == len(self.text):
                if closing:
                    raise self._error(f"{' or '.join(closing)} is missing", self.at)
                return tuple(items)
            glyph = self.text[self.at]
            if glyph in closing:
                return tuple(items)
            if glyph in "|])":
                raise self._error(f"{glyph} without its opening bracket", self.at)
            items.append(self._named(known))
            self._skip(" \t\r\f\v")
            if self.at < len(self.text) and self.text[self.at] not in ";\n|])":
                raise self._error("; is missing before this", self.at)

    def _skip(self, glyphs: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in glyphs:
            self.at += 1

    def _match(self, pattern: str) -> re.Match[str] | None:
        match = re.compile(pattern).match(self.text, self.at)
        if match:
            self.at = match.end()
        return match

    def _error(self, message: str, at: int, layer: str = "") -> NotationError:
        line = self.text.count("\n", 0, at) + 1
        return NotationError(message, layer, line, at - (self.text.rfind("\n", 0, at) + 1) + 1)

    def _named(self, known: set[str] | None) -> Item:
        start = self.at
        named = self._match(rf"({NAME})\s*:\s*")
        item = self._item(known)
        if named is None:
            return item
        name = named.group(1)
        if isinstance(item, From):
            raise self._error("from takes no name: it goes on from a layer that has one", start)
        if known is not None:
            if name in known:
                raise self._error(f"the name {name} is used twice", start)
            known.add(name)
            self.added.append(name)
        return replace(item, name=name)

    def _item(self, known: set[str] | None) -> Item:
        glyph = self.text[self.at : self.at + 1]
        if glyph not in ("[", "(", "@"):
            return self._layer(known)
        start = self.at
        self.at += 1
        try:
            self.definitions.enter()
            self.definitions.depth += 1
            read = {"[": self._branches, "(": self._repeat, "@": self._call}[glyph]
            item = read(known)
        except ImpossibleError as error:
            raise self._error(str(error), start) from None
        self.definitions.depth -= 1
        return item

    def _branches(self, known: set[str] | None) -> Item:
        start = self.at - 1
        branches: list[Items] = []
        while not branches or self.text[self.at - 1] == "|":
            branch = self.sequence("|]", known)
            if not branch:
                raise self._error("a branch is empty; write id to pass its input on", self.at)
            branches.append(branch)
            self.at += 1
        end = self.at
        word = self._match(r"\s*(\w+)")
        if word is None or word.group(1) not in MERGES:
            raise self._error(f"] is followed by how the branches meet: {', '.join(MERGES)}", end)
        if len(branches) < 2:
            raise self._error(f"{word.group(1)} needs two branches at least: [ … | … ]", start)
        return Branches(tuple(branches), MERGES[word.group(1)])

    def _repeat(self, known: set[str] | None) -> Item:
        start = self.at - 1
        outside = len(self.added)
        items = self.sequence(")", known)
        self.at += 1
        if not items:
            raise self._error("there is no layer between the brackets", start)
        times = self._match(r"[ \t]*x([0-9]+|\{[^{}]*\})")
        try:
            count = whole(self._filled(times.group(1), times.start(1))) if times else 1
        except ValueError as error:
            raise self._error(str(error), start) from None
        if known is not None and count > 1:
            known.difference_update(self.added[outside:])  # what is there several times has no one name outside
            del self.added[outside:]
        return Repeat(items, count)

    def _call(self, known: set[str] | None) -> Item:
        start = self.at - 1
        name = self._match(BLOCK_NAME)
        if name is None:
            raise self._error("@ is followed by the name of a block", start)
        arguments: tuple[int, ...] = ()
        if self._match(r"[ \t]*\("):
            written = self._filled(self._until_closed(start), start)
            try:
                parts = written.split(",") if written.strip() else []
                arguments = tuple(evaluate(part, self.values or {}) for part in parts)
            except ValueError as error:
                raise self._error(str(error), start) from None
        try:
            return self.definitions.call(name.group(), arguments)
        except NotationError as error:
            raise self._error(str(error), start, error.layer) from None

    def _until_closed(self, start: int) -> str:
        begin, open_ = self.at, 1
        while open_:
            bracket = self._match(r"[^()\n]*([()])")
            if bracket is None:
                raise self._error(") is missing", start)
            open_ += 1 if bracket.group(1) == "(" else -1
        return self.text[begin : self.at - 1]

    def _filled(self, words: str, at: int) -> str:
        """With each `{4*c}` worked out."""
        if self.values is None or "{" not in words:
            return words
        try:
            return re.sub(r"\{([^{}]*)\}", lambda match: str(evaluate(match.group(1), self.values or {})), words)
        except ValueError as error:
            raise self._error(str(error), at, words) from None

    def _layer(self, known: set[str] | None) -> Item:
        start = self.at
        match = self._match(r"(?:\{[^{}\n]*\}|[^;\n|\[\]()@])*")
        written = match.group().rstrip() if match else ""
        self.count += 1
        words = self._filled(written, start)
        if source := re.fullmatch(rf"from\s+({NAME})", words):
            if known is not None and source.group(1) not in known:
                raise self._error(
                    f"no layer above is named {source.group(1)!r}: write {source.group(1)}: before it", start
                )
            return From(source.group(1))
        try:
            return Single(parse_layer(words, self.definitions.tables))
        except NotationError as error:
            column = error.column - 1 if words == written else 0
            shown = printable(" ".join(words.split()))
            raise self._error(f"layer {self.count} ({shown}): {error}", start + column, words) from None


def one_line(texts: Iterable[str]) -> str:
    """Texts that stand on lines of their own, on one; a separator only where one item ends and another begins."""
    joined = ""
    for text in (text.strip() for text in texts if text.strip()):
        goes_on = not joined or joined[-1] in "[(|;" or re.match(rf"[]|)]|(?:{'|'.join(MERGES)})\b", text)
        joined += f"{'' if not joined else ' ' if goes_on else '; '}{text}"
    return joined


def item_text(item: Item) -> str:
    """An item in words, with its name; `parse_items` reads them back to an equal item."""
    return f"{item.name}: {_bare(item)}" if item.name else _bare(item)


def items_text(items: Items) -> str:
    """Items in words, one line."""
    return "; ".join(map(item_text, items))


def _bare(item: Item) -> str:
    match item:
        case Single(layer):
            return layer_text(layer)
        case From(source):
            return f"from {source}"
        case Branches(branches, merge):
            return f"[ {' | '.join(map(items_text, branches))} ] {merge.op}"
        case Repeat(items, times):
            return f"( {items_text(items)} )" + (f" x{times}" if times > 1 else "")
        case Call(block, arguments):
            return f"@{block}({', '.join(map(str, arguments))})"
    raise TypeError(item)


def network_text(network: Network) -> list[str]:
    """Each item of the network in words; `parse` reads the lines back to an equal network, given its blocks and tables."""
    return [item_text(item) for item in network.items]


def printable(text: str) -> str:
    """Without what a terminal would obey, or show two columns wide."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(glyph for glyph in text if glyph.isprintable() and unicodedata.east_asian_width(glyph) not in "WF")
