"""What a network can be saved as, by the file's ending."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path

from cnntui.core.axis import ImpossibleError
from cnntui.core.nets import parse_toml, to_toml
from cnntui.core.vocabulary import NotationError
from cnntui.labs import tables
from cnntui.labs.build import BuildState
from cnntui.labs.program import pytorch
from cnntui.runs.files import write_atomic
from cnntui.runs.places import state_root

NET = ".toml"
FORMATS: dict[str, Callable[[BuildState], str]] = {
    NET: lambda state: to_toml(state.net),
    ".py": lambda state: pytorch(state.net),
    ".md": lambda state: tables.markdown(state.analysis),
    ".csv": lambda state: tables.csv(state.analysis),
}


def path_of(text: str) -> Path:
    """A path as it is typed.

    Raises:
        NotationError: when it can be none.
    """
    if not text.strip().isprintable():
        raise NotationError(f"{text.strip()[:60]!r} is no path")
    try:
        path = Path(text.strip()).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:
        raise NotationError(f"{text.strip()[:60]!r} is no path: {getattr(error, 'strerror', None) or error}") from None
    if not text.strip():
        raise NotationError("give a name")
    return path


def save(state: BuildState, path: Path, own: Container[Path] = ()) -> BuildState:
    """Write a net's file, PyTorch source, or its facts as a table; the lab goes on with the net's file.

    Only files in `own` are written over. A net's file is written only if it reads back to the same network.

    Raises:
        NotationError: with the path, when it cannot be written.
    """
    if path.suffix not in FORMATS:
        raise NotationError(f"{path.name}: a net's file ends in {NET}; {', '.join(list(FORMATS)[1:])} write what it is")
    if path.exists() and path not in own:
        raise NotationError(f"{path} is there already: give another name")
    if not state.lines:
        raise NotationError("there is no layer to save")
    if path.suffix == ".py" and state.analysis.error:
        raise NotationError(f"no program can be made of it yet: {state.analysis.error}")
    saved = state.saved(path) if path.suffix == NET else state
    text = FORMATS[path.suffix](saved)
    if path.suffix == NET:
        _check(saved, text)
    try:
        write_atomic(path, text.encode(), sync=True)
    except OSError as error:
        raise NotationError(f"{path}: {error.strerror}") from None
    return saved


def leave(state: BuildState) -> None:
    """Keep a net that nobody saved, for the next time; where that cannot be written, it is lost as it was before."""
    with contextlib.suppress(NotationError, OSError):
        left().parent.mkdir(parents=True, exist_ok=True)
        save(replace(state, path=left()), left(), own={left()})


def left() -> Path:
    """The file of the net that was left unsaved."""
    return state_root() / "left.toml"


def _check(state: BuildState, text: str) -> None:
    try:
        again = parse_toml(text)
    except (NotationError, ImpossibleError) as error:
        raise NotationError(f"written down, it could not be read again: {error}") from None
    if again.network != state.network:
        raise NotationError("written down and read again, it would be another network")
