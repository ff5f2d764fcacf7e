"""Devices: which one is meant, what it is called, and what torch has here."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys

import torch

NO_DEVICE = -1.0


class DeviceError(Exception):
    """A device that is not here, and which are."""


def pick(name: str, rank: int | None = None) -> tuple[torch.device, str]:
    """The device and what to call it; `auto` is the first GPU, then Apple's, then the CPU.

    Of several ranks on this host, `rank` takes the GPU of its number.

    Raises:
        DeviceError: when there is no such device.
    """
    if name == "auto":
        apples = torch.backends.mps.is_available() and rank is None
        name = "cuda" if torch.cuda.is_available() else "mps" if apples else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"device {name!r} is none of auto, cpu, cuda, cuda:N, mps") from None
    count = torch.cuda.device_count()
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= count):
        raise DeviceError(f"no device {name}: torch sees {count} CUDA devices here; try --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("no device mps on this machine; try --device cpu")
    if device.type == "cuda":
        device = torch.device("cuda", device.index or (rank or 0) % count)
        return device, f"{device} {torch.cuda.get_device_name(device)}"
    return device, str(device)


def mark(device: torch.device) -> float:
    """A number that two devices share only if they are one; 0 for a CPU, which ranks do share."""
    if device.type != "cuda":
        return 0.0
    return 1.0 + int(hashlib.sha256(str(torch.cuda.get_device_properties(device).uuid).encode()).hexdigest()[:12], 16)


def check_marks(marks: list[float], sync_bn: bool) -> None:
    """Whether the ranks, by the marks of their devices, can train together; NO_DEVICE for a rank without one.

    Raises:
        DeviceError: when they cannot.
    """
    count = len(marks)
    if NO_DEVICE in marks:
        raise DeviceError(f"rank {marks.index(NO_DEVICE)} of {count} has no such device: see its stderr.log")
    gpus = set(marks) - {0.0}
    if gpus and 0.0 in marks:
        raise DeviceError(f"of {count} ranks some have a GPU, some none: take --device cpu")
    if gpus and len(gpus) < count:
        raise DeviceError(
            f"{count} ranks need a GPU each, and there {'are' if len(gpus) > 1 else 'is'} {len(gpus)}: "
            f"take --ranks {len(gpus)}, or --device cpu"
        )
    if sync_bn and not gpus:
        raise DeviceError("sync bn needs a GPU for each rank, and the device is cpu: leave it out")


def ran_out(error: Exception) -> bool:
    """Whether it says that memory ran out: a CPU's comes as any RuntimeError."""
    words = r"can't allocate memory|not enough memory|out of memory|ALLOC_FAILED"
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or bool(re.search(words, str(error)))


def no_room(batch_size: int) -> str:
    """What to say then."""
    smaller = f"--batch-size {batch_size // 2}" if batch_size > 1 else "a smaller input or net"
    return f"out of memory with batches of {batch_size}: try {smaller}"


def report() -> dict[str, object]:
    """What `cnntui doctor` tells of torch."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    json.dump(report(), sys.stdout)
