"""What was changed in a net since it was trained: numbers set by hand, steps of learning; and what is dead in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnntui.core.arithmetic import brief
from cnntui.core.forward import Channel
from cnntui.core.network import INPUT
from cnntui.core.parameters import Parameters
from cnntui.core.workings import significant

if TYPE_CHECKING:
    from cnntui.core.learning import MomentsOf, Rule


@dataclass(frozen=True)
class Change:
    """A number that was set by hand: a pixel of the net's input (node `input`, no name), or one of a layer's tensors."""

    node: str
    name: str
    index: tuple[int, ...]
    value: float
    before: float

    @property
    def text(self) -> str:
        """In words."""
        where = f"{self.node}[{','.join(map(str, self.index))}]" if self.node == INPUT else f"{self.node}.{self.name}"
        if self.node != INPUT:
            where += f"[{','.join(map(str, self.index))}]"
        return f"{where} {brief(self.before)} → {brief(self.value)}"


@dataclass(frozen=True)
class StepTaken:
    """A step of learning on one picture: what that picture's loss was before it and after it."""

    picture: str
    label: int
    before: float
    after: float


def loss_text(loss: float) -> str:
    """A loss in four digits, however small."""
    return significant(loss, 4)


@dataclass(frozen=True)
class Dead:
    """Channels that no test picture moved from 0, and the step of training after which that was measured, if it is known."""

    channels: frozenset[Channel] = frozenset()
    step: int | None = None


@dataclass(frozen=True, eq=False)
class Learned:
    """Where steps of learning have brought the weights, and what the rule remembers; the steps, the last one last."""

    parameters: Parameters
    rule: Rule
    moments: MomentsOf
    steps: tuple[StepTaken, ...]

    @property
    def text(self) -> str:
        """In words."""
        count = len(self.steps)
        losses = f"{loss_text(self.steps[0].before)} → {loss_text(self.steps[-1].after)}"
        return f"{count} step{'s' * (count > 1)}, loss {losses}"
