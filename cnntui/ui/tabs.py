"""The screens in their order, with their keys."""

from __future__ import annotations

from typing import NamedTuple


class Tab(NamedTuple):
    """A screen: its mode, its name (whose first letter is a key, too), its function key."""

    mode: str
    name: str
    key: str


TABS = (
    Tab("convolve", "Convolve", "f2"),
    Tab("build", "Build", "f3"),
    Tab("train", "Train", "f4"),
    Tab("explore", "Explore", "f5"),
    Tab("learn", "Learn", "f6"),
)
