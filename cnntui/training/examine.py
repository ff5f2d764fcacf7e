"""The whole test set read once: loss, accuracy, and class by class what was taken for what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnntui.runs.events import MOST_CLASSES, Misread
from cnntui.training.data import Fitting

LEAST_TEST_BATCH, MOST_TEST_BATCH = 32, 1000
MISREAD = 24


@dataclass(frozen=True)
class Tested:
    """How the test pictures (N,) were read: `read` their classes, `surety` the probabilities of these, both on the CPU."""

    loss: float
    read: Tensor
    surety: Tensor
    labels: Tensor

    @property
    def accuracy(self) -> float:
        """The share that was read right, 0 to 1."""
        return int((self.read == self.labels).sum()) / len(self.labels)

    def by_class(self, classes: int) -> tuple[list[int], list[int]]:
        """How many there are of each class, and how many of these were read right."""
        right = self.labels[self.read == self.labels]
        return torch.bincount(self.labels, minlength=classes).tolist(), torch.bincount(
            right, minlength=classes
        ).tolist()

    def confusion(self, classes: int) -> list[list[int]] | None:
        """Counts, [label][read]; None where there are too many classes, or a reading that is none of them."""
        if classes > MOST_CLASSES or int(self.read.max()) >= classes:
            return None
        counts = torch.bincount(self.labels * classes + self.read, minlength=classes * classes)
        return [[int(n) for n in row] for row in counts.view(classes, classes)]

    def misread(self, classes: int) -> list[Misread]:
        """The surest mistakes, surest first."""
        wrong = ((self.read != self.labels) & (self.read < classes)).nonzero().flatten()
        surest = wrong[self.surety[wrong].argsort(descending=True)][:MISREAD]
        return [
            Misread(int(i), int(self.labels[i]), int(self.read[i]), round(float(self.surety[i]), 4)) for i in surest
        ]


@torch.no_grad()
def examine(model: nn.Module, images: Tensor, labels: Tensor, fit: Fitting, batch_size: int) -> Tested:
    """Every picture once, in evaluation mode; leaves the model in training mode."""
    model.eval()
    loss = torch.zeros((), device=labels.device)
    read, surety = torch.empty_like(labels), torch.empty(len(labels), device=labels.device)
    size = max(LEAST_TEST_BATCH, min(MOST_TEST_BATCH, 4 * batch_size))  # without gradients there is room for more
    for start in range(0, len(labels), size):
        batch = slice(start, start + size)
        scores = model(fit(images[batch])).float()
        loss += nn.functional.cross_entropy(scores, labels[batch], reduction="sum")
        surety[batch], read[batch] = scores.softmax(1).max(1)
    model.train()
    return Tested(float(loss) / len(labels), read.cpu(), surety.cpu().nan_to_num(0.0), labels.cpu())
