"""Watching a run: which panels are seen, what is looked at in each, and what there is to say about the run in a line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, isfinite
from pathlib import Path

from cnntui.core.analysis import analyse
from cnntui.core.network import Network
from cnntui.labs.classes import class_name, order, sentence
from cnntui.labs.curves import walked
from cnntui.labs.plain import percent
from cnntui.runs.events import Answer, Classes, Misread, Notice
from cnntui.runs.listing import name_of, row, run_directories
from cnntui.runs.places import SWEEP
from cnntui.runs.reader import Points, RunView, UnreadableRunError
from cnntui.runs.spec import Settings, Spec

LOSS, ACCURACY, RATE, MAPS, FILTERS, CLASSES, CONFUSION, MISREAD, DATA = range(1, 10)
PANELS = {
    LOSS: "loss",
    ACCURACY: "accuracy",
    RATE: "learning rate, speed",
    MAPS: "maps",
    FILTERS: "filters",
    CLASSES: "classes",
    CONFUSION: "confusion",
    MISREAD: "misread",
    DATA: "data",
}
SMOOTHING = (0.0, 0.6, 0.9)
MOST_OTHERS = 5
MOST_OFFERED = 30
LETTERS = "abcde"
PATIENCE_SECONDS = 10.0  # with a trainer that was asked for something


def room_for(width: int, height: int) -> int:
    """How many panels fit beside and under each other: 4, 2 or 1."""
    return 4 if width >= 100 and height >= 28 else 2 if width >= 64 else 1


@lru_cache(maxsize=8)
def layers_with_maps(network: Network) -> tuple[str, ...]:
    """The layers that make maps: (C, H, W), not one number a class."""
    return tuple(row.node.name for row in analyse(network).rows if row.output is not None and len(row.output) == 3)


@dataclass(frozen=True)
class Looking:
    """What a person looks at. The first `count` of `panes` are seen, or the one in focus alone when it is enlarged.

    `picture` is a place among the probed pictures, `wanted` the number of a test picture that was asked for. `cursor` is
    a step. `corner` is the first row and column that a panel larger than its pane shows.
    """

    panes: tuple[int, ...] = (LOSS, MAPS, CLASSES, MISREAD)
    count: int = 4
    focus: int = 0
    enlarged: bool = False
    layer: str | None = None
    picture: int = 7
    wanted: int | None = None
    log: bool = True
    errors: bool = False
    smoothing: int = 0
    recent: bool = False
    cursor: float | None = None
    worst_first: bool = False
    corner: tuple[int, int] = (0, 0)
    misread: int = 0

    # -- panes

    @property
    def panel(self) -> int:
        """The panel in focus."""
        return self.panes[self.focus]

    @property
    def seen(self) -> tuple[int, ...]:
        """The places of the panes that are seen."""
        return (self.focus,) if self.enlarged else tuple(range(self.count)) if self.count > 1 else (self.focus,)

    def fit(self, count: int) -> Looking:
        """For another number of panes; what was in focus goes on being seen."""
        if count > 1 and self.focus >= count:
            return replace(self, count=count).swap(0, self.focus)
        return replace(self, count=count)

    def swap(self, place: int, other: int) -> Looking:
        """Two panes change places, the focus on the first."""
        panes = list(self.panes)
        panes[place], panes[other] = panes[other], panes[place]
        return replace(self, panes=tuple(panes), focus=place)

    def choose(self, panel: int) -> Looking:
        """Another panel in the pane in focus; one that stands in another pane changes places with it."""
        panes = list(self.panes)
        if panel in panes:
            panes[panes.index(panel)] = self.panel
        panes[self.focus] = panel
        return replace(self, panes=tuple(panes), corner=(0, 0))

    def go_round(self, by: int) -> Looking:
        """The next pane."""
        return replace(
            self, focus=(self.focus + by) % (self.count if self.count > 1 else len(self.panes)), corner=(0, 0)
        )

    # -- maps

    def layers(self, view: RunView) -> list[str]:
        """The layers to look at: all that have maps; of a run that has ended, those whose maps are there."""
        there = [name for name in view.probe.maps if name != "input"] if view.probe else []
        if view.ended or view.probe is None:
            return there
        known = layers_with_maps(view.spec.network)
        return [*known, *(name for name in there if name not in known)]

    def present_layer(self, view: RunView) -> str | None:
        """The layer looked at: the chosen one, else the first."""
        layers = self.layers(view)
        return self.layer if self.layer in layers else layers[0] if layers else None

    def next_layer(self, view: RunView, by: int) -> Looking:
        """Another layer, round and round."""
        layers = self.layers(view)
        present = self.present_layer(view)
        return replace(self, layer=layers[(layers.index(present) + by) % len(layers)]) if present else self

    def missing_layer(self, view: RunView) -> str | None:
        """The layer looked at, where its maps must be asked for."""
        layer = self.present_layer(view)
        return layer if view.probe and layer and layer not in view.probe.maps else None

    def present_picture(self, view: RunView) -> int:
        """The place of the picture looked at among those that are probed."""
        pictures = view.probe.pictures if view.probe else []
        if self.wanted in pictures:
            return pictures.index(self.wanted)
        return max(0, min(self.picture, len(pictures) - 1))

    def next_picture(self, view: RunView, by: int) -> Looking:
        """Another picture, round and round."""
        count = len(view.probe.pictures) if view.probe else 0
        return replace(self, picture=(self.present_picture(view) + by) % count, wanted=None) if count else self

    # -- moves that depend on the panel in focus

    def move(self, view: RunView, rows: int, columns: int, page: tuple[int, int] = (1, 1)) -> Looking:
        """The arrows. `page` is how many columns and rows of things the pane shows."""
        if self.panel in (CONFUSION, CLASSES):
            return self._scroll(view, rows, columns, page)
        if self.panel == MISREAD:
            count = len(view.classes.misread) if view.classes else 0
            chosen = min(self.misread, count - 1) + columns + rows * page[0]
            return replace(self, misread=max(0, min(chosen, count - 1)))
        if columns:
            return self.next_layer(view, columns)
        return self.next_picture(view, rows)

    def _scroll(self, view: RunView, rows: int, columns: int, page: tuple[int, int]) -> Looking:
        count = len(view.classes.counts) if view.classes else 0
        top = max(0, min(self.corner[0] + rows, count - page[1]))
        left = max(0, min(self.corner[1] + columns, count - page[0])) if self.panel == CONFUSION else 0
        return replace(self, corner=(top, left))

    def scale(self) -> Looking:
        """Loss on a logarithmic scale, or not; on the accuracy panel, errors (logarithmic) instead of what is right."""
        return replace(self, errors=not self.errors) if self.panel == ACCURACY else replace(self, log=not self.log)

    def smooth(self) -> Looking:
        """The next smoothing."""
        return replace(self, smoothing=(self.smoothing + 1) % len(SMOOTHING))

    @property
    def kept(self) -> float:
        """How much the smoothing keeps at each point."""
        return SMOOTHING[self.smoothing]

    def curve(self, view: RunView) -> Points:
        """The train loss, all of it or the last of it."""
        return view.recent_loss if self.recent else view.train_loss

    def walk(self, view: RunView, by: int) -> Looking:
        """The cursor of the charts by so many points."""
        return replace(self, cursor=walked(self.curve(view), self.cursor, by))

    def chosen_misread(self, view: RunView) -> Misread | None:
        """The misread picture that is selected."""
        misread = view.classes.misread if view.classes else []
        return misread[min(self.misread, len(misread) - 1)] if misread else None

    def class_order(self, view: RunView) -> list[int]:
        """The classes as the panel lists them."""
        return order(view.classes, self.worst_first) if view.classes else []


# -- in words

AT_ODDS = ("was trained otherwise", "cannot be gone on from")  # of what a trainer says that cannot go on


def names(view: RunView) -> Sequence[str]:
    """The classes' names."""
    return view.data.classes if view.data else ()


def reading(view: RunView, index: int) -> tuple[str, str, bool]:
    """What a probed picture is, what it is read as, and whether that is right."""
    if view.probe is None:
        return "", "", False
    odds, label = view.probe.probabilities[index], view.probe.labels[index]
    best = max(range(len(odds)), key=odds.__getitem__, default=label)
    return class_name(names(view), label), class_name(names(view), best), best == label


def misread_sentence(view: RunView, misread: Misread) -> str:
    """Which test picture was taken for what, its number first."""
    return f"picture {misread.picture:,}: {sentence(misread, names(view))}"


def misread_count(classes: Classes) -> int:
    """How many test pictures were misread in all, of which the surest are kept."""
    return max(len(classes.misread), sum(classes.counts) - sum(classes.right))


def rate(view: RunView) -> float:
    """The present learning rate."""
    return view.lr[-1][1] if view.lr else view.spec.lr


def backbone_rate(view: RunView) -> str:
    """What is to be said of the backbone's learning rate beside the present one; nothing where it is the same."""
    if view.spec.frozen:
        return ", backbone frozen"
    own = view.spec.backbone_lr
    return f", backbone {rate(view) * own / view.spec.lr:.4g}" if own is not None else ""


def rate_problem(text: str) -> str | None:
    """What is wrong with a learning rate that was typed, in one line."""
    try:
        value = float(text)
    except ValueError:
        return f"{text.strip()[:20]!r} is not a number: write one like 0.0005 or 5e-4"
    if not isfinite(value) or value <= 0:
        return f"a learning rate is above 0, {value:g} is not"
    return None if value <= 10 else f"{value:g} is too large: no net learns with more than 10"


def picture_problem(view: RunView, text: str) -> str | None:
    """What is wrong with the number of a test picture, in one line."""
    bare = text.strip().replace(",", "")
    count = view.data.test if view.data else None
    if not (bare.isascii() and bare.isdigit() and len(bare) < 10):
        return f"{text.strip()[:20]!r} is not a whole number" + (f" from 0 to {count - 1:,}" if count else "")
    if count and int(bare) >= count:
        return f"there are {count:,} test pictures: 0 to {count - 1:,}"
    return None


def answered(answer: Answer) -> str:
    """What a command did, and at which step it took hold; or why it did not."""
    if not answer.accepted:
        return f"{answer.command} was refused: {answer.message}"
    message = answer.message or answer.command
    return message if "step" in message else f"{message} at step {answer.step:,}"


@dataclass(frozen=True)
class Asked:
    """A command that was sent: its id, itself, what was asked in words; `at` in seconds on a clock that only goes on."""

    id: str
    command: str
    words: str
    at: float


def waiting(asked: Sequence[Asked], view: RunView) -> tuple[Asked, ...]:
    """Of what was asked, in order: what is not answered yet. Of a run that has ended, nothing.

    Commands are obeyed in order, and only the last answers are kept: whatever was asked before one of them is answered.
    """
    answers = {answer.id for answer in view.answers}
    answered_up_to = max((place for place, one in enumerate(asked, start=1) if one.id in answers), default=0)
    return () if view.ended else tuple(asked[answered_up_to:])


def pause_or_resume(view: RunView, asked: Sequence[Asked]) -> str:
    """Which of the two comes next: the other one than was asked last, else than the run does, whose view may be old."""
    last = next((one.command for one in reversed(asked) if one.command in ("pause", "resume")), None)
    paused = view.state == "paused" if last is None else last == "pause"
    return "resume" if paused else "pause"


def at_odds(view: RunView) -> bool:
    """Whether it failed because its checkpoint is not of its spec or its data: it fails again until that is put right."""
    return view.state == "failed" and any(words in view.message for words in AT_ODDS)


def going_on(view: RunView) -> str:
    """What space does on a run that has ended."""
    if at_odds(view):
        return "space tries again, once that is put right; n begins a new one with its settings"
    if view.checkpoint is not None and view.resumable:
        return f"space resumes from step {view.checkpoint.step:,}"
    if view.trained:
        return "trained to its end: n begins a new one with its settings"
    return "it left no checkpoint to go on from: n begins a new one with its settings"


def last_heard(view: RunView) -> Notice | Answer | None:
    """The last that the present attempt noticed or answered; what was answered to those before it is of no use now."""
    present = view.status.attempt if view.status else view.exit.attempt if view.exit else inf
    heard: list[Notice | Answer] = [*view.notices, *view.answers]
    now = (event for event in heard if event.attempt >= present)
    return max(now, key=lambda event: (event.attempt, event.seq), default=None)


def told(view: RunView, asked: Sequence[Asked]) -> tuple[str, bool]:
    """The line under a run, and whether it is a calm one: how the run ended, or what was asked, answered, noticed last."""
    last, still = last_heard(view), waiting(asked, view)
    calm, words = False, []
    message = view.message if view.label in view.message else f"{view.label}: {view.message or 'no reason given'}"
    if view.ended and not view.trained:
        words += [message, going_on(view)]
    elif still:
        calm, words = True, [f"asked: {still[-1].words}"]
    elif view.message:
        words.append(message)
    elif isinstance(last, Answer):
        calm, words = (True, []) if view.trained else (last.accepted, [answered(last)])
    elif last is not None:
        words.append(last.message)
    if view.skipped:
        calm = False
        words.append(f"{view.skipped:,} record{'s' * (view.skipped > 1)} of the log could not be read")
    return "   ".join(filter(None, words)), calm


# -- several runs

SAID = (
    "data",
    "epochs",
    "lr",
    "optimizer",
    "schedule",
    "batch_size",
    "weight_decay",
    "label_smoothing",
    "augment",
    "seed",
)
SHORT = {
    "lr": "lr {}",
    "epochs": "{} epochs",
    "batch_size": "batch {}",
    "weight_decay": "decay {}",
    "label_smoothing": "smoothing {}",
    "seed": "seed {}",
    "ranks": "{} ranks",
    "weights_from": "from {}",
    "backbone_lr": "backbone lr {}",
}
SWITCHED: dict[tuple[str, object], str] = {
    ("weights_from", None): "fresh weights",
    ("new_head", True): "new head",
    ("frozen", True): "frozen",
}


def difference(spec: Spec, other: Spec) -> str:
    """What tells another run from this one, in a few words: its net, its settings; its last six letters if nothing."""
    words = [other.net] if other.net != spec.net else []
    for name in (
        *SAID,
        *(name for name in Settings.__struct_fields__ if name not in (*SAID, "data_dir", "tensorboard")),
    ):
        value = getattr(other, name)
        if value != getattr(spec, name) and ((name, value) in SWITCHED or not isinstance(value, bool | None)):
            words.append(_short(name, value))
    return ", ".join(words[:3]) or other.run[-6:]


def _short(name: str, value: object) -> str:
    if name in ("epochs", "ranks") and value == 1:
        return f"1 {name[:-1]}"
    if said := SWITCHED.get((name, value)):
        return said
    text = Path(str(value)).name if name in ("data", "weights_from") else str(value)
    return SHORT.get(name, "{}").format(text)


def toggled(chosen: Collection[str], name: str, most: int = MOST_OTHERS) -> tuple[str, ...]:
    """Another run among those that are chosen, or one of them no longer; at most so many."""
    if name in chosen:
        return tuple(run for run in chosen if run != name)
    return (*chosen, name)[:most]


def offered(most: int = MOST_OFFERED) -> list[tuple[str, str, Path]]:
    """Name, what to say of it, and directory of the newest runs: those of their own first, then those of sweeps."""
    runs = []
    for directory in sorted(run_directories(waiting=False), key=lambda run: (run.parent / SWEEP).is_file())[:most]:
        with suppress(UnreadableRunError):  # removed meanwhile
            found = row(directory)
            words = [found.label] if found.label != "finished" or found.test_accuracy is None else []
            words += [percent(found.test_accuracy)] if found.test_accuracy is not None else []
            words += [f"epoch {found.epoch}"] if found.epoch else []
            runs.append((name_of(directory), ", ".join(words), directory))
    return runs
