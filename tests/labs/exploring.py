"""Networks with numbers in them, to explore in tests."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from cnntui.core.analysis import analyse
from cnntui.core.layers import Shape
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.core.parameters import Parameters, untrained
from cnntui.labs.explore import LAYER, ExploreState
from cnntui.labs.opened import Opened, Picture
from cnntui.runs.preparation import Preparation


def shaken(parameters: Parameters, seed: int) -> Parameters:
    """Norms and biases that do something."""
    rng = np.random.default_rng(seed)
    return {
        node: {
            name: tensor + rng.uniform(0.1, 0.6, tensor.shape) if "running" in name or tensor.ndim == 1 else tensor
            for name, tensor in own.items()
        }
        for node, own in parameters.items()
    }


def exploring(net: Network | str, shape: Shape = (1, 8, 8), seed: int = 0, label: int | None = None) -> ExploreState:
    """A net with weights of that seed, on a picture of random pixels, at the layer level."""
    network = parse(net, shape, "net") if isinstance(net, str) else net
    analysis, channels = analyse(network), network.input[0]
    picture = Preparation(network.input, network.input, (0.0,) * channels, (1.0,) * channels)
    names = tuple(map(str, range(prod(analysis.output or ()))))
    model = Opened("net", analysis, shaken(untrained(analysis, seed), seed), picture, names, None, "untrained")
    pixels = np.random.default_rng(seed).uniform(0, 255, network.input)
    return ExploreState(model, Picture(pixels, "noise", label), level=LAYER)


def with_weights(state: ExploreState, parameters: Parameters) -> ExploreState:
    """The same with other weights, as at another moment."""
    return state.at(0, replace(state.model, parameters=parameters, moment="later"))
