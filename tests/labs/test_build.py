"""The building lab without a screen: lines, moves on items, goals, other ways to do a job."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from math import ceil, floor

import pytest

from cnntui.core.analysis import analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.items import Block, Call, Repeat
from cnntui.core.nets import NetFile, parse_toml, to_toml, zoo
from cnntui.core.notation import network_text, parse
from cnntui.core.vocabulary import NotationError
from cnntui.labs.build import BuildState, open_net
from cnntui.labs.derivation import derivation
from cnntui.labs.goal import parse_goal
from cnntui.labs.outline import foldable, outline, path_of
from cnntui.labs.whatif import difference, ways

BLOCKS = (Block("b", ("c",), ("[ conv {c} p1; bn | id ] add",)),)


def state(text: str, shape: tuple[int, int, int] = (3, 16, 16)) -> BuildState:
    return BuildState(NetFile(parse(text, shape)))


def at(lab: BuildState, text: str, nth: int = 0) -> BuildState:
    """With the nth line of that text selected."""
    return lab.select([i for i, line in enumerate(lab.lines) if line.text == text][nth])


def written(lab: BuildState) -> str:
    return "; ".join(network_text(lab.network))


# -- lines


@pytest.mark.parametrize("name", zoo())
def test_every_layer_has_one_line_of_its_own(name: str) -> None:
    network = open_net(name).network
    lines = outline(network, frozenset())
    assert [line.first for line in lines if not line.fold and line.row is not None] == list(range(len(network)))


@pytest.mark.parametrize("name", zoo())
def test_a_folded_line_stands_for_all_that_it_holds(name: str) -> None:
    """What the shut net shows adds up to the whole."""
    lab = replace(open_net(name), folded=frozenset(foldable(open_net(name).network.items)))
    rows = lab.analysis.rows
    assert sum(row.params for line in lab.lines for row in rows[line.first : line.last]) == lab.analysis.params
    assert len(lab.lines) == len(lab.network.items)


def test_branches_and_repeats_are_drawn() -> None:
    lab = state("conv 4; ( [ conv 4 p1; relu | id ] add; bn ) x2; gap")
    assert [f"{line.guide}{line.text}" for line in lab.lines] == [
        "conv 4",
        "( … ) x2",
        "  [ 2 branches ] add",
        "  ├ conv 4 p1",
        "  │ relu",
        "  ├ id",
        "  └ add",
        "  bn",
        "  [ 2 branches ] add",
        "  ├ conv 4 p1",
        "  │ relu",
        "  ├ id",
        "  └ add",
        "  bn",
        "gap",
    ]
    assert {path_of(lab.network.items, line.key) for line in lab.lines if line.text == "bn"} == {(1, 0, 1)}


def test_folding_opens_and_shuts_and_keeps_its_place_when_something_is_added_above() -> None:
    lab = at(state("conv 4; ( conv 4 p1; relu ) x3; gap"), "( … ) x3").fold()
    assert lab.texts == ["conv 4", "( conv 4 p1; relu ) x3", "gap"]
    added = lab.select(0).add("bn; relu")
    assert added.texts == ["conv 4", "bn", "relu", "( conv 4 p1; relu ) x3", "gap"]
    assert added.line is not None
    assert added.line.text == "relu"
    assert len(added.fold_all().lines) == 5 + 6, "all were shut, so all are opened"
    assert added.fold_all().fold_all().texts == added.texts
    inside = at(state("( conv 4 p1; relu ) x3"), "relu", 1).fold(True)
    assert inside.texts == ["( conv 4 p1; relu ) x3"], "left, inside a group, shuts the group"


# -- moves


def test_an_edit_inside_a_repeat_is_made_once_for_all_its_times() -> None:
    lab = at(state("( conv 4 p1; relu ) x3; gap"), "relu", 2).rewrite("tanh")
    assert written(lab) == "( conv 4 p1; tanh ) x3; gap"
    assert lab.line is not None
    assert lab.line.first == 5, "the same time of it stays selected"


def test_moves_inside_a_branch() -> None:
    lab = at(state("[ conv 3 p1; bn | id ] add"), "bn")
    assert written(lab.add("relu")) == "[ conv 3 p1; bn; relu | id ] add"
    assert written(lab.add("relu", before=True)) == "[ conv 3 p1; relu; bn | id ] add"
    assert written(lab.move(-1)) == "[ bn; conv 3 p1 | id ] add"
    assert written(lab.move(5)) == "[ conv 3 p1; bn | id ] add", "no further than its branch"
    assert written(lab.duplicate()) == "[ conv 3 p1; bn; bn | id ] add"
    assert written(lab.delete()) == "[ conv 3 p1 | id ] add"
    assert written(lab.delete().delete()) == "[ id | id ] add", "an emptied branch passes its input on"


def test_several_lines_at_once() -> None:
    lab = at(at(state("conv 4 p1; bn; relu; gap"), "conv 4 p1").mark(), "relu")
    assert lab.span == ((0,), 3)
    assert written(lab.wrap("x3")) == "( conv 4 p1; bn; relu ) x3; gap"
    assert written(lab.wrap("add")) == "[ conv 4 p1; bn; relu | id ] add; gap"
    assert written(lab.duplicate()) == "conv 4 p1; bn; relu; conv 4 p1; bn; relu; gap"
    assert written(lab.delete()) == "gap"
    assert lab.wrap("cat").marked is None
    with pytest.raises(NotationError, match="is none of x2, x3"):
        lab.wrap("twice")


def test_wrapping_and_opening_again() -> None:
    lab = state("conv 4 p1; relu; gap")
    assert written(lab.wrap("x2").unwrap()) == "conv 4 p1; conv 4 p1; relu; gap"
    with pytest.raises(NotationError, match="only a block or a repeat"):
        lab.wrap("add").unwrap()
    with pytest.raises(NotationError, match="only a block or a repeat"):
        lab.unwrap()


def test_layers_become_a_block_that_can_be_called_again() -> None:
    lab = at(at(state("conv 4 p1; bn; relu; gap"), "conv 4 p1").mark(), "relu").wrap("@step")
    assert written(lab) == "@step(); gap"
    assert [block.layers for block in lab.network.blocks] == [("conv 4 p1", "bn", "relu")]
    assert written(lab.add("@step()")) == "@step(); @step(); gap"
    assert parse_toml(to_toml(lab.net)) == lab.net
    with pytest.raises(NotationError, match="there is a block step already"):
        lab.wrap("@step")


INPUT_BLOCK = (Block("b", (), ("conv 4 k1", "[ conv 4 k1 | from input ] cat")),)


def test_no_move_makes_another_net_of_it_unasked() -> None:
    """Inside a block `from input` is the block's input: opening it, or making one, would change what is computed."""
    lab = BuildState(NetFile(parse("conv 2 k1; @b(); gap; linear 3", (1, 8, 8), blocks=INPUT_BLOCK)))
    with pytest.raises(NotationError, match="from input means a block's own input"):
        at(lab, "@b()").unwrap()
    plain = state("conv 2 k1; [ conv 4 k1 | from input ] cat; gap", (1, 8, 8))
    with pytest.raises(NotationError, match="from input means a block's own input"):
        plain.select(1).wrap("@c")


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121", "efficientnet-b0", "mobilenetv2", "unet"])
def test_opening_all_its_groups_leaves_a_net_what_it_was(name: str) -> None:
    lab = open_net(name)
    before = lab.network.wiring
    while (
        group := next((i for i, item in enumerate(lab.network.items) if isinstance(item, Call | Repeat)), None)
    ) is not None:
        lab = lab._at((group,)).unwrap()
    assert lab.network.wiring == before


def test_names_inside_a_group_do_not_stand_in_the_way_of_opening_it() -> None:
    lab = state("( a: conv 3 p1; [ from a | id ] add ) x3; gap")
    opened = lab.select(0).unwrap()
    assert opened.network.wiring == lab.network.wiring
    assert written(opened).count("a-") == 4, "the first keeps its name"
    twice = (Block("b", ("k",), ("a: conv 4 k{k}", "bn")),)
    broken = BuildState(NetFile(parse("@b(50); @b(70); relu", (1, 8, 8), blocks=twice)))
    assert broken.mend(0).mend(0).analysis.error is None


def test_folds_stay_with_their_items() -> None:
    lab = state("conv 3 p1; ( bn; relu ) x2; ( conv 3 p1; ( bn; bn ) x2; ( relu; relu ) x2 ) x2; gap")

    def folded(of: BuildState) -> list[str]:
        return [line.text for line in of.lines if line.fold == "folded"]

    lab = at(lab, "( … ) x2").fold()
    lab = at(lab, "( … ) x2", 2).fold()
    wanted = ["( bn; relu ) x2", "( relu; relu ) x2"]
    assert folded(lab) == wanted
    assert folded(lab.select(0).add("tanh; tanh")) == wanted
    assert folded(lab.select(0).delete()) == wanted
    assert folded(lab.select(1).move(-1)) == wanted
    assert folded(lab.select(0).wrap("x1")) == wanted
    assert folded(at(lab, "conv 3 p1", 1).add("tanh")) == wanted
    assert folded(at(lab, "conv 3 p1", 1).delete()) == wanted
    assert folded(lab.select(1).duplicate()) == [wanted[0], *wanted]
    assert folded(at(lab, "( … ) x2").unwrap())[0] == wanted[0]


def test_a_table_stays_though_nothing_uses_it_now() -> None:
    lab = open_net("lenet5-1998")
    lab = lab.select(next(i for i, line in enumerate(lab.lines) if "table" in line.text))
    again = lab.delete().add("conv 16 k5 table c3", before=True)
    assert again.analysis.params == 60_000
    assert "[table.c3]" in to_toml(lab.delete().net)


def test_what_changes_nothing_is_no_change() -> None:
    lab = open_net("lenet5")
    assert lab.move(-1).net is lab.net
    assert lab.rewrite("conv 6 k5").net is lab.net


def test_another_way_keeps_the_name() -> None:
    lab = state("stem: conv 8 k5 p2; relu")
    assert written(lab.instead(next(way for way in ways(lab.analysis, 0) if way.title == "2 of 3×3"))) == (
        "conv 8 p1; stem: conv 8 p1; relu"
    )


def test_a_duplicate_leaves_the_name_to_the_first() -> None:
    assert written(state("stem: conv 4 p1; relu").duplicate()) == "stem: conv 4 p1; conv 4 p1; relu"


def test_what_is_inside_a_block_is_edited_for_all_its_calls() -> None:
    lab = open_net("resnet18").fold_all()
    lab = lab if any(line.block for line in lab.lines) else lab.fold_all()
    inside = next(i for i, line in enumerate(lab.lines) if line.block == "residual" and line.text == "relu")
    lab = lab.select(inside)
    assert "{c}" in lab.written
    with pytest.raises(NotationError, match="inside block residual"):
        lab.delete()
    edited = lab.rewrite(lab.written.replace("relu", "silu"))
    ops = [node.layer.op for node in edited.network]
    assert ops.count("silu") == 2 * sum(text.count("@residual") for text in network_text(lab.network)) + 2
    assert edited.network.name == "my-resnet18"
    opened = at(lab, "@residual(64)").unwrap()
    assert all(line.block != "residual" for line in opened.lines if line.first in (4, 5))


def test_the_paper_no_longer_speaks_for_a_changed_net() -> None:
    lab = open_net("lenet5").duplicate()
    assert (lab.net.year, lab.net.source, lab.network.name) == (None, "", "my-lenet5")
    assert open_net("lenet5").with_input("1,64,64").network.name == "my-lenet5"
    assert open_net("lenet5").with_input("1,32,32").network.name == "lenet5"


# -- what is impossible


def test_a_fix_at_a_merge_goes_to_the_end_of_the_branch() -> None:
    lab = state("conv 8; [ conv 8 p1 | conv 4 k1 ] add; gap; linear 3")
    assert lab.fixes[0] == "branch 2: conv 8 k1"
    assert written(lab.mend(0)) == "conv 8; [ conv 8 p1 | conv 4 k1; conv 8 k1 ] add; gap; linear 3"
    assert lab.mend(0).analysis.error is None


def test_a_fix_inside_a_block_opens_the_call_that_fails() -> None:
    lab = BuildState(NetFile(parse("@b(3); @b(4)", (3, 8, 8), blocks=BLOCKS)))
    assert lab.analysis.failing is not None
    mended = lab.mend(0)
    assert mended.analysis.error is None
    assert written(mended).startswith("@b(3); ")


def test_layers_below_a_mistake_wait_and_those_beside_it_do_not() -> None:
    lab = state("conv 8; [ conv 8 k99 | conv 8 k1; relu ] add; gap")
    outputs = [row.output for row in lab.analysis.rows]
    assert outputs == [(8, 14, 14), None, (8, 14, 14), (8, 14, 14), None, None]


# -- goals


def test_a_goal_is_checked_while_the_net_changes() -> None:
    goal = parse_goal("field at least 14, params <= 3k; last map 5x5")
    lab = state("conv 6 k5; relu; maxpool 2; conv 16 k5; relu; maxpool 2", (1, 32, 32))
    reached = [condition.reached(lab.analysis) for condition in goal.conditions]
    assert reached == [(True, "16"), (True, "2,572"), (True, "16×5×5")]
    smaller = lab.select(3).rewrite("conv 16 k3")
    assert [condition.reached(smaller.analysis)[0] for condition in goal.conditions] == [False, True, False]
    assert parse_goal(goal.text()) == goal


@pytest.mark.parametrize("text", ["fast", "field >= many", "colour = 3", ";", "output 3xx"])
def test_what_is_no_goal_says_what_one_is(text: str) -> None:
    with pytest.raises(NotationError, match="last map 7x7"):
        parse_goal(text)


# -- what if


def test_the_same_job_otherwise() -> None:
    analysis = analyse(parse("conv 16 k5 p2", (6, 14, 14)))
    found = {way.title: (way.params, way.macs) for way in ways(analysis, 0)}
    assert found["as it is"] == (2_416, 470_400)
    assert found["2 of 3×3"] == (16 * 6 * 9 + 16 + 16 * 16 * 9 + 16, (16 * 6 * 9 + 16 * 16 * 9) * 196)
    assert found["locally connected"] == (16 * 196 * (6 * 25 + 1), 16 * 196 * 150)
    assert found["fully connected"] == (16 * 196 * (6 * 196 + 1), 16 * 196 * 6 * 196)


@pytest.mark.parametrize("seed", range(40))
def test_every_other_way_makes_the_same_shape_at_the_cost_it_says(seed: int) -> None:
    rng = random.Random(seed)
    text = (
        f"conv {rng.randint(1, 9)} k{rng.choice([1, 3, 5, 7])} {rng.choice(['same', 'p1 s2', 'p3', 's2 p2', ''])} "
        f"{rng.choice(['', 'nobias'])}"
    )
    lab = state(text, (rng.randint(1, 4), 17, 19))
    for way in ways(lab.analysis, 0):
        if way.layers:
            other = lab.instead(way).analysis
            assert other.error is None
            assert (other.output, other.params, other.macs) == (lab.analysis.output, way.params, way.macs)


def test_global_average_pooling_against_flattening() -> None:
    lab = state("conv 32 k3; flatten; linear 10", (1, 9, 9))
    found = {way.title: way for way in ways(lab.analysis, 2)}
    assert found["flatten, then linear"].params == 32 * 49 * 10 + 10
    assert found["gap, then linear"].params == 32 * 10 + 10
    assert written(lab.instead(found["gap, then linear"])) == "conv 32; gap; linear 10"


def test_two_nets_side_by_side() -> None:
    pairs = difference(analyse(open_net("vgg11").network), analyse(open_net("vgg13").network))
    extra = [pair.right for pair in pairs if pair.left is None]
    assert [row.node.layer.op for row in extra if row] == ["relu", "conv", "relu", "conv"]
    assert all(pair.same for pair in pairs if pair.left is not None)


# -- undo is keeping the old state


@pytest.mark.parametrize("seed", range(30))
def test_random_moves_leave_a_net_that_reads_back(seed: int) -> None:
    rng = random.Random(seed)
    lab = open_net(rng.choice(["resnet18", "googlenet", "unet", "densenet121", "lenet5-1998", "mnist-3conv"]))
    for _ in range(25):
        lab = lab.select(rng.randrange(len(lab.lines) or 1))
        moves: list[Callable[[BuildState], BuildState]] = [
            lambda s: s.add(rng.choice(["relu", "conv 8 p1; bn", "[ id | relu ] add", "( relu ) x2"])),
            lambda s: s.rewrite(rng.choice(["relu", "bn; relu"])),
            lambda s: s.delete(),
            lambda s: s.duplicate(),
            lambda s: s.move(rng.choice([-1, 1, 3])),
            lambda s: s.wrap(rng.choice(["x2", "add"])),
            lambda s: s.unwrap(),
            lambda s: s.fold(),
            lambda s: s.fold_all(),
            lambda s: s.mark(),
            lambda s: s.mend(0),
            lambda s: s.wrap(f"@b{len(s.network.blocks)}"),
            lambda s: s.instead(ways(s.analysis, rng.randrange(len(s.network) or 1))[-3]),
            lambda s: s.with_input(f"{rng.randint(1, 4)},{rng.randint(9, 99)},64"),
        ]
        try:
            lab = rng.choice(moves)(lab)
        except (NotationError, ImpossibleError, IndexError):  # IndexError: no other way to do it
            continue
        assert lab.folded <= frozenset(foldable(lab.network.items)), "a fold is where something can be folded"
        again = (
            parse(
                "\n".join(network_text(lab.network)),
                lab.network.input,
                lab.network.name,
                lab.network.blocks,
                lab.network.tables,
            )
            if lab.network.items
            else lab.network
        )
        assert again == lab.network
        assert again.nodes == lab.network.nodes
        assert lab.selected < max(1, len(lab.lines))


# -- the numbers written out


@pytest.mark.parametrize("name", zoo())
def test_what_is_written_out_comes_to_what_the_table_says(name: str) -> None:
    """Each formula, worked out as it is printed, gives the number behind its =, and that is the row's."""
    analysis = analyse(open_net(name).network)
    counted = 0
    for index, row in enumerate(analysis.rows):
        facts = {
            "params": row.params,
            "MACs": row.macs,
            "buffers": row.buffers,
            "field": row.field and row.field[0].size,
            "size": row.output and row.output[-1],
        }
        for fact, text in derivation(analysis, index):
            if "=" not in text:
                continue
            formula, result = text.rsplit(" = ", 1)
            if not result.replace(",", "").replace(".", "").isdigit():
                continue
            assert worked_out(formula) == pytest.approx(float(result.replace(",", ""))), (row.node.name, text)
            if fact in facts:
                assert facts[fact] == pytest.approx(float(result.replace(",", ""))), (row.node.name, fact, text)
            counted += 1
    assert counted > len(analysis.rows) / 3


def worked_out(formula: str) -> float:
    """A printed formula's value: ⌊ ⌋ and ⌈ ⌉ are whole divisions down and up."""
    formula = re.sub(r" − 1 that would start beyond the input", " − 1", formula)
    formula = formula.replace("−", "-").replace("·", "*").replace(",", "")
    formula = re.sub(r"⌊([^⌋]*)⌋", r"floor(\1)", formula)
    formula = re.sub(r"⌈([^⌉]*)⌉", r"ceil(\1)", formula)
    assert re.fullmatch(r"[-+*/() 0-9.]*", formula.replace("floor", "").replace("ceil", "")), formula
    return float(eval(formula, {"floor": floor, "ceil": ceil, "__builtins__": {}}))
