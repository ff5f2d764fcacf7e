"""The facts of a network as tables: exact for programs, readable for people, and nothing in them that is obeyed."""

from __future__ import annotations

import csv
import re

import pytest

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.items import Single
from cnntui.core.layers import Conv
from cnntui.core.nets import load_net, zoo
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.labs import tables
from cnntui.labs.columns import COLUMNS, DEFAULT

ADDING = {"params": "params", "buffers": "buffers", "macs": "macs", "memory": "memory"}


def analysed(text: str, *shape: int) -> Analysis:
    return analyse(parse(text, shape))


def cells(line: str) -> list[str]:
    """The cells of a line of Markdown, as they are shown."""
    found = re.split(r"(?<!\\)\|", line)[1:-1]
    return [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in found]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_table_in_markdown_has_a_row_a_layer_and_the_totals() -> None:
    analysis = analysed("C1: conv 6 k5; relu; maxpool 2; flatten; linear 10", 1, 28, 28)
    assert tables.markdown(analysis) == (
        "| name | as written | output | params | MACs | field |\n"
        "| --- | --- | ---: | ---: | ---: | ---: |\n"
        "| C1 | conv 6 k5 | 6×24×24 | 156 | 86,400 | 5 |\n"
        "| relu1 | relu | 6×24×24 | 0 | 0 | 5 |\n"
        "| maxpool1 | maxpool 2 | 6×12×12 | 0 | 0 | 6 |\n"
        "| flatten1 | flatten | 864 | 0 | 0 | image |\n"
        "| linear1 | linear 10 | 10 | 8,650 | 8,640 | image |\n"
        "| **total** |  |  | **8,806** | **95,040** |  |\n"
    )


@pytest.mark.parametrize("name", zoo())
def test_the_rows_of_a_column_that_adds_up_make_its_total(name: str) -> None:
    analysis = analyse(load_net(name).network)
    rows = read(tables.csv(analysis, tuple(COLUMNS)))
    last = dict(zip(COLUMNS, cells(tables.markdown(analysis, tuple(COLUMNS)).splitlines()[-1]), strict=True))
    for key, total in ADDING.items():
        found = sum(int(row[key]) for row in rows)
        assert found == getattr(analysis, total)
        assert last[key] == f"**{COLUMNS[key].write(found)}**"
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    assert [row["name"] for row in rows] == [node.name for node in analysis.network]


def test_csv_has_every_digit_and_no_words_for_numbers() -> None:
    analysis = analysed("conv 8 k7x3 s2 p3x0; [ id | conv 8 p1; conv 8 k1 ] add; conv 8 s3 g2; gap", 3, 2000, 1501)
    rows = read(tables.csv(analysis, tuple(COLUMNS)))
    for row, facts in zip(rows, analysis.rows, strict=True):
        assert int(row["params"]) == facts.params
        assert int(row["macs"]) == facts.macs
        assert row["output"] == "×".join(map(str, facts.output or ()))
        if facts.field:
            for key, name in (("field", "size"), ("jump", "jump"), ("start", "start"), ("effective", "deviation")):
                assert [float(each) for each in row[key].split("x")] in (
                    [getattr(axis, name) for axis in facts.field],
                    [getattr(facts.field[0], name)],
                )
    assert rows[5]["groups"] == "2"
    assert rows[-1]["field"] == "image"
    assert rows[-1]["jump"] == ""


def test_a_large_field_keeps_its_digits_in_csv() -> None:
    analysis = analysed("( conv 1 k5 d7 ) x60", 1, 2000, 2000)
    (size,) = {row["field"] for row in read(tables.csv(analysis))[-1:]}
    assert size == str(60 * 28 + 1)


def test_where_a_layer_is_impossible_the_layers_before_it_keep_their_facts() -> None:
    analysis = analysed("conv 4; conv 8 k9; relu", 1, 8, 8)
    assert tables.csv(analysis) == (
        "name,text,output,params,macs,field,problem\n"
        "conv1,conv 4,4×6×6,40,1296,3,\n"
        "conv2,conv 8 k9,,,,,impossible: kernel 9 > 6\n"
        "relu1,relu,,,,,waits\n"
    )
    lines = tables.markdown(analysis, ["params", "share", "output"]).splitlines()
    assert [cells(line) for line in lines] == [
        ["params", "of params", "output", "problem"],
        ["---:", "---", "---:", "---"],
        ["40", "100.0%", "4×6×6", ""],
        ["", "", "", "impossible: kernel 9 > 6"],
        ["", "", "", "waits"],
        ["**40**", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-2x3", "'-2x3"), ("@SUM(A1)", "'@SUM(A1)"), ("-2", "-2"), ('a"b,c', 'a"b,c'),
        ("\t=1", "'=1"), ("a\nb", "ab"), ("畳み込み", "畳み込み"),
    ],
)  # fmt: skip
def test_a_name_is_no_formula_in_a_spreadsheet(name: str, plain: str) -> None:
    analysis = analyse(Network("", (1, 8, 8), (Single(Conv(1), name=name),)))
    (row,) = read(tables.csv(analysis))
    assert row["name"] == plain


@pytest.mark.parametrize("name", ["a|b", "__init__", "*a*", "<b>", "a`b", "a\\|b", "[x](y)"])
def test_a_name_stays_in_its_cell_in_markdown(name: str) -> None:
    analysis = analyse(Network("", (1, 8, 8), (Single(Conv(1), name=name),)))
    line = tables.markdown(analysis).splitlines()[2]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(DEFAULT) + 1
    assert re.sub(r"\\(.)", r"\1", line).startswith(f"| {name} | conv 1 |")


def test_columns_stand_in_the_order_asked_for_and_unknown_ones_are_named() -> None:
    analysis = analysed("relu", 1, 2, 2)
    assert tables.csv(analysis, ["output", "name"]) == "output,name\n1×2×2,relu1\n"
    for write in (tables.csv, tables.markdown):
        with pytest.raises(ValueError, match=r"^no column is called 'weight'; there are name, op, .*, effective$"):
            write(analysis, ["name", "weight"])


def test_a_network_without_layers_is_a_table_without_rows() -> None:
    analysis = analyse(Network("", (1, 8, 8), ()))
    assert tables.csv(analysis) == "name,text,output,params,macs,field\n"
    assert tables.markdown(analysis).splitlines()[2:] == ["| **total** |  |  | **0** | **0** |  |"]
