"""In which line a key of a TOML text is set."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from cnntui.labs.lessons.keys import Key, Keys

TEXT = '''\
a = 1  # b = 2
# c = 3

text = """
d = 4
[e]
\\"""
"""
e = [
  ["x = 1", "]"], # [nets]
  { f = 'a # b', g = [1,
    2] },
  "[h]",

  2026-01-01 10:00:00,
]
'i j'."k.l" . m = {n = { o = 1 }}
p.q = [[1, 2], [
  3]]

[nets]
small = { layers = "conv [8]; relu", input = [1, 2, 3] }
[ nets . "big one" ]
x = """a"""" # four quotes
y = 1
[[slips]]
number = 1
[[slips]]

number = 2
[runs.a]
net = \'\'\'
[runs.b]\'\'\'
[runs.b]
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("a",), 1),
        (("text",), 4),
        (("e",), 9),
        (("e", 0), 10),
        (("e", 0, 1), 10),
        (("e", 1), 11),
        (("e", 1, "f"), 11),
        (("e", 1, "g", 1), 12),
        (("e", 2), 13),
        (("e", 3), 15),
        (("i j", "k.l", "m"), 17),
        (("i j", "k.l", "m", "n", "o"), 17),
        (("p", "q", 1), 18),
        (("p", "q", 1, 0), 19),
        (("nets",), 21),
        (("nets", "small"), 22),
        (("nets", "small", "input", 2), 22),
        (("nets", "big one"), 23),
        (("nets", "big one", "x"), 24),
        (("nets", "big one", "y"), 25),
        (("slips",), 26),
        (("slips", 0, "number"), 27),
        (("slips", 1), 28),
        (("slips", 1, "number"), 30),
        (("runs", "a"), 31),
        (("runs", "a", "net"), 32),
        (("runs", "b"), 34),
        # What is not there: where it would be.
        (("nets", "small", "output"), 22),
        (("e", 9), 9),
        (("c",), 1),
        (("x", "y"), 1),
    ],
)
def test_lines(key: Key, line: int) -> None:
    assert tomllib.loads(TEXT)["runs"] == {"a": {"net": "[runs.b]"}, "b": {}}
    assert Keys(TEXT).line(*key) == line
    assert Keys(TEXT, 11).line(*key) == line + 10


WORDS = st.text("ab.=[]{}#\"' \n\\,é", min_size=1, max_size=6)
VALUES = st.recursive(
    st.one_of(st.integers(0, 9), st.booleans(), WORDS),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(WORDS, inside, max_size=3)),
    max_leaves=8,
)


def leaves(value: Any, key: Key = ()) -> list[tuple[Key, Any]]:
    """What is neither a table nor a list, with its key."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for name, inside in items for leaf in leaves(inside, (*key, name))]
    return [(key, value)]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_each_line_has_what_is_said_to_be_there(data: dict[str, Any]) -> None:
    text = tomli_w.dumps(data)
    assert tomllib.loads(text) == data
    keys, lines = Keys(text), text.split("\n")
    for key, value in leaves(data):
        there = lines[keys.line(*key) - 1]
        assert tomli_w.dumps({"x": value})[4:].strip().split("\n")[0] in there, (key, there)


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "a", "a =", "= 1", "[", "[[", "]]", "a = [", "a = {", "a = }", "a = [}", '"""', "a = [ [ [", "'"],
)
def test_what_is_no_toml_ends(text: str) -> None:
    assert Keys(text).line("z") == 1


def test_what_is_too_deep_ends() -> None:
    assert Keys("a = 1\nb = " + "[" * 9_000 + "\nc = 1").line("b") == 2
