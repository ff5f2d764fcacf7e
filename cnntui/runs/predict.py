"""What the net of a run makes of pictures: the question, the answer, and the process that gives it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cnntui.runs.checkpoints import names
from cnntui.runs.children import ChildError, ask
from cnntui.runs.export import HOW_TO_GET_TORCH

SECONDS = 60.0


class PredictError(Exception):
    """Why there is no prediction, in one line."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures, by file and by number in the test set, for a checkpoint of a run. `invert`: None where it is to be seen."""

    run: str
    which: str
    pictures: tuple[str, ...] = ()
    tests: tuple[int, ...] = ()
    invert: bool | None = None


class ClassProbability(msgspec.Struct, frozen=True):
    """A class and how probable the net takes it to be, 0 to 1."""

    name: str
    probability: float


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of one picture: the classes are surest first. `label` is known of test pictures, `test:N`, alone."""

    file: str
    read: str
    probability: float
    classes: tuple[ClassProbability, ...]
    inverted: bool
    label: str | None = None


class Predictions(msgspec.Struct, frozen=True):
    """One a picture that can be read, the files first; the checkpoint they are of; which were passed over for it and why.

    `unread` says, a line each, which pictures cannot be read or are not there.
    """

    predictions: tuple[Prediction, ...]
    checkpoint: str
    refused: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def predict(
    run: Path,
    pictures: Sequence[Path] = (),
    tests: Sequence[int] = (),
    which: str = "best",
    invert: bool | None = None,
    seconds: float = SECONDS,
) -> Predictions:
    """What the net of a run's checkpoint makes of picture files, and of pictures of the run's test set.

    Raises:
        PredictError: when there is no torch or no checkpoint, or the data is needed and cannot be had.
    """
    if importlib.util.find_spec("torch") is None:
        raise PredictError(HOW_TO_GET_TORCH)
    if not names(run):
        raise PredictError(f"{run.name} has no checkpoint yet: one is saved after each epoch")
    question = Question(
        run=str(run), which=which, pictures=tuple(map(str, pictures)), tests=tuple(tests), invert=invert
    )
    try:
        return ask("cnntui.training.predictor", question, Predictions, seconds, "no prediction")
    except ChildError as error:
        raise PredictError(str(error)) from None
