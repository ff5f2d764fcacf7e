"""Which test pictures excite each unit of a net most, and where: gathered now and then, for a share of the time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from cnntui.core import layers, pointwise
from cnntui.core.analysis import Row, analyse
from cnntui.core.network import Network
from cnntui.runs.events import Excited
from cnntui.runs.excited import STRONGEST
from cnntui.runs.files import write_atomic
from cnntui.runs.spec import Spec
from cnntui.training.data import DataSet, Fitting
from cnntui.training.examine import LEAST_TEST_BATCH
from cnntui.training.model import Net

MOST_PICTURES = 2000
MOST_LAYERS = 16  # that make maps, and as many that make vectors
MOST_CHANNELS = 64  # of a layer that makes maps
MOST_UNITS = 1024  # of one that makes vectors
MOST_BATCH = 250
LEAST = 256  # pictures that are worth a file before the end
FEW_CHANNELS = 32  # below, a CPU is slow to reduce maps whose channels lie side by side: copying them first is faster
SHARE = 50  # of the time that has passed, one part in so many may be spent on this
AT_END = 0.5  # seconds that may be spent when the training is over, however short it was
KEEP = 2  # files: a viewer may still be reading the one before

ACTIVATIONS = (*(kind for kind in pointwise.AS_IN_TORCH if kind is not pointwise.Identity), pointwise.Softmax)
CONVOLUTIONS = (layers.Conv, layers.DepthwiseConv, layers.TransposedConv)


def layers_to_watch(network: Network) -> list[str]:
    """The layers whose units are told of, in order: of those that make maps convolutions and activations come first."""
    rows = [row for row in analyse(network).rows if row.output is not None]
    maps = [row for row in rows if len(row.output or ()) == 3]
    first = [row for row in maps if isinstance(row.node.layer, (*CONVOLUTIONS, *ACTIVATIONS))]
    rest = [row for row in maps if row not in first]
    vectors = [row for row in rows if row not in maps and isinstance(row.node.layer, (layers.Linear, *ACTIVATIONS))]
    chosen = _spread(first, MOST_LAYERS) | _spread(rest, MOST_LAYERS - len(first)) | _spread(vectors, MOST_LAYERS)
    return [row.node.name for row in rows if row.node.name in chosen]


def _spread(rows: list[Row], most: int) -> set[str]:
    """The names of at most so many, evenly."""
    places = np.linspace(0, len(rows) - 1, max(0, min(most, len(rows)))).round().astype(int)
    return {rows[place].node.name for place in places}


@dataclass
class Record:
    """The strongest of each channel by now: values (C, k), their places (C, k, 3); the extremes (C,). On the device."""

    values: Tensor | None = None
    places: Tensor = field(default_factory=lambda: torch.zeros(0))
    largest: Tensor = field(default_factory=lambda: torch.zeros(0))
    smallest: Tensor = field(default_factory=lambda: torch.zeros(0))

    def add(self, made: Tensor, pictures: Tensor) -> None:
        """What a layer made of pictures of these numbers (B,): maps (B, C, H, W) or vectors (B, C)."""
        x = (made[:, :MOST_CHANNELS] if made.dim() == 4 else made[:, :MOST_UNITS, None, None]).float()
        if x.shape[1] < FEW_CHANNELS:
            x = x.contiguous()
        # The place is looked for in the few maps that count: it takes as long as all the rest of a maximum.
        values, best = x.amax((2, 3)).topk(min(STRONGEST, len(x)), 0)
        at = x[best, torch.arange(x.shape[1], device=x.device)].flatten(2).argmax(2)
        places = torch.stack([pictures[best], at // x.shape[3], at % x.shape[3]], 2)
        values, places, smallest = values.T, places.transpose(0, 1), x.amin((0, 2, 3))
        if self.values is None:
            self.smallest = smallest
        else:
            self.smallest = torch.minimum(self.smallest, smallest)
            values, places = torch.cat([self.values, values], 1), torch.cat([self.places, places], 1)
        self.values, order = values.topk(min(STRONGEST, values.shape[1]), 1)
        self.places = places.gather(1, order[..., None].expand(-1, -1, 3))
        self.largest = self.values[:, 0]


class Exciter:
    """Runs test pictures through the net and keeps, for each unit, the few that excite it most.

    They are taken in an order drawn once and for all, as many as the time allows: each beginning of it is of all classes.
    """

    def __init__(self, run: Path, data: DataSet, fit: Fitting, spec: Spec) -> None:
        self.directory = run / "maps"
        self._images, self._fit = data.test_images, fit
        self._watched = layers_to_watch(spec.network)
        self._batch = min(MOST_BATCH, max(LEAST_TEST_BATCH, 4 * spec.batch_size))  # as in a test
        order = torch.randperm(len(data.test_labels), generator=torch.Generator().manual_seed(0))[:MOST_PICTURES]
        self._order = order.to(self._images.device)
        self._spent = 0.0
        self._last: tuple[int, int] | None = None  # the step, and how many pictures were looked at

    def __call__(self, model: Net, step: int, epoch: int, seconds: float, at_end: bool) -> Excited | None:
        """Look now, if `seconds` of training by now leave time for it; None where they do not, or the numbers are bad.

        Before the end it is once that it looks. Leaves the model in training mode.

        Raises:
            OSError: when what was found cannot be written.
        """
        if self._last is not None and (not at_end or self._last == (step, len(self._order))):
            return None
        allowed = seconds / SHARE - self._spent
        if at_end:
            allowed = max(AT_END, allowed)
        if allowed <= 0 or not self._watched:
            return None
        began = time.monotonic()
        records, count = self._look(model, began + allowed)
        self._spent += time.monotonic() - began
        if not at_end and count < min(LEAST, len(self._order)):
            return None
        tensors = {"pictures": self._order[:count].sort().values.int().cpu()}
        for name, record in records.items():
            if record.values is None or not bool((record.largest - record.smallest).isfinite().all()):
                return None
            tensors |= {
                f"{name}.values": record.values.cpu().contiguous(),
                f"{name}.places": record.places.int().cpu().contiguous(),
                f"{name}.largest": record.largest.cpu().clone(),
                f"{name}.smallest": record.smallest.cpu().contiguous(),
            }
        file = f"excited-{step}.safetensors"
        write_atomic(self.directory / file, save(tensors))
        self._forget(file)
        self._last = step, count
        return Excited(step=step, epoch=epoch, file=file, count=count)

    @torch.no_grad()
    def _look(self, model: Net, until: float) -> tuple[dict[str, Record], int]:
        """As many pictures as there are until then, the first batch in any case."""
        records = {name: Record() for name in self._watched}
        count = 0
        model.eval()
        while count < len(self._order):
            began = time.monotonic()
            numbers = self._order[count : count + (self._batch if count else LEAST_TEST_BATCH)]
            for name, made in model.trace(self._fit(self._images[numbers])):
                if name in records:
                    records[name].add(made, numbers)
            float(records[self._watched[0]].smallest[0])  # waits for the device: the time that counts is its own
            count += len(numbers)
            now = time.monotonic()
            if now + (now - began) * self._batch / len(numbers) > until:
                break
        model.train()
        return records, count

    def _forget(self, file: str) -> None:
        """Keep this one and the newest of the others."""
        found = sorted(self.directory.glob("excited-*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        others = [path for path in found if path.name != file]
        for path in others[: len(others) - KEEP + 1]:
            path.unlink(missing_ok=True)
