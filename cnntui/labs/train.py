"""What is about to be trained: a net, and the settings with what each of them does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from cnntui.core.nets import load_net
from cnntui.core.network import Network
from cnntui.core.notation import network_text
from cnntui.labs.plain import trained
from cnntui.runs.spec import (
    AUGMENTATIONS,
    DATA_SETS,
    DIGITS,
    OPTIMIZERS,
    PRECISIONS,
    RECIPES,
    SCHEDULES,
    Settings,
    Spec,
)

CHOICES: dict[str, Sequence[Any]] = {
    "data": ("auto", *(name for name in DATA_SETS if name != "auto")),
    "recipe": tuple(RECIPES),
    "epochs": (1, 2, 3, 5, 8, 10, 15, 20, 30, 50),
    "batch_size": (16, 32, 64, 128, 256, 512, 1024),
    "lr": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "weight_decay": (None, 0.0, 0.0001, 0.0005, 0.001, 0.01, 0.05, 0.1),
    "label_smoothing": (0.0, 0.05, 0.1, 0.2),
    "augment": AUGMENTATIONS,
    "precision": PRECISIONS,
    "compile": (False, True),
    "seed": tuple(range(10)),
    "device": ("auto", "cpu", "cuda", "mps"),
}

# One or two lines of plain words: what it does, when to use it.
HELP = {
    "data": "The pictures to learn from. auto is MNIST where it is or can be had, else small scans of digits.",
    "recipe": "Sets the rows below at once. plain is what a textbook does; fast reaches a good accuracy soonest.",
    "epochs": "How often every training picture is seen. More takes longer, and at some point only learns by heart.",
    "batch_size": "Pictures a step. Large batches keep a GPU busy but make fewer steps; with them raise lr.",
    "lr": "The learning rate: how far one step goes. The setting that matters most; too large, and the loss is nan.",
    "optimizer": "How a gradient becomes a step. adam needs little care; sgd wants a larger lr, about 0.1.",
    "schedule": "How lr goes on: cosine falls to zero, constant stays, onecycle rises first and is the fastest.",
    "weight_decay": "Pulls the weights towards zero, against learning by heart. Works best with adamw and sgd.",
    "label_smoothing": "Asks for a little less than certainty: 0.1 makes the net less sure, and often more often right.",
    "augment": "Moves each training picture a little, so none is seen twice: for long trainings. Digits are not mirrored.",
    "precision": "bfloat16 is twice as fast on a recent GPU, at the same accuracy; auto takes it where it helps.",
    "compile": "torch.compile: half a minute of waiting first, faster steps afterwards. For long trainings on a GPU.",
    "seed": "The same seed gives the same start and order of pictures. Two seeds show how much is chance.",
    "device": "Where it is computed. auto takes a GPU where there is one.",
}

FRESH: dict[str, Any] = {"weights_from": None, "new_head": False, "frozen": False, "backbone_lr": None}
ALONE: dict[str, Any] = {**FRESH, "tensorboard": None, "ranks": 1, "sync_bn": False}
RECIPE_SETS = tuple(sorted({name for recipe in RECIPES.values() for name in recipe}))

MOST_UNLIKE = 2  # layers more or less, beyond which a net is another one


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

    @property
    def name(self) -> str:
        """The selected one."""
        return self.names[self.selected]

    @property
    def recipe(self) -> str:
        """The recipe that the settings are of, or `own`."""
        for name in RECIPES:
            if all(getattr(self.settings, field) == getattr(_cooked(name), field) for field in RECIPE_SETS):
                return name
        return "own"

    def value(self, name: str) -> Any:
        """What a setting is now."""
        return self.recipe if name == "recipe" else getattr(self.settings, name)

    def text(self, name: str) -> str:
        """The same for people."""
        value = self.value(name)
        if value is None:
            return f"{self.settings.optimizer}'s own"
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)

    def select(self, by: int) -> TrainState:
        """Another setting."""
        return replace(self, selected=(self.selected + by) % len(CHOICES))

    def choices(self, name: str) -> list[Any]:
        """The values to choose from, the present one in its place among them."""
        values, present = list(CHOICES[name]), self.value(name)
        if name == "augment" and self.settings.data in DIGITS:
            values.remove("flip")
        if present in values:
            return values
        if isinstance(present, str):
            return [present, *values]
        return sorted([*values, present], key=lambda value: (value is not None, value))

    def change(self, by: int) -> TrainState:
        """The next or previous value of the selected setting."""
        values = self.choices(self.name)
        chosen = values[max(0, min(values.index(self.value(self.name)) + by, len(values) - 1))]
        if self.name == "recipe":
            return self if chosen == "own" else self.cook(chosen)
        settings = msgspec.structs.replace(self.settings, **{self.name: chosen})
        if settings.data in DIGITS and settings.augment == "flip":
            settings = msgspec.structs.replace(settings, augment="shift")
        return replace(self, settings=settings)

    def cook(self, recipe: str) -> TrainState:
        """What a recipe sets, and the defaults where another recipe sets something."""
        fields = {field: getattr(_cooked(recipe), field) for field in RECIPE_SETS}
        return replace(self, settings=msgspec.structs.replace(self.settings, **fields))

    def with_network(self, network: Network) -> TrainState:
        """Another net; the weights to begin with were for the one before."""
        return replace(self, network=network, settings=msgspec.structs.replace(self.settings, **FRESH))

    @property
    def extras(self) -> list[str]:
        """What will be done beside the settings that have a row: nothing is to happen that is not seen."""
        settings, lines = self.settings, []
        if settings.ranks > 1:
            norm = ", batch norm over all" if settings.sync_bn else ""
            lines.append(f"{settings.ranks} ranks train it together{norm}")
        if settings.weights_from is not None:
            head = ", new head" if settings.new_head else ""
            lines.append(f"begins with the weights of {Path(settings.weights_from).name}{head}")
        if settings.frozen:
            lines.append(f"backbone frozen: {trained(self.network, settings)}")
        if settings.backbone_lr is not None:
            lines.append(f"learning rate of the backbone: {settings.backbone_lr:g}")
        if settings.tensorboard is not None:
            lines.append(f"TensorBoard: {settings.tensorboard}")
        return lines

    def without_extras(self) -> TrainState:
        """Fresh weights, no TensorBoard, one rank."""
        return replace(self, settings=msgspec.structs.replace(self.settings, **ALONE))


def _cooked(recipe: str) -> Settings:
    return Settings(**RECIPES[recipe])


def again(spec: Spec) -> TrainState:
    """The net and the settings of a run, for a new one; but its TensorBoard directory shows that run, and no other."""
    chosen = {name: getattr(spec, name) for name in Settings.__struct_fields__ if name != "tensorboard"}
    return TrainState(spec.network, Settings(**chosen))


def beside(now: TrainState, offered: TrainState) -> str:
    """A net that is offered, in a line: what it has more and less than the present one; if that is much, its layers."""
    layers = network_text(offered.network)
    more = Counter(layers) - Counter(network_text(now.network))
    less = Counter(network_text(now.network)) - Counter(layers)
    parts = [f"with {'; '.join(more.elements())}"] * bool(more) + [f"without {'; '.join(less.elements())}"] * bool(less)
    if more.total() + less.total() > MOST_UNLIKE:
        parts = ["; ".join(layers)]
    epochs = offered.settings.epochs
    return ", ".join((*(parts or ["the same layers"]), f"{epochs} epoch{'s' * (epochs != 1)}"))


def start() -> TrainState:
    """How the lab opens."""
    return TrainState(load_net("lenet5").network)
