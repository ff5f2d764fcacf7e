"""The cell level: every term is reached, and nothing else; every line re-adds; steps lead down to the pixels and up."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest

from cnntui.core.explanation import Source
from cnntui.core.network import INPUT
from cnntui.core.notation import parse
from cnntui.core.operation import Part
from cnntui.labs.account import written
from cnntui.labs.cell import Anatomy, Listing, anatomy, channel, first, moved, source
from cnntui.labs.cell_lines import arithmetic
from cnntui.labs.explore import LAYER, ExploreState, MoveError
from tests.core.random_networks import random_network
from tests.core.readding import decimal, readd, unit
from tests.labs.test_handover import of, opened

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
NETWORKS, UNITS = 120, 6
MOST = 150  # terms of a number whose every term is walked to


def any_unit(rng: random.Random, state: ExploreState) -> ExploreState:
    node = rng.choice(list(state.trace.values))
    return state.look(node, tuple(rng.randrange(size) for size in state.shape(node)))


def reached(state: ExploreState) -> set[int]:
    """Every term that the moves lead to."""
    seen, waiting = {first(state)}, [first(state)]
    while waiting:
        index = waiting.pop()
        near = [moved(state, index, *by) for by in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        near += [channel(state, index, by) for by in (1, -1)]
        for other in near:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def judge(state: ExploreState, index: int) -> Anatomy:
    """What is shown agrees with the explanation."""
    whole, steps = anatomy(state, index), state.explanation.steps
    for part in whole.parts:
        readd(str(part.equation))
    if not steps:
        assert state.node == INPUT
        return whole
    assert whole.value == steps[0].equations[-1].result == whole.parts[-1].equation.result
    assert [part.name for part in whole.parts][-len(steps) :] == [step.node for step in reversed(steps)]
    # What a line gives is what the next one takes.
    for before, after in zip(
        whole.parts[-len(steps) :], whole.parts[len(whole.parts) - len(steps) + 1 :], strict=False
    ):
        if after.equation.function and after.equation.joint == " + ":
            assert before.equation.result in after.equation.terms[0]
    step = steps[-1]
    if not step.terms:
        return whole
    term = step.terms[index]
    assert whole.enters == (term.source is not None)
    if whole.grid:
        grid = whole.grid
        np.testing.assert_equal(grid.values[grid.cursor], term.value)
        assert grid.padding[grid.cursor] == (term.source is None)
        if grid.weights is not None and grid.products is not None:
            np.testing.assert_equal(grid.weights[grid.cursor], term.weight)
            np.testing.assert_equal(grid.products[grid.cursor], term.product)
        if step.winner is not None:
            assert grid.winner is not None
            np.testing.assert_equal(grid.values[grid.winner], grid.values[~grid.padding].max())
        assert len(step.terms) == grid.values.size * max(1, len(whole.partials))
    else:
        assert whole.listing is not None
        assert whole.listing.order[whole.listing.cursor] == index
        assert sorted(whole.listing.order) == list(range(len(step.terms)))
    if whole.partials:
        total = sum(partial.value for partial in whole.partials) + step.bias
        assert total == pytest.approx(step.value, rel=1e-9, abs=1e-9, nan_ok=True)
    if found := re.match(r"(.* = .*), from ", whole.chosen):
        readd(found[1])
    return whole


def test_every_term_is_reached_and_every_line_re_adds() -> None:
    rng, kinds, grids = random.Random(7), set(), 0
    for seed in range(NETWORKS):
        state = opened(random_network(rng), seed)
        for _ in range(UNITS):
            state = any_unit(rng, state)
            terms = state.explanation.terms
            if terms and len(terms) <= MOST:
                assert reached(state) == set(range(len(terms)))
            whole = judge(state, first(state))
            if terms:
                whole = judge(state, rng.randrange(len(terms)))
                kinds.add(state.explanation.steps[-1].kind)
            grids += whole.grid is not None
    assert kinds >= {"sum", "mean", "max", "norm", "softmax", "product", "copy"}
    assert grids > 100


def test_into_every_terms_source_and_back() -> None:
    rng, steps = random.Random(8), 0
    starts = [any_unit(rng, opened(random_network(rng), seed)) for seed in range(120)]
    for start in starts:
        for index, term in list(enumerate(start.explanation.terms))[:MOST]:
            if term.source is None:
                with pytest.raises(MoveError, match="padding"):
                    source(start, index)
                continue
            inside = start.down(source(start, index))
            assert inside.value == term.value
            assert inside.up().node == start.node
            assert inside.up().unit == start.unit
            assert inside.up().path == ()
            steps += 1
    assert steps > 500


def test_down_to_the_pixels() -> None:
    state = of(
        "conv 4 k3 p1; bn; relu; maxpool 2; conv 3 k3; relu; flatten; linear 5; relu; linear 3",
        (1, 8, 8),
        "linear2",
        (2,),
    )
    values = [state.value]
    while state.node != INPUT:
        state = state.down(source(state, first(state)))
        values.append(state.value)
    assert [found.node for found in state.path] == ["linear2", "relu3", "relu2", "maxpool1", "relu1"]
    whole = anatomy(state, 0)
    assert " ← ".join(whole.path).startswith("linear2[2] ← relu3[")
    assert whole.meaning[0].startswith("the pixel at row")
    with pytest.raises(MoveError, match="pixel"):
        source(state, 0)
    for value in reversed(values):
        assert state.value == value
        state = state.up()
    assert state.level == LAYER


def test_a_grid_is_walked_by_rows_and_columns() -> None:
    state = of("conv 2 k3x4 p1", (3, 7, 7), "conv1", (1, 3, 3))
    size = 12
    assert anatomy(state, 0).grid is not None
    assert moved(state, 0, 1, 0) == 4
    assert moved(state, 0, -1, 0) == moved(state, 0, 0, -1) == 0
    assert moved(state, 0, 9, 9) == size - 1
    assert channel(state, 5, 1) == 5 + size
    assert channel(state, 5 + 2 * size, 1) == 5 + 2 * size
    assert source(state, 5) == Source(INPUT, (0, 3, 3))


def test_the_listing_begins_with_what_counts_most() -> None:
    state = of("flatten; linear 4", (2, 6, 6), "linear1", (1,))
    whole = judge(state, first(state))
    listing = whole.listing
    assert isinstance(listing, Listing)
    assert listing.cursor == 0
    products = [abs(state.explanation.terms[index].product) for index in listing.order]
    assert products == sorted(products, reverse=True)
    shown, rest = listing.page(11)
    assert (list(shown), rest.startswith("… 62 smaller terms, together ")) == (list(range(10)), True)
    for rank in shown:
        value, weight, made = listing.entry(rank).cells
        readd(f"{value} × {weight} = {made}")
    # The chosen line is always among those that are shown.
    for index in range(len(products)):
        page = anatomy(state, index).listing
        assert page is not None
        assert page.cursor in page.page(11)[0]
    assert whole.sums[0].smaller == 66
    assert whole.sums[0].has_bias
    # As many terms as are shown and their rest, as the sum has them.
    assert len(whole.parts[0].equation.terms) == len(whole.parts[0].taps) + 2


@pytest.mark.parametrize(
    ("text", "node", "unit", "said"),
    [
        ("conv 4 k5; relu", "conv1", (1, 2, 3), "channel 1 of conv1 at row 2, column 3: a weighted sum of 5×5"),
        ("conv 4 k5; relu", "conv1", (1, 2, 3), "5×5 cells in each of 3 maps; 75 products and a bias."),
        ("dwconv k3 nobias", "dwconv1", (1, 2, 3), "a weighted sum of 3×3 cells of one map; 9 products."),
        ("maxpool 2", "maxpool1", (2, 1, 1), "the largest of 2×2 cells of input[2]"),
        ("avgpool 3", "avgpool1", (2, 1, 1), "the mean of 3×3 cells of input[2]"),
        ("subsample 2", "subsample1", (2, 1, 1), "times a weight, plus a bias"),
        ("gap; linear 4", "linear1", (1,), "the score of class 1: a weighted sum of 3 numbers and a bias."),
        ("gap; linear 4; softmax", "softmax1", (1,), "the probability of class 1: e to its logit, over the sum of all 4"),
        ("[ id | relu ] add", "add1", (0, 1, 1), "the sum of 2 numbers, one of each branch"),
        ("[ id | relu ] mul", "mul1", (0, 1, 1), "the product of 2 numbers"),
        ("ln", "ln1", (0, 1, 1), "less a mean, over a deviation"),
        ("lrn", "lrn1", (0, 1, 1), "the squares of 3 neighbouring channels"),
        ("pad 1,1,1,1", "pad1", (0, 0, 0), "padding, a 0 beyond the border"),
        ("pad 1,1,1,1", "pad1", (0, 1, 1), "copied as it is"),
        ("tanh", "tanh1", (0, 1, 1), "tanh of one number"),
    ],
)  # fmt: skip
def test_what_it_means(text: str, node: str, unit: tuple[int, ...], said: str) -> None:
    state = of(text, (3, 12, 12), node, unit)
    assert said in " ".join(judge(state, first(state)).meaning)


def test_what_relu_does() -> None:
    state = of("conv 16 k3 nobias; relu", (1, 7, 7), "relu1", (0, 0, 0))
    told = set()
    for channel_ in range(16):
        at = state.look("relu1", (channel_, 2, 2))
        before = at.explanation.steps[1].equations[-1].result
        words = f"relu1 lets {before} through." if at.value > 0 else f"relu1 stops it: {before} becomes 0."
        assert words in anatomy(at, first(at)).meaning
        told.add(at.value > 0)
    assert told == {True, False}


def test_a_silenced_channel() -> None:
    state = of("conv 3 k3; relu", (1, 7, 7), "relu1", (1, 2, 2)).silence("conv1", 1)
    whole = judge(state, first(state))
    assert whole.meaning[0] == "channel 1 of conv1 at row 2, column 2: silenced, so it is 0, whatever it reads."
    assert (whole.grid, whole.listing, first(state), moved(state, 0, 1, 1), channel(state, 0, 1)) == (
        None,
        None,
        0,
        0,
        0,
    )
    with pytest.raises(MoveError, match="conv1 channel 1 is silenced"):
        source(state, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("node", ["conv1", "bn1", "relu1", "linear1", "softmax1", "maxpool1", "conv2"])
def test_numbers_that_are_not_finite(node: str, value: float) -> None:
    network = parse("conv 3 k3; bn; relu; maxpool 2; conv 3 k1; flatten; linear 4; softmax", (2, 8, 8), "net")
    state = opened(network)
    state.model.parameters["conv1"]["weight"][:, :, 1, 1] = value
    state = ExploreState(state.model, state.picture)
    shape = state.shape(node)
    state = state.look(node, tuple(n // 2 for n in shape))
    for index in (first(state), moved(state, first(state), 1, 0)):
        judge(state, index)


def test_all_in_padding() -> None:
    state = of("conv 2 k1 p2", (1, 3, 3), "conv1", (1, 0, 0))
    whole = judge(state, first(state))
    assert not whole.enters
    assert "padding" in whole.chosen
    inside = of("conv 2 k2 p3", (2, 3, 3), "conv1", (1, 0, 0))
    whole = judge(inside, first(inside))
    assert whole.grid is not None
    assert whole.grid.padding.all()
    assert [partial.name for partial in whole.partials] == ["0", "1"]


def test_lines_are_folded_one_by_one() -> None:
    state = of("conv 2 k5; tanh", (4, 9, 9), "tanh1", (1, 2, 2))
    parts: list[Part] = list(anatomy(state, first(state)).parts)
    whole = written(parts, 5, 90)
    for height in range(len(parts), len(whole) + 2):
        lines = written(parts, 5, 90, height)
        assert len(lines) <= min(height, len(whole))
        assert all(sum(len(piece.text) for piece in line) <= 90 for line in lines)
        shown = " ".join("".join(piece.text for piece in line) for line in lines)
        assert all(f"= {part.equation.result}" in shown for part in parts)


def readable(whole: Anatomy, width: int, height: int) -> list[str]:
    """What the panel's lines say, one for each equation, without the words in it."""
    found: list[str] = []
    text = "\n".join(
        "".join(piece.text for piece in line) for line in arithmetic(whole.sums, whole.across, width, height)
    )
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) <= height
    names = {each.part.name for each in whole.sums}
    longest = max(map(len, names))
    for line in text.splitlines():
        if line[:longest].strip() in names:
            found.append(line[longest:].strip())
        else:
            found[-1] += f" {line.strip()}"
    words = re.compile(r" \((the |all )?[\d,]+( more| smaller)?( channels)?\)| bias\b|, … [\d,]+ no larger")
    return [
        re.sub(r"\s+", " ", words.sub("", line)).replace("( ", "(").replace(" )", ")").replace("·", "0")
        for line in found
    ]


def test_what_is_printed_re_adds_at_every_size() -> None:
    """Terms that have no room are one term: nothing is folded away that the result is made of."""
    rng, folded = random.Random(9), 0
    starts = [any_unit(rng, opened(random_network(rng), seed)) for seed in range(150)]
    starts += [of("conv 24; relu; conv 4 k5; flatten; linear 6", (3, 20, 20), *at) for at in (
        ("conv2", (1, 3, 3)), ("relu1", (1, 3, 3)), ("linear1", (3,)),
    )]  # fmt: skip
    for state in starts:
        steps = state.explanation.steps
        if not steps or steps[-1].kind not in ("sum", "mean", "max") or not np.isfinite(state.value):
            continue
        for width, height in ((64, len(steps) + 1), (64, 8), (100, 12)):
            index = rng.randrange(max(1, len(state.explanation.terms)))
            whole = anatomy(state, index)
            told = readable(whole, width, max(height, len(whole.sums)))
            assert len(told) == len(whole.sums)
            for line, part in zip(told, whole.parts, strict=True):
                assert "more" not in line
                assert line.endswith(f"{part.equation.relation} {part.equation.result}")
                readd(line)
                folded += line.count("×") < str(part.equation).count("×")
    assert folded > 20


def test_what_is_folded_is_said() -> None:
    state = of("conv 24; relu; conv 4 k5; flatten; linear 6", (3, 20, 20), "conv2", (1, 3, 3))
    whole = anatomy(state, first(state))
    text = " ".join("".join(piece.text for piece in line) for line in arithmetic(whole.sums, whole.across, 64, 2))
    assert re.search(r"\([12]\d more\) ", text), text
    assert re.search(r"\((all 24|[12]\d more) channels\) \+ −?0\.\d+ bias +=", text), text
    state = of("flatten; linear 4", (1, 40, 40), "linear1", (1,))
    whole = anatomy(state, first(state))
    text = " ".join("".join(piece.text for piece in line) for line in arithmetic(whole.sums, whole.across, 64, 2))
    assert re.search(r"\+ +−?[\d.]+ \(the 1,59\d smaller\) +\+ −?[\d.]+ bias +=", text), text


def test_one_class_rather_than_another() -> None:
    """What each term adds to the difference of two scores adds up to it, but for the biases; the words re-add."""
    for seed in range(8):
        bare = opened(parse("conv 4; relu; gap; linear 9; relu; linear 5", (1, 8, 8), "net"), seed)
        state = bare.look("linear2", (bare.read,))
        assert "rather than" not in " ".join(anatomy(state, 0).meaning)
        rival = (bare.read + 2) % 5
        state = replace(state, picture=replace(state.picture, label=rival))
        whole = anatomy(state, first(state))
        listing = whole.listing
        assert listing is not None and listing.against is not None
        step = state.explanation.steps[-1]
        scores = state.trace.values["linear2"]
        biases = step.bias - listing.against.other.bias
        assert float(listing.against.adds.sum()) + biases == pytest.approx(float(scores[bare.read] - scores[rival]))
        assert listing.head[-1] == f"rather than {rival}"
        sizes = [abs(float(listing.against.adds[at])) for at in listing.order]
        assert sizes == sorted(sizes, reverse=True) and listing.cursor == 0
        words = next(each for each in whole.meaning if "rather than" in each)
        one, two, less = re.findall(r"score (\S+) − (\S+) = (\S+);", words)[0]
        assert decimal(one) - decimal(two) == decimal(less)
        more, lesser, value, made = re.findall(r"\((\S+) − (\S+)\) × (\S+) = [+]?(\S+)\.$", words)[0]
        off = abs((decimal(more) - decimal(lesser)) * decimal(value) - decimal(made))
        assert off <= unit(made) / 2
        assert moved(state, first(state), 1, 0) == listing.order[1]
