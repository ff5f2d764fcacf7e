"""What a network can be saved as, by the file's ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cnntui.core.nets import to_toml
from cnntui.core.vocabulary import NotationError
from cnntui.labs import tables
from cnntui.labs.build import BuildState
from cnntui.labs.program import pytorch
from cnntui.runs.files import write_atomic

NET = ".toml"
FORMATS: dict[str, Callable[[BuildState], str]] = {
    NET: lambda state: to_toml(state.net),
    ".py": lambda state: pytorch(state.net),
    ".md": lambda state: tables.markdown(state.analysis),
    ".csv": lambda state: tables.csv(state.analysis),
}


def save(state: BuildState, path: Path) -> BuildState:
    """Write a net's file, PyTorch source, or its facts as a table; the lab goes on with the net's file.

    Raises:
        NotationError: with the path, when it cannot be written.
    """
    if path.suffix not in FORMATS:
        raise NotationError(f"{path.name}: a net's file ends in {NET}; {', '.join(list(FORMATS)[1:])} write what it is")
    if not state.lines:
        raise NotationError("there is no layer to save")
    if path.suffix == ".py" and state.analysis.error:
        raise NotationError(f"no program can be made of it yet: {state.analysis.error}")
    saved = state.saved(path) if path.suffix == NET else state
    try:
        write_atomic(path, FORMATS[path.suffix](saved).encode(), sync=True)
    except OSError as error:
        raise NotationError(f"{path}: {error.strerror}") from None
    return saved
