"""The building lab: a stack of layers that may be wrong for a while, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Shape
from cnntui.core.network import Analysis, Network, Row, analyse, fields_of, sequential
from cnntui.core.notation import (
    NetFile,
    NotationError,
    layer_text,
    load_net,
    network_text,
    parse,
    parse_input,
    read_net,
    to_toml,
)
from cnntui.runs.files import write_atomic

OWN = "my-"


@dataclass(frozen=True)
class BuildState:
    """The net with what its file says, the selected layer, and where it was read from or saved to."""

    net: NetFile
    selected: int = 0
    path: Path | None = None

    @property
    def network(self) -> Network:
        """The network."""
        return self.net.network

    @cached_property
    def analysis(self) -> Analysis:
        """The facts of every layer."""
        return analyse(self.network)

    @property
    def row(self) -> Row | None:
        """The selected layer's facts."""
        return self.analysis.rows[self.selected] if self.analysis.rows else None

    @cached_property
    def texts(self) -> list[str]:
        """Each layer in words."""
        return network_text(self.network)

    @cached_property
    def sight(self) -> tuple[frozenset[int], frozenset[int]] | None:
        """The input rows and columns that the middle unit of the selected layer sees; None for the whole image."""
        return fields_of(self.analysis, self.selected) if self.analysis.rows else None

    # -- moves

    def _with(self, texts: list[str], selected: int, shape: Shape | None = None) -> BuildState:
        """The network anew from its layers in words.

        Raises:
            NotationError, ImpossibleError: when they are no network.
        """
        name, shape = self.network.name, shape or self.network.input
        net = self.net
        if self.path is None and not name.startswith(OWN):
            name, net = f"{OWN}{name}", NetFile(self.network)  # what a paper says is not true of a changed net
        network = parse("\n".join(texts), shape, name) if texts else sequential(name, shape, [])
        return replace(self, net=replace(net, network=network), selected=max(0, min(selected, len(texts) - 1)))

    def select(self, index: int) -> BuildState:
        """Select a layer; beyond the ends is the end."""
        return replace(self, selected=max(0, min(index, len(self.network) - 1)))

    def add(self, text: str, before: bool = False) -> BuildState:
        """One layer or several (`conv 16; relu`) after the selected one (or before it), the last of them selected.

        Raises:
            NotationError, ImpossibleError: when the text is no layer, or a name is taken.
        """
        added = [part.strip() for part in text.split(";") if part.strip()]
        at = self.selected + (not before) if self.texts else 0
        if not added:
            raise NotationError("type a layer, for example conv 16 k3 same")
        return self._with([*self.texts[:at], *added, *self.texts[at:]], at + len(added) - 1)

    def rewrite(self, text: str) -> BuildState:
        """The selected layer replaced by one or several.

        Raises:
            NotationError, ImpossibleError: as `add`.
        """
        if not self.texts:
            return self.add(text)
        parts = [part.strip() for part in text.split(";") if part.strip()]
        if not parts:
            raise NotationError("type a layer, for example conv 16 k3 same")
        return self._with([*self.texts[: self.selected], *parts, *self.texts[self.selected + 1 :]], self.selected)

    def delete(self) -> BuildState:
        """Without the selected layer."""
        return self._with(self.texts[: self.selected] + self.texts[self.selected + 1 :], self.selected)

    def move(self, by: int) -> BuildState:
        """The selected layer that many places on; it stays selected."""
        to = max(0, min(self.selected + by, len(self.texts) - 1))
        texts = list(self.texts)
        if texts:
            texts.insert(to, texts.pop(self.selected))
        return self._with(texts, to)

    def with_input(self, text: str) -> BuildState:
        """Another input, `C,H,W`.

        Raises:
            NotationError, ImpossibleError: when it is none.
        """
        return self._with(self.texts, self.selected, parse_input(text))

    def named(self, name: str) -> BuildState:
        """Under another name."""
        return replace(self, net=replace(self.net, network=replace(self.network, name=name)))

    @property
    def fixes(self) -> list[str]:
        """What would work in place of the first impossible layer, in words."""
        row = self.analysis.failing
        return ["; ".join(map(layer_text, fix)) for fix in row.problem.fixes] if row and row.problem else []

    def mend(self, index: int) -> BuildState:
        """The first impossible layer replaced by the fix of that number.

        Raises:
            NotationError: when there is no such fix.
        """
        row = self.analysis.failing
        if row is None or not 0 <= index < len(self.fixes):
            raise NotationError("nothing to mend" if row is None else f"there are {len(self.fixes)} fixes")
        return self.select(self.analysis.rows.index(row)).rewrite(self.fixes[index])

    def save(self, path: Path) -> BuildState:
        """Write the net's file.

        Raises:
            NotationError: with the path, when it cannot be written.
        """
        if not self.texts:
            raise NotationError("there is no layer to save")
        saved = self.named(path.stem) if self.path is None else self
        try:
            write_atomic(path, to_toml(saved.net).encode(), sync=True)
        except OSError as error:
            raise NotationError(f"{path}: {error.strerror}") from None
        return replace(saved, path=path)


def open_net(net: str, shape: Shape | None = None) -> BuildState:
    """The lab on a zoo name, a file or notation.

    Raises:
        NotationError, ImpossibleError: with one line that says what is wrong.
    """
    path = Path(net) if net.endswith(".toml") else None
    return BuildState(load_net(net, shape), path=path)


def open_file(path: Path) -> BuildState:
    """The lab on a net's file.

    Raises:
        NotationError: with the path and what is wrong.
    """
    return BuildState(read_net(path), path=path)


EDIT_ERRORS = (NotationError, ImpossibleError)
