"""What the net of a run makes of pictures. A process: takes a Question, answers Predictions.

A picture file is first made what a picture of the data set is (its channels, its size, light on dark where digits are),
and then goes the way that the training pictures went.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cnntui.runs.checkpoints import State
from cnntui.runs.picture_files import PictureError, picture_for
from cnntui.runs.places import data_root
from cnntui.runs.predict import ClassProbability, Prediction, Predictions, Question
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import DATA_SETS, Spec
from cnntui.training.answers import RefusedError, serve
from cnntui.training.data import DataError, DataSet, Fitting, load
from cnntui.training.model import Net
from cnntui.training.weights import read, trained

BATCH = 256


def predict(question: Question) -> Predictions:
    """Read every picture, then let the net read those that can be read.

    Raises:
        WeightsError: when there are no weights.
        RefusedError: when the data is needed and cannot be had.
    """
    run = Path(question.run)
    weights = read(run, question.which)
    spec, model = trained(run, weights)
    state = weights.state
    known = bool(state.mean and state.deviation)
    unread: list[str] = []
    data = None
    tests = question.tests
    if tests or not known:
        try:
            data = load_data(run, spec, state)
        except RefusedError as error:
            if not (known and question.pictures):
                raise
            unread, tests = [str(error)], ()  # the files can be read without it
    kind = Kind.of(spec, state, data)
    taken: list[tuple[str, Tensor, bool, str | None]] = []
    for path in question.pictures:
        try:
            picture, flipped = kind.picture(Path(path), question.invert)
            taken.append((path, picture, flipped, None))
        except PictureError as error:
            unread.append(str(error))
    for number in tests:
        try:
            picture, label = test_picture(data, number)
            taken.append((f"test:{number}", picture, False, kind.name_of(label)))
        except RefusedError as error:
            unread.append(str(error))

    rows = read_by(model, kind.fit, [picture for _, picture, _, _ in taken])
    predictions = tuple(
        kind.prediction(name, row, flipped, label) for (name, _, flipped, label), row in zip(taken, rows, strict=True)
    )
    return Predictions(predictions, weights.checkpoint.name, weights.refused, tuple(unread))


def load_data(run: Path, spec: Spec, state: State) -> DataSet:
    """What the run was trained on, where its checkpoint does not say enough of it.

    Raises:
        RefusedError: when it cannot be had.
    """
    name = spec.data if spec.data != "auto" else state.data or spec.data
    try:
        root = Path(spec.data_dir) if spec.data_dir else data_root()
        return load(name, root, lambda said: None, shape=spec.input)
    except DataError as error:
        raise RefusedError(f"the data of {run.name} is needed for this, and {error}") from None


def test_picture(data: DataSet | None, number: int) -> tuple[Tensor, int]:
    """Picture `number` of the test set, (C, H, W) uint8, and its label.

    Raises:
        RefusedError: when there is none.
    """
    count = len(data.test_labels) if data else 0
    if data is None or not 0 <= number < count:
        raise RefusedError(f"test picture {number}: there are 0 to {count - 1}")
    return data.test_images[number].cpu(), int(data.test_labels[number])


@torch.no_grad()
def read_by(model: Net, fit: Fitting, pictures: list[Tensor]) -> list[list[float]]:
    """The probabilities of every class, for each picture (C, H, W) uint8."""
    rows: list[list[float]] = []
    for start in range(0, len(pictures), BATCH):
        scores = model(fit(torch.stack(pictures[start : start + BATCH])))
        rows += scores.double().softmax(1).tolist()
    return rows


@dataclass(frozen=True)
class Kind:
    """What the pictures of a data set are: how they become a net's input, in words and on the device; their classes."""

    how: Preparation
    fit: Fitting
    classes: list[str]

    @classmethod
    def of(cls, spec: Spec, state: State, data: DataSet | None) -> Kind:
        """From what a checkpoint says, else from the data itself."""
        if data is not None:
            fit, shape, name = Fitting.of(data, spec.input), data.shape, data.name
        else:
            fit, name = Fitting.restored(spec.input, state.mean, state.deviation), state.data or spec.data
            shape = state.shape or (len(state.mean), *spec.input[1:])
        how = Preparation(
            spec.input, shape, tuple(fit.mean), tuple(fit.deviation), name, from_files=spec.data not in DATA_SETS
        )
        return cls(how, fit, state.classes or list(data.classes if data else ()))

    def picture(self, path: Path, invert: bool | None) -> tuple[Tensor, bool]:
        """A file as one of these pictures, (C, H, W) uint8, and whether it was inverted.

        Raises:
            PictureError: when it is no picture.
        """
        pixels, flipped = picture_for(self.how, path, invert)
        return torch.from_numpy(pixels), flipped

    def name_of(self, index: int) -> str:
        """Of a class, or its number."""
        return self.classes[index] if index < len(self.classes) else str(index)

    def prediction(self, file: str, row: list[float], inverted: bool, label: str | None) -> Prediction:
        """What a net's probabilities say, surest first."""
        order = sorted(range(len(row)), key=lambda index: (-row[index], index))
        classes = tuple(ClassProbability(self.name_of(index), round(row[index], 6)) for index in order)
        return Prediction(
            file=file,
            read=classes[0].name,
            probability=classes[0].probability,
            classes=classes,
            inverted=inverted,
            label=label,
        )


if __name__ == "__main__":
    sys.exit(serve(Question, predict, lambda question: "no prediction"))
