"""What a GPU tells of itself through NVML: memory, utilisation, temperature; None for what it does not tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Gauge:
    """Reads one CUDA device. Without NVML, or for another kind of device, every field is None."""

    def __init__(self, device: torch.device) -> None:
        self._nvml: Any = None
        if device.type != "cuda":
            return
        try:
            import pynvml

            pynvml.nvmlInit()
            # By its name, for CUDA_VISIBLE_DEVICES numbers the devices anew.
            name = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
            self._nvml, self._handle = pynvml, pynvml.nvmlDeviceGetHandleByUUID(name)
        except Exception:  # no library, no driver, a device of another kind: NVML has many ways to say so
            self._nvml = None

    def read(self) -> dict[str, int | None]:
        """`utilization` in percent, `temperature` in °C, `memory_total` in bytes."""
        nvml = self._nvml
        if nvml is None:
            return {}
        return {
            "utilization": _asked(lambda: nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu),
            "temperature": _asked(lambda: nvml.nvmlDeviceGetTemperature(self._handle, nvml.NVML_TEMPERATURE_GPU)),
            "memory_total": _asked(lambda: nvml.nvmlDeviceGetMemoryInfo(self._handle).total),
        }


def _asked(question: Callable[[], Any]) -> int | None:
    """The answer, or None: `Not Supported` on many a device, above all on slices of one."""
    try:
        return int(question())
    except Exception:
        return None
