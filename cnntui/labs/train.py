"""The training lab: what is about to be trained, and which part of a run is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from cnntui.core.nets import load_net
from cnntui.core.network import Network
from cnntui.runs.reader import RunView
from cnntui.runs.spec import DATA_SETS, OPTIMIZERS, SCHEDULES, Settings

CHOICES: dict[str, Sequence[Any]] = {
    "data": ("auto", *(name for name in DATA_SETS if name != "auto")),
    "epochs": (1, 2, 3, 5, 8, 10, 15, 20, 30, 50),
    "batch_size": (16, 32, 64, 128, 256, 512, 1024),
    "lr": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "seed": tuple(range(10)),
    "device": ("auto", "cpu", "cuda", "mps"),
}


@dataclass(frozen=True)
class TrainState:
    """A net and its settings; `selected` is the setting that left and right change."""

    network: Network
    settings: Settings = Settings()
    selected: int = 0

    @property
    def names(self) -> list[str]:
        """The settings in order."""
        return list(CHOICES)

    def select(self, by: int) -> TrainState:
        """Another setting."""
        return replace(self, selected=(self.selected + by) % len(CHOICES))

    def change(self, by: int) -> TrainState:
        """The next or previous value of the selected setting; a value from elsewhere moves to its neighbour."""
        name = self.names[self.selected]
        values = list(CHOICES[name])
        present = getattr(self.settings, name)
        if present not in values:
            values = sorted([*values, present]) if not isinstance(present, str) else [present, *values]
        chosen = values[max(0, min(values.index(present) + by, len(values) - 1))]
        return replace(self, settings=msgspec.structs.replace(self.settings, **{name: chosen}))

    def with_network(self, network: Network) -> TrainState:
        """Another net."""
        return replace(self, network=network)


def start() -> TrainState:
    """How the lab opens."""
    return TrainState(load_net("lenet5").network)


@dataclass(frozen=True)
class Looking:
    """Which layer's maps, for which probe picture, and how the loss is drawn."""

    layer: str | None = None
    picture: int = 7
    log: bool = True

    def layers(self, view: RunView) -> list[str]:
        """The layers that have maps, the input left out."""
        return [name for name in view.probe.maps if name != "input"] if view.probe else []

    def present_layer(self, view: RunView) -> str | None:
        """The layer looked at: the chosen one, else the first."""
        layers = self.layers(view)
        return self.layer if self.layer in layers else layers[0] if layers else None

    def next_layer(self, view: RunView, by: int) -> Looking:
        """Another layer, round and round."""
        layers = self.layers(view)
        present = self.present_layer(view)
        return replace(self, layer=layers[(layers.index(present) + by) % len(layers)]) if present else self

    def next_picture(self, view: RunView, by: int) -> Looking:
        """Another picture, round and round."""
        count = len(view.probe.pictures) if view.probe else 0
        return replace(self, picture=(self.picture + by) % count) if count else self
