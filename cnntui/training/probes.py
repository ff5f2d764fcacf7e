"""What a net makes of a few test pictures, as shades that a terminal can show."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from cnntui.core.shading import scale_of, shade
from cnntui.runs.events import MOST_CLASSES, Classes, Probe
from cnntui.runs.files import clear_leftovers, write_atomic
from cnntui.training.checkpoints import plain
from cnntui.training.data import DataSet, Fitting
from cnntui.training.examine import Tested
from cnntui.training.model import Net

MAX_CHANNELS = 64
MAX_CELLS = 32  # a larger map is averaged down to this height and width
MAX_LAYERS = 16  # beyond, a choice of the layers, spread evenly; the others are written when asked for
MAX_ASKED = 4  # pictures, and layers, that viewers asked for
KEEP = 2
MOST_WEIGHTS = 8 << 20  # bytes of weights that are written with every probe: of a larger net there are snapshots alone


class Prober:
    """Runs a test picture of each class through the net and writes what layers make of them to `maps/<step>-<layer>.npy`.

    Beside them, unless they are many, the weights of this moment to `maps/<step>-weights.safetensors`. `layers`: those that
    make maps, in order.
    """

    def __init__(self, run: Path, data: DataSet, fit: Fitting, layers: list[str]) -> None:
        self.directory = run / "maps"
        self.directory.mkdir(exist_ok=True, mode=0o700)
        clear_leftovers(self.directory)
        labels = data.test_labels.cpu()
        present = [c for c in range(len(data.classes)) if (labels == c).any()][:MOST_CLASSES]
        self._first = [int((labels == c).nonzero()[0]) for c in present]
        self._labels = labels
        self._images = data.test_images
        self._fit = fit
        self.layers = layers
        spread = np.linspace(0, len(layers) - 1, min(MAX_LAYERS, len(layers))).round().astype(int)
        self._chosen = {layers[i] for i in spread}
        self._asked_pictures: list[int] = []
        self._asked_layers: list[str] = []
        before = (re.fullmatch(r"(\d+-).*\.(npy|safetensors)", path.name) for path in self.directory.iterdir())
        self._written = sorted({match[1] for match in before if match})  # by attempts before this one

    def ask_picture(self, number: int) -> None:
        """Probe this test picture too, from now on.

        Raises:
            ValueError: when there is none of this number.
        """
        if not 0 <= number < len(self._labels):
            raise ValueError(
                f"there is no test picture {number}: they are numbered from 0 to {len(self._labels) - 1:,}"
            )
        if number not in self._first:
            self._asked_pictures = [*(p for p in self._asked_pictures if p != number), number][-MAX_ASKED:]

    def ask_layer(self, name: str) -> None:
        """Write this layer's maps too, from now on.

        Raises:
            ValueError: when there is no such layer, or it makes no maps.
        """
        if name not in self.layers:
            raise ValueError(f"no layer {name!r} makes maps here: there are {', '.join(self.layers[:8])} …")
        self._asked_layers = [*(layer for layer in self._asked_layers if layer != name), name][-MAX_ASKED:]

    @torch.no_grad()
    def __call__(self, model: Net, step: int) -> Probe:
        """Probe now. Leaves the model in training mode, and the random state as it was.

        Raises:
            OSError: when the maps cannot be written.
        """
        pictures = [*self._first, *self._asked_pictures]
        wanted = {*self._chosen, *self._asked_layers}
        raw = self._images[pictures]
        maps: dict[str, str] = {}
        scales: dict[str, float] = {}
        channels: dict[str, int] = {}

        def write(layer: str, x: Tensor) -> None:
            maps[layer], scales[layer] = self._write(f"{step}-{layer}.npy", _reduced(x))
            channels[layer] = x.shape[1]

        write("input", raw.float() / 255)
        model.eval()
        made = raw
        for name, made in model.trace(self._fit(raw)):
            if made.dim() == 4 and name in wanted:
                write(name, made)
        model.train()
        probabilities = made.float().softmax(1).cpu().nan_to_num(0.0).tolist()
        layer, filters = _first_filters(model)
        file, scale = None, 1.0
        if filters is not None:  # as they are: their numbers are read
            weights = filters.float().cpu().numpy()
            file, scale = self.keep(f"{step}-filters.npy", weights), scale_of(weights)
        live = self._write_weights(f"{step}-weights.safetensors", model)
        self._forget(f"{step}-")
        return Probe(
            step=step,
            pictures=pictures,
            labels=[int(self._labels[i]) for i in pictures],
            probabilities=[[round(p, 4) for p in row] for row in probabilities],
            maps=maps,
            scales=scales,
            channels=channels,
            filters=file,
            filters_layer=layer,
            filters_scale=scale,
            weights=live,
        )

    def classes(self, tested: Tested, step: int, epoch: int, count: int) -> Classes:
        """The test set class by class, and the pictures that were misread most surely.

        Raises:
            OSError: when the pictures cannot be written.
        """
        misread = tested.misread(count)
        name = None
        if misread:
            name = f"misread-{step}.npy"
            pictures = self._images[[mistake.picture for mistake in misread]]
            self.keep(name, _reduced(pictures).clamp(0, 255).round().byte().cpu().numpy())
            for path in self.directory.glob("misread-*.npy"):
                if path.name != name:
                    path.unlink(missing_ok=True)
        counts, right = tested.by_class(count)
        return Classes(
            step=step,
            epoch=epoch,
            counts=counts,
            right=right[:count],
            confusion=tested.confusion(count),
            misread=misread,
            pictures=name,
        )

    def _write(self, name: str, x: Tensor) -> tuple[str, float]:
        values = x.float().cpu().numpy()
        scale = scale_of(values)
        return self.keep(name, shade(values, scale)), scale

    def _write_weights(self, name: str, model: Net) -> str | None:
        tensors = model.state_dict()
        if sum(tensor.nbytes for tensor in tensors.values()) > MOST_WEIGHTS:
            return None
        write_atomic(self.directory / name, save(plain(tensors)))
        return name

    def keep(self, name: str, array: np.ndarray) -> str:
        """Write pictures of uint8, or weights of float32, (N, C, H, W) for viewers; returns the file's name.

        Raises:
            OSError: when they cannot be written.
        """
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_atomic(self.directory / name, buffer.getvalue())
        return name

    def _forget(self, beginning: str) -> None:
        """Keep the last few steps: a viewer may still be reading the one before."""
        self._written = [*(written for written in self._written if written != beginning), beginning]
        while len(self._written) > KEEP:
            for path in self.directory.glob(f"{self._written.pop(0)}*"):
                path.unlink(missing_ok=True)


def _reduced(x: Tensor) -> Tensor:
    """(N, C, H, W) with at most as many channels and cells as are shown."""
    x = x[:, :MAX_CHANNELS].float()
    if max(x.shape[2:]) <= MAX_CELLS:
        return x
    return nn.functional.adaptive_avg_pool2d(x, (min(x.shape[2], MAX_CELLS), min(x.shape[3], MAX_CELLS)))


def _first_filters(model: Net) -> tuple[str, Tensor | None]:
    """The first convolution's name and its weights (out_channels, in_channels, kH, kW)."""
    for name, module in model.named_children():
        if isinstance(module, nn.Conv2d):
            return name, _reduced(module.weight[:MAX_CHANNELS])
    return "", None
