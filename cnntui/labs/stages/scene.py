"""A lab, and which of its views is shown: the state of a stage whose screen has several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, TypeVar

from cnntui.labs.stages import Words

S = TypeVar("S")


@dataclass(frozen=True)
class Scene(Generic[S]):
    """The state of a lab, and the name of the view in which it is shown."""

    lab: S
    view: str


def on_lab(arguments: str, about: str, make: Callable[..., S], shown: Callable[[Scene[S], S], Scene[S]]) -> Words:
    """A move of the lab as one of the scene; `shown` gives the scene that a new state of the lab makes of another."""

    @wraps(make)  # whose arguments are counted before it is called
    def made(scene: Scene[S], *words: Any) -> Scene[S]:
        return shown(scene, make(scene.lab, *words))

    return Words(arguments, about, made)
