"""One step of gradient descent: eager, compiled, or replayed as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cnntui.runs.spec import Spec
from cnntui.training.augment import Augment
from cnntui.training.data import DataSet, Fitting
from cnntui.training.model import Net

WARM_STEPS = 3  # what a capture wants to have seen: allocations and kernel choices made


def autocast_of(precision: str, device: torch.device) -> torch.dtype | None:
    """The type that matrix products are computed in, None for float32 throughout."""
    if precision == "bfloat16":
        return torch.bfloat16
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return None


class Step:
    """Pictures by their numbers -> augmented, fitted, scored; the loss, its gradients, and new weights.

    The loss is summed on the device and fetched when asked for: nothing here waits for the device.
    """

    def __init__(
        self, model: Net, optimizer: torch.optim.Optimizer, data: DataSet, fit: Fitting, augment: Augment, spec: Spec
    ) -> None:
        self.model, self.optimizer, self.data, self.fit, self.augment = model, optimizer, data, fit, augment
        self.device = data.train_labels.device
        self.size = spec.batch_size
        self.precision = autocast_of(spec.precision, self.device)
        self.loss_of = nn.CrossEntropyLoss(label_smoothing=spec.label_smoothing)
        self.compiled = spec.compile
        self._scores_of: Callable[[Tensor], Tensor] = torch.compile(model) if spec.compile else model
        self._graph: torch.cuda.CUDAGraph | None = None
        self._index = torch.zeros(self.size, dtype=torch.int64, device=self.device)
        self._total = torch.zeros((), device=self.device)
        self._count = 0

    def __call__(self, index: Tensor) -> None:
        """Learn from the training pictures of these numbers (B,)."""
        self._count += 1
        if len(index) != self.size:  # the last batch of an epoch: what was made for full ones does not fit
            self._learn(index, self.model)
        elif self._graph is not None:
            self._index.copy_(index)
            self._graph.replay()
        else:
            self._learn(index, self._scores_of)

    def _learn(self, index: Tensor, scores_of: Callable[[Tensor], Tensor]) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None, cache_enabled=False):
            scores = scores_of(self.fit(self.augment(self.data.train_images[index])))
        loss = self.loss_of(scores.float(), self.data.train_labels[index])
        loss.backward()
        self.optimizer.step()
        self._total += loss.detach()

    def mean_loss(self) -> float:
        """The mean loss of the steps since the last call. Waits for the device."""
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
        with self._put_back(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
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

    def give_up(self) -> None:
        """Neither compiled nor captured from here on."""
        self.compiled, self._scores_of, self._graph = False, self.model, None

    @contextmanager
    def _put_back(self) -> Iterator[None]:
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
