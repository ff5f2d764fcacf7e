"""What more slots and more ranks gain on this machine: images/s of one and of several, and what cnntui says to it."""

from __future__ import annotations

import sys
from typing import Any

from cnntui.labs.sweep_words import cost_lines
from cnntui.runs.sweeps.cost import estimate
from cnntui.runs.sweeps.plan import Design

SMALL = "conv 16 same; relu; maxpool 2; conv 32 same; relu; maxpool 2; flatten; linear 10"
LARGE = "mnist-2conv"


def slots(count: int = 2) -> dict[str, Any]:
    """Images/s of one run alone and of `count` beside each other, of a small net and of a larger one; and the words."""
    found: dict[str, Any] = {}
    for name, net, shape in (("small", SMALL, (1, 8, 8)), ("large", LARGE, (1, 28, 28))):
        design = Design("bench", net, shape, (0, 1), {"data": "digits", "epochs": 20}, {"lr": {"0.01": 0.01}})
        cost = estimate(design.plan(), count)
        found[name] = {
            "alone": round(cost.alone),
            "together": round(cost.together),
            "gain": round(cost.gain, 2),
            "words": cost_lines(cost)[2:],
        }
    return found


if __name__ == "__main__":
    sys.stdout.write(f"{slots()}\n")
