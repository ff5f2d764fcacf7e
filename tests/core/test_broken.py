"""Valid networks with one layer broken: what is said of it, what the rest still says, and that each fix works."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import torch

from cnntui.core.analysis import Analysis, Fix, analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.items import Branches, Call, Item, Items, Path, Repeat, Single, found, spliced
from cnntui.core.layers import Shape, Table
from cnntui.core.merges import Merge
from cnntui.core.network import Network
from cnntui.core.vocabulary import parse_layer
from cnntui.training.model import Merging, module
from tests.core.random_networks import described, facts, random_network

Words = tuple[str, tuple[float, ...]]
"""A layer that cannot be on a shape, and the numbers of the inequality that fails."""


def not_dividing(rng: random.Random, *channels: int) -> int:
    return rng.choice([groups for groups in range(2, 40) if any(n % groups for n in channels)])


def too_large(rng: random.Random, shape: Shape) -> tuple[str, int, int]:
    """A kernel with dilation and padding, larger than the padded input along one of the axes."""
    padding, dilation = rng.randint(0, 2), rng.randint(1, 2)
    axis = rng.randrange(2)
    room = shape[1 + axis] + 2 * padding
    taps = room // dilation + 1 + rng.randint(1, 3)
    kernel = f"{taps}x1" if axis == 0 else f"1x{taps}"
    return f"k{kernel} p{padding} d{dilation}", dilation * (taps - 1) + 1, room


def conv_too_large(rng: random.Random, shape: Shape) -> Words:
    words, extent, room = too_large(rng, shape)
    return f"{rng.choice(['conv 4', 'dwconv'])} {words}", (extent, room)


def conv_groups(rng: random.Random, shape: Shape) -> Words:
    filters = rng.randint(1, 8)
    groups = not_dividing(rng, shape[0], filters)
    return f"{rng.choice(['conv', 'tconv'])} {filters} k1 g{groups}", (groups, shape[0], filters)


def conv_stride_with_same(rng: random.Random, shape: Shape) -> Words:
    stride = rng.randint(2, 5)
    return f"{rng.choice(['conv 4', 'dwconv'])} s{rng.choice([f'{stride}', f'1x{stride}'])} same", (1, stride)


def nothing(rng: random.Random, shape: Shape) -> Words:
    """A setting of 0 that must be 1 at least."""
    texts = ["conv 4 k1 s0", "dwconv k1 s1x0", "tconv 4 s0", "conv 4 k0", "conv 4 k0x1", "dwconv k1 d0", "tconv 4 d0",
             "conv 0 k1", "tconv 0", "maxpool 1 s0", "avgpool 1 s0x1", "maxpool 0", "adaptiveavgpool 0",
             "adaptiveavgpool 2x0", "subsample 0", "upsample 0", "conv 0 k1 same"]  # fmt: skip
    return rng.choice(texts), (0, 1)


def two_faults(rng: random.Random, shape: Shape) -> Words:
    """What no single change mends."""
    kernel = 2 * max(shape) + 7
    faults = rng.sample([f"k{kernel}", "s0", "d0", f"g{not_dividing(rng, 7)}"], 2)
    name = rng.choice(["conv 7", "dwconv"])
    if name == "dwconv":
        faults = [fault for fault in faults if fault[0] != "g"]
    return f"{name} {' '.join(faults)}", ()


def no_groups(rng: random.Random, shape: Shape) -> Words:
    layer = rng.choice(["conv 3 k1", "tconv 3"])
    return f"{layer} g0", (0, shape[0], 3)


def pool_padding(rng: random.Random, shape: Shape) -> Words:
    kernel = rng.randint(1, 5)
    padding = kernel // 2 + rng.randint(1, 4)
    return f"{rng.choice(['maxpool', 'avgpool'])} {kernel} p{padding}", (padding, kernel // 2)


def pool_too_large(rng: random.Random, shape: Shape) -> Words:
    axis = rng.randrange(2)
    padding = rng.randint(0, 1)
    room = shape[1 + axis] + 2 * padding
    kernel = room + rng.randint(1, 5)
    pads = f"p{padding}x0" if axis == 0 else f"p0x{padding}"
    if rng.random() < 0.3:
        kernel -= 2 * padding
        pads, room = "", room - 2 * padding
    name = "subsample" if not pads and rng.random() < 0.5 else rng.choice(["maxpool", "avgpool"])
    return f"{name} {kernel}x1 {pads}" if axis == 0 else f"{name} 1x{kernel} {pads}", (kernel, room)


def output_padding(rng: random.Random, shape: Shape) -> Words:
    stride, dilation = rng.randint(1, 3), rng.randint(1, 3)
    most = max(stride, dilation)
    extra = most + rng.randint(0, 2)
    return f"tconv 3 k2 s{stride} d{dilation} op{extra}", (extra, most)


def transposed_too_small(rng: random.Random, shape: Shape) -> Words:
    kernel, stride = rng.randint(1, 3), rng.randint(1, 3)
    full = [(n - 1) * stride + kernel for n in shape[1:]]
    padding = (min(full) + 1) // 2 + rng.randint(0, 2)
    return f"tconv 2 k{kernel} s{stride} p{padding}", (next(n for n in full if n <= 2 * padding) - 2 * padding, 1)


def linear_on_a_map(rng: random.Random, shape: Shape) -> Words:
    return f"linear {rng.randint(1, 9)}", shape


def norm_groups(rng: random.Random, shape: Shape) -> Words:
    groups = not_dividing(rng, shape[0])
    return f"gn {groups}", (groups, shape[0])


def one_cell(rng: random.Random, shape: Shape) -> Words | None:
    return ("in", (1, 2)) if shape[1:] == (1, 1) else None


def no_probability(rng: random.Random, shape: Shape) -> Words:
    return rng.choice([("dropout 1.5", (1.5, 0, 1)), ("dropout 20", (20, 0, 1))])


def map_layer_on_a_vector(rng: random.Random, shape: Shape) -> Words:
    texts = ["conv 3 k1", "dwconv k1", "tconv 3", "maxpool 1", "avgpool 1", "gap", "adaptiveavgpool 1", "upsample 2",
             "pad 1,1,1,1", "subsample 1", "in", "lrn"]  # fmt: skip
    return rng.choice(texts), shape


def linear_to_nothing(rng: random.Random, shape: Shape) -> Words:
    return "linear 0", (0, 1)


def table_rows(rng: random.Random, shape: Shape) -> Words:
    rows = rng.randint(1, 5)
    filters = rows + rng.choice([1, 2])
    return f"conv {filters} k1 table rows{rows}", (rows, filters)


def table_channel(rng: random.Random, shape: Shape) -> Words:
    return "conv 2 k1 table far", (99, shape[0] - 1)


def table_groups(rng: random.Random, shape: Shape) -> Words:
    return f"conv {2 * shape[0]} k1 g{shape[0]} table rows1", (shape[0],) if shape[0] > 1 else (1, 2)


TABLES = {f"rows{n}": Table(f"rows{n}", ((0,),) * n) for n in range(1, 6)} | {"far": Table("far", ((0,), (0, 99)))}
ON_MAPS: tuple[Callable[[random.Random, Shape], Words | None], ...] = (
    conv_too_large, conv_groups, conv_stride_with_same, nothing, two_faults, no_groups, pool_padding, pool_too_large,
    output_padding, transposed_too_small, linear_on_a_map, norm_groups, one_cell, no_probability, table_rows,
    table_channel, table_groups,
)  # fmt: skip
ON_VECTORS: tuple[Callable[[random.Random, Shape], Words | None], ...] = (
    map_layer_on_a_vector, norm_groups, linear_to_nothing, no_probability,
)  # fmt: skip
REFUSED_BY_US_ALONE = {"table_rows", "table_channel", "table_groups"}  # a module of ours would go wrong


# No setting of the layer would help: another layer is meant, or another place.
WITHOUT_FIX = {"one_cell", "map_layer_on_a_vector"}


@dataclass(frozen=True)
class Breaking:
    """A network before and after, and which nodes were changed or put in: the first of them, or a merge, fails."""

    before: Network
    after: Network
    kind: str
    numbers: tuple[float, ...]
    path: Path
    fails: int
    changed: frozenset[int]
    put_in: int | None = None


def places(items: Items, path: Path = (), start: int = 0, once: bool = True) -> Iterator[tuple[Path, Item, int, bool]]:
    """Each item that can be edited: its path, the index of its (last) node, and whether it is there only once."""
    at = start
    for place, item in enumerate(items):
        here = (*path, place)
        match item:
            case Branches(branches):
                inside = at
                for number, branch in enumerate(branches):
                    yield from places(branch, (*here, number), inside, once)
                    inside += sum(each.size for each in branch)
            case Repeat(inner, times):
                yield from places(inner, (*here, 0), at, once and times == 1)
        at += item.size
        if not isinstance(item, Call) and item.size:
            yield here, item, at - 1, once


def broken_layer(rng: random.Random) -> Breaking:
    """One layer replaced by one that its input does not fit."""
    on_maps = rng.random() < 0.8
    make = rng.choice(ON_MAPS if on_maps else ON_VECTORS)
    while True:
        network = random_network(rng)
        rows = analyse(network).rows
        rooms = [
            (path, item, index)
            for path, item, index, _ in places(network.items)
            if isinstance(item, Single) and len(rows[index].input or ()) == (3 if on_maps else 1)
        ]
        if make is one_cell:
            rooms = [room for room in rooms if (rows[room[2]].input or ())[1:] == (1, 1)]
        if not rooms:
            continue
        path, item, index = rng.choice(rooms)
        words = make(rng, rows[index].input or ())
        assert words
        layer = parse_layer(words[0], TABLES)
        after = replace(network, items=spliced(network.items, path, (Single(layer, name=item.name),)))
        changed = frozenset(i for i, (a, b) in enumerate(zip(network, after, strict=True)) if a.layer != b.layer)
        return Breaking(network, after, make.__name__, words[1], path, index, changed)


def broken_merge(rng: random.Random) -> Breaking:
    """A layer put at the end of a branch, after which its branches do not meet."""
    while True:
        network = random_network(rng)
        rows = analyse(network).rows
        rooms = [
            (path, item, index)
            for path, item, index, once in places(network.items)
            if once and isinstance(item, Branches)
        ]
        if not rooms:
            continue
        path, item, index = rng.choice(rooms)
        shapes = rows[index].inputs or ()
        number = rng.randrange(len(shapes))
        shape = shapes[number]
        texts = [f"linear {shape[0] + 1}", "linear 1"]
        if len(shape) == 3:
            texts = [
                f"conv {shape[0] + 1} k1",
                "conv 1 k1",
                "pad 0,1,0,0",
                "pad 0,0,2,1",
                "flatten",
                "gap",
                "upsample 2",
            ]
        text = rng.choice(texts)
        made = (*shapes[:number], parse_layer(text).output(shape), *shapes[number + 1 :])
        try:
            item.merge.merged(made)
        except ImpossibleError:
            pass
        else:
            continue
        branch = (*item.branches[number], Single(parse_layer(text)))
        branches = (*item.branches[:number], branch, *item.branches[number + 1 :])
        after = replace(network, items=spliced(network.items, path, (replace(item, branches=branches),)))
        put_in = index - sum(sum(each.size for each in other) for other in item.branches[number + 1 :])
        numbers = tuple(n for each in made for n in each)
        return Breaking(
            network, after, f"{item.merge.op} of others", numbers, path, index + 1, frozenset({put_in}), put_in
        )


def depending(network: Network, changed: frozenset[int]) -> set[int]:
    """The nodes changed and all that read them."""
    names = {network.nodes[index].name for index in changed}
    for node in network:
        if names.intersection(node.inputs):
            names.add(node.name)
    return {index for index, node in enumerate(network) if node.name in names}


def torch_refuses(analysis: Analysis, index: int) -> bool:
    """Whether it does, or makes an empty map."""
    row = analysis.rows[index]
    inputs = [torch.zeros(2, *shape) for shape in row.inputs or ()]
    layer = row.node.layer
    try:
        part = Merging(layer) if isinstance(layer, Merge) else module(layer, row.input or ())
        made = part(*inputs)
    except (RuntimeError, ValueError, IndexError):
        return True
    return bool(made.numel() == 0)


def stretches(case: Breaking) -> bool:
    """Whether torch takes it without a word: stretched, over a map's columns, or a vector taken for a map."""
    row = analyse(case.after).rows[case.fails]
    shapes = [(2, *shape) for shape in row.inputs or ()]
    if row.node.layer.op in ("gap", "adaptiveavgpool", "pad"):
        return len(shapes[0]) == 2
    if row.node.layer.op == "linear":
        return shapes[0][-1] == shapes[0][1]
    if row.node.layer.op not in ("add", "mul"):
        return False
    if row.node.layer.op == "mul":
        most = max(map(len, shapes))
        shapes = [shape if len(shape) == most else (*shape, 1, 1) for shape in shapes]
    try:
        torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return True


def mended(case: Breaking, fix: Fix) -> tuple[Network, int]:
    """The network with the fix, and where the layer that was impossible is then."""
    item = found(case.after.items, case.path)
    new: Items
    if isinstance(item, Branches):
        ends = zip(item.branches, fix.appended, strict=True)
        new = (replace(item, branches=tuple((*branch, *map(Single, layers)) for branch, layers in ends)),)
        added = sum(map(len, fix.appended))
    else:
        new = (*map(Single, fix.layers[:-1]), Single(fix.layers[-1], name=item.name))
        added = len(fix.layers) - 1
    return replace(case.after, items=spliced(case.after.items, case.path, new)), case.fails + added


def cases(seed: int) -> Iterator[Breaking]:
    """Fifty of them, one merge in five."""
    for number in range(50):
        rng = random.Random(1000 * seed + number)
        yield broken_merge(rng) if number % 5 == 0 else broken_layer(rng)


CHUNKS = pytest.mark.parametrize("seed", range(20))


@CHUNKS
def test_the_layer_is_named_the_numbers_are_said_and_all_else_keeps_its_facts(seed: int) -> None:
    for case in cases(seed):
        before, after = analyse(case.before), analyse(case.after)
        row = after.rows[case.fails]
        told = described(case.after, seed)
        assert after.failing is row, told
        assert row.problem is not None
        assert after.error == f"layer {row.node.name}: {row.problem.message}"
        numbers = set(map(float, re.findall(r"-?\d+(?:\.\d+)?", row.problem.message)))
        assert numbers >= set(case.numbers), f"{row.problem.message}: {case.numbers}\n{told}"
        assert row.problem.message.isprintable()
        touched = depending(case.after, case.changed)
        for index, other in enumerate(after.rows):
            if index not in touched:
                old = index - (case.put_in is not None and index > case.put_in)
                assert facts(other) == facts(before.rows[old]), f"{other.node.name}\n{told}"
        waiting = [after.rows[index] for index in depending(case.after, frozenset({case.fails})) - {case.fails}]
        assert all(other.output is None and other.problem is None for other in waiting), told


@CHUNKS
@pytest.mark.filterwarnings("ignore")
def test_torch_refuses_the_layer_too(seed: int) -> None:
    for case in cases(seed):
        if case.kind not in REFUSED_BY_US_ALONE:
            assert torch_refuses(analyse(case.after), case.fails) or stretches(case), described(case.after, seed)


@CHUNKS
def test_each_fix_that_is_offered_works_and_one_is_where_there_could_be_one(seed: int) -> None:
    for case in cases(seed):
        problem = analyse(case.after).rows[case.fails].problem
        assert problem is not None
        assert bool(problem.fixes) == (case.kind not in WITHOUT_FIX), (
            f"{problem.message}\n{described(case.after, seed)}"
        )
        for fix in problem.fixes:
            again, index = mended(case, fix)
            rows = analyse(again).rows[: index + 1]
            assert rows[-1].output is not None, f"{fix} for {problem.message}\n{described(case.after, seed)}"
            assert not any(row.problem for row in rows)
            assert type(rows[-1].node.layer) is type(case.after.nodes[case.fails].layer)
