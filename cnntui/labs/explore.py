"""The exploring lab: a network with its weights, a picture that went through it, and what of it one looks at."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnntui.core.analysis import Analysis, Row
from cnntui.core.backward import Gradients, of_loss
from cnntui.core.explanation import Explanation, Source, Unit, explain
from cnntui.core.forward import PASSING, Channel, Trace, forward
from cnntui.core.layers import Flatten, Shape, shape_text
from cnntui.core.network import INPUT
from cnntui.core.parameters import Parameters
from cnntui.core.shading import scale_of
from cnntui.core.sight import Sight, seen_by
from cnntui.core.windows import Array
from cnntui.labs.changes import Change, Dead, Learned
from cnntui.labs.computed import computed
from cnntui.labs.drawing import by_channel, shifted
from cnntui.labs.opened import Opened, Picture
from cnntui.labs.rails import Rail, rails_of
from cnntui.runs.picture_files import ground_of
from cnntui.runs.weights import Moment

OVERVIEW, LAYER, CELL = "overview", "layer", "cell"
OF_NET = ("columns", "rows", "rails")  # what is computed of the layers alone
COMPUTED = (  # whatever one looks at
    *OF_NET, "parameters", "input", "background", "trace", "untouched", "pinned_trace", "probabilities", "loss_gradients",
)  # fmt: skip
NOTHING_DEAD = Dead()
HEAVY = 50_000_000  # multiply-accumulates from which on a run through the net is not to be waited for


class MoveError(ValueError):
    """A move that this state does not allow, and why."""


@dataclass(frozen=True, eq=False)
class ExploreState:
    """A network, a moment of its training, a picture, what was changed by hand; and where one looks.

    Args:
        model: the network, its parameters and what its pictures are.
        picture: what goes in.
        moments: those of the run whose weights can be had, in order; `moment` is the one whose weights these are.
        pinned: another moment's words and parameters, to compare with.
        changes: what was set by hand, in order.
        silenced: channels that are set to zero.
        learned: the weights after steps of learning; None: as they are. What was changed by hand comes on top.
        level: OVERVIEW, LAYER or CELL.
        node, unit: the number looked at: (channel, row, column), or (n,) in a vector.
        path: the units that were stepped down from, the last one last.
        target: the class that is asked about; None: the one that the net reads.
        why: which picture of reasons is drawn, of labs.why.KINDS.
        one_scale: whether all layers share one scale of colours.
        by_strength: whether channels are sorted by strength.
        dead: channels that no test picture moved from 0 when that was last looked at: as the net was then.
    """

    model: Opened
    picture: Picture
    moments: tuple[Moment, ...] = ()
    moment: int | None = None
    pinned: tuple[str, Parameters] | None = None
    changes: tuple[Change, ...] = ()
    silenced: frozenset[Channel] = frozenset()
    learned: Learned | None = None
    level: str = OVERVIEW
    node: str = INPUT
    unit: Unit = (0, 0, 0)
    path: tuple[Source, ...] = ()
    target: int | None = None
    why: str = ""
    one_scale: bool = False
    by_strength: bool = False
    dead: Dead = NOTHING_DEAD
    known: dict[object, Any] = field(
        default_factory=dict, repr=False
    )  # by what: scales and heat pictures, once computed

    # -- what was computed

    @property
    def analysis(self) -> Analysis:
        """Of the network."""
        return self.model.analysis

    @computed
    def parameters(self) -> Parameters:
        """The weights with what was learned, and with what was set by hand."""
        start = self.learned.parameters if self.learned else self.model.parameters
        if not any(change.node != INPUT for change in self.changes):
            return start
        parameters = {node: dict(own) for node, own in start.items()}
        for change in self.changes:
            if change.node != INPUT:
                tensor = parameters[change.node][change.name].copy()
                tensor[change.index] = change.value
                parameters[change.node][change.name] = tensor
        return parameters

    @computed
    def input(self) -> Array:
        """What the net is given, (C, H, W): the picture, prepared, with the pixels that were set by hand."""
        x = np.asarray(self.model.preparation.prepared(self.picture.pixels))
        for change in self.changes:
            if change.node == INPUT:
                x[change.index] = change.value
        return x

    @property
    def paper(self) -> tuple[int, ...]:
        """What is around a picture of the data, 0..255 by channel: black behind digits, else the mean of the data."""
        return ground_of(self.model.preparation)

    @computed
    def background(self) -> Array:
        """The input for a picture of nothing but paper, (C, H, W): what a covered pixel is."""
        shape = self.picture.pixels.shape
        return self.model.preparation.prepared(np.broadcast_to(by_channel(self.paper, shape[0]), shape))

    @computed
    def trace(self) -> Trace:
        """The network, run."""
        return forward(self.analysis, self.parameters, self.input, self.silenced)

    @computed
    def untouched(self) -> Trace:
        """The network as it is, on the picture as it is: what the changes are compared with."""
        if not self.touched:
            return self.trace
        return forward(self.analysis, self.model.parameters, self.model.preparation.prepared(self.picture.pixels))

    @computed
    def pinned_trace(self) -> Trace | None:
        """The same picture through the pinned moment's net."""
        return forward(self.analysis, self.pinned[1], self.input, self.silenced) if self.pinned else None

    @property
    def is_heavy(self) -> bool:
        """Whether the net is too large to be run between two keys."""
        return self.analysis.macs > HEAVY

    @property
    def is_ready(self) -> bool:
        """Whether it was run already."""
        return "trace" in self.__dict__

    @property
    def takes_time(self) -> bool:
        """Whether it is too large to be run between two keys, and was not run yet."""
        return self.is_heavy and not {"trace", "untouched", "pinned_trace"} <= set(self.__dict__)

    def run(self) -> None:
        """Compute all that is shown: of the net as it is, as it was before it was changed, as at the pinned moment."""
        _ = self.probabilities, self.untouched, self.pinned_trace, self.input, self.background, self.rails
        for node in self.columns:
            self.scale(node)

    def forget(self) -> None:
        """Let go of all that was computed; what is asked for again is computed again, and is the same."""
        for name, made in vars(ExploreState).items():
            if isinstance(made, computed):
                self.__dict__.pop(name, None)
        self.__dict__["known"] = {}  # a new one: another state may share the old one

    @property
    def has_classes(self) -> bool:
        """Whether the output is one number a class, and not a map."""
        return self.analysis.classes > 0

    @property
    def output_words(self) -> str:
        """What the output is where it is no classes: `the output is a map: 1×64×64`."""
        return f"the output is a map: {shape_text(self.analysis.output or ())}"

    @computed
    def probabilities(self) -> Array:
        """Of the classes; of no class where the output is a map."""
        return np.nan_to_num(self.trace.probabilities) if self.has_classes else np.zeros(0)

    @property
    def read(self) -> int:
        """The class that the net reads; −1 where the output is a map."""
        return int(self.probabilities.argmax()) if self.has_classes else -1

    @property
    def asked(self) -> int:
        """The class that is asked about."""
        return self.read if self.target is None else self.target

    def class_name(self, index: int) -> str:
        """Of a class, or its number."""
        names = self.model.classes
        return names[index] if index < len(names) else str(index)

    @computed
    def explanation(self) -> Explanation:
        """The number looked at, and what it is made of."""
        return explain(self.trace, self.node, self.unit)

    @property
    def value(self) -> float:
        """The number looked at."""
        return float(self.trace.values[self.node][self.unit])

    @property
    def sight(self) -> Sight | None:
        """The pixels that it can see; None: all."""
        return seen_by(self.analysis, self.node, self.unit)

    @computed
    def loss_gradients(self) -> Gradients | None:
        """Of the loss for this picture's label, where that is known and a class of the net."""
        label = self.picture.label
        return None if label is None or label >= self.analysis.classes else of_loss(self.trace, label)

    # -- the layers as they are shown

    @computed
    def columns(self) -> tuple[str, ...]:
        """What there is to see, in order: the input, and each layer that does more than hand on what it reads."""
        rows = self.analysis.rows
        return (INPUT, *(row.node.name for row in rows if not isinstance(row.node.layer, PASSING)))

    @computed
    def rails(self) -> tuple[Rail, ...]:
        """Of those, in that order."""
        return rails_of(self.analysis.network, self.columns)

    @computed
    def rows(self) -> Mapping[str, Row]:
        """The facts of each layer."""
        return {row.node.name: row for row in self.analysis.rows}

    def shape(self, node: str) -> Shape:
        """(C, H, W) or (N,)."""
        return tuple(self.trace.values[node].shape)

    def origin(self, source: Source) -> Source:
        """Where a number comes from, behind the layers that only hand it on."""
        while source.node != INPUT and isinstance(self.rows[source.node].node.layer, PASSING):
            row = self.rows[source.node]
            before = row.node.inputs[0]
            unit = source.unit
            if isinstance(row.node.layer, Flatten):
                unit = tuple(map(int, np.unravel_index(unit[0], self.shape(before))))
            source = Source(before, unit)
        return source

    def scale(self, node: str) -> float:
        """What full colour stands for in a layer's maps."""
        if self.one_scale and node != INPUT:
            return max(self._scale(name) for name in self.columns if name != INPUT)
        return self._scale(node)

    def _scale(self, node: str) -> float:
        if node not in self.known:
            self.known[node] = scale_of(self.trace.values[node])
        return float(self.known[node])

    def part_word(self, node: str) -> str:
        """What the first index counts in a layer: the channels of maps, the units of a vector."""
        return "unit" if node != INPUT and len(self.rows[node].output or ()) == 1 else "channel"

    @property
    def channel(self) -> int:
        """The map looked at; in a vector, the number."""
        return self.unit[0]

    @property
    def channels(self) -> int:
        """How many maps the layer has."""
        return self.shape(self.node)[0]

    def order(self, node: str) -> list[int]:
        """Its channels as they are sorted: by number, or the strongest first (mean magnitude)."""
        values = self.trace.values[node]
        if not self.by_strength:
            return list(range(len(values)))
        strength = np.abs(values).reshape(len(values), -1).mean(1)
        return [int(i) for i in np.argsort(-strength, kind="stable")]

    def strongest(self, node: str, channel: int) -> Unit:
        """Where a map is farthest from what most of it is."""
        plane = np.nan_to_num(self.trace.values[node][channel])
        if plane.ndim == 0:
            return (channel,)
        places = (plane.size - 1) // 2, plane.size // 2
        middle = np.partition(plane, places, axis=None)[list(places)].mean()  # the median
        far = np.abs(plane - middle)
        return (channel, *map(int, np.unravel_index(int(far.argmax()), plane.shape)))

    # -- looking

    def look(self, node: str, unit: Unit | None = None, **more: Any) -> ExploreState:
        """At another number, by default the strongest of the same channel, or of the first."""
        if node not in self.trace.values:
            raise MoveError(f"there is no layer {node!r}")
        shape = self.shape(node)
        if unit is None:
            unit = self.strongest(node, min(self.channel, shape[0] - 1))
        if len(unit) != len(shape) or any(not 0 <= i < n for i, n in zip(unit, shape, strict=True)):
            raise MoveError(f"{node} has {'×'.join(map(str, shape))} numbers: there is no {','.join(map(str, unit))}")
        return self._kept(node=node, unit=unit, **more)

    def _kept(self, **changes: Any) -> ExploreState:
        """Another place to look at, with all that was computed kept."""
        other = replace(self, **changes)
        for name in COMPUTED:
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def _anew(self, **changes: Any) -> ExploreState:
        """With something else computed, but for what depends on the layers, or on the model and the picture alone."""
        other = replace(self, known={}, **changes)
        kept = {name: self.__dict__[name] for name in OF_NET if name in self.__dict__}
        if other.analysis is self.analysis:
            other.__dict__.update(kept)
        if other.model is self.model and other.picture is self.picture:
            untouched = self.__dict__.get("untouched" if self.touched else "trace")
            if untouched is not None:
                other.__dict__["untouched"] = untouched
                if not other.touched:
                    other.__dict__["trace"] = untouched
        return other

    def aimed(self, node: str, unit: Unit, level: str) -> ExploreState:
        """At a unit that is known to be there, before the net is run: of another picture, say."""
        return replace(self, known={}, node=node, unit=unit, level=level, path=())

    def adopt(self, other: ExploreState) -> None:
        """Take over what was computed for another place in the same net on the same picture."""
        for name in COMPUTED:
            if name in other.__dict__:
                self.__dict__.setdefault(name, other.__dict__[name])

    def to_layer(self, by: int) -> ExploreState:
        """A layer on or back, the same channel and the same place as far as there is one."""
        columns = self.columns
        at = columns.index(self.node) if self.node in columns else 0
        return self.to_column(columns[max(0, min(at + by, len(columns) - 1))])

    def to_column(self, node: str) -> ExploreState:
        """Another layer: the same channel and relative place at the levels below the overview, else its strongest."""
        shape = self.shape(node)
        channel = min(self.channel, shape[0] - 1)
        if self.level == OVERVIEW and self.has_classes and node == self.columns[-1] and len(shape) == 1:
            return self.look(node, (self.read,), path=())  # of all scores the one that counts
        if self.level == OVERVIEW or len(shape) == 1 or len(self.unit) == 1:
            return self.look(node, self.strongest(node, channel), path=())
        old = self.shape(self.node)
        place = (int((self.unit[i] + 0.5) * shape[i] / old[i]) for i in (1, 2))
        return self.look(node, (channel, *place), path=())

    def to_channel(self, by: int) -> ExploreState:
        """A channel on or back, as they are sorted; at the same place, or in the overview where it is strongest."""
        order = self.order(self.node)
        channel = order[max(0, min(order.index(self.channel) + by, len(order) - 1))]
        unit = self.strongest(self.node, channel) if self.level == OVERVIEW else (channel, *self.unit[1:])
        return self.look(self.node, unit, path=())

    def to_cell(self, rows: int, columns: int) -> ExploreState:
        """The cell so many rows and columns on; in a vector, the number so many on."""
        shape = self.shape(self.node)
        if len(shape) == 1:
            return self.to_channel(rows + columns)
        y, x = self.unit[1] + rows, self.unit[2] + columns
        return self.look(self.node, (self.unit[0], max(0, min(y, shape[1] - 1)), max(0, min(x, shape[2] - 1))), path=())

    def down(self, source: Source) -> ExploreState:
        """To a number that this one is made of."""
        return self.look(*_pair(self.origin(source)), path=(*self.path, Source(self.node, self.unit)), level=CELL)

    def up(self) -> ExploreState:
        """To the number that was stepped down from; from the first to the layer, from the layer to the overview."""
        if self.level == CELL and self.path:
            return self.look(*_pair(self.path[-1]), path=self.path[:-1])
        return self._kept(level=LAYER if self.level == CELL else OVERVIEW, path=())

    def deeper(self) -> ExploreState:
        """From the overview to the layer, from the layer to the cell."""
        return self._kept(level=LAYER if self.level == OVERVIEW else CELL)

    def toggled(self, what: str) -> ExploreState:
        """`one_scale` or `by_strength` the other way."""
        return self._kept(**{what: not getattr(self, what)})

    def reasoned(self, why: str) -> ExploreState:
        """With another picture of reasons, or none."""
        return self._kept(why=why)

    def at_first(self) -> ExploreState:
        """Where one begins: on the strongest map of the first layer."""
        if len(self.columns) < 2:
            return self
        node = self.columns[1]
        values = self.trace.values[node]
        channel = int(np.abs(values).reshape(len(values), -1).mean(1).argmax())
        return self.look(node, self.strongest(node, channel))

    def jumped(self, text: str) -> ExploreState:
        """To a layer by its number (0 is the input) or name; with a unit behind it, to that number's arithmetic.

        Raises:
            MoveError: when there is none, saying what there is.
        """
        word, _, rest = text.strip().partition(" ")
        columns = self.columns
        if word.isdecimal() and int(word) < len(columns):
            node = columns[int(word)]
        elif word in self.trace.values:
            node = word
        else:
            near = [name for name in columns if word and name.startswith(word)]
            if len(near) != 1:
                raise MoveError(f"no layer {word!r}: there are {', '.join(columns[:8])}{' …' * (len(columns) > 8)}")
            node = near[0]
        if not rest.strip():
            while node not in columns:  # behind what only hands it on, which has no column
                node = self.rows[node].node.inputs[0]
            return self.to_column(node)
        try:
            unit = tuple(int(part) for part in rest.split(","))
        except ValueError:
            raise MoveError(f"{rest.strip()!r} is no unit: write channel,row,column or a number") from None
        there = self.look(node, unit, path=(), level=CELL)
        return there.look(*_pair(self.origin(Source(node, unit))))

    def ask(self, target: int | None) -> ExploreState:
        """About another class."""
        return self._kept(target=target)

    # -- what goes in, and when

    def show(self, picture: Picture) -> ExploreState:
        """Another picture; the pixels that were set by hand were of the one before."""
        changes = tuple(change for change in self.changes if change.node != INPUT)
        return self._anew(picture=picture, changes=changes, target=None)

    def among(self, moments: tuple[Moment, ...], moment: int | None) -> ExploreState:
        """With these moments, of which one is the present."""
        return self._kept(moments=moments, moment=moment)

    def shifted(self, rows: int, columns: int) -> ExploreState:
        """The same picture so many pixels down and to the right; shifted back it is as it was."""
        base, down, right = self.picture.shift or (self.picture, 0, 0)
        down, right = down + rows, right + columns
        if not down and not right:
            return self.show(base)
        pixels = shifted(base.pixels, down, right, self.paper)
        title = f"{base.title} shifted {down},{right}"
        return self.show(Picture(pixels, title, base.label, base.number, (base, down, right)))

    def at(self, moment: int, model: Opened) -> ExploreState:
        """With the weights of another moment; the pinned one stays as it is. Steps of learning were of the one before."""
        other = self._anew(model=model, moment=moment, learned=None, changes=_since(self.changes, model.parameters))
        if self.pinned and "pinned_trace" in self.__dict__:
            other.__dict__["pinned_trace"] = self.pinned_trace
        return other

    @property
    def place(self) -> int:
        """Which moment it is; of weights that are of none, how many moments were before them."""
        if self.moment is not None:
            return self.moment
        steps = [moment.step for moment in self.moments]
        return len(steps) if self.model.step is None else bisect_left(steps, self.model.step)

    def pin(self) -> ExploreState:
        """The present moment to compare others with, or no more."""
        other = self._kept(pinned=None if self.pinned else (self.when, self.model.parameters))
        other.__dict__.pop("pinned_trace", None)
        return other

    @property
    def when(self) -> str:
        """The present moment in words: step 4,690."""
        return self.model.moment if self.model.step is None else f"step {self.model.step:,}"

    @property
    def pinned_words(self) -> str:
        """The pinned moment in words; none where none is pinned."""
        return self.pinned[0] if self.pinned else ""

    @property
    def then(self) -> float | None:
        """What the number looked at was at the pinned moment; None where none is pinned."""
        return None if self.pinned_trace is None else float(self.pinned_trace.values[self.node][self.unit])

    def is_still(self, node: str, channel: int) -> bool:
        """Whether a map is nothing but zero on this picture."""
        return not self.trace.values[node][channel].any()

    def is_dead(self, node: str, channel: int) -> bool:
        """Whether it is so on every test picture too: known of the very weights alone on which that was measured."""
        measured = self.as_trained and self.dead.step == self.model.step and (node, channel) in self.dead.channels
        return measured and self.is_still(node, channel)

    @property
    def as_trained(self) -> bool:
        """Whether the net is as it was at that moment: nothing learned since, set by hand, or silenced; pixels may be."""
        return not self.learned and not self.silenced and all(change.node == INPUT for change in self.changes)

    def knowing(self, dead: Dead) -> ExploreState:
        """With what is known by now of channels that are dead."""
        return self if dead == self.dead else self._kept(dead=dead)

    # -- interventions

    def changed(self, node: str, name: str, index: tuple[int, ...], value: float) -> ExploreState:
        """With a pixel, a weight or a bias set to another value.

        Raises:
            MoveError: when there is none, or the value is no finite number.
        """
        if not np.isfinite(value):
            raise MoveError(f"{value} is not a finite number")
        tensor = self.input if node == INPUT else self.parameters.get(node, {}).get(name)
        if tensor is None:
            raise MoveError(f"{node} has no {name}")
        if len(index) != tensor.ndim or any(not 0 <= i < n for i, n in zip(index, tensor.shape, strict=True)):
            raise MoveError(f"{'.'.join(filter(None, (node, name)))} has no {','.join(map(str, index))}")
        change = Change(node, name, index, value, float(tensor[index]))
        return self._anew(changes=(*self.changes, change))

    def silence(self, node: str, channel: int) -> ExploreState:
        """A channel off, or on again."""
        if node == INPUT:
            raise MoveError("the input is not silenced: choose a layer's channel")
        return self._anew(silenced=self.silenced ^ {(node, channel)})

    def taught(self, learned: Learned, trace: Trace) -> ExploreState:
        """After a step of learning; `trace` is of its weights. A weight that was set by hand was moved with all others."""
        state = self._anew(learned=learned, changes=tuple(change for change in self.changes if change.node == INPUT))
        state.__dict__["trace"] = trace
        return state

    def restored(self) -> ExploreState:
        """Without anything that was changed."""
        return self._anew(changes=(), silenced=frozenset(), learned=None)

    @property
    def touched(self) -> list[str]:
        """What was changed, in words."""
        return [
            *([self.learned.text] if self.learned else []),
            *(change.text for change in self.changes),
            *(f"{node} {self.part_word(node)} {channel} silenced" for node, channel in sorted(self.silenced)),
        ]


def _since(changes: tuple[Change, ...], parameters: Parameters) -> tuple[Change, ...]:
    """The same changes, made to other weights: what was there before is what those are, or the change before left."""
    now: dict[tuple[object, ...], float] = {}
    made = []
    for change in changes:
        if change.node != INPUT:
            place = (change.node, change.name, change.index)
            before = now.get(place, float(parameters[change.node][change.name][change.index]))
            now[place] = change.value
            change = replace(change, before=before)
        made.append(change)
    return tuple(made)


def _pair(source: Source) -> tuple[str, Unit]:
    return source.node, source.unit
