"""What the readers of other people's networks share: their side of the process, and how what was found becomes a network.

Only after our own analysis has come to the same shapes and parameters.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from cnntui.core.analysis import analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Shape, shape_text
from cnntui.core.merges import MERGES
from cnntui.core.network import INPUT, Network, Node, graph
from cnntui.core.notation import network_text, parse, printable
from cnntui.core.pointwise import Identity
from cnntui.core.vocabulary import VOCABULARY, NotationError
from cnntui.runs.imports import Answer

LONGEST = 400  # characters of what another program says of itself


def serve(read: Callable[[str, Shape | None], tuple[Network, str]]) -> None:
    """`ANSWER NET C,H,W SECONDS` on the command line: answers with what `read` makes of NET, a network and its idea."""
    path, net, given, seconds = sys.argv[1:]
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, float(seconds) + 1)  # should the parent be gone by then
    _limit_memory()
    try:
        network, idea = read(net, tuple(map(int, given.split(","))) if given else None)
        height, width = network.input[1:]
        answer = Answer("", network.name, (network.input[0], height, width), tuple(network_text(network)), idea)
    except BaseException as error:  # other people's code: it may raise SystemExit as well
        known = isinstance(error, NotationError | ImpossibleError)
        answer = Answer(f"{net}: {error if known else told(error)}")
    Path(path).write_bytes(msgspec.json.encode(answer))
    sys.stdout.flush()
    os._exit(0)  # not waiting for threads that the code may have left


def _limit_memory() -> None:
    """Most of what the machine has left, so that a wild net ends with an error, and not the machine."""
    left = psutil.virtual_memory().available * 3 // 4
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (left if most == resource.RLIM_INFINITY else min(left, most), most))


def told(error: BaseException) -> str:
    """An exception in one line: its type, and what it says."""
    said = " ".join(printable(part) for part in str(error).split())
    kind = type(error).__name__
    return f"{kind}: {said[:LONGEST]}{'…' if len(said) > LONGEST else ''}" if said else kind


def vocabulary() -> str:
    """What there is, for those who asked for something else."""
    return f"there are {', '.join((*VOCABULARY, *MERGES))}"


class UnknownError(Exception):
    """A function of another program, or a setting of it, that no layer of ours is: why."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a value: the node that made its numbers, in which shape they are seen; or why none did.

    Args:
        node: its name.
        seen: the shape, with the batch, without any stretching.
        problem: why it is of no layer.
        before: of a log_softmax, what it was made of.
        version: torch's count of a tensor's changes in place, when this was known.
    """

    node: str
    seen: Shape
    problem: str = ""
    before: Value | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A layer as the other program counts it.

    Args:
        node: our layer for it, its name, what it reads.
        output: the shape that the other program makes with it.
        params: the trainable numbers that the other program keeps for it.
        named: whether the other program has that name for it; others are called by what they are and a number.
    """

    node: Node
    output: Shape
    params: int
    named: bool


def node_name(text: str, taken: Iterable[str]) -> str:
    """A name of the other program as one of ours, unlike those that are taken."""
    base = re.sub(r"[^A-Za-z0-9_.-]", "_", text.strip("/").replace("/", "."))
    if not re.match(r"[A-Za-z_]", base):
        base = f"_{base}"
    used, name, copy = {INPUT, *taken}, base, 1
    while name in used:
        copy += 1
        name = f"{base}.{copy}"
    return name


def leading_to(output: str, found: Mapping[str, Found]) -> list[Found]:
    """Those, by their names and in the order of their making, that the output is made of.

    Raises:
        NotationError: when the output is the input.
    """
    wanted = {output}
    for each in reversed(list(found.values())):
        if each.node.name in wanted:
            wanted.update(each.node.inputs)
    if output == INPUT:
        raise NotationError("there is no layer between its input and its output")
    return [each for name, each in found.items() if name in wanted]


def finished(
    name: str, shape: Shape, value: Value, batch: int, shapes: Mapping[str, Shape], found: Mapping[str, Found]
) -> tuple[Network, list[Found], list[str]]:
    """The network that makes a value, what of the found layers is in it, and what is to be told of it.

    Raises:
        NotationError: when no layer makes the value, or our analysis says something else.
        ImpossibleError: as `Network`.
    """
    notes = []
    if value.before and not value.before.problem:
        value = value.before
        notes.append("without the log_softmax at its end, which belongs to the loss")
    if value.problem:
        raise NotationError(value.problem)
    if value.seen != (batch, *shapes[value.node]):
        raise NotationError(f"its output is {shape_text(value.seen[1:])}, a reshape that the notation does not have")
    leading = leading_to(value.node, found)
    return checked(name, shape, leading), leading, notes


def checked(name: str, shape: Shape, found: Sequence[Found]) -> Network:
    """The network of what was found, the last of it its output; each layer has the shape and parameters that were found.

    Raises:
        NotationError: naming the first layer of which our analysis says something else.
        ImpossibleError: as `Network`.
    """
    named = {each.node.name for each in found if each.named}
    network = graph(name, shape, (each.node for each in found), named)
    _compare(network, found)
    if parse("\n".join(network_text(network)), shape, name) != network:
        raise NotationError("its layers, written and read again, are not the same network")
    return network


def _compare(network: Network, found: Sequence[Found]) -> None:
    """Walk both graphs from their outputs to their inputs, side by side."""
    rows = {row.node.name: row for row in analyse(network).rows}
    theirs = {each.node.name: each for each in found}
    pairs = {found[-1].node.name: network.nodes[-1].name}
    waiting = list(pairs)
    while waiting:
        mine = theirs[waiting.pop()].node
        ours = rows[pairs[mine.name]].node
        if mine.layer != ours.layer or len(mine.inputs) != len(ours.inputs):
            raise NotationError(f"layer {mine.name}: written down, it would be {ours.name}")
        for read, own in zip(mine.inputs, ours.inputs, strict=True):
            while own != INPUT and isinstance(rows[own].node.layer, Identity):  # an empty branch is written id
                own = rows[own].node.inputs[0]
            if read not in pairs and read != INPUT:
                waiting.append(read)
            if pairs.setdefault(read, own) != own:
                raise NotationError(f"layer {mine.name}: written down, it would read {own} and not {read}")
    for each in found:
        row = rows[pairs[each.node.name]]
        if row.problem:
            raise NotationError(f"layer {each.node.name} cannot be written: {row.problem.message}")
        for what, there, here in (
            ("output", shape_text(each.output), shape_text(row.output or ())),
            ("parameters", f"{each.params:,}", f"{row.params:,}"),
        ):
            if there != here:
                raise NotationError(
                    f"layer {each.node.name} is no {row.node.layer.op} of ours: its {what} {there}, not {here}"
                )
