"""What the tests of the exploring lab share: a state on a small net of random weights, and the moments of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnntui.core.layers import Shape
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.labs.explore import ExploreState
from cnntui.labs.opened import Picture, open_net
from cnntui.runs.weights import Moment

BRANCHED = "conv 4 same; bn; relu; [ conv 4 same; relu | id ] add; maxpool 2; flatten; dropout; linear 5"


def exploring(net: str | Network = BRANCHED, shape: Shape = (1, 12, 12), seed: int = 0) -> ExploreState:
    """An untrained net on a picture of noise."""
    network = parse(net, shape, "net") if isinstance(net, str) else net
    pixels = np.random.default_rng(seed).integers(0, 256, network.input).astype(float)
    return ExploreState(open_net(network, seed=seed), Picture(pixels, "noise"))


def moments_at(*steps: int) -> tuple[Moment, ...]:
    """Snapshots of these steps."""
    return tuple(Moment(step, 1, Path(f"step-{step}.safetensors"), "snapshot") for step in steps)
