"""What there is to explore: a run or a net, opened with its test pictures and the moments of its training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Shape
from cnntui.core.vocabulary import NotationError
from cnntui.labs.excitement import dead_channels
from cnntui.labs.explore import ExploreState, MoveError
from cnntui.labs.opened import Opened, OpenError, Picture, open_model, open_net, open_picture, seven, test_picture
from cnntui.labs.wish import Wish
from cnntui.runs.events import Misread
from cnntui.runs.excited import Excitement, read_excited
from cnntui.runs.listing import run_directories
from cnntui.runs.reader import RunView
from cnntui.runs.test_pictures import Gallery, GalleryError, ask_gallery_of, gallery_of, kept_gallery
from cnntui.runs.weights import Moment, moments

FIRST_NET = "mnist-2conv"  # where there is no run yet


@dataclass(frozen=True, eq=False)
class Subject:
    """What was opened. `misread` are test pictures that were taken for another class, the surest first.

    `excitement` is what excites its units most, as the trainer told it last.
    """

    state: ExploreState
    gallery: Gallery | None = None
    misread: tuple[Misread, ...] = ()
    excitement: Excitement | None = None


def open_wish(wish: Wish) -> Opened:
    """The net with its weights.

    Raises:
        OpenError: with what is wrong and what to do.
    """
    try:
        if wish.network is not None:
            model = open_net(wish.network)
        else:
            model = open_model(wish.word or default_word(), wish.weights, wish.shape)
    except (NotationError, ImpossibleError) as error:
        raise OpenError(str(error)) from None
    if not model.preparation.is_known:
        raise OpenError(f"{model.title} does not say yet how its pictures are prepared: it is told with its first data")
    if not model.analysis.rows:
        raise OpenError(f"{model.title} has no layer to look into")
    return model


def subject_of(model: Opened, view: RunView | None = None, picture: str | None = None) -> Subject:
    """What was opened, on a picture; `view` is of the run, where it is one.

    Raises:
        OpenError: when there is no such picture.
    """
    gallery = gallery_of(model.run) if model.run else kept_gallery("mnist")
    if gallery is not None and not fits(model, gallery.about.shape):
        gallery = None
    misread = tuple(view.classes.misread) if view is not None and view.classes is not None else ()
    first = open_picture(model, picture) if picture else first_picture(model, gallery)
    state = ExploreState(model, first)
    if view is None:
        return Subject(state, gallery, misread)
    excitement = read_excited(view)
    state = with_moments(state.knowing(dead_channels(excitement)), moments(view))
    return Subject(state, gallery, misread, excitement)


def ask_subject_gallery(model: Opened) -> Gallery | None:
    """The test pictures of a run, fetched by a process of its own; None where they cannot be had, or there is no run.

    Raises:
        MoveError: when they cannot be had, and why.
    """
    if model.run is None:
        return None
    try:
        return ask_gallery_of(model.run)
    except GalleryError as error:
        raise MoveError(str(error)) from None


def default_word() -> str:
    """The last run; the first net where there is none."""
    return "last" if run_directories(waiting=False) else FIRST_NET


def fits(model: Opened, shape: Shape) -> bool:
    """Whether pictures of that shape can be made inputs of the net."""
    try:
        model.preparation.prepared(np.zeros(shape))
    except ValueError:
        return False
    return True


def first_picture(model: Opened, gallery: Gallery | None) -> Picture:
    """The first test picture; where there is none, a seven that comes with the app."""
    return test_picture(gallery, 0) if gallery is not None else seven(model)


def misread_words(mistake: Misread, classes: tuple[str, ...]) -> tuple[str, str]:
    """Its number, and what it was taken for."""
    label, read = (classes[i] if i < len(classes) else str(i) for i in (mistake.label, mistake.read))
    return f"test {mistake.picture}", f"a {label}, read as {read} ({100 * mistake.probability:.0f} %)"


# -- time


def with_moments(state: ExploreState, found: tuple[Moment, ...]) -> ExploreState:
    """With the moments that there are by now; the same state where there is nothing new.

    The moment that is looked at stays the same one, by its step; weights that are of no moment, or of one that is gone, stay
    what they are.
    """
    if found == state.moments:
        return state
    steps = [moment.step for moment in found]
    return state.among(found, steps.index(state.model.step) if state.model.step in steps else None)
