"""Files that are either the old one or the new one, never half of each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, sync: bool = False) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when all of it is there, readable by its owner alone.

    With `sync` it is on the disk before it takes that place.

    Raises:
        OSError: the old file is still there, and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def stamp(path: Path) -> int:
    """Another number once a file was written anew, or something in a directory made or removed; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def write_atomic(path: Path, data: bytes, sync: bool = False) -> None:
    """Replace `path` by `data`, as `replacing` does.

    Raises:
        OSError: the old file is still there, and nothing is left beside it.
    """
    with replacing(path, sync) as file:
        file.write(data)


def clear_leftovers(directory: Path) -> None:
    """Remove what a process that was killed had begun to write: whatever has a name that begins with a dot.

    Raises:
        OSError: when it cannot be removed.
    """
    for leftover in directory.glob(".*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Put a directory's entries on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
