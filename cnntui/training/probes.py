"""What a net makes of a few test pictures, as shades that a terminal can show."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cnntui.core.shading import scale_of, shade
from cnntui.runs.events import Probe
from cnntui.runs.files import write_atomic
from cnntui.training.data import DataSet, Fitting
from cnntui.training.model import Net

MAX_CHANNELS = 64
MAX_CELLS = 32  # a larger map is averaged down to this height and width
KEEP = 2


class Prober:
    """Runs one test picture of each class through the net and writes every layer's maps to `maps/<step>-<layer>.npy`."""

    def __init__(self, run: Path, data: DataSet, fit: Fitting) -> None:
        self.directory = run / "maps"
        labels = data.test_labels.cpu()
        self.pictures = [int((labels == c).nonzero()[0]) for c in range(len(data.classes)) if (labels == c).any()]
        self.labels = [int(labels[i]) for i in self.pictures]
        self._raw = data.test_images[self.pictures]
        self._fit = fit
        self._written: list[int] = []

    @torch.no_grad()
    def __call__(self, model: Net, step: int) -> Probe:
        """Probe now. Leaves the model in training mode, and the random state as it was.

        Raises:
            OSError: when the maps cannot be written.
        """
        model.eval()
        x = self._fit(self._raw)
        maps: dict[str, str] = {}
        scales: dict[str, float] = {}
        channels: dict[str, int] = {}
        picture = self._raw.float() / 255
        maps["input"], scales["input"], channels["input"] = self._write("input", step, picture)
        made = x
        for name, made in model.trace(x):
            if made.dim() == 4:
                maps[name], scales[name], channels[name] = self._write(name, step, made)
        probabilities = made.float().softmax(1).cpu().nan_to_num(0.0).tolist()
        model.train()
        self._forget(step)
        return Probe(
            step=step,
            pictures=self.pictures,
            labels=self.labels,
            probabilities=[[round(p, 4) for p in row] for row in probabilities],
            maps=maps,
            scales=scales,
            channels=channels,
        )

    def _write(self, layer: str, step: int, x: Tensor) -> tuple[str, float, int]:
        channels = x.shape[1]
        x = x[:, :MAX_CHANNELS].float()
        if max(x.shape[2:]) > MAX_CELLS:
            x = nn.functional.adaptive_avg_pool2d(x, (min(x.shape[2], MAX_CELLS), min(x.shape[3], MAX_CELLS)))
        values = x.cpu().numpy()
        scale = scale_of(values)
        buffer = io.BytesIO()
        np.save(buffer, shade(values, scale), allow_pickle=False)
        name = f"{step}-{layer}.npy"
        write_atomic(self.directory / name, buffer.getvalue())
        return name, scale, channels

    def _forget(self, step: int) -> None:
        """Keep the last few steps: a viewer may still be reading the one before."""
        if step not in self._written:
            self._written.append(step)
        while len(self._written) > KEEP:
            for path in self.directory.glob(f"{self._written.pop(0)}-*.npy"):
                path.unlink(missing_ok=True)
