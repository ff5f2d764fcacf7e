"""The Train screen in words: a net with its settings, and the run that is watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from typing import Any

import msgspec

from cnntui.core.analysis import analyse
from cnntui.core.arithmetic import MINUS
from cnntui.labs.classes import share
from cnntui.labs.net_facts import NET_FACTS
from cnntui.labs.stages import Fact, Index, Stage, Words, WordsError, nearest
from cnntui.labs.stages.given import asked, named, network_of, of_net
from cnntui.labs.train import CHOICES, TrainState, again, start
from cnntui.labs.watching import PANELS, RATE, Looking, misread_count
from cnntui.labs.words import number_of
from cnntui.runs.reader import RunView
from cnntui.runs.spec import DATA_SETS, RECIPES, Settings

PANEL_WORDS = {"rate" if number == RATE else name: number for number, name in PANELS.items()}
OWN = "own"  # what a weight decay is called that is the optimizer's own


@dataclass(frozen=True)
class Training:
    """What is about to be trained; the run that is watched, as it was read last, if there is one; which panels are seen.

    While a run is watched, the settings that are asked about are its own.
    """

    setup: TrainState
    run: RunView | None = None
    looking: Looking = field(default_factory=Looking)

    @cached_property
    def told(self) -> TrainState:
        """The net and the settings: of the run that is watched, else of the next one."""
        return again(self.run.spec) if self.run is not None else self.setup


# -- moves


def _net(state: Training, net: str, *more: str) -> Training:
    return replace(state, setup=state.told.with_network(network_of(net, *more)), run=None)


def _setting(name: str) -> Callable[[Training, str], Training]:
    """The move that sets one of the settings; a run that was watched goes on unwatched."""

    def make(state: Training, text: str) -> Training:
        before = state.told
        if name == "recipe":
            if text not in RECIPES:
                raise WordsError(f"recipe {text!r} is none of {', '.join(RECIPES)}")
            return replace(state, setup=before.cook(text), run=None)
        settings = msgspec.structs.replace(before.settings, **{name: _value(name, text)})
        settings.check()
        return replace(state, setup=replace(before, settings=settings), run=None)

    return make


def _value(name: str, text: str) -> Any:
    """What a setting is to be, from its text."""
    if name == "data" and text not in DATA_SETS:  # a directory of pictures is the learner's to name
        raise WordsError(f"data {text[:40]!r} is none of {', '.join(DATA_SETS)}")
    kind = float if name == "weight_decay" else type(getattr(Settings(), name))
    if name == "weight_decay" and text == OWN:
        return None
    if kind is bool:
        if text not in ("on", "off"):
            raise WordsError(f"{name} {text!r} is neither on nor off")
        return text == "on"
    if kind is int:
        bare = text.replace(MINUS, "-").replace(",", "")
        if not (bare.isascii() and bare.removeprefix("-").isdigit() and len(bare) < 20):
            raise WordsError(f"{name} {text[:20]!r} is not a whole number")
        return int(bare)
    return number_of(text) if kind is float else text


def _panel(state: Training, name: str) -> Training:
    if name not in PANEL_WORDS:
        raise WordsError(f"no panel is called {name!r}; {nearest(name, PANEL_WORDS)}")
    return replace(state, looking=state.looking.choose(PANEL_WORDS[name]))


def epochs_of(text: str) -> int | None:
    """After how many epochs a training is not waited for any more; None: at its end.

    Raises:
        WordsError: when it is no whole number above 0.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise WordsError(f"{text[:20]!r} is no number of epochs: write one like 2, or nothing for all of them")
    return int(text[:9])


def _start(state: Training, epochs: str = "") -> Training:
    epochs_of(epochs)
    state.told.settings.check()
    return state


SET = {  # what is written behind the name of a setting, and what it sets
    "data": ("NAME", "the pictures"),
    "recipe": ("NAME", "settings that belong together"),
    "epochs": ("N", "how often every picture is seen"),
    "batch_size": ("N", "pictures a step"),
    "lr": ("X", "the learning rate"),
    "optimizer": ("NAME", "how a gradient becomes a step"),
    "schedule": ("NAME", "how the learning rate goes on"),
    "weight_decay": ("X", f"how weights are pulled towards zero; {OWN}: as the optimizer does by itself"),
    "label_smoothing": ("X", "the share of a label that all classes get"),
    "augment": ("NAME", "how training pictures are moved"),
    "precision": ("NAME", "of the numbers"),
    "compile": ("on or off", "torch.compile"),
    "seed": ("N", "what is drawn at random"),
    "device": ("NAME", "where it is computed"),
}
MOVES = {
    "run": Words("NAME", "a net and its settings, as the lesson has them; a run of it that goes on is followed", named),
    "watch": Words("NAME", "the same; a run of it that was trained here before is shown", named),
    "net": Words("NET", "a net of the zoo, or layers for 1×28×28", _net),
    **{name: Words(*SET.get(name, ("VALUE", f"the {name.replace('_', ' ')}")), _setting(name)) for name in CHOICES},
    "panel": Words("NAME", f"in the pane in focus: {', '.join(PANEL_WORDS)}", _panel),
    "start": Words("[EPOCHS]", "train it; waits until it is over, or so many epochs are", _start),
    "pause": Words("", "the run stands still", asked),
    "resume": Words("", "it goes on; waits until it is over", asked),
    "stop": Words("", "it ends after a checkpoint", asked),
}


# -- facts


def gap(view: RunView) -> float | None:
    """By how much the test loss is above the mean training loss of the last epoch; None before the first test."""
    if not view.test_loss or view.data is None:
        return None
    at, loss = view.test_loss[-1]
    each = view.data.steps / view.spec.epochs
    learned = [value for step, value in view.train_loss if at - each < step <= at]
    return loss - sum(learned) / len(learned) if learned else None


def best_epoch(view: RunView) -> float | None:
    """After which epoch the test loss was lowest."""
    if not view.test_loss or view.data is None:
        return None
    at, _ = min(view.test_loss, key=lambda point: (not isfinite(point[1]), point[1]))
    return round(at * view.spec.epochs / view.data.steps)


def _last(name: str) -> Callable[[RunView], Fact]:
    def find(view: RunView) -> Fact:
        points = getattr(view, name)
        return float(points[-1][1]) if points else None

    return find


def _worst(view: RunView) -> Fact:
    classes = view.classes
    if classes is None or not classes.counts:
        return None
    return min(range(len(classes.counts)), key=lambda i: share(classes.right[i], classes.counts[i]))


OF_RUN: dict[str, tuple[str, Callable[[RunView], Fact]]] = {
    "state": ("the run's state", lambda v: v.label),
    "trained": ("trained to the end", lambda v: v.trained),
    "epoch": ("the epoch", lambda v: v.status.epoch if v.status else 0),
    "step": ("the step", lambda v: v.status.step if v.status else 0),
    "data.name": ("the data", lambda v: v.data.name if v.data else None),
    "train_loss": ("the training loss", _last("train_loss")),
    "test_loss": ("the test loss", _last("test_loss")),
    "test_accuracy": ("the test accuracy", _last("test_accuracy")),
    "best_accuracy": ("the best test accuracy", lambda v: max((a for _, a in v.test_accuracy), default=None)),
    "best_epoch": ("the epoch of the lowest test loss", best_epoch),
    "gap": ("the test loss less the training loss", gap),
    "diverged": ("a loss that is not finite", lambda v: any(not isfinite(loss) for _, loss in v.recent_loss)),
    "images_per_second": ("the images per second", _last("images_per_second")),
    "misread": ("the misread test pictures", lambda v: misread_count(v.classes) if v.classes else None),
    "worst": ("the class that is read worst", _worst),
    "pictures.train": ("the training pictures", lambda v: v.data.train if v.data else None),
    "pictures.test": ("the test pictures", lambda v: v.data.test if v.data else None),
}
OTHERS = {
    "started": "a run that was started",
    "panel": "the panel in focus",
    "seen": "on the screen there is the panel",
    "class_accuracy": "the test accuracy of the class",
}
CALLED = {"lr": "learning rate", "epochs": "number of epochs"}
SETTINGS = {name: f"the {CALLED.get(name, name.replace('_', ' '))}" for name in CHOICES}
FACTS = {**NET_FACTS, **SETTINGS, **OTHERS, **{name: what for name, (what, _) in OF_RUN.items()}}


def fact(state: Training, name: str, index: Index = ()) -> Fact:
    """A fact of the settings, or of the run that is watched.

    Raises:
        WordsError: when there is no such fact.
    """
    if name == "class_accuracy":
        return _class_accuracy(state.run, index)
    if name == "seen":
        return _seen(state.looking, index)
    if index and name in FACTS and name not in NET_FACTS:
        raise WordsError(f"{name} has no index: write {name} alone")
    if name in SETTINGS:
        value: Fact = state.told.value(name)
        return OWN if value is None else value
    if name in OF_RUN:
        if name == "trained" and state.run is None:
            return False
        return None if state.run is None else OF_RUN[name][1](state.run)
    if name == "started":
        return state.run is not None
    if name == "panel":
        return next(word for word, number in PANEL_WORDS.items() if number == state.looking.panel)
    return of_net("train", FACTS, analyse(state.told.network), name, index)


def _class_accuracy(view: RunView | None, index: Index) -> Fact:
    if len(index) != 1:
        raise WordsError("class_accuracy is of one class: write class_accuracy[7]")
    if view is None or view.classes is None:
        return None
    names = list(view.data.classes) if view.data else []
    at = index[0] if isinstance(index[0], int) else names.index(index[0]) if index[0] in names else -1
    if not 0 <= at < len(view.classes.counts):
        raise WordsError(f"there is no class {index[0]!r}: there are {', '.join(names) or len(view.classes.counts)}")
    return share(view.classes.right[at], view.classes.counts[at])


def _seen(looking: Looking, index: Index) -> Fact:
    if len(index) != 1 or index[0] not in PANEL_WORDS:
        raise WordsError(f'seen is of one panel: write seen["confusion"]; there are {", ".join(PANEL_WORDS)}')
    return PANEL_WORDS[str(index[0])] in [looking.panes[place] for place in looking.seen]


STAGE = Stage(
    "train",
    "a CNN that learns: its settings, then its curves, maps and mistakes while it does",
    lambda: Training(start()),
    MOVES,
    FACTS,
    fact,
    controls={
        "start": ("start", "go"),
        "settings": ("change", "select", "fresh"),
        "net": ("net",),
        "new": ("new",),
        "stop": ("stop",),
        "checkpoint": ("checkpoint",),
        "rate": ("rate",),
        "probe": ("probe",),
        "panels": ("panel", "pane", "enlarge", "enter", "back"),
        "curves": ("log", "smooth", "recent", "walk"),
        "order": ("worst",),
        "glyphs": ("glyphs",),
        "runs": ("open", "others"),
        "explore": ("explore",),
        "compare": ("compare",),
        "detach": ("detach",),
    },
    effects=frozenset({"run", "watch", "start", "pause", "resume", "stop"}),
)
