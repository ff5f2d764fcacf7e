"""A run or a net, ready to be run on pictures: its numbers, how pictures become its inputs, what its classes are called."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.images import picture as drawn
from cnntui.core.layers import Shape
from cnntui.core.network import Network
from cnntui.core.notation import printable
from cnntui.core.parameters import Parameters, named, untrained
from cnntui.core.vocabulary import NotationError
from cnntui.core.windows import Array
from cnntui.runs.checkpoints import WEIGHTS, CheckpointError, State, demand, names, read_state, search
from cnntui.runs.listing import RunError, find_run
from cnntui.runs.nets import load_any
from cnntui.runs.picture_files import PictureError, picture_for
from cnntui.runs.preparation import Preparation
from cnntui.runs.reader import RunReader, UnreadableRunError
from cnntui.runs.spec import Spec, read_json
from cnntui.runs.test_pictures import Gallery, GalleryError, ask_gallery_of
from cnntui.runs.weights import Moment, WeightsError, moments, read_weights

TEST = re.compile(r"test:(\d{1,9})")
UP = 3  # directories from a file of weights to its run


class OpenError(Exception):
    """Why something cannot be opened, in one line."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A network with its numbers.

    Args:
        title: the run's or the net's name.
        analysis: of the network; every layer of it is possible.
        parameters: by node.
        preparation: how pictures become inputs. Of a net that belongs to no run: scaled to 0..1, and no more.
        classes: their names, as many as the output has numbers; none where the output is a map.
        run: its directory, if it has one.
        moment: whose numbers they are: `best checkpoint, step 4,690`; `untrained, seed 0`.
        notes: what is to be told besides, a line each.
        step: of the training, after which they were so; None where that is not known.
    """

    title: str
    analysis: Analysis
    parameters: Parameters
    preparation: Preparation
    classes: tuple[str, ...]
    run: Path | None
    moment: str
    notes: tuple[str, ...] = ()
    step: int | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """What goes in: pixels (C, h, w) of 0..255, and where they are from.

    Of test pictures the label, what they show, is known, and their number in the test set. `shift` is the picture that was
    shifted, and by how many rows and columns.
    """

    pixels: Array
    title: str
    label: int | None = None
    number: int | None = None
    shift: tuple[Picture, int, int] | None = None


def open_model(word: str, weights: Path | None = None, shape: Shape | None = None, seed: int = 0) -> Opened:
    """A RUN or NET of the command line: with its best weights, those of a file, or none.

    A word that is both is a run only where it is exactly that: its name, `last`, or its directory.

    Raises:
        OpenError: when there is no such thing, or its weights cannot be used.
        NotationError: when it is no net, with the place in its text.
        ImpossibleError: when the input or the names of the net cannot be.
    """
    run, problem = _run(word)
    if run is not None and (word in ("last", run.name) or (Path(word) / "spec.json").is_file()):
        return open_run(run, weights, seed)
    try:
        given = load_any(word, shape)
    except NotationError as error:
        if run is not None:
            return open_run(run, weights, seed)
        if "type more of it" in problem or word == "last":
            raise OpenError(problem) from None
        if not error.excerpt and str(error).startswith("no net"):
            raise OpenError(f"no run and no net is called {word!r}: cnntui runs lists the runs; {error}") from None
        raise
    return open_net(given.network, weights, seed)


def _run(word: str) -> tuple[Path | None, str]:
    try:
        return find_run(word), ""
    except RunError as error:
        return None, str(error)


# -- runs


def open_run(run: Path, weights: Path | None = None, seed: int = 0) -> Opened:
    """A run: with the weights of its best checkpoint, or of the newest moment there is, or of a file.

    Raises:
        OpenError: in one line.
    """
    if weights is not None:
        return _with_file(_of_run(run, weights), weights)
    if not names(run):
        return _newest(_of_run(run, run), seed)
    try:
        found = demand(run)
        tensors = read_weights(found.path)
    except (CheckpointError, WeightsError) as error:
        raise OpenError(str(error)) from None
    bare, step = _of_run(run, found.path), int(found.path.name.removeprefix("step-"))
    return replace(
        bare,
        parameters=_named(bare.analysis, tensors, found.path),
        moment=f"best checkpoint, step {step:,}",
        step=step,
        notes=tuple(f"passed over {line}" for line in found.refused),
    )


def _of_run(run: Path, weights: Path) -> Opened:
    """A run without its numbers yet; what its data is like, the checkpoint tells, the log, or the best checkpoint."""
    spec = read_json(run / "spec.json", Spec)
    if spec is None:
        raise OpenError(f"{run} holds no readable spec.json")
    analysis = _possible(spec.network)
    state = read_state(run, weights if weights.is_dir() else weights.parent)
    if not state.mean and (best := search(run, "best", WEIGHTS)[0]):
        state = read_state(run, best)
    return Opened(printable(run.name), analysis, {}, Preparation.of(spec, state), _classes(analysis, state), run, "")


def at_moment(opened: Opened, moment: Moment) -> Opened:
    """The same with the weights of another moment of its run.

    Raises:
        OpenError: when they are gone, torn, or another net's.
    """
    kind = {"live": "as last told", "checkpoint": "checkpoint", "snapshot": "snapshot"}[moment.kind]
    try:
        tensors = read_weights(moment.path)
    except WeightsError as error:
        raise OpenError(str(error)) from None
    parameters = _named(opened.analysis, tensors, moment.path)
    words = f"{kind}, step {moment.step:,}"
    return replace(opened, parameters=parameters, moment=words, notes=(), step=moment.step)


def _newest(opened: Opened, seed: int) -> Opened:
    """Of a run without checkpoints: what it told last; where that is nothing, untrained."""
    try:
        found = moments(RunReader(opened.run).poll()) if opened.run else ()
    except UnreadableRunError as error:
        raise OpenError(str(error)) from None
    if found:
        return at_moment(opened, found[-1])
    note = f"{opened.title} has no weights yet: these are untrained ones, seed {seed}"
    return replace(opened, parameters=untrained(opened.analysis, seed), moment=f"untrained, seed {seed}", notes=(note,))


# -- nets


def open_net(network: Network, weights: Path | None = None, seed: int = 0) -> Opened:
    """A network: untrained, or with the weights of a file; if that is a run's, with how the run prepares its pictures.

    Raises:
        OpenError: in one line.
    """
    if weights is not None and (run := _run_of(weights)) is not None:
        of_run = _of_run(run, weights)
        its = of_run.analysis.network
        if (its.input, its.wiring) == (network.input, network.wiring):
            return _with_file(of_run, weights)
    analysis = _possible(network)
    channels = network.input[0]
    scaled = Preparation(network.input, network.input, (0.0,) * channels, (1.0,) * channels)
    plain = "pictures are scaled to 0..1 and no more: how others were prepared is known of runs alone"
    bare = Opened(network.name, analysis, {}, scaled, _classes(analysis, State()), None, "", (plain,))
    if weights is not None:
        return _with_file(bare, weights)
    told = f"{network.name} is untrained: its weights are drawn with seed {seed}"
    return replace(
        bare, parameters=untrained(analysis, seed), moment=f"untrained, seed {seed}", notes=(told, *bare.notes)
    )


def _run_of(weights: Path) -> Path | None:
    """The run in whose directory a file of weights lies."""
    whole = weights.absolute()
    return next((path for path in (whole, *whole.parents[:UP]) if (path / "spec.json").is_file()), None)


def _possible(network: Network) -> Analysis:
    analysis = analyse(network)
    if analysis.error:
        raise OpenError(f"{network.name}: {analysis.error}")
    return analysis


def _with_file(opened: Opened, weights: Path) -> Opened:
    try:
        tensors = read_weights(weights)
    except WeightsError as error:
        raise OpenError(str(error)) from None
    return replace(
        opened, parameters=_named(opened.analysis, tensors, weights), moment=printable(f"weights of {weights}")
    )


def _named(analysis: Analysis, tensors: dict[str, Array], path: Path) -> Parameters:
    try:
        return named(analysis, tensors)
    except ValueError as error:
        raise OpenError(f"{path}: {error}") from None


def _classes(analysis: Analysis, state: State) -> tuple[str, ...]:
    """The names of the classes, as a terminal can show them; numbers where they are not known, none of a map."""
    if len(state.classes) != analysis.classes:
        return tuple(map(str, range(analysis.classes)))
    return tuple(printable(name) or str(i) for i, name in enumerate(state.classes))


# -- pictures


def open_picture(opened: Opened, word: str | None = None) -> Picture:
    """A picture file, or `test:N` of a run's test set; None: test:0 of a run, else a hand-drawn seven.

    Raises:
        OpenError: when it is no picture, or how it becomes an input is not known.
    """
    try:
        if word is None and opened.run is None:
            return seven(opened)
        if match := TEST.fullmatch(word := word or "test:0"):
            if opened.run is None:
                raise OpenError(f"{word}: a net that belongs to no run has no test pictures: give a picture file")
            picture = test_picture(ask_gallery_of(opened.run), int(match[1]))
        else:
            picture = file_picture(opened, Path(word))
        opened.preparation.prepared(picture.pixels)
    except (PictureError, GalleryError, ValueError) as error:
        raise OpenError(str(error)) from None
    return picture


def test_picture(gallery: Gallery, number: int) -> Picture:
    """A picture of the test set.

    Raises:
        GalleryError: when there is none of that number.
    """
    return Picture(gallery.picture(number).astype(float), f"test:{number}", gallery.label(number), number)


def file_picture(opened: Opened, path: Path) -> Picture:
    """A picture file, made what the net's pictures are.

    Raises:
        PictureError: when it cannot be read.
    """
    pixels, _ = picture_for(opened.preparation, path)
    return Picture(pixels.astype(float), printable(str(path)))


def seven(opened: Opened) -> Picture:
    """A hand-drawn 7, as large as the net's pictures are."""
    shape = opened.preparation.picture or opened.preparation.input
    return Picture(np.broadcast_to(drawn("seven", (shape[1], shape[2])) * (255 / 9), shape), "a drawn seven")
