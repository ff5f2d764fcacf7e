"""Networks that others wrote: read in a process of their own, with a time limit, because their code may do anything.

The reader's process is told where to put its answer, a JSON file; what it prints goes nowhere. This page is what its two
sides agree on, and how what it found becomes a network: only after our own analysis has come to the same numbers.
"""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import psutil

from cnntui.core.analysis import analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.items import Branches, From, Item, Items, walk
from cnntui.core.layers import Shape, shape_text
from cnntui.core.merges import MERGES
from cnntui.core.nets import NetFile, load_net
from cnntui.core.network import INPUT, Network, Node, graph
from cnntui.core.notation import network_text, parse, printable
from cnntui.core.pointwise import Identity
from cnntui.core.vocabulary import VOCABULARY, NotationError
from cnntui.runs.launch import HOW_TO_GET_TORCH

HOW_TO_GET_ONNX = ".onnx files are read with onnx: pip install 'cnntui[onnx]'"
SECONDS = 60.0
LONGEST = 400  # characters of what another program says of itself
LARGEST_ANSWER = 32 << 20
CALLABLE = re.compile(r"([\w.~/-]+):([A-Za-z_][\w.]*)")


def load_any(net: str, shape: Shape | None = None, seconds: float = SECONDS) -> NetFile:
    """NET as on the command line: all that `load_net` takes, `torchvision:NAME`, `module:callable`, and `file.onnx`.

    Args:
        net: what to read. A callable takes no arguments; an `nn.Module` class or object does as well.
        shape: (C, H, W); what torchvision's and .onnx nets have no need of, and a callable has.
        seconds: after so many the reader's process is killed.

    Raises:
        NotationError: with one line that says what is wrong and what to do.
        ImpossibleError: when the input or the names cannot be.
    """
    if net.endswith(".onnx"):
        _need("onnx", HOW_TO_GET_ONNX)
        return _read("cnntui.training.onnx_reader", net, shape, seconds)
    if net.startswith("torchvision:"):
        _need("torchvision", f"{net}: {HOW_TO_GET_TORCH}")
        return _read("cnntui.training.importer", net, shape, seconds)
    if net.endswith(".py"):
        raise NotationError(f"{net}: which network of it? write {net}:NAME, for a function or class of that file")
    if is_callable(net):
        _need("torch", f"{net}: {HOW_TO_GET_TORCH}")
        if shape is None:
            raise NotationError(f"{net} needs its input: add --input C,H,W, for example --input 3,32,32")
        return _read("cnntui.training.importer", net, shape, seconds)
    return load_net(net, shape)


def is_callable(net: str) -> bool:
    """Whether a text is `module:callable`; `stem:relu` is notation, a layer with a name."""
    match = CALLABLE.fullmatch(net)
    return bool(match) and match[2] not in VOCABULARY


def _need(package: str, otherwise: str) -> None:
    """Looks, does not import."""
    if importlib.util.find_spec(package) is None:
        raise NotationError(otherwise)


# The parent's side.


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a reader's process says: a network in words, or in one line why there is none."""

    error: str = ""
    name: str = ""
    input: tuple[int, int, int] = (1, 1, 1)
    layers: tuple[str, ...] = ()
    idea: str = ""


def _read(module: str, net: str, shape: Shape | None, seconds: float) -> NetFile:
    with tempfile.TemporaryDirectory(prefix="cnntui-") as directory:
        path = Path(directory, "answer.json")
        given = ",".join(map(str, shape or ()))
        # -P: a file called random.py where the user happens to be must not be taken for Python's own.
        code = _run([sys.executable, "-P", "-m", module, str(path), net, given, str(seconds)], net, seconds)
        answer = _answer(path, net, code)
    if answer.error:
        raise NotationError(printable(answer.error))
    network = parse("\n".join(answer.layers), answer.input, printable(answer.name))
    return NetFile(network, idea=printable(answer.idea), source=net)


def _run(command: list[str], net: str, seconds: float) -> int:
    """Run to the end, or to the limit; whatever it started besides is ended with it."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise NotationError(f"{net}: no process can be started: {error}") from None
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        raise NotationError(_too_long(net, seconds)) from None
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # none is left; on macOS, none but the child itself
            pass
        child.wait()


def _too_long(net: str, seconds: float) -> str:
    return f"{net}: not read within {seconds:g} s; its process was ended"


def _answer(path: Path, net: str, code: int) -> Answer:
    if code == -signal.SIGALRM:
        raise NotationError(f"{net}: its process ran into its own time limit")
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        why = ": out of memory, perhaps" if code == -signal.SIGKILL else ""
        raise NotationError(f"{net}: its process was killed by {name}{why}")
    try:
        if path.stat().st_size > LARGEST_ANSWER:
            raise NotationError(f"{net}: the network comes to more than {LARGEST_ANSWER >> 20} MB of layers")
        return msgspec.json.decode(path.read_bytes(), type=Answer)
    except (OSError, msgspec.DecodeError):
        raise NotationError(f"{net}: its process ended with status {code} and without an answer") from None


# The child's side.


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
    """What the machine has left, so that a wild net ends with an error and not the machine."""
    left = psutil.virtual_memory().available
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


# From what was found to a network.


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


def checked(name: str, shape: Shape, found: Sequence[Found]) -> Network:
    """The network of what was found, the last of it its output; each layer has the shape and parameters that were found.

    Raises:
        NotationError: naming the first layer of which our analysis says something else.
        ImpossibleError: as `Network`.
    """
    if not found:
        raise NotationError("there is no layer between its input and its output")
    network = _written(name, shape, found)
    _compare(network, found)
    if parse("\n".join(network_text(network)), shape, name) != network:
        raise NotationError("its layers, written and read again, are not the same network")
    return network


def _written(name: str, shape: Shape, found: Sequence[Found]) -> Network:
    """The graph; layers that the other program has no name for have one only where something reaches back to them.

    Numbers stand for the names at first: `graph` leaves out a name such as conv2, which may then become conv1.
    """
    numbers = {INPUT: INPUT} | {each.node.name: f"n.{index}" for index, each in enumerate(found)}
    nodes = [Node(numbers[n.name], n.layer, tuple(numbers[read] for read in n.inputs)) for n in (f.node for f in found)]
    items = graph(name, shape, nodes).items
    sources = {item.source for item in walk(items) if isinstance(item, From)}
    names = {numbers[f.node.name]: f.node.name for f in found if f.named or numbers[f.node.name] in sources}
    return Network(name, shape, _renamed(items, names))


def _renamed(items: Items, names: Mapping[str, str]) -> Items:
    """Each name by its other; without those that have none."""

    def one(item: Item) -> Item:
        match item:
            case From(source):
                return From(names.get(source, source))
            case Branches(branches):
                item = replace(item, branches=tuple(_renamed(branch, names) for branch in branches))
        return replace(item, name=names.get(item.name or ""))

    return tuple(map(one, items))


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
