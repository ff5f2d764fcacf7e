"""What stands in braces: computed as Python computes it, written as people read it, and never more than arithmetic."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnntui.core.arithmetic import MINUS
from cnntui.labs.lessons.expressions import LARGEST, LONGEST, in_words, parse
from cnntui.labs.lessons.figures import parse_figure
from cnntui.labs.stages import Index, WordsError

FACTS: Mapping[str, Any] = {
    "seven": 7, "half": 0.5, "net.params": 1_792, "conv1.1": 3, "shape": (5, 5), "word": "box", "yes": True, "later": None
}  # fmt: skip


class Scope:
    """Facts by name; `grid[r,c]` is 10·r + c, and `net("...").text` what is in its brackets."""

    def named(self, path: str, index: Index) -> Any:
        match path, index:
            case "grid", (int(row), int(column)):
                return 10 * row + column
            case "count", ("conv",):
                return 3
        if path in FACTS and not index:
            return FACTS[path]
        raise WordsError(f"no fact is called {path!r}")

    def called(self, function: str, arguments: tuple[Any, ...], path: str, index: Index) -> Any:
        if function == "net" and path == "text":
            return f"{arguments}{index}"
        raise WordsError(f"no function is called {function!r}")


def value(text: str) -> Any:
    return parse(text).value(Scope())


def text(written: str) -> str:
    figure, after = parse_figure(written)
    assert not after
    return figure.text(Scope())


def refused(written: str) -> str:
    with pytest.raises(WordsError) as raised:
        value(written)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# -- against Python


def expressions() -> st.SearchStrategy[str]:
    numbers = st.one_of(
        st.integers(0, 99).map(str),
        st.decimals(0, 99, places=2).map(lambda number: f"{number:f}"),
        st.sampled_from(["seven", "half"]),
    )

    def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(parts, st.sampled_from([" + ", "-", " * ", "/", "//", " % ", "+", "*"]), parts).map("".join),
            st.tuples(parts, st.just("**"), st.sampled_from(["2", "3", "-1", "0.5"])).map("".join),
            parts.map(lambda part: f"({part})"),
            parts.map(lambda part: f"-{part}"),
            st.tuples(st.sampled_from(["floor", "ceil", "abs"]), parts).map(lambda call: f"{call[0]}({call[1]})"),
            st.tuples(st.sampled_from(["min", "max"]), parts, parts).map(lambda c: f"{c[0]}({c[1]}, {c[2]})"),
        )

    return st.recursive(numbers, joined, max_leaves=12)


@settings(max_examples=200, deadline=None)
@given(expressions())
def test_what_python_computes_is_computed(written: str) -> None:
    names = {"floor": math.floor, "ceil": math.ceil, "abs": abs, "min": min, "max": max, "seven": 7, "half": 0.5}
    try:
        expected = eval(written, {"__builtins__": {}}, names)
    except (ArithmeticError, ValueError):
        refused(written)
        return
    except TypeError:
        return  # an order of a complex number
    if len(written) > LONGEST:
        refused(written)
        return
    try:
        found = value(written)
    except WordsError as error:
        assert isinstance(expected, complex) or "is no number" in str(
            error
        )  # something in it was too large, or complex
        return
    assert type(found) is type(expected)
    assert found == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("2 ** 3 ** 2", 512),
        ("10 - 4 - 3", 3),
        ("100 / 10 / 2", 5.0),
        ("7 // 2 * 2", 6),
        ("2 * -3", -6),
        ("--3", 3),
        (f"5 {MINUS} 7", -2),
        (f"{MINUS}3", -3),
        ("-7 % 3", 2),
        ("round(2.5)", 3),
        ("round(-2.5)", -2),
        ("round(1 / 3, 2)", 0.33),
        ("sqrt(16) + log2(8)", 7.0),
        ("1e3", 1000.0),
        ("2.5e-2", 0.025),
        ("net.params / seven", 256.0),
        ("conv1.1", 3),
        ("grid[2,3]", 23),
        ("grid[1 + 1, 6 / 2]", 23),
        ('count["conv"]', 3),
        ("count['conv']", 3),
        ('net("conv 8; relu", 1, 28).text[2]', "('conv 8; relu', 1, 28)(2,)"),
        ("max(1, grid[0,2], 1)", 2),
    ],
)
def test_precedence_index_and_calls(written: str, expected: object) -> None:
    assert value(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        "later", "later + 1", "-later", "1 / later", "later ** 2", "round(later)", "max(1, later)", "grid[later, 0]",
        'net("x", later).text', "(later)",
    ],
)  # fmt: skip
def test_what_comes_of_something_unknown_is_unknown(written: str) -> None:
    assert value(written) is None
    assert text(written) == text(f"{written} | percent 1") == "…"


# -- what is no expression, or none that anyone needs


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("9**9**9", "a power of 387420489 is more than 200"),
        ("10**5000", "a power of 5000 is more than 200"),
        ("10**100", "is no number up to 1,000,000,000,000,000,000"),
        ("(10**18)**200", "no number up to"),
        ("10**18 * 10**18", "no number up to"),
        ("exp(700)", "exp of 700 is no number up to"),
        ("exp(1000)", "exp of 1,000 is no number"),
        ("1e999", "1e999 is more than 1,000"),
        ("9" * 300, "is more than 1,000"),
        ("0.5 ** -200", "no number up to"),
        ("(-8) ** 0.5", "no number up to"),
        ("sqrt(-1)", f"sqrt of {MINUS}1 is no number"),
        ("log2(0)", "log2 of 0 is no number"),
        ("min()", "min of nothing is no number"),
        ("round(123, -1000000000)", "is no number"),
        ("round(123, 10 ** 18)", "is no number"),
        ("round(1.5, 0.5)", "is no number"),
        ("round(shape)", "round of 5×5 is no number"),
        ("1/0", "1 / 0: nothing can be divided by 0"),
        ("1 % 0", "nothing can be divided by 0"),
        ("0 ** -1", f"0 ** {MINUS}1: nothing can be divided by 0"),
        ("1 + word", "+ needs two numbers, and 'box' is none"),
        ("shape * 2", "* needs two numbers, and '5×5' is none"),
        ("yes + 1", "needs two numbers"),
        ("-word", "needs two numbers"),
        ("nan", "no fact is called 'nan'"),
        ("inf", "no fact is called 'inf'"),
        ("", "something is missing at the end"),
        ("1 +", "something is missing at the end"),
        ("(1", ") is missing at the end"),
        ("1)", "')' is not expected"),
        ("1 2", "'2' is not expected"),
        ("grid[", "is missing"),
        ("grid[1 2]", ", is missing before '2'"),
        ("grid[]", "nothing stands between [ and ]"),
        ("grid[1.5, 0]", "[1.5]: between [ and ] stand whole numbers"),
        ("grid[yes, 0]", "between [ and ] stand whole numbers"),
        ("grid[shape, 0]", "between [ and ] stand whole numbers"),
        ("max(1,)", "')' is not expected"),
        ("round(2).params", "round(...) is a number: nothing stands behind it"),
        ("max(1, 2)[0]", "max(...) is a number"),
        ("net.", "a name is missing behind net."),
        ('"conv', 'a text that begins with " never ends'),
        ("count['conv\"]", "a text that begins with ' never ends"),
        ("٣ + 4", "'٣' is not expected"),
        ("1 × 2", "'×' is not expected"),
        ("seven²", "no fact is called 'seven²'"),
        ('__import__("os")', "no function is called '__import__'"),
        ('__import__("os").system("ls")', "'(' is not expected"),
        ("seven.__class__.__mro__", "no fact is called 'seven.__class__.__mro__'"),
        ("seven.__class__()", "'(' is not expected"),
        ("[x for x in 1]", "'[' is not expected"),
        ("lambda: 1", "':' is not expected"),
        ("seven if 1 else 2", "'if' is not expected"),
        ("seven := 2", "':' is not expected"),
        ("eval('1')", "no function is called 'eval'"),
        ("1; 2", "';' is not expected"),
        ("{1}", "'{' is not expected"),
        ("1 +" * 200 + " 1", "an expression of 602 characters > 400"),
        ("(" * 190 + "1" + ")" * 190, "brackets deeper than 30"),
        ("abs(" * 70 + "1" + ")" * 70, "brackets deeper than 30"),
        ("grid[" * 60, "brackets deeper than 30"),
        ("-" * 300 + "1", "more than 30 signs"),
        ("\0", "is not expected"),
    ],
)  # fmt: skip
def test_what_is_refused(written: str, message: str) -> None:
    assert message in refused(written)


@pytest.mark.parametrize(
    "written", ["2**" * 130 + "1", "1+" * 199 + "1", "1*(" * 29 + "1" + ")" * 29, "2 ** (2 ** (2 ** 2))"]
)
def test_what_is_long_is_computed_or_refused(written: str) -> None:
    try:
        assert value(written) == eval(written)
    except WordsError as error:
        assert "a power of" in str(error)


def test_no_text_breaks_the_reader() -> None:
    chance = random.Random(0)
    pieces = [
        "1", "2.5", "1e9", "seven", "grid", "later", "shape", "word", "net", "round", "min", "exp", "(", ")", "[", "]", ",",
        ".", "+", "-", "**", "//", "%", "/", "*", '"a"', "'", '"', " ", "|", "percent", "after", "é", "²", "\t", "#", "\\",
    ]  # fmt: skip
    computed = 0
    for _ in range(4_000):
        written = "".join(chance.choices(pieces, k=chance.randint(1, 14)))
        try:
            figure, _ = parse_figure(written)
            figure.text(Scope())
            computed += 1
        except WordsError as error:
            assert str(error)
    assert computed > 50


# -- in words


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (1792, "1,792"),
        (-2, f"{MINUS}2"),
        (-0.0, "0"),
        (2.0, "2"),
        (0.125, "0.125"),
        (1 / 9, "0.1111"),
        (-1234.56, f"{MINUS}1,234.6"),
        (999.99999, "1,000"),
        (0.00001234, f"1.23e{MINUS}05"),
        (138_357_544, "138,357,544"),
        (LARGEST - 1, "999,999,999,999,999,999"),
        ((5, 5), "5×5"),
        ((64, 224, 224), "64×224×224"),
        (True, "yes"),
        (False, "no"),
        (None, "…"),
        ("sobel-x", "sobel-x"),
        (math.nan, "nan"),
        (-math.inf, f"{MINUS}inf"),
    ],
)
def test_values_in_words(found: object, expected: str) -> None:
    assert in_words(found) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1 / 3 | percent", "33 %"),
        ("1 / 3 | percent 1", "33.3 %"),
        ("1 - 1.5 | percent 1", f"{MINUS}50.0 %"),
        ("1 / 3 | 3", "0.333"),
        ("2 / 1 | 2", "2.00"),
        ("-0.001 | 2", "0.00"),
        ("-1234.5 | 1", f"{MINUS}1,234.5"),
        ("net.params", "1,792"),
        ("net.params | plain", "1792"),
        ("138357544 | short", "138.4 M"),
        ("15470264320|short", "15.5 G"),
        ("999999 | short", "1 M"),
        ("1500 | short", "1.5 k"),
        ("950 | short", "950"),
        ("2 * 10**12 | short", "2 T"),
        ("shape | cell", "5,5"),
        ("shape | list", "5, 5"),
        ("shape", "5×5"),
        ('net("[ conv 8 | id ] cat").text', "('[ conv 8 | id ] cat',)()"),
        ('net("a | b").text | plain', "('a | b')()"),
    ],
)
def test_figures_as_they_are_written(written: str, expected: str) -> None:
    assert text(written) == expected


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("seven after stride 2; padding 1", "stride 2; padding 1"),
        ("seven after stride 2 | 3", "stride 2"),
        ("seven after layers [ conv 8 | id ] cat", "layers [ conv 8 | id ] cat"),
        ("seven after layers [ conv 8 | id ] cat | percent 1", "layers [ conv 8 | id ] cat"),
        ('net("one after two").text', ""),
    ],
)
def test_what_comes_before_a_figure_is_read(written: str, after: str) -> None:
    assert parse_figure(written)[1] == after


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("seven | precent 1", "no format is called 'precent 1'; did you mean percent?"),
        ("seven | 12", "the decimals are a number from 0 to 9"),
        ("seven | percent x", "the decimals are a number from 0 to 9"),
        ("seven |", "no format is called ''; there are percent, places"),
        ("seven after stride 2 | precent", "no format is called 'precent'"),
        ("word | percent", "box cannot be written as percent"),
        ("shape | 2", "5×5 cannot be written as places"),
        ("seven | cell", "7 cannot be written as cell"),
        ("word | list", "box cannot be written as list"),
    ],
)
def test_formats_that_are_none(written: str, message: str) -> None:
    with pytest.raises(WordsError) as raised:
        text(written)
    assert message in str(raised.value)
