"""The screens in their order, with their keys."""

from __future__ import annotations

from typing import NamedTuple


class Tab(NamedTuple):
    """A screen: its mode, its name, its function key, and the letter that is a key, too."""

    mode: str
    name: str
    key: str
    letter: str


TABS = (
    Tab("convolve", "Convolve", "f2", "C"),
    Tab("build", "Build", "f3", "B"),
    Tab("train", "Train", "f4", "T"),
    Tab("explore", "Explore", "f5", "E"),
    Tab("learn", "Learn", "f6", "L"),
    Tab("compare", "Compare", "f7", "M"),
)
