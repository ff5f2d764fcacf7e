"""What is kept of a run while it trains: checkpoints to go on from, snapshots to scrub through; and the way back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from cnntui.runs.events import Checkpoint, Resume, Snapshot
from cnntui.runs.spec import Spec
from cnntui.training import checkpoints
from cnntui.training.desk import Desk
from cnntui.training.model import Net

SAVE_SECONDS = 300.0  # in a long epoch; and a save that takes t seconds is not repeated for 20 t without need
SAVE_SHARE = 20
RETRY_SECONDS = 10.0


class Keeper:
    """Saves a model and its optimizer when it is time, and puts them back. `state_of` tells what else is so by now."""

    def __init__(
        self,
        run: Path,
        spec: Spec,
        model: Net,
        optimizer: torch.optim.Optimizer,
        desk: Desk,
        state_of: Callable[[], checkpoints.Saved],
    ) -> None:
        self.run, self.spec, self.desk, self.state_of = run, spec, desk, state_of
        self.model, self.optimizer = model, optimizer
        self.unsaved = ""  # why the last save failed
        self._saved_at = self._not_before = 0.0
        self._retry_at = math.inf

    @property
    def is_due(self) -> bool:
        """Whether the last save is long ago, or is to be tried again."""
        return time.monotonic() > min(self._retry_at, self._saved_at + SAVE_SECONDS)

    def save(self, best: bool = False, needed: bool = False) -> bool:
        """Save the weights, if they are worth saving; a disk that refuses is told, and tried once more a little later."""
        began = time.monotonic()
        if began < self._not_before and not needed and (self.unsaved or not best):
            return True
        if self.desk.replaced:
            return False
        if not all(torch.isfinite(tensor).all() for tensor in self.model.state_dict().values()):
            self.unsaved = "its weights are not finite"
            return False
        again = began > self._retry_at
        self._saved_at, self._retry_at = began, math.inf
        state = self.state_of()
        try:
            saved = checkpoints.save(self.run, self.model, self.optimizer, state, best)
        except OSError as error:
            self.unsaved = str(error.strerror or error)
            self._retry_at = math.inf if again else began + RETRY_SECONDS
            self._not_before = began + SAVE_SECONDS
            then = "it is not tried again before the next one" if again else f"tried again in {RETRY_SECONDS:.0f} s"
            self.desk.notice(f"checkpoint not saved: {self.unsaved}; the last one is kept, and {then}")
            return False
        self.unsaved = ""
        self._not_before = time.monotonic() + SAVE_SHARE * (time.monotonic() - began)
        self.desk.tell(Checkpoint(step=state.step, epoch=state.epoch, directory=saved.name), sync=True)
        return True

    def snap(self, step: int, epoch: int) -> None:
        """Keep the weights of this moment for scrubbing."""
        try:
            path = checkpoints.snapshot(self.run, self.model, step)
        except OSError as error:
            self.desk.notice(f"snapshot not written: {error.strerror or error}")
            return
        self.desk.tell(Snapshot(step=step, epoch=epoch, file=path.name))

    def begin_anew(self) -> None:
        """Nothing of an earlier attempt counts, if there was one: whatever it left is damaged."""
        checkpoints.forget_after(self.run, -1)
        if self.desk.status.attempt > 1:
            self.desk.tell(Resume(step=0, checkpoint=""))

    def go_back(self, checkpoint: Path, data_sha256: str) -> checkpoints.Saved:
        """Put a checkpoint, found whole, into model and optimizer; what was kept beyond it is gone.

        Raises:
            ValueError: when it is not of this spec and this data, or cannot be read.
        """
        try:
            state = checkpoints.read_saved(checkpoint)
            if differences := checkpoints.differences(state, self.spec, data_sha256):
                raise ValueError(f"{checkpoint.name} was trained otherwise: {'; '.join(differences)}")
            checkpoints.restore(checkpoint, self.model, self.optimizer)
            checkpoints.forget_after(self.run, state.step)
        except OSError as error:
            raise ValueError(f"{checkpoint.name} cannot be gone on from: {error}") from None
        self._saved_at, self.unsaved = time.monotonic(), ""
        self.desk.tell(Resume(step=state.step, checkpoint=checkpoint.name), sync=True)
        return state
