"""The Build screen as a stage: a network and its facts, and the moves that change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from cnntui.core.nets import NetFile, zoo
from cnntui.core.notation import parse
from cnntui.labs.build import OWN, BuildState, open_net, opened
from cnntui.labs.net_facts import NET_FACTS, NoLayerError, net_fact
from cnntui.labs.stages import Fact, Index, Stage, Words, WordsError, nearest
from cnntui.labs.stages.scene import Scene, on_lab
from cnntui.labs.words import pair_of, signed, signed_pair, whole

Lab = Scene[BuildState]
VIEWS = ("field", "derivation", "ways", "shapes", "none")  # what is beside the table


# -- moves


def _net(state: BuildState, name: str) -> BuildState:
    if name not in zoo():
        raise WordsError(f"no net of the zoo is called {name!r}; {nearest(name, zoo())}")
    return replace(open_net(name), goal=state.goal)


def _layers(state: BuildState, *words: str) -> BuildState:
    network = state.network
    own = parse(" ".join(words), network.input, f"{OWN}net", network.blocks, network.tables)
    return replace(opened(NetFile(own)), goal=state.goal)


def _select(state: BuildState, which: str) -> BuildState:
    rows = state.analysis.rows
    names = [row.node.name for row in rows]
    if which.isascii() and which.isdigit():
        if not 1 <= (number := whole(which)) <= len(rows):
            raise WordsError(f"there is no layer {number}; there are {len(rows)}")
        index = number - 1
    elif which in names:
        index = names.index(which)
    else:
        raise WordsError(f"no layer is called {which!r}; {nearest(which, names[:12])}")
    # Where it is shut, the line of the smallest group that holds it.
    held = [(line.last - line.first, at) for at, line in enumerate(state.lines) if line.first <= index < line.last]
    return state.select(min(held)[1])


def _rest(move: Callable[[BuildState, str], BuildState]) -> Callable[..., BuildState]:
    """A move whose argument is all that follows."""

    def made(state: BuildState, *words: str) -> BuildState:
        return move(state, " ".join(words))

    return made


def _instead(state: BuildState, which: str) -> BuildState:
    number, able = whole(which, 1), state.other_ways
    if number > len(able):
        raise WordsError(f"there are {len(able)} other ways to do the job of the selected layer")
    return state.instead(able[number - 1])


def _unit(state: BuildState, at: str) -> BuildState:
    unit = state.looking_from
    if unit is None:
        raise WordsError("the selected layer makes no map, so it has no unit at a row and a column")
    row, column = pair_of(at)
    return state.look(row - unit[0], column - unit[1])


def _fold(shut: bool) -> Callable[[BuildState], BuildState]:
    return lambda state: state.fold(shut)


def _view(scene: Lab, name: str) -> Lab:
    if name not in VIEWS:
        raise WordsError(f"no view is called {name!r}; {nearest(name, VIEWS)}")
    return replace(scene, view=name)


MOVES: dict[str, tuple[str, str, Callable[..., BuildState]]] = {
    "net": ("NAME", "a net of the zoo", _net),
    "layers": ("LAYER; LAYER ...", "a net of these layers, on the present input", _layers),
    "input": ("C,H,W", "channels, height, width of the input", lambda state, shape: state.with_input(shape)),
    "select": ("NUMBER or NAME", "a layer", _select),
    "add": ("LAYER; ...", "layers after the selected one", _rest(BuildState.add)),
    "before": ("LAYER; ...", "layers before the selected one", _rest(lambda state, text: state.add(text, before=True))),
    "rewrite": ("LAYER; ...", "the selected layer otherwise", _rest(BuildState.rewrite)),
    "delete": ("", "without what is selected", lambda state: state.delete()),
    "duplicate": ("", "what is selected once more", lambda state: state.duplicate()),
    "move": ("N", "what is selected N places down; −N up", lambda state, by: state.move(signed(by))),
    "mark": ("", "begin to select several, or leave it", lambda state: state.mark()),
    "wrap": ("HOW", "x2, add, cat, mul, @NAME around what is selected", _rest(BuildState.wrap)),
    "unwrap": ("", "the selected group's layers in its place", lambda state: state.unwrap()),
    "fold": ("", "shut the selected group", _fold(True)),
    "unfold": ("", "open it", _fold(False)),
    "mend": ("N", "the fix of that number", lambda state, number: state.mend(whole(number, 1) - 1)),
    "instead": ("N", "the other way of that number to do the selected layer's job", _instead),
    "goal": ("field >= 32; params <= 20000", "something to reach; nothing takes it away", _rest(BuildState.with_goal)),
    "look": ("DOWN,RIGHT", "from a unit so far down and right", lambda state, by: state.look(*signed_pair(by))),
    "unit": ("ROW,COLUMN", "from that unit of the selected layer's map", _unit),
}


# -- facts


def _seen(state: BuildState) -> int | None:
    """The pixels that the unit looked from sees."""
    row = state.row
    if row is None or row.output is None:
        return None
    if row.field is None:
        return prod(state.network.input[1:])
    sight = state.sight
    if sight is None:
        return None
    return sum(len(frozenset().union(*(columns for rows, columns in sight.boxes if y in rows))) for y in sight.rows)


def _seen_shape(state: BuildState) -> Fact:
    """From the first to the last row and column that are seen."""
    if _seen(state) is None:
        return None
    sight = state.sight
    return state.network.input[1:] if sight is None else (len(sight.hull[0]), len(sight.hull[1]))


def _reached(state: BuildState) -> bool:
    return state.goal is not None and all(one.reached(state.analysis)[0] for one in state.goal.conditions)


OF_LAB: dict[str, tuple[str, Callable[[BuildState], Fact]]] = {
    "selected": ("the selected layer", lambda state: state.row.node.name if state.row else None),
    "unit": ("the unit looked from", lambda state: state.looking_from),
    "seen": ("the number of pixels that the unit sees", _seen),
    "seen.shape": ("what the unit sees", _seen_shape),
    "fixes": ("the number of fixes", lambda state: len(state.fixes)),
    "goal": ("the goal", lambda state: state.goal.text() if state.goal else "none"),
    "goal.reached": ("the goal is reached", _reached),
}


def fact(scene: Lab, name: str, index: Index = ()) -> Fact:
    """A fact of the lab, or of its net as `net_fact`; None where there is none now, as of a layer that is not there.

    `selected.params` is that of the selected layer.

    Raises:
        WordsError: when there is no such fact.
    """
    state = scene.lab
    if name in OF_LAB and not index:
        return OF_LAB[name][1](state)
    if name == "view" and not index:
        return scene.view
    first, _, rest = name.partition(".")
    if first == "selected" and rest and not index:
        name = f"{state.row.node.name}.{rest}" if state.row else name
    try:
        return net_fact(state.analysis, name, index)
    except NoLayerError:
        return None


STAGE = Stage(
    name="build",
    about="a network of layers, with what each makes and costs",
    start=lambda: Scene(open_net("lenet5"), "field"),
    moves={
        **{
            verb: on_lab(arguments, about, make, lambda scene, lab: replace(scene, lab=lab))
            for verb, (arguments, about, make) in MOVES.items()
        },
        "view": Words(f"{', '.join(VIEWS[:-1])} or {VIEWS[-1]}", "what is beside the table", _view),
    },
    facts={**NET_FACTS, **{name: words for name, (words, _) in OF_LAB.items()}, "view": "the view"},
    fact=fact,
    controls={
        "add": ("add",),
        "edit": ("edit",),
        "delete": ("delete",),
        "duplicate": ("duplicate",),
        "move": ("move",),
        "wrap": ("wrap", "unwrap", "mark"),
        "mend": ("take",),
        "input": ("input",),
        "new": ("new",),
        "open": ("open",),
        "save": ("save",),
        "goal": ("goal",),
        "view": ("beside",),
        "columns": ("columns",),
        "compare": ("compare",),
        "train": ("train",),
        "explore": ("explore",),
        "undo": ("undo", "redo"),
    },
)
