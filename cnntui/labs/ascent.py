"""The way up: the numbers that one number goes into."""

from __future__ import annotations

from cnntui.core.explanation import Source, uses
from cnntui.core.forward import PASSING
from cnntui.labs.explore import ExploreState, MoveError

MOST = 24  # that are offered


def ascents(state: ExploreState, most: int = MOST) -> list[tuple[Source, float]]:
    """The numbers that read the one looked at, each with its value, those farthest from zero first.

    Layers that only hand on what they read are looked through.

    Raises:
        MoveError: where nothing reads it: it is what the net ends in.
    """
    waiting = [Source(state.node, state.unit)]
    found: dict[Source, float] = {}
    while waiting:
        source = waiting.pop()
        for use in uses(state.trace, source.node, source.unit):
            if isinstance(state.rows[use.node].node.layer, PASSING):
                waiting.append(use)
            else:
                found[use] = float(state.trace.values[use.node][use.unit])
    if not found:
        raise MoveError(f"nothing reads {Source(state.node, state.unit)}: the net ends in it")
    return sorted(found.items(), key=lambda pair: -abs(pair[1]))[:most]
