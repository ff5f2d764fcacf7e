"""The named kernels of `kernels/*.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}"
NO_NAME = "is not a name of letters, digits, - and _"
MOST_TAPS = 64
LARGEST = 1e15
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
        KernelError: naming the file, the line and the key.
    """
    try:
        text = path.read_text("utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise KernelError(f"{path.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KernelError(f"{path.name}: not UTF-8 text") from None
    except RecursionError:
        raise KernelError(f"{path.name}: lists in lists in lists: that is no kernel") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+)", str(error))
        line = int(where.group(1)) if where else text.count("\n") + 1
        raise KernelError(f"{path.name}:{line}: not TOML: {error}") from None
    texts = {key: str(data.get(key, "")) for key in ("group", "finds", "source")}
    divisor = data.get("divisor", 1)
    if not _is_number(divisor) or divisor == 0:
        raise KernelError(f"{_place(path, text, 'divisor')}: divisor = {divisor!r} is not a number other than 0")
    try:
        weights = _weights(data.get("weights"))
    except KernelError as error:
        raise KernelError(f"{_place(path, text, 'weights')}: {error}") from None
    name = str(data.get("name", path.stem))
    if not re.fullmatch(NAME, name):
        raise KernelError(f"{_place(path, text, 'name')}: {name!r} {NO_NAME}")
    return Kernel(name, weights, divisor, **texts)


def _is_number(value: object) -> bool:
    """A number of a size that can be computed with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _place(path: Path, text: str, key: str) -> str:
    """The file and the line of a key."""
    lines = text.splitlines()
    line = next((i for i, words in enumerate(lines, 1) if re.match(rf"\s*{key}\b", words)), 1)
    return f"{path.name}:{line}"


def _weights(rows: Any) -> Weights:
    if (
        not isinstance(rows, list)
        or not rows
        or not all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows)
        or not all(_is_number(value) for row in rows for value in row)
    ):
        raise KernelError("weights is not a list of rows of numbers, all of one length")
    if max(len(rows), len(rows[0])) > MOST_TAPS:
        raise KernelError(f"weights of {len(rows)}×{len(rows[0])} are more than {MOST_TAPS} rows or columns")
    return tuple(tuple(float(value) for value in row) for row in rows)


def save_kernel(kernel: Kernel, directory: Path) -> Path:
    """Write a new kernel file; returns where.

    Raises:
        KernelError: when the name is no file name, there is one of that name, or it cannot be written.
    """
    if not re.fullmatch(NAME, kernel.name):
        raise KernelError(f"{kernel.name!r} {NO_NAME}")
    path = directory / f"{kernel.name}.toml"
    facts = {"name": kernel.name, "group": kernel.group, "finds": kernel.finds, "source": kernel.source}
    rows = [[int(value) if value == int(value) else value for value in row] for row in kernel.weights]
    if path.exists():
        raise KernelError(f"there is a kernel called {kernel.name!r} already; choose another name")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(tomli_w.dumps({**facts, "weights": rows, "divisor": kernel.divisor}))
    except OSError as error:
        raise KernelError(f"{path}: {error.strerror}") from None
    return path


def load_kernels(directories: Iterable[Path] = ()) -> tuple[dict[str, Kernel], list[KernelError]]:
    """Every kernel by name, in groups, and what is wrong with the files that could not be read.

    Args:
        directories: more of them beside the one that comes with cnntui; of two kernels of one name the later counts.
    """
    found: list[Kernel] = []
    errors: list[KernelError] = []
    for directory in (kernels_directory(), *directories):
        for path in sorted(directory.glob("*.toml")):
            try:
                found.append(read_kernel(path))
            except KernelError as error:
                errors.append(error)
    return {kernel.name: kernel for kernel in sorted(found, key=lambda k: (k.group, k.name))}, errors
