"""What excites a unit most: patches of test pictures, cropped to what it sees of them; and which units are dead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cnntui.core.analysis import Analysis
from cnntui.core.explanation import Unit
from cnntui.core.forward import forward
from cnntui.core.network import INPUT
from cnntui.core.receptive_field import Field
from cnntui.core.sight import unit_sight
from cnntui.core.windows import Array
from cnntui.labs.changes import Dead
from cnntui.labs.explore import ExploreState, MoveError
from cnntui.labs.opened import Opened
from cnntui.runs.excited import STRONGEST, Excitement, Layer, Strong
from cnntui.runs.test_pictures import Gallery

PICTURES = 200  # that are looked at where the trainer told nothing
MOST_MACS = 20_000_000_000  # that may be spent on them, some ten seconds


@dataclass(frozen=True, eq=False)
class Patch:
    """What a unit saw of a test picture when it was excited so much.

    Args:
        picture, label: the number of the test picture, and its class.
        value: of the unit.
        unit: where in the layer: (channel, row, column), or (n,) in a vector.
        pixels: what it saw of the net's input (h, w), the mean of its channels; nan beyond the border.
    """

    picture: int
    label: int
    value: float
    unit: Unit
    pixels: Array


@dataclass(frozen=True, eq=False)
class Strongest:
    """The patches of a unit, the strongest first.

    Args:
        node, channel: whose they are.
        patches: none of a unit that is dead.
        count: how many test pictures were looked at; `of` how many that will be.
        step: of the training, as the net was then; None where that is not known.
        is_dead: whether none of these pictures moved it from 0.
        largest: its largest value on these pictures.
    """

    node: str
    channel: int
    patches: tuple[Patch, ...]
    count: int
    of: int
    step: int | None
    is_dead: bool
    largest: float

    @property
    def words(self) -> str:
        """Of what pictures it is told, at which step of the training, in a sentence without an end."""
        when = "" if self.step is None else f", at step {self.step:,}"
        which = (
            f"{self.count:,} test pictures" if self.count == self.of else f"{self.count:,} of {self.of:,} test pictures"
        )
        if self.is_dead:
            return f"channel {self.channel} is dead: over {which} it never rose above 0{when}"
        told = f"the strongest of {which}{when}"
        return f"{told}; it never rose above 0" if self.largest <= 0 else told


def dead_channels(excitement: Excitement | None) -> Dead:
    """Those that no picture moved from 0, of the weights that they were measured on."""
    if excitement is None:
        return Dead()
    channels = frozenset((node, channel) for node in excitement.layers for channel in excitement.dead(node))
    return Dead(channels, excitement.step if excitement.step >= 0 else None)


def strongest(
    model: Opened, gallery: Gallery, excitement: Excitement, node: str, channel: int, of: int | None = None
) -> Strongest | None:
    """The patches of a unit; None where it was not watched. `of`: how many pictures there will be, if this is not all."""
    extremes = excitement.range(node, channel)
    if extremes is None:
        return None
    count, step = len(excitement.pictures), excitement.step if excitement.step >= 0 else None
    is_dead = extremes == (0.0, 0.0)
    found = [] if is_dead else [one for one in excitement.top(node, channel) if one.picture < gallery.count]
    patches = tuple(_patch(model, gallery, node, channel, one) for one in found)
    return Strongest(node, channel, patches, count, of or count, step, is_dead, extremes[1])


def gathered(state: ExploreState, gallery: Gallery) -> Iterator[tuple[Excitement, int]]:
    """The layer looked at over the first test pictures, as the net is now: what is known after each few, and of how many.

    Of a net that was changed since, by hand or by learning, no step is told.

    Raises:
        MoveError: when it is the input that is looked at.
    """
    if state.node == INPUT:
        raise MoveError("the pixels are not excited by anything: choose a layer's channel")
    most = MOST_MACS // max(1, state.analysis.macs)
    of = min(gallery.count, PICTURES, max(STRONGEST, most))
    step = -1 if state.model.step is None or not state.as_trained else state.model.step
    values, places = [], []
    smallest = np.zeros(0)
    for number in range(of):
        x = state.model.preparation.prepared(gallery.picture(number).astype(float))
        made = forward(state.analysis, state.parameters, x, state.silenced).values[state.node]
        flat = made.reshape(len(made), -1)
        at = flat.argmax(1)
        rows, columns = np.unravel_index(at, made.shape[1:] or (1,)) if made.ndim == 3 else (at, at)
        values.append(flat.max(1))
        places.append(np.stack([np.full_like(at, number), rows, columns], 1))
        smallest = np.minimum(smallest, flat.min(1)) if number else flat.min(1)
        if number % 20 == 19 or number == of - 1:
            yield _as_told(state.node, step, np.array(values).T, np.array(places).swapaxes(0, 1), smallest), of


def _as_told(node: str, step: int, values: Array, places: Array, smallest: Array) -> Excitement:
    """Of values (C, N) at places (C, N, 3), as the trainer tells it."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :STRONGEST]
    layer = Layer(
        np.take_along_axis(values, order, 1), np.take_along_axis(places, order[..., None], 1), values.max(1), smallest
    )
    return Excitement(step, 0, np.arange(values.shape[1]), {node: layer})


def _patch(model: Opened, gallery: Gallery, node: str, channel: int, found: Strong) -> Patch:
    shape = next(row.output for row in model.analysis.rows if row.node.name == node) or ()
    unit: Unit = (channel, found.row, found.column) if len(shape) == 3 else (channel,)
    x = model.preparation.prepared(gallery.picture(found.picture).astype(float)).mean(0)
    pixels = cropped(x, model.analysis, node, unit)
    return Patch(found.picture, gallery.label(found.picture), found.value, unit, pixels)


def cropped(x: Array, analysis: Analysis, node: str, unit: Unit) -> Array:
    """What a unit sees of an input (H, W), as large for every unit of the layer: nan where that is beyond the border.

    The whole of it where the unit sees all.
    """
    index = next(i for i, row in enumerate(analysis.rows) if row.node.name == node)
    seen, fields = unit_sight(analysis, index, unit), analysis.rows[index].field
    if seen is None or not seen.rows or not seen.columns:
        return x
    rows, columns = seen.hull
    if fields is not None and len(unit) == 3:
        rows, columns = (
            _whole(field, at, size, hull)
            for field, at, size, hull in zip(fields, unit[1:], x.shape, (rows, columns), strict=True)
        )
    part = np.full((len(rows), len(columns)), np.nan)
    inside = [
        range(max(0, each.start), min(each.stop, size)) for each, size in zip((rows, columns), x.shape, strict=True)
    ]
    there = tuple(
        slice(within.start - each.start, within.stop - each.start)
        for within, each in zip(inside, (rows, columns), strict=True)
    )
    part[there] = x[inside[0].start : inside[0].stop, inside[1].start : inside[1].stop]
    return part


def _whole(field: Field, at: int, size: int, hull: range) -> range:
    """The pixels along an axis with those beyond the border; within it, where the field is as large as the picture."""
    low = field.start + field.jump * at - (field.size - 1) / 2
    if not field.aligned or low != int(low) or field.size >= size:
        return hull
    return range(int(low), int(low) + int(field.size))
