"""What a lesson has trained: nets with their settings, and sweeps, by the names that the lesson gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnntui.core.network import Network
from cnntui.runs.spec import Settings
from cnntui.runs.sweeps.plan import Design

RUN = "run:"  # before the name of a run of the lesson, where a sweep's weights_from is to be its directory


@dataclass(frozen=True)
class Recipe:
    """A net and how it is trained; `after` is the recipe whose weights it begins with, if any."""

    name: str
    network: Network
    settings: Settings
    after: str = ""


@dataclass(frozen=True)
class Recipes:
    """The runs and the sweeps of a lesson, by name."""

    runs: Mapping[str, Recipe] = field(default_factory=dict)
    sweeps: Mapping[str, Design] = field(default_factory=dict)
