"""Devices: which one is meant, what it is called, and what torch has here."""

from __future__ import annotations

import json
import platform
import sys

import torch


class DeviceError(Exception):
    """A device that is not here, and which are."""


def pick(name: str) -> tuple[torch.device, str]:
    """The device and what to call it; `auto` is the first GPU, then Apple's, then the CPU.

    Raises:
        DeviceError: when there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
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
        device = torch.device("cuda", device.index or 0)
        return device, f"{device} {torch.cuda.get_device_name(device)}"
    return device, str(device)


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
