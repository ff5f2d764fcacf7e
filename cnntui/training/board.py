"""What TensorBoard shows of a run: its event files, by tensorboard's own writer, as an option beside our own log."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from cnntui.runs.events import Event, Test, Train, from_number

HOW_TO_GET_TENSORBOARD = "event files are written with tensorboard: pip install 'cnntui[tensorboard]'"
FLUSH_SECONDS = 5


class BoardError(Exception):
    """Why there are no event files, or no more of them, in one line."""


class Board:
    """Writes scalars to one event file in a directory, from a thread of the writer's own, which ends with the process.

    Args:
        directory: made if need be. It may hold event files already: TensorBoard reads them as one run.
        after: of a run that goes on, the last step that counts of what was written before; what lies beyond is hidden.

    Raises:
        BoardError: when tensorboard is missing, or the directory cannot be written.
    """

    def __init__(self, directory: Path, after: int | None = None) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the packages among themselves
                from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise BoardError(HOW_TO_GET_TENSORBOARD) from None
        self.directory = directory
        self._writer: Any = None
        try:
            self._writer = SummaryWriter(
                str(directory), purge_step=None if after is None else after + 1, flush_secs=FLUSH_SECONDS
            )
        except OSError as error:
            raise self._failed(error) from None

    def take(self, event: Event) -> None:
        """Write what an event says in numbers.

        Raises:
            BoardError: as `scalars`.
        """
        match event:
            case Train():
                self.scalars(
                    event.step,
                    train_loss=from_number(event.loss),
                    learning_rate=event.lr,
                    images_per_second=event.images_per_second,
                )
            case Test():
                self.scalars(event.step, test_loss=from_number(event.loss), test_accuracy=event.accuracy)

    def scalars(self, step: int, **values: float) -> None:
        """Write values by name, at a step. TensorBoard groups train_loss as train/loss, and test_ alike.

        After a failure this does nothing.

        Raises:
            BoardError: when they cannot be written, the first time.
        """
        if self._writer is None:
            return
        try:
            for name, value in values.items():
                self._writer.add_scalar(re.sub("^(train|test)_", r"\1/", name), value, step)
        except (OSError, ValueError) as error:  # a closed file is a ValueError
            self._give_up()
            raise self._failed(error) from None

    def close(self) -> None:
        """Write what waits, and end the writer's thread.

        Raises:
            BoardError: when it cannot be written.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.flush()
            writer.close()
        except (OSError, ValueError) as error:
            raise self._failed(error) from None

    def _give_up(self) -> None:
        try:
            self.close()
        except BoardError:
            return  # the reason is being told

    def _failed(self, error: Exception) -> BoardError:
        return BoardError(
            f"no event files for TensorBoard in {self.directory}: {getattr(error, 'strerror', None) or error}"
        )
