"""Any text at all: read, or refused in one line at its place, and soon."""

from __future__ import annotations

import contextlib
import random
import re
import signal
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnntui.core.analysis import analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.expressions import LARGEST, evaluate
from cnntui.core.items import Block
from cnntui.core.layers import Table
from cnntui.core.nets import NetFile, parse_toml, to_toml
from cnntui.core.network import Network
from cnntui.core.notation import network_text, parse
from cnntui.core.sight import sight
from cnntui.core.vocabulary import VOCABULARY, NotationError
from tests.core.random_networks import BLOCKS, random_network, reads_back

SECONDS = 1.0  # of this process's own time, so that a busy machine changes nothing; most take some milliseconds
NOT_SLOWLY = settings(
    max_examples=250, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
TABLES = {"t": Table("t", ((0, 1), (1,), (0,)))}
SHAPE = (2, 9, 7)


@contextlib.contextmanager
def soon(seconds: float = SECONDS) -> Iterator[None]:
    """Fails what takes longer, even if it would take for ever."""

    def fail(*_: object) -> None:
        raise AssertionError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGVTALRM, fail)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def one_line(error: Exception) -> None:
    message = str(error)
    assert message
    assert message.splitlines() == [message], repr(message)
    assert message.isprintable(), repr(message)


def read(text: str, blocks: tuple[Block, ...] = BLOCKS, tables: Mapping[str, Table] = TABLES) -> Network | None:
    """The network of a text, analysed; None where it is refused as it should be."""
    try:
        with soon():
            network = parse(text, SHAPE, "any", blocks, tables)
            analysis = analyse(network)
    except NotationError as error:
        one_line(error)
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines), (error.line, text)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1, (error.column, text)
        if error.excerpt:
            line, caret = error.excerpt.split("\n")
            assert caret == " " * (error.column - 1) + "^"
            assert len(line) == len(lines[error.line - 1])
            assert line.isprintable(), repr(line)
        return None
    except ImpossibleError as error:
        one_line(error)
        return None
    if analysis.error:
        one_line(ValueError(analysis.error))
    with soon():
        reads_back(network)
    return network


def read_file(text: str) -> NetFile | None:
    """As `read`, of a network's file."""
    try:
        with soon():
            net = parse_toml(text)
            analyse(net.network)
    except (NotationError, ImpossibleError) as error:
        one_line(error)
        return None
    with soon():
        assert parse_toml(to_toml(net)).network == net.network
    return net


WORDS = [
    *VOCABULARY, *VOCABULARY, "[", "]", "|", "] add", "] cat", "] mul", "(", ")", ") x2", ") x3", "x0", "x99999999999",
    ";", ";", ";", "\n", "\t", "\r", "\f", " ", "6", "3", "10", "0", "1000000", "999999999", "k3", "k1x1", "s2", "p1",
    "d2", "g2", "op1", "k0", "s0", "d0", "g0", "k1000000", "s1000000", "p1000000", "d1000000", "g1000000", "op1000000",
    "same", "valid", "nobias", "ceil", "nopad", "1,1,0,0", "0.5", ".5", "5.", "1e5", "table t", "table", "a:", "b: ",
    "input:", "from a", "from b", "from input", "from", "@keep(1, 2)", "@dense(", "@stem", "@stem()", "@nest(2)", "@",
    "{", "}", "{2*2}", "{c}", ",", "-3", "#", "é", "層", "²", "\u2028", "\x1b[31m", "\x00", "'", '"',
]  # fmt: skip


@NOT_SLOWLY
@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["", " "])), max_size=25))
def test_words_of_the_notation_in_any_order(words: list[tuple[str, str]]) -> None:
    read("".join(word + space for word, space in words))


LAYERS = st.sampled_from(
    [
        "conv 4 k3 p1", "conv 2 k1 g2", "conv 3 k1 table t", "maxpool 2", "avgpool 3 s1 p1 ceil", "tconv 3 k2 s2",
        "conv 5 k1000000 p1000000", "upsample 1000000", "maxpool 1 s1000000", "adaptiveavgpool 1000000x1",
        "pad 1000000,0,0,1000000", "conv 1000000 k1", "tconv 9 k1000000 d1000000 op1000000", "gn 1000000", "linear 10",
        "conv 1000000 g999999", "dwconv same k1000000 d1000000", "tconv 1 k1000 s1000000", "flatten", "gap", "relu",
        "a: bn", "from a", "from input", "@stem", "@se(2, 2)", "lrn", "in", "dropout 1000000", "subsample 1000000",
    ]
)  # fmt: skip
SEQUENCES = st.recursive(
    LAYERS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("; ".join),
        st.tuples(inner, st.sampled_from(["", "1", "2", "3", "40"])).map(lambda t: f"( {t[0]} ){t[1] and ' x' + t[1]}"),
        st.tuples(st.lists(inner, min_size=2, max_size=3), st.sampled_from(["add", "cat", "mul"])).map(
            lambda t: f"[ {' | '.join(t[0])} ] {t[1]}"
        ),
    ),
    max_leaves=12,
)


@NOT_SLOWLY
@given(SEQUENCES)
def test_anything_that_the_grammar_makes_with_numbers_of_any_size(text: str) -> None:
    network = read(text)
    if network is not None and len(network) < 100:
        analysis = analyse(network)
        assert len(analysis.kept_bytes) == len(network)
        for row in analysis.rows:
            assert row.problem is None or row.problem.message.isprintable()


@NOT_SLOWLY
@given(
    st.integers(0, 400),
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["", *"[](){}|;:@x\n ,-0.9é\r", " from ", " x3 "])),
        min_size=1,
        max_size=3,
    ),
)
def test_valid_networks_with_some_characters_changed(seed: int, changes: list[tuple[float, float, str]]) -> None:
    network = random_network(random.Random(seed))
    text = "\n".join(network_text(network))
    for start, length, new in changes:
        at = int(start * len(text))
        text = text[:at] + new + text[at + int(6 * length**3) :]
    read(text, network.blocks, network.tables)


@NOT_SLOWLY
@given(st.text(max_size=60))
def test_any_characters(text: str) -> None:
    read(text)


@NOT_SLOWLY
@given(
    st.lists(st.sampled_from(["conv", " ", "{", "}", "c", "c*2", "@b", "@a", "(", ")", "relu", ";", "\n", "x{c}", "|"]))
)
def test_blocks_of_any_layers(words: list[str]) -> None:
    blocks = (Block("a", ("c",), ("".join(words),)), Block("b", ("c", "d"), ("relu", "@a(c)", "conv {d}")))
    read("@a(3)", blocks)
    read("@b(1, 2)", blocks)


VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.text(max_size=9), st.datetimes(),
        st.sampled_from(["relu", "conv 3", "@b(2)", "conv {c}", "conv 1 k1 table t", "@b", "[ id | relu ] add"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["args", "layers", "inputs", "b", "t", "x y"]), inner, max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(["relu", "conv 3", "@b(2)", "conv 1 k1 table t", "[ id", "| relu ] add"]), min_size=1)
FILES = st.fixed_dictionaries(
    {"input": st.one_of(st.just([1, 5, 5]), VALUES), "layers": st.one_of(TEXTS, TEXTS, VALUES)},
    optional={
        "name": VALUES,
        "year": VALUES,
        "idea": VALUES,
        "block": st.one_of(VALUES, st.fixed_dictionaries({"b": st.just({"args": ["c"], "layers": ["conv {c}"]})})),
        "table": st.one_of(VALUES, st.just({"t": {"inputs": [[0]]}}), st.dictionaries(st.text(max_size=3), VALUES)),
        "other": VALUES,
    },
)


@NOT_SLOWLY
@given(FILES)
def test_files_of_any_values(data: dict[str, Any]) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        read_file(tomli_w.dumps(data))


@NOT_SLOWLY
@given(st.integers(0, 100), st.lists(st.tuples(st.floats(0, 1), st.text(max_size=3)), min_size=1, max_size=2))
def test_files_with_some_characters_changed(seed: int, changes: list[tuple[float, str]]) -> None:
    text = to_toml(NetFile(random_network(random.Random(seed)), 1998, "an idea"))
    for start, new in changes:
        at = int(start * len(text))
        text = text[:at] + new + text[at + 1 :]
    read_file(text)


EXPRESSIONS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(["1", "2", "0", "c", "d", "(", ")", "+", "-", "*", "//", "%", "/", " ", "999999999", "**", "é"])
    ).map("".join),
)


@NOT_SLOWLY
@given(EXPRESSIONS, st.integers(-9, 9))
def test_expressions_are_pythons_or_refused_in_one_line(text: str, c: int) -> None:
    """What is read has the value that Python gives it."""
    try:
        with soon(0.2):
            value = evaluate(text, {"c": c})
    except ValueError as error:
        one_line(error)
        return
    assert abs(value) <= LARGEST
    assert re.fullmatch(r"[0-9c\s()+*/%-]+", text)
    digits = re.sub(r"\b0+(?=[0-9])", "", text)  # Python refuses 007
    assert value == eval("(" + digits.replace("\x1f", " ") + ")", {"__builtins__": {}}, {"c": c})


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50 + "1" + ")" * 50, "-" * 150 + "1", "9" * 200, "9*" * 99 + "9", "1000000001", "(" * 200, "1//0", "1%(2-2)",
        "c" * 200, "1" * 201, "\n", "1\n2", "a\u2028b", "c.__class__", "c()", "1if 1else 2", "[1]", "0x10", "1_0", "²",
    ],
)  # fmt: skip
def test_expressions_that_are_refused(text: str) -> None:
    with soon(0.2), pytest.raises(ValueError) as error:
        evaluate(text, {"c": 3})
    one_line(error.value)


def chain(count: int, body: str, last: str, argument: str = "") -> tuple[Block, ...]:
    """Blocks, each of which calls the next one as its body says."""
    names = ("c",) if argument else ()
    blocks = [Block(f"b{i}", names, (body.replace("NEXT", f"@b{i + 1}"),)) for i in range(count)]
    return (*blocks, Block(f"b{count}", names, (last,)))


NESTED = "(" * 35 + "NEXT" + ")" * 35
HOSTILE: dict[str, tuple[str, tuple[Block, ...]]] = {
    "repeats of repeats": ("((conv 1)x999)x999", ()),
    "a large repeat": ("(relu) x1000000", ()),
    "a very large repeat": ("(relu) x99999999999999999999", ()),
    "many large repeats": ("(relu) x20000;" * 10, ()),
    "repeats of nothing but a way back": ("((from input) x1000000) x1000000", ()),
    "blocks that double": ("@b0", chain(38, "NEXT; NEXT", "relu")),
    "blocks that double nothing but a way back": ("@b0", chain(38, "NEXT; NEXT", "from input")),
    "blocks that double with other arguments": (
        "@b0(1)", chain(38, "NEXT(c*2%999983); NEXT(c*2%999983 + 1)", "from input", "c")
    ),
    "brackets": ("(" * 100_000, ()),
    "closed brackets": ("(" * 1000 + "relu" + ")" * 1000, ()),
    "branches": ("[" * 1000 + "relu" + "|relu] add" * 1000, ()),
    "brackets in blocks in brackets": ("@b0", chain(38, NESTED, "relu")),
    "brackets in blocks that are known, in brackets": (
        "; ".join(f"@b{i}" for i in reversed(range(39))), chain(38, NESTED, "relu")
    ),
    "a block that calls itself": ("@b0", (Block("b0", (), ("@b0",)),)),
    "blocks that call each other": ("@b0", (Block("b0", (), ("relu; @b1",)), Block("b1", (), ("@b0",)))),
    "a block that calls itself with other arguments": ("@b0(1)", (Block("b0", ("c",), ("@b0(c+1)",)),)),
    "digits": ("dropout " + "1" * 100_000 + "x", ()),
    "a number beyond all": ("dropout " + "9" * 400, ()),
    "digits of a kernel": ("conv 3 k" + "1" * 100_000, ()),
    "digits of a repeat": ("(relu) x" + "1" * 100_000, ()),
    "braces": ("{" * 100_000, ()),
    "braces and letters": ("conv {a" * 20_000, ()),
    "colons": ("a:" * 50_000, ()),
    "a long word": ("a" * 300_000, ()),
    "spaces": ("a" + " " * 300_000 + "b", ()),
    "an open call": ("@keep(" * 20_000, BLOCKS),
    "a long expression": ("@keep(" + "(" * 20_000 + ")" * 20_000 + ")", BLOCKS),
    "sizes in a size": ("conv 3 k" + "x".join("1" * 50_000), ()),
    "many faults": ("conv 6 k0 s0 d0 g0 same p1 q7", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_fill_the_memory_or_never_end_is_refused(name: str) -> None:
    text, blocks = HOSTILE[name]
    assert read(text, blocks) is None


LONG = {
    "a name given in a repeat": "( a: relu ) x20000",
    "names and groups": ";".join(f"a{i}: relu; (relu)" for i in range(9_000)),
    "many names": ";".join(f"a{i}: relu" for i in range(9_999)) + f";[id{''.join(f'|from a{i}' for i in range(9_999))}] add",
    "layers": "relu;" * 19_999,
    "nested repeats": "((((((((relu)x3)x3)x3)x3)x3)x3)x3)x3",
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_the_largest_networks_are_read_at_once(name: str) -> None:
    with soon(3):
        network = parse(LONG[name], SHAPE)
    assert len({node.name for node in network}) == len(network) > 6_000


LARGE = [
    "tconv 4 k3000 d1000 op3001", "tconv 4 k1000000 d1000000 op1000000 p1000000", "tconv 1 k1 p1000000",
    "conv 7 g1000000", "conv 1000000 g999999", "gn 1000000", "tconv 7 g1000000", "adaptiveavgpool 1000000",
    "(maxpool 1 s1000000) x60", "(conv 2 k1 s1000000) x60", "(upsample 1000000) x1000; linear 3",
    "(tconv 2 k1 s1000000) x1000; add: [ id | gap ] add", "(upsample 1000000) x1000", "(pad 1000000,0,0,0) x1000; gn 7",
    "([ id | id | id | id | id | id | id | id | id ] cat) x500; flatten; linear 10; bn",
    "([ id | id ] cat) x3000; ln; conv 3", "(upsample 1000) x60; (conv 2 k1 s1000) x60; avgpool 2",
    "(dwconv k1000000 d1000000 p1000000 s1000000) x60", "maxpool 1000000 p500000", "maxpool 1000000 ceil s1000000",
]  # fmt: skip


@pytest.mark.parametrize("text", LARGE)
def test_numbers_of_any_size_are_analysed(text: str) -> None:
    """With facts or with a message that can be printed, and soon; also what a unit of the first layer sees."""
    with soon():
        analysis = analyse(parse(text, SHAPE))
        for row in analysis.rows:
            for facts in (row.output, row.params, row.buffers, row.macs, row.field, row.problem):
                assert str(facts)
        assert str(analysis.memory)
        assert analysis.error is None or analysis.error.isprintable()
        for fields in (row.field for row in analysis.rows if row.field):
            assert all(isfinite(float(number)) for one in fields for number in (one.size, one.jump, one.start))
        assert sight(analysis, 0) is None or analysis.rows[0].output is not None


@pytest.mark.parametrize(
    "text",
    [
        "input = " + "[" * 5000,
        "input = " + "{a=" * 5000,
        "name." + "a." * 3000 + "b = 1",
        "input." + "a." * 300 + "b = 1\nlayers=['relu']",
        "input = [1, 1, " + "1" * 5000 + "]\nlayers = ['relu']",
        "input = [1, 1, 0x" + "f" * 5000 + "]\nlayers = ['relu']",
        "name = 0x" + "f" * 5000 + "\ninput = [1, 1, 1]\nlayers = ['relu']",
        "year = 0x" + "f" * 5000 + "\ninput = [1, 1, 1]\nlayers = ['relu']",
        "input = [1, 1, 1]\nlayers = ['conv 1 k1 table t']\n[table.t]\ninputs = [[0x" + "f" * 5000 + "]]",
        "input = [1, 1, 1]\nlayers = ['@a']\n[block.a]\nlayers = ['@a']",
        "input = [1, 1, 1]\nlayers = ['relu']\n[table]\n'a\\nb' = 1",
        "input = [1, 1, 1]\nlayers = ['relu']\n[table]\n\"a\\nb\\u2028\" = {}",
        "input = [1, 1, 1]\nlayers = ['relu']\n[block.a]\nargs = ['c\\n']\nlayers = []",
        'input = [1, 1, 1]\nlayers = ["relu\\u0007", "cnv\\u001b[2J"]',
        "layers = ['relu']\ninput = [1, 1000000000000, 1]",
        "layers = ['relu']\ninput = [true, 1, 1]",
        "\x00",
        "a" * 100_000,
    ],
)  # fmt: skip
def test_files_that_are_refused(text: str) -> None:
    assert read_file(text) is None


def test_a_block_without_brackets_may_stand_before_a_group_on_the_next_line() -> None:
    stem = (Block("stem", (), ("tanh",)),)
    network = parse("@stem\n( relu ) x2", SHAPE, blocks=stem)
    assert [node.layer.op for node in network] == ["tanh", "relu", "relu"]
    reads_back(network)


@pytest.mark.parametrize(
    ("text", "line", "column", "excerpt"),
    [
        ("relu\rcnv 6", 1, 6, "relu cnv 6\n     ^"),
        ("relu;\u2028cnv 6", 1, 7, "relu; cnv 6\n      ^"),
        ("relu\ncnv 6", 2, 1, "cnv 6\n^"),
        ("[ relu\n", 2, 1, "\n^"),
    ],
)
def test_a_line_is_what_ends_with_a_new_line_whatever_else_there_is(
    text: str, line: int, column: int, excerpt: str
) -> None:
    with pytest.raises(NotationError) as error:
        parse(text, SHAPE)
    assert (error.value.line, error.value.column) == (line, column)
    assert error.value.excerpt == excerpt
    one_line(error.value)
