"""What a lesson does on the Explore screen, in words: a net that was trained, a picture in it, and where one looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.arithmetic import MINUS
from cnntui.core.explanation import Unit
from cnntui.core.network import INPUT
from cnntui.labs.explore import CELL, LAYER, OVERVIEW, ExploreState
from cnntui.labs.opened import OpenError, at_moment, test_picture
from cnntui.labs.stages import Words, WordsError, nearest
from cnntui.labs.stages.given import asked, named, network_of
from cnntui.labs.subject import Subject
from cnntui.labs.why import CARRIED, GRADIENT, OCCLUSION
from cnntui.labs.words import number_of, whole
from cnntui.runs.test_pictures import GalleryError

REASONS = {"none": "", "gradient": GRADIENT, "carried": CARRIED, "occlusion": OCCLUSION}
LEVELS = (OVERVIEW, LAYER, CELL)
LARGEST = 10**9  # a number of a picture, say


@dataclass(frozen=True)
class Exploring:
    """What is explored, once it is open; until then only the words of moves are checked.

    Args:
        subject: what was opened, and what is known of it.
        lab: where one is in it.
        accuracy: of the run's last test, 0 to 1.
        visited: the layers that were looked at.
        patches: the layer and the channel whose strongest patches were looked at last.
        net: what is to be opened, known before it is.
    """

    subject: Subject | None = None
    lab: ExploreState | None = None
    accuracy: float | None = None
    visited: frozenset[str] = frozenset()
    patches: tuple[str, int] | None = None
    net: Analysis | None = None

    def on_lab(self, make: Callable[[ExploreState, Subject], ExploreState]) -> Exploring:
        """After a move in the lab; the same while nothing is open."""
        if self.lab is None or self.subject is None:
            return self
        lab = make(self.lab, self.subject)
        return replace(self, lab=lab, visited=self.visited | {lab.node})


# -- reading


def _count(text: str, what: str) -> int:
    bare = text.replace(",", "")
    if not (bare.isascii() and bare.isdigit() and int(bare[:12]) < LARGEST):
        raise WordsError(f"{text[:20]!r} is no {what}: write a whole number")
    return int(bare)


def _places(text: str) -> Unit:
    try:
        return tuple(whole(part) for part in text.split(","))
    except ValueError:
        raise WordsError(f"{text[:20]!r} is no place: write whole numbers with commas, such as 3 or 3,10,12") from None


def _steps(text: str) -> tuple[int, int]:
    parts = text.replace(MINUS, "-").split(",")
    if len(parts) != 2 or not all(part.removeprefix("-").isdigit() and len(part) < 5 for part in parts):
        raise WordsError(f"{text[:20]!r} is not DOWN,RIGHT: write two whole numbers such as 0,-3")
    return int(parts[0]), int(parts[1])


def layer_of(state: ExploreState, name: str) -> str:
    """The layer of that name.

    Raises:
        WordsError: when there is none.
    """
    if name not in state.trace.values:
        raise WordsError(f"there is no layer {name!r}; {nearest(name, state.columns)}")
    return name


def _channel(state: ExploreState, layer: str, channel: int) -> int:
    count = state.shape(layer_of(state, layer))[0]
    if channel >= count:
        raise WordsError(f"{layer} has no {state.part_word(layer)} {channel}: 0 to {count - 1}")
    return channel


# -- moves


def _net(state: Exploring, net: str, *more: str) -> Exploring:
    return replace(state, net=analyse(network_of(net, *more)))


def _picture(state: Exploring, number: str) -> Exploring:
    at = _count(number, "number of a test picture")
    return state.on_lab(lambda lab, subject: _shown(lab, subject, at))


def _shown(lab: ExploreState, subject: Subject, number: int) -> ExploreState:
    if subject.gallery is None:
        raise WordsError("there are no test pictures here")
    try:
        return lab.show(test_picture(subject.gallery, number))
    except GalleryError as error:
        raise WordsError(str(error)) from None


def _misread(state: Exploring, nth: str = "1") -> Exploring:
    at = _count(nth, "place among the misread pictures")

    def make(lab: ExploreState, subject: Subject) -> ExploreState:
        if not 1 <= at <= len(subject.misread):
            raise WordsError(f"misread {at}: {len(subject.misread)} misread pictures are known")
        return _shown(lab, subject, subject.misread[at - 1].picture)

    return state.on_lab(make)


def _look(state: Exploring, layer: str, place: str = "") -> Exploring:
    unit = _places(place) if place else None

    def make(lab: ExploreState, _: Subject) -> ExploreState:
        if unit is None:
            return lab.to_column(layer_of(lab, layer))
        if len(unit) == 1 and len(lab.shape(layer_of(lab, layer))) == 3:
            return lab.look(layer, lab.strongest(layer, _channel(lab, layer, unit[0])), path=())
        return lab.look(layer_of(lab, layer), unit, path=())

    return state.on_lab(make)


def _level(state: Exploring, level: str) -> Exploring:
    if level not in LEVELS:
        raise WordsError(f"no level is called {level!r}; there are {', '.join(LEVELS)}")

    def make(lab: ExploreState, _: Subject) -> ExploreState:
        while lab.level != level:
            up = LEVELS.index(lab.level) > LEVELS.index(level)
            lab = lab.up() if up else lab.deeper()
        return lab

    return state.on_lab(make)


def _why(state: Exploring, kind: str) -> Exploring:
    if kind not in REASONS:
        raise WordsError(f"no picture of reasons is called {kind!r}; {nearest(kind, REASONS)}")
    return state.on_lab(lambda lab, _: lab.reasoned(REASONS[kind]))


def class_of(lab: ExploreState, word: int | str) -> int:
    """The number of a class, by its number or its name.

    Raises:
        WordsError: when there is none.
    """
    names = list(lab.model.classes)
    at = word if isinstance(word, int) else names.index(word) if word in names else int(word) if word.isdigit() else -1
    if not 0 <= at < len(lab.probabilities):
        raise WordsError(f"there is no class {word}: there are {', '.join(names[:20]) or 'none'}")
    return at


def _ask(state: Exploring, word: str) -> Exploring:
    return state.on_lab(lambda lab, _: (lab if lab.why else lab.reasoned(CARRIED)).ask(class_of(lab, word)))


def _silence(state: Exploring, layer: str, channel: str) -> Exploring:
    at = _count(channel, "channel")
    return state.on_lab(lambda lab, _: lab.silence(layer, _channel(lab, layer, at)))


def _pixel(state: Exploring, place: str, value: str) -> Exploring:
    at, number = _places(place), number_of(value)
    if len(at) not in (2, 3):
        raise WordsError(f"{place!r} is no pixel: write ROW,COLUMN or CHANNEL,ROW,COLUMN")
    return state.on_lab(lambda lab, _: lab.changed(INPUT, "", (0, *at)[-3:], number))


def _tensor(name: str) -> Callable[[Exploring, str, str, str], Exploring]:
    def make(state: Exploring, layer: str, place: str, value: str) -> Exploring:
        at, number = _places(place), number_of(value)
        return state.on_lab(lambda lab, _: lab.changed(layer_of(lab, layer), name, at, number))

    return make


def _moment(state: Exploring, which: str) -> Exploring:
    at = {"first": 0, "last": -1}.get(which)
    place = _count(which, "moment, nor first, nor last") if at is None else at

    def make(lab: ExploreState, _: Subject) -> ExploreState:
        if not lab.moments or place >= len(lab.moments):
            raise WordsError(f"there is no moment {which}: {len(lab.moments)} are kept, 0 is the first")
        to = place % len(lab.moments)
        try:
            return lab.at(to, at_moment(lab.model, lab.moments[to]))
        except OpenError as error:
            raise WordsError(str(error)) from None

    return state.on_lab(make)


def _shift(state: Exploring, by: str) -> Exploring:
    rows, columns = _steps(by)
    return state.on_lab(lambda lab, _: lab.shifted(rows, columns))


def _patches(state: Exploring, layer: str = "", channel: str = "0") -> Exploring:
    at = _count(channel, "channel")
    if layer == INPUT:
        raise WordsError("the pixels are not excited by anything: choose a layer")
    if state.lab is not None and layer:
        _channel(state.lab, layer, at)
    return state


MOVES = {
    "run": Words("NAME", "a run of a net of the lesson, whoever trained it; where nobody has, what trains it", named),
    "net": Words("NET", "a run of a net of the zoo, or of layers for 1×28×28, in the same way", _net),
    "train": Words("", "train it, where nobody has, and open it", asked),
    "picture": Words("N", "a test picture by its number", _picture),
    "misread": Words("[N]", "the Nth of the misread test pictures, the surest mistake first", _misread),
    "look": Words("LAYER [PLACE]", "at a layer; at its map 3; at the number 3,10,12 of it", _look),
    "level": Words("NAME", f"how near: {', '.join(LEVELS)}", _level),
    "why": Words("KIND", f"a picture of reasons: {', '.join(REASONS)}", _why),
    "ask": Words("CLASS", "why that class", _ask),
    "silence": Words("LAYER CHANNEL", "a map off, or on again", _silence),
    "pixel": Words("ROW,COLUMN VALUE", "set a pixel of the net's input", _pixel),
    "weight": Words("LAYER OUT,IN,ROW,COLUMN VALUE", "set a weight", _tensor("weight")),
    "bias": Words("LAYER N VALUE", "set a bias", _tensor("bias")),
    "moment": Words("N, first or last", "the net as it was then", _moment),
    "shift": Words("DOWN,RIGHT", "the picture so many pixels on", _shift),
    "restore": Words("", "everything as it was trained", lambda s: s.on_lab(lambda lab, _: lab.restored())),
    "patches": Words("[LAYER CHANNEL]", "what excites a channel most, in a window of its own", _patches),
}  # fmt: skip
