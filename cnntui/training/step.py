"""One step of gradient descent: eager, compiled, replayed as one CUDA graph, or shared by several ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cnntui.runs.spec import Spec
from cnntui.training.augment import Augment
from cnntui.training.data import DataSet, Fitting
from cnntui.training.model import Net
from cnntui.training.team import Team, lost_if_alone

WARM_STEPS = 3  # what a capture wants to have seen: allocations and kernel choices made

# What keeps the ranks' buffers apart is called otherwise in newer versions of torch.
OWN_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)


def autocast_of(precision: str, device: torch.device) -> torch.dtype | None:
    """The type that matrix products are computed in, None for float32 throughout."""
    if precision == "bfloat16":
        return torch.bfloat16
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return None


class Sized(nn.Module):
    """A net, or what it was compiled to for batches of one size where it is given such a one."""

    def __init__(self, net: nn.Module, compiled: Callable[[Tensor], Tensor] | None, size: int) -> None:
        super().__init__()
        self.net, self.size = net, size
        self.compiled = [compiled] if compiled is not None else []  # in a list: no module of its own, with other names

    def forward(self, x: Tensor) -> Tensor:
        """The scores."""
        scores: Tensor = self.compiled[0](x) if self.compiled and len(x) == self.size else self.net(x)
        return scores


class Step:
    """Pictures by their numbers -> augmented, fitted, scored; the loss, its gradients, and new weights.

    The loss is summed on the device and fetched when asked for: nothing here waits for the device. With a team it is
    given whole batches, and learns from its part of them; the gradients are those of the whole batch. `join` comes first.
    """

    def __init__(
        self,
        model: Net,
        optimizer: torch.optim.Optimizer,
        data: DataSet,
        fit: Fitting,
        augment: Augment,
        spec: Spec,
        team: Team | None = None,
    ) -> None:
        self.model, self.optimizer, self.data, self.fit, self.augment = model, optimizer, data, fit, augment
        self.device = data.train_labels.device
        self.team, self.sync_bn = team, spec.sync_bn
        self.size = spec.batch_size if team is None else team.part(spec.batch_size)
        self.precision = autocast_of(spec.precision, self.device)
        self.loss_of = nn.CrossEntropyLoss(label_smoothing=spec.label_smoothing)
        self.compiled = spec.compile
        self._scores_of: Callable[[Tensor], Tensor] = torch.compile(model) if spec.compile else model
        self._shared: DistributedDataParallel | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._index = torch.zeros(self.size, dtype=torch.int64, device=self.device)
        self._total = torch.zeros((), device=self.device)
        self._count = 0

    def __call__(self, index: Tensor) -> int:
        """Learn from the training pictures of these numbers (B,); returns from how many of them here.

        Raises:
            LostError: when another rank is gone.
        """
        self._count += 1
        if self.team is not None and self._shared is not None:
            own = self.team.cut(index)
            # The mean over the ranks is then that over the pictures, however the batch was cut.
            with lost_if_alone():
                self._learn(own, self._shared, self.team.size * len(own) / len(index))
            return len(own)
        if len(index) != self.size:  # the last batch of an epoch: what was made for full ones does not fit
            self._learn(index, self.model)
        elif self._graph is not None:
            self._index.copy_(index)
            self._graph.replay()
        else:
            self._learn(index, self._scores_of)
        return len(index)

    def _learn(self, index: Tensor, scores_of: Callable[[Tensor], Tensor], weight: float = 1.0) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None, cache_enabled=False):
            scores = scores_of(self.fit(self.augment(self.data.train_images[index])))
        loss = self.loss_of(scores.float(), self.data.train_labels[index])
        if weight != 1:
            loss = loss * weight
        loss.backward()
        self.optimizer.step()
        self._total += loss.detach()

    def mean_loss(self) -> float:
        """The mean loss of the steps since the last call, of a team this rank's part of it. Waits for the device."""
        mean = float(self._total) / max(1, self._count)
        self._total.zero_()
        self._count = 0
        return mean

    @property
    def needs_preparing(self) -> bool:
        """Whether there is something to compile or to capture before the first step."""
        return self.compiled or self.device.type == "cuda"

    def prepare(self, capture: bool) -> None:
        """Compile, and capture the step as a CUDA graph. The weights, and all else that steps change, are as before.

        Raises:
            RuntimeError: when torch cannot do it; `give_up` then goes on eagerly.
        """
        index = torch.arange(self.size, device=self.device) % len(self.data.train_labels)
        # Full batches have one size: it is worth looking for the fastest kernels, which a capture then keeps.
        with self.put_back(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            stream = torch.cuda.Stream() if self.device.type == "cuda" else None  # type: ignore[no-untyped-call]
            if stream is None:
                self._learn(index, self._scores_of)
                return
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_STEPS):
                    self._learn(index, self._scores_of)
            torch.cuda.current_stream().wait_stream(stream)
            if capture and self.device.type == "cuda":
                self._index.copy_(index)
                self.optimizer.zero_grad(set_to_none=True)
                graph = torch.cuda.CUDAGraph()
                # The status thread asks for the memory in use meanwhile, which a global capture would not allow.
                with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                    self._learn(self._index, self._scores_of)
                self._graph = graph
            torch.cuda.synchronize()

    def join(self, team: Team) -> str:
        """Become one model with those of the other ranks, with the first one's weights. Returns why it is not compiled.

        Raises:
            LostError: when another rank is gone.
        """
        if self.sync_bn:  # in place: the net keeps its names, and the optimizer its weights
            nn.SyncBatchNorm.convert_sync_batchnorm(self.model, team.gradients)  # type: ignore[no-untyped-call]
        net = Sized(self.model, self._scores_of if self.compiled else None, self.size)
        apart: dict[str, Any] = {OWN_BUFFERS: False}  # only the first rank's are kept
        devices = [self.device] if self.device.type == "cuda" else None
        with lost_if_alone():
            self._shared = DistributedDataParallel(net, devices, process_group=team.gradients, **apart)
        if not self.compiled:
            return ""
        why = ""
        try:
            with self.put_back(), self._shared.no_sync():
                self._learn(torch.arange(self.size, device=self.device) % len(self.data.train_labels), self._shared)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # torch's compilers have many of their own
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if team.agree(not why):
            return ""
        net.compiled.clear()
        self.compiled = False
        return why or "another rank cannot"

    def give_up(self) -> None:
        """Neither compiled nor captured from here on."""
        self.compiled, self._scores_of, self._graph = False, self.model, None

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Whatever steps change, in place as it was: a captured graph knows tensors by their address."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        before = [tensor.detach().clone() for tensor in tensors]
        moments = moments_of(self.optimizer)
        earlier = {key: tensor.clone() for key, tensor in moments.items()}
        lucks = torch.get_rng_state(), torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(tensors, before, strict=True):
                    tensor.copy_(value)
                for key, tensor in moments_of(self.optimizer).items():
                    # What the first step made starts from zero: also a momentum buffer, which is 0.9·0 + gradient then.
                    tensor.copy_(earlier[key]) if key in earlier else tensor.zero_()
            self.optimizer.zero_grad(set_to_none=True)
            self._total.zero_()
            torch.set_rng_state(lucks[0])
            if lucks[1] is not None:
                torch.cuda.set_rng_state(lucks[1], self.device)


def weights_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The weights that it moves, by number."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors by name, `state.<number of the weight>.<what>`: the very tensors, no copies."""
    return {
        f"state.{number}.{key}": value
        for number, weight in enumerate(weights_of(optimizer))
        for key, value in optimizer.state.get(weight, {}).items()
        if isinstance(value, Tensor)
    }
