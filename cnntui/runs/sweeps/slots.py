"""Where the runs of a sweep have room on this machine: cores of the CPU, free memory of GPUs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import psutil

from cnntui.core.analysis import analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.vocabulary import NotationError
from cnntui.runs.spec import Spec

MOST_PER_GPU = 8
SHARE = 0.9  # of the free memory: the rest is for what comes and goes
CONTEXT = 3 << 29  # bytes of a GPU that a process takes before its first tensor, and the data with it: a careful guess
KEPT = 4  # times what a step keeps for its gradients: the gradients themselves, work space, fragments
RESIDENT = 1 << 30  # bytes of memory that a trainer with torch, its data and a small net stays below
PER_PARAMETER = 20  # bytes: the weight, its gradient, two moments of Adam's, a copy
CPU = "cpu"


@dataclass(frozen=True)
class Gpu:
    """One CUDA device, or a slice of one: `name` is what CUDA_VISIBLE_DEVICES takes; memory in bytes."""

    name: str
    free: int
    total: int


@dataclass(frozen=True)
class Machine:
    """What there is to train on: cores that may be used, free memory in bytes, GPUs that torch and the driver both know."""

    cores: int
    memory: int
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True)
class Slot:
    """Room for one run: `place` is CPU or the names of GPUs with commas, `environment` what its trainer is to have."""

    place: str = CPU
    environment: Mapping[str, str] = field(default_factory=dict)


def this_machine() -> Machine:
    """As it is now."""
    return Machine(_cores(), psutil.virtual_memory().available, tuple(_gpus()) if _torch_knows_cuda() else ())


def wants_gpu(device: str, machine: Machine) -> bool:
    """Whether a run with this setting trains on one of the GPUs."""
    return bool(machine.gpus) and (device == "auto" or device.startswith("cuda"))


def fitting(free: int, need: int) -> int:
    """How many runs that need so many bytes fit into the free ones of a GPU."""
    return min(MOST_PER_GPU, int(free * SHARE) // max(1, need))


def default_slots(device: str, machine: Machine, runs: int) -> int:
    """How many runs are worth having at once: one a core; on GPUs as many as might fit, each with a core to feed it."""
    most = min(machine.cores, int(machine.memory * SHARE) // RESIDENT)
    if wants_gpu(device, machine):
        most = min(most, MOST_PER_GPU * len(machine.gpus))
    elif device == "mps":
        most = 1
    return max(1, min(most, runs))


def slot_for(
    device: str,
    need: int,
    slots: int,
    machine: Machine,
    taken: Mapping[str, int] | None = None,
    promised: Mapping[str, int] | None = None,
    ranks: int = 1,
) -> Slot | None:
    """Room for one more run, on the GPU that has most; None while there is none.

    Args:
        device: as its settings have it.
        need: bytes of a GPU. One that needs more than a whole GPU gets an empty one, and says itself what is too much.
        slots: how many runs share the cores.
        machine: as it is now.
        taken: how many runs are at each place.
        promised: bytes of each place that runs will take, and have not yet.
        ranks: how many processes train it, each on a GPU of its own.
    """
    taken, promised = taken or {}, promised or {}
    environment = {"OMP_NUM_THREADS": str(threads(machine.cores, slots))}
    if not wants_gpu(device, machine):
        return Slot(CPU, environment)
    number = device.partition(":")[2]
    gpus = machine.gpus[int(number) : int(number) + 1] if number else machine.gpus
    free = {
        gpu.name: left
        for gpu in gpus
        if taken.get(gpu.name, 0) < MOST_PER_GPU
        and fitting(left := gpu.free - promised.get(gpu.name, 0), min(need, int(gpu.total * SHARE * SHARE)))
    }
    if len(gpus) < ranks:
        return Slot(CPU, environment)  # the trainer says that there are not so many
    if len(free) < ranks:
        return None
    best = ",".join(sorted(free, key=lambda name: -free[name])[:ranks])
    if not number:  # one that is asked for by its number keeps it
        environment["CUDA_VISIBLE_DEVICES"] = best
    return Slot(best, environment)


def threads(cores: int, slots: int) -> int:
    """How many threads a trainer computes with, when so many share the cores; never more than OMP_NUM_THREADS says."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, cores // max(1, slots))
    return min(share, int(given)) if given.isdecimal() and int(given) else share


def careful_need(spec: Spec) -> int:
    """Bytes of a GPU that training may take, where nobody has measured: rather too many."""
    try:
        analysis = analyse(spec.network)
    except (NotationError, ImpossibleError):
        return CONTEXT
    return CONTEXT + KEPT * analysis.memory * spec.batch_size + PER_PARAMETER * analysis.params


def _cores() -> int:
    """Physical cores, as far as this process may use them: its affinity and its control group set limits."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        here = min(here, ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no control group, or `max`: no limit
    return max(1, min(here, psutil.cpu_count(logical=False) or here))


def _torch_knows_cuda() -> bool:
    """Whether torch was built for CUDA; looks, does not import."""
    torch = importlib.util.find_spec("torch")
    folders = torch.submodule_search_locations if torch else None
    return any(any(Path(folder, "lib").glob("*torch_cuda*")) for folder in folders or ())


def _gpus() -> list[Gpu]:
    """What NVML tells of the GPUs that this process may see; nothing without NVML, or where it is broken."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            return [_gpu(pynvml, handle) for handle in _handles(pynvml, visible)]
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # no library, no driver, a device of another kind: NVML has many ways to say so
        return []


def _handles(nvml: Any, visible: str | None) -> list[Any]:
    """The devices: those named in CUDA_VISIBLE_DEVICES, in its order, or all; of a GPU in slices its slices."""
    if visible is not None:
        named = [name.strip() for name in visible.split(",") if name.strip()]
        found = [
            nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdecimal() else nvml.nvmlDeviceGetHandleByUUID(name)
            for name in named
            if name != "-1"
        ]
    else:
        found = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    return [slice_ for handle in found for slice_ in _slices(nvml, handle)]


def _slices(nvml: Any, handle: Any) -> list[Any]:
    try:
        if not nvml.nvmlDeviceGetMigMode(handle)[0]:
            return [handle]
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except nvml.NVMLError:  # none that can be cut, or a slice itself
        return [handle]
    found = []
    for index in range(most):
        try:
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
        except nvml.NVMLError:
            continue  # an empty place
    return found


def _gpu(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetUUID(handle)
    return Gpu(name if isinstance(name, str) else name.decode(), int(memory.free), int(memory.total))
