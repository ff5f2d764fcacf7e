"""NumPy's .npy files, read without np.load: arrays of plain numbers, never a pickle.

np.load hands the header to `ast.literal_eval`, and so does Textual with the arguments of every action, on its event loop.
In CPython 3.11 two threads that make syntax trees at once can fail ("AST constructor recursion depth mismatch"): a worker
that reads would bring the screen down. So nothing that viewers do in a thread goes through `ast`.
"""

from __future__ import annotations

import os
import re
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from cnntui.core.windows import Array

MAGIC = b"\x93NUMPY"
LENGTHS = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}  # by version: in so many bytes the header's length stands
LONGEST = 10_000  # bytes of a header: numpy's own limit
NUMBERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
SIDE = "(?:0|[1-9][0-9]{0,18})"
ENTRY = rf" *'(descr|fortran_order|shape)' *: *('[^']*'|True|False|\((?:(?:{SIDE}, *)+{SIDE}?)?\)) *"
HEADER = re.compile(rf"\{{{ENTRY},{ENTRY},{ENTRY}(?:, *)?\}}[ \n]*")


def read_npy(path: Path, mapped: bool = False) -> Array:
    """The array of a .npy file: truth values, whole numbers, float16 to float64, of any shape and order.

    Args:
        path: of the file. A pipe would block.
        mapped: whether it stays on the disk (a read-only np.memmap) until it is looked at.

    Raises:
        OSError: when there is no such file.
        ValueError: in one line, when it holds no such array, or less than its header promises.
        MemoryError: when it does not fit.
    """
    with path.open("rb") as file:
        begin = file.read(len(MAGIC) + 2)
        size = LENGTHS.get(begin[len(MAGIC) :])
        if begin[: len(MAGIC)] != MAGIC or size is None:
            raise ValueError("no .npy file of version 1, 2 or 3")
        length = int.from_bytes(file.read(size), "little")
        if length > LONGEST:
            raise ValueError(f"a header of {length:,} bytes > {LONGEST:,}")
        kind, order, shape = _header(file.read(length).decode("latin1"))
        start = len(begin) + size + length
        needed, there = prod(shape) * kind.itemsize, os.fstat(file.fileno()).st_size - start
        if there < needed:
            raise ValueError(
                f"{max(0, there):,} bytes of numbers, but its shape {shape} needs {needed:,}: it is cut off"
            )
        try:
            if mapped:
                return np.memmap(file, kind, "r", start, shape, order)
            return np.fromfile(file, kind, prod(shape)).reshape(shape, order=order)
        except OverflowError as error:  # a side beyond what numpy counts, beside one of 0
            raise ValueError(str(error)) from None


def _header(text: str) -> tuple[np.dtype[np.generic], Literal["C", "F"], tuple[int, ...]]:
    """The type, the order and the shape that `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` tells."""
    found = HEADER.fullmatch(text)
    said = dict(zip(found.groups()[::2], found.groups()[1::2], strict=True)) if found else {}
    descr, fortran, shape = (said.get(name, "") for name in ("descr", "fortran_order", "shape"))
    if not (descr.startswith("'") and fortran in ("True", "False") and shape.startswith("(")):
        raise ValueError("its header is not that of an array of numbers")
    if not NUMBERS.fullmatch(descr.strip("'")):
        raise ValueError(f"its dtype is {descr[:20]}: only bool, whole numbers and float16 to float64 are read")
    sides = tuple(map(int, re.findall("[0-9]+", shape)))
    return np.dtype(descr.strip("'")), "F" if fortran == "True" else "C", sides
