"""What the net of a run makes of pictures. A process: takes a Question, answers Predictions.

A picture file is first made what a picture of the data set is (its channels, its size, light on dark where digits are),
and then goes the way that the training pictures went.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from cnntui.core.layers import Shape
from cnntui.runs.checkpoints import State
from cnntui.runs.places import data_root
from cnntui.runs.predict import ClassProbability, Prediction, Predictions, Question
from cnntui.runs.spec import DATA_SETS, DIGITS, Spec
from cnntui.training.answers import RefusedError, serve
from cnntui.training.data import DataError, DataSet, Fitting, load
from cnntui.training.data.folder import FORMATS
from cnntui.training.model import Net
from cnntui.training.weights import read, trained

BATCH = 256
ON_BLACK = (*DIGITS, "fashion-mnist")  # what is around their pictures is 0


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
        except RefusedError as error:
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
    """What the pictures of a data set are: (C, H, W), how they become a net's input, what is around them, their classes.

    `background` is None for those from a directory: they fill their frame, and what goes beyond it is cut off.
    """

    data: str
    shape: Shape
    fit: Fitting
    background: tuple[int, ...] | None
    classes: list[str]

    @classmethod
    def of(cls, spec: Spec, state: State, data: DataSet | None) -> Kind:
        """From what a checkpoint says, else from the data itself."""
        if data is not None:
            fit, shape, name = Fitting.of(data, spec.input), data.shape, data.name
        else:
            fit, name = Fitting.restored(spec.input, state.mean, state.deviation), state.data or spec.data
            shape = state.shape or (len(state.mean), *spec.input[1:])
        background = None
        if spec.data in DATA_SETS:
            background = (0,) * shape[0] if name in ON_BLACK else tuple(round(255 * value) for value in fit.mean)
        return cls(name, shape, fit, background, state.classes or list(data.classes if data else ()))

    def picture(self, path: Path, invert: bool | None) -> tuple[Tensor, bool]:
        """A file as one of these pictures, (C, H, W) uint8, and whether it was inverted.

        It keeps its proportions. Where it is not said whether to invert, digits are that stand dark on light.

        Raises:
            RefusedError: when it is no picture.
        """
        image = opened(path, "L" if self.shape[0] == 1 else "RGB")
        flip = self.data in DIGITS and is_light_outside(image) if invert is None else invert
        framed = self._framed(ImageOps.invert(image) if flip else image)
        pixels = torch.from_numpy(np.array(framed))
        return (pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)), flip

    def _framed(self, image: Image.Image) -> Image.Image:
        _, height, width = self.shape
        if image.size == (width, height):
            return image
        if self.background is None:
            return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        scale = min(width / image.width, height / image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        # As the training pictures: smaller by averaging areas, larger by interpolation.
        image = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
        color = self.background if len(self.background) > 1 else self.background[0]
        frame = Image.new(image.mode, (width, height), color)
        frame.paste(image, ((width - size[0]) // 2, (height - size[1]) // 2))
        return frame

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


def opened(path: Path, mode: str) -> Image.Image:
    """A picture file in a mode, upright, and on paper where it is transparent.

    Raises:
        RefusedError: with the path and what is wrong.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
                image = Image.fromarray((np.asarray(image, dtype=float) / 257).round().clip(0, 255).astype(np.uint8))
            return (on_paper(image) if image.has_transparency_data else image).convert(mode)
    except UnidentifiedImageError:
        raise RefusedError(f"{path}: no picture that Pillow can read") from None
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # a broken file makes a decoder raise anything at all
        raise RefusedError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None


def on_paper(image: Image.Image) -> Image.Image:
    """A transparent picture on white; on black where what is seen of it is light itself."""
    clear = image.convert("RGBA")
    grey, alpha = (np.asarray(part, dtype=float) for part in (clear.convert("L"), clear.getchannel("A")))
    is_light = (grey * alpha).sum() > 127.5 * alpha.sum()
    paper = Image.new("RGBA", clear.size, "black" if is_light else "white")
    return Image.alpha_composite(paper, clear)


def is_light_outside(image: Image.Image) -> bool:
    """Whether the outermost pixels are light, on the average."""
    pixels = np.asarray(image.convert("L"), dtype=float)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return bool(border.mean() > 127.5)


if __name__ == "__main__":
    sys.exit(serve(Question, predict, lambda question: "no prediction"))
