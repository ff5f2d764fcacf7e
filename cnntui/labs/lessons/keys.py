"""In which line of a TOML text a key is set, or an item of a list stands, so that what is wrong can be shown there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property

Key = tuple[str | int, ...]  # ("nets", "fc"); ("check", 1) is the second item of a list

TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""+|' + r"'''.*?'''+|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\n]*|\n|[\[\]{},=]|"
    r"""[^\s\[\]{},="'#]+""",
    re.DOTALL,
)
END = ("]", "}", ",", "\n", "")  # of a value


class Keys:
    """The lines of the keys of a TOML text that `tomllib` has read; `first` is the line in which the text begins."""

    def __init__(self, text: str = "", first: int = 1) -> None:
        self.text, self.first = text, first

    def line(self, *key: str | int) -> int:
        """Where it is, or else what holds it; the first line, where nothing of it is written."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._lines:
                return self._lines[key[:length]]
        return self.first

    @cached_property
    def _lines(self) -> dict[Key, int]:
        reader = _Reader(self.text, self.first)
        with suppress(RecursionError):  # the lines up to there
            reader.document()
        return reader.lines


def _tokens(text: str, line: int) -> Iterator[tuple[str, int]]:
    for match in TOKEN.finditer(text):
        token = match.group()
        if not token.startswith("#"):
            yield token, line
        line += token.count("\n")


class _Reader:
    """Goes once through TOML that is right."""

    def __init__(self, text: str, first: int) -> None:
        self.tokens = [*_tokens(text, first), ("", first)]
        self.at = 0
        self.lines: dict[Key, int] = {}
        self.counts: dict[Key, int] = {}

    @property
    def word(self) -> str:
        return self.tokens[self.at][0]

    def note(self, key: Key) -> None:
        self.lines.setdefault(key, self.tokens[self.at][1])

    def skip(self, *words: str) -> None:
        while self.word in words:
            self.at += 1

    def on(self, end: str) -> None:
        """To the next item, or the end; what is not understood is passed over."""
        self.skip("\n")
        self.at += self.word not in (end, ",", "")
        self.skip(",", "\n")

    def document(self) -> None:
        table: Key = ()
        self.skip("\n")
        while self.word:
            if self.word == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip("\n")

    def header(self) -> Key:
        start = self.at
        several = self.tokens[self.at + 1][0] == "["
        self.skip("[")
        *above, own = self.name("]") or ("",)
        table: Key = ()
        for part in above:
            table = (*table, part)
            if table in self.counts:  # of several, the last
                table = (*table, self.counts[table])
        table = (*table, own)
        if several:
            self.counts[table] = self.counts.get(table, -1) + 1
            self.lines.setdefault(table, self.tokens[start][1])
            table = (*table, self.counts[table])
        self.lines.setdefault(table, self.tokens[start][1])
        self.skip("]")
        return table

    def pair(self, table: Key) -> None:
        start = self.tokens[self.at][1]
        key = self.name("=")
        for length in range(1, len(key) + 1):
            self.lines.setdefault((*table, *key[:length]), start)
        self.skip("=")
        self.value((*table, *key))

    def name(self, end: str) -> Key:
        """A key with its dots, up to what ends it."""
        parts: list[str] = []
        while self.word not in (end, ""):
            word = self.word
            parts += [tomllib.loads(f"k = {word}")["k"]] if word[0] in "\"'" else filter(None, word.split("."))
            self.at += 1
        return tuple(parts)

    def value(self, key: Key) -> None:
        if self.word == "[":
            self.at += 1
            self.skip("\n")
            number = 0
            while self.word not in ("]", ""):
                self.note((*key, number))
                self.value((*key, number))
                number += 1
                self.on("]")
            self.at += self.word == "]"
        elif self.word == "{":
            self.at += 1
            self.skip("\n")
            while self.word not in ("}", ""):
                self.pair(key)
                self.on("}")
            self.at += self.word == "}"
        else:
            while self.word not in END:
                self.at += 1
