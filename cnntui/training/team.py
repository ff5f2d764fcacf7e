"""Several ranks: who they are, what the first asks of the others, what all of them tell each other. torch.distributed.

The first rank, 0, is the trainer. Between two stretches of steps the others wait for its order; so whatever is asked of a
run takes hold at the same step in all of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import IntEnum
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

JOIN_SECONDS = 300.0  # for all to come together: they load torch, and perhaps one host after the other
WAIT_DAYS = 365  # for an order: a pause may last
NUMBERS = 4  # of an order, and of an answer


class TeamError(Exception):
    """Why the ranks cannot come together, in one line that says what to do."""


class LostError(Exception):
    """Another rank is gone. Whoever started them knows which."""


class Order(IntEnum):
    """What the first rank asks of the others; what it says with it."""

    END = 0
    DEVICE = 1  # to choose one
    LOAD = 2  # data and model
    JOIN = 3  # the models become one
    RESTORE = 4  # the checkpoint of this step
    MEASURE = 5  # so many steps
    STEPS = 6  # from this step on, so many, at this learning rate before the schedule's factor
    REPORT = 7  # where they are


class Share(NamedTuple):
    """What one rank did: the step that it has come to, its part of the mean loss, pictures learned from, in how long."""

    step: float
    loss: float = 0.0
    pictures: float = 0.0
    seconds: float = 0.0

    @property
    def speed(self) -> float:
        """Images/s."""
        return self.pictures / self.seconds if self.seconds else 0.0


class Team:
    """This process as one of several ranks, by the names that torchrun gives them in the environment.

    Orders go over gloo, whose waiting costs nothing; gradients over nccl where there are GPUs.

    Raises:
        TeamError: when the others do not come.
    """

    def __init__(self, size: int) -> None:
        try:
            self.rank, present = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
            self.local_rank = int(os.environ["LOCAL_RANK"])
        except (KeyError, ValueError):
            raise TeamError(f"this run has {size} ranks: torchrun is to start them, as cnntui resume does") from None
        if present != size:
            raise TeamError(f"this run has {size} ranks, but {present} were started")
        self.size = size
        try:
            dist.init_process_group("gloo", timeout=timedelta(seconds=JOIN_SECONDS))
            self._orders = _group("gloo", timedelta(days=WAIT_DAYS))
        except RuntimeError as error:  # as all of torch.distributed's are
            raise TeamError(f"the {size} ranks did not come together: {' '.join(str(error).split())[:200]}") from None
        self.gradients = self._orders
        self.waiting = True  # the others wait for an order

    @property
    def is_first(self) -> bool:
        """Whether this one is the trainer."""
        return self.rank == 0

    def use(self, device: torch.device) -> None:
        """Exchange gradients between such devices."""
        if device.type == "cuda":
            with lost_if_alone():
                self.gradients = _group("nccl")

    def cut(self, index: Tensor) -> Tensor:
        """This rank's part of a batch (B,): all parts make the batch, none overlaps another; they differ by one at most."""
        return torch.tensor_split(index, self.size)[self.rank]

    def part(self, size: int) -> int:
        """How many of a batch of `size` are this rank's."""
        return size // self.size + (self.rank < size % self.size)

    def reseed(self, seed: int, step: int) -> None:
        """Random numbers of their own for each rank and step: a run that is resumed draws the same."""
        words = np.random.SeedSequence((seed & (2**64 - 1), step, self.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0]))

    def tell(self, order: Order, *numbers: float) -> None:
        """The first rank's order to the others.

        Raises:
            LostError: when one of them is gone.
        """
        self.waiting = False
        self._broadcast([order, *numbers])

    def hear(self) -> tuple[Order, list[float]]:
        """Wait for the first rank's order; what it says with it.

        Raises:
            LostError: when the first rank is gone.
        """
        order, *numbers = self._broadcast([])
        return Order(int(order)), numbers

    def _broadcast(self, numbers: list[float]) -> list[float]:
        message = torch.zeros(1 + NUMBERS, dtype=torch.float64)
        message[: len(numbers)] = torch.tensor(numbers, dtype=torch.float64)
        with lost_if_alone():
            dist.broadcast(message, 0, group=self._orders)
        return [float(number) for number in message]

    def exchange(self, *numbers: float) -> list[list[float]]:
        """What each rank answers to an order, all to all, in the order of the ranks. Afterwards the others wait again.

        Raises:
            LostError: when one of them is gone.
        """
        message = torch.zeros(NUMBERS, dtype=torch.float64)
        message[: len(numbers)] = torch.tensor(numbers, dtype=torch.float64)
        answers = [torch.zeros_like(message) for _ in range(self.size)]
        with lost_if_alone():
            dist.all_gather(answers, message, group=self._orders)
        self.waiting = True
        return [answer.tolist() for answer in answers]

    def compare(self, share: Share) -> list[Share]:
        """What each rank did in a stretch; they have come to one step.

        Raises:
            LostError: when one of them is gone.
            TeamError: when they are not at one step.
        """
        shares = [Share(*answer) for answer in self.exchange(*share)]
        if len({each.step for each in shares}) > 1:
            raise TeamError(f"the ranks are at different steps: {', '.join(f'{each.step:,.0f}' for each in shares)}")
        return shares

    def agree(self, fine: bool) -> bool:
        """Whether it is fine with all.

        Raises:
            LostError: when one of them is gone.
        """
        return all(answer[0] for answer in self.exchange(fine))

    def close(self) -> None:
        """Let the others go, if they wait for an order: in the middle of a stretch they could not hear it."""
        with suppress(LostError, RuntimeError):
            if self.is_first and self.waiting:
                self.tell(Order.END)
            if self.waiting:
                dist.destroy_process_group()


def _group(backend: str, timeout: timedelta | None = None) -> dist.ProcessGroup:
    """All ranks, by another backend."""
    return cast(dist.ProcessGroup, dist.new_group(backend=backend, timeout=timeout))


@contextmanager
def lost_if_alone() -> Iterator[None]:
    """What gloo and nccl raise when another process is gone becomes a LostError."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or not re.search(
            r"gloo|nccl|connection|broken pipe|reset by peer|socket", str(error), re.IGNORECASE
        ):
            raise
        raise LostError(" ".join(str(error).split())[:200]) from None
