"""Weights that were trained: read from a run, and taken over by another model where they fit it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cnntui.core.backbone import backbone_and_head
from cnntui.core.parameters import module_names
from cnntui.runs.checkpoints import MODEL, CheckpointError, State, demand, read_state
from cnntui.runs.spec import Spec, read_json
from cnntui.training.model import Net, build

TRIES = 5  # a run that still trains thins its checkpoints, perhaps just this one
SHOWN = 3  # tensors that a line names


class WeightsError(Exception):
    """Why there are no weights, in one line."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a checkpoint by name, on the CPU; what it says of itself; and which were passed over for it."""

    checkpoint: Path
    tensors: dict[str, Tensor]
    state: State
    refused: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The run and the step."""
        return f"{self.checkpoint.parents[1].name} {self.checkpoint.name}"


def read(run: Path, which: str = "best") -> Weights:
    """The weights of a run's checkpoint: `best`, `last` or `step-N`; of a damaged one those of the one before it.

    Raises:
        WeightsError: when there is none that can be used.
    """
    gone: OSError | None = None
    for _ in range(TRIES):
        try:
            found = demand(run, which)
            return Weights(found.path, load_file(found.path / MODEL), read_state(run, found.path), found.refused)
        except FileNotFoundError as error:
            gone = error
        except CheckpointError as error:
            raise WeightsError(str(error)) from None
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{run.name}: {getattr(error, 'strerror', None) or error}") from None
    raise WeightsError(f"{run.name}: its checkpoints go faster than they can be read: {gone}")


def trained(run: Path, weights: Weights) -> tuple[Spec, Net]:
    """The net of a run with its weights, in evaluation mode, and its spec.

    Raises:
        WeightsError: when the run has no readable spec, or the weights are of another net.
    """
    spec = read_json(run / "spec.json", Spec)
    if spec is None:
        raise WeightsError(f"{run} holds no readable spec.json")
    try:
        model = build(spec.network)
        model.load_state_dict(weights.tensors)
    except ValueError as error:
        raise WeightsError(f"{spec.net}: {error}") from None
    except RuntimeError:
        raise WeightsError(f"{weights.checkpoint / MODEL} does not fit the layers of {spec.net}") from None
    return spec, model.eval()


@dataclass(frozen=True)
class Taken:
    """What became of each tensor: `kept` was taken over, `new` stays as the model began, `left` is only in the checkpoint.

    `new` and `left` say the sizes as well, and what the other side has under that name.
    """

    source: str
    kept: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]
    refused: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line."""
        line = f"{len(self.kept)} of {len(self.kept) + len(self.new)} tensors taken over from {self.source}"
        line += f"; new: {_few(self.new)}" if self.new else ""
        # What another size stands in for is told already.
        only = [text for text in self.left if not text.endswith(")")]
        return line + (f"; left: {_few(only)}" if only else "")


def take_over(model: nn.Module, run: Path, which: str = "best", only: Collection[str] | None = None) -> Taken:
    """Load the weights of a run's checkpoint into a model: what has the same name and the same shape.

    Everything else stays as it was, such as a head for another number of classes; with `only`, all but those modules.

    Raises:
        WeightsError: when there is no checkpoint that can be used, or nothing of it fits.
    """
    weights = read(run, which)
    mine, theirs = model.state_dict(), weights.tensors
    if only is not None:
        theirs = {name: tensor for name, tensor in theirs.items() if name.partition(".")[0] in only}
    kept = [name for name in mine if name in theirs and theirs[name].shape == mine[name].shape]
    new = [_told(name, mine, theirs) for name in mine if name not in kept]
    left = [_told(name, theirs, mine) for name in theirs if name not in kept]
    if not any(name.endswith("weight") for name in kept):
        begins = f"; new here: {_few(new)}; there: {_few(left)}" if new and left else ""
        raise WeightsError(f"no layer of {weights.title} has the name and the size of one here{begins}")
    with torch.no_grad():
        for name in kept:
            mine[name].copy_(theirs[name])
    return Taken(weights.title, tuple(kept), tuple(new), tuple(left), weights.refused)


def begin(model: nn.Module, spec: Spec) -> Taken:
    """Load the weights that a spec begins with: without those of the head where it is to be new.

    Raises:
        WeightsError: as `take_over`; and when a backbone that is to be frozen would not be all of that run.
    """
    names = module_names(spec.network)
    backbone = {names[node] for node in backbone_and_head(spec.network)[0]}
    if not backbone and (spec.new_head or spec.frozen):
        raise WeightsError(
            f"{spec.net} has no layers with weights before its head: there is nothing to take over or to freeze"
        )
    taken = take_over(model, Path(spec.weights_from or ""), only=backbone if spec.new_head else None)
    if spec.frozen and (lacking := [text for text in taken.new if text.partition(".")[0] in backbone]):
        raise WeightsError(
            f"a frozen backbone must be learned, and {taken.source} has not {_few(lacking)}: train it too, or take its net"
        )
    return taken


def _told(name: str, here: dict[str, Tensor], there: dict[str, Tensor]) -> str:
    other = f" (there {_size(there[name])})" if name in there else ""
    return f"{name} {_size(here[name])}{other}"


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"


def _few(texts: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
