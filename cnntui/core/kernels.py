"""The named kernels of `kernels/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Weights = tuple[tuple[float, ...], ...]


class KernelError(ValueError):
    """A kernel file that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel: `weights / divisor` is what slides. Whole weights and a divisor keep the arithmetic exact."""

    name: str
    weights: Weights
    divisor: float = 1
    group: str = ""
    finds: str = ""
    source: str = ""


def kernels_directory() -> Path:
    """Where the kernels that come with cnntui are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "kernels"
    return installed if installed.is_dir() else package.parent / "kernels"


def read_kernel(path: Path) -> Kernel:
    """One kernel file.

    Raises:
        KernelError: naming the file and the key.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise KernelError(f"{path.name}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KernelError(f"{path.name}: not TOML: {error}") from None
    texts = {key: str(data.get(key, "")) for key in ("group", "finds", "source")}
    divisor = data.get("divisor", 1)
    if not isinstance(divisor, int | float) or isinstance(divisor, bool) or divisor == 0:
        raise KernelError(f"{path.name}: divisor = {divisor!r} is not a number other than 0")
    return Kernel(str(data.get("name", path.stem)), _weights(path.name, data.get("weights")), divisor, **texts)


def _weights(name: str, rows: Any) -> Weights:
    if (
        not isinstance(rows, list)
        or not rows
        or not all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows)
        or not all(isinstance(value, int | float) and not isinstance(value, bool) for row in rows for value in row)
    ):
        raise KernelError(f"{name}: weights is not a list of rows of numbers, all of one length")
    return tuple(tuple(float(value) for value in row) for row in rows)


def load_kernels(directories: Iterable[Path] | None = None) -> tuple[dict[str, Kernel], list[KernelError]]:
    """Every kernel by name, in groups, and what is wrong with the files that could not be read."""
    found: list[Kernel] = []
    errors: list[KernelError] = []
    for directory in [kernels_directory()] if directories is None else directories:
        for path in sorted(directory.glob("*.toml")):
            try:
                found.append(read_kernel(path))
            except KernelError as error:
                errors.append(error)
    return {kernel.name: kernel for kernel in sorted(found, key=lambda k: (k.group, k.name))}, errors
