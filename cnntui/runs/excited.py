"""What excites each unit of a run's net most: the strongest of its test pictures, as the trainer saw them.

A safetensors file: `pictures` (N,) int32 are the numbers of the test pictures that were looked at. For each layer that was
watched `<node>.values` (C, k) float32 are the strongest values of each channel, at most nine and one a picture, strongest
first; `<node>.places` (C, k, 3) int32 their picture, row and column; `<node>.largest` and `<node>.smallest` (C,) float32 the
extremes over all those pictures. Of a layer of vectors, C are its units, and row and column 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cnntui.core.analysis import analyse
from cnntui.core.layers import Shape
from cnntui.core.windows import Array
from cnntui.runs.reader import RunView
from cnntui.runs.weights import WeightsError, read_weights

STRONGEST = 9
KEYS = ("values", "places", "largest", "smallest")


class Strong(NamedTuple):
    """A value of a unit, the test picture that gave it, and where in the layer's map."""

    value: float
    picture: int
    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Layer:
    """What is known of a layer's channels; not of all, where there are many."""

    values: Array
    places: Array
    largest: Array
    smallest: Array


@dataclass(frozen=True, eq=False)
class Excitement:
    """What excited the units at a step. `pictures`: the numbers of the test pictures that were looked at."""

    step: int
    epoch: int
    pictures: Array
    layers: Mapping[str, Layer]

    def top(self, node: str, channel: int) -> list[Strong]:
        """What excites a unit most, strongest first; empty where it was not watched."""
        layer = self.layers.get(node)
        if layer is None or not 0 <= channel < len(layer.values):
            return []
        found = zip(layer.values[channel].tolist(), layer.places[channel].tolist(), strict=True)
        return [Strong(value, *place) for value, place in found]

    def dead(self, node: str) -> tuple[int, ...]:
        """The channels that no picture moved from 0, such as those of a relu that never opens."""
        layer = self.layers.get(node)
        if layer is None:
            return ()
        return tuple(np.flatnonzero((layer.largest == 0) & (layer.smallest == 0)).tolist())

    def range(self, node: str, channel: int) -> tuple[float, float] | None:
        """The smallest and the largest value of a channel over all pictures; None where it was not watched."""
        layer = self.layers.get(node)
        if layer is None or not 0 <= channel < len(layer.largest):
            return None
        return float(layer.smallest[channel]), float(layer.largest[channel])


def read_excited(view: RunView) -> Excitement | None:
    """What a run last told of what excites its units; None while there is nothing, or nothing that can be relied on."""
    told = view.excited
    path = view.file(told.file) if told is not None else None
    if told is None or path is None:
        return None
    try:
        tensors = read_weights(path)
    except WeightsError:
        return None
    pictures = tensors.pop("pictures", None)
    if pictures is None or pictures.ndim != 1 or pictures.dtype != np.int32 or not len(pictures):
        return None
    shapes = {row.node.name: row.output for row in analyse(view.spec.network).rows}
    layers = {}
    for node in dict.fromkeys(key.rpartition(".")[0] for key in tensors):
        arrays = [tensors.get(f"{node}.{key}") for key in KEYS]
        shape = shapes.get(node)
        if shape is None or any(array is None for array in arrays):
            return None
        layer = Layer(*(array for array in arrays if array is not None))
        if not _is_whole(layer, shape, pictures):
            return None
        layers[node] = layer
    return Excitement(told.step, told.epoch, pictures, layers)


def _is_whole(layer: Layer, shape: Shape, pictures: Array) -> bool:
    """Whether it is of such a layer, and of these pictures: a viewer relies on it."""
    floats = (layer.values, layer.largest, layer.smallest)
    if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in floats):
        return False
    if layer.places.dtype != np.int32 or layer.values.ndim != 2 or layer.places.shape != (*layer.values.shape, 3):
        return False
    channels, count = layer.values.shape
    if not (0 < channels <= shape[0] and 0 < count <= STRONGEST):
        return False
    if layer.largest.shape != (channels,) or layer.smallest.shape != (channels,):
        return False
    height, width = shape[1:] if len(shape) == 3 else (1, 1)
    inside = (layer.places[..., 1:] >= 0) & (layer.places[..., 1:] < (height, width))
    return bool(inside.all() and np.isin(layer.places[..., 0], pictures).all())
