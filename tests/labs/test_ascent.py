"""From a number up to those that it is part of."""

from __future__ import annotations

import pytest

from cnntui.core.explanation import explain
from cnntui.core.network import INPUT
from cnntui.labs.ascent import ascents
from cnntui.labs.explore import MoveError
from tests.labs.exploring import exploring


def test_whatever_it_goes_into_is_made_of_it() -> None:
    state = exploring("conv 4 same; relu; maxpool 2; dropout; flatten; linear 6; relu; linear 3", (1, 8, 8))
    for node, unit in (("relu1", (2, 3, 4)), ("maxpool1", (1, 2, 3)), (INPUT, (0, 5, 5)), ("linear1", (4,))):
        looked = state.look(node, unit)
        found = ascents(looked, most=1000)
        assert found
        values = [abs(value) for _, value in found]
        assert values == sorted(values, reverse=True)
        for source, value in found:
            explained = explain(state.trace, source.node, source.unit)
            assert explained.value == value
            step = explained.steps[0]
            assert any(
                term.source is not None and looked.origin(term.source) == looked.origin(type(source)(node, unit))
                for term in step.terms
            )


def test_what_the_net_ends_in_goes_nowhere() -> None:
    state = exploring("flatten; linear 3", (1, 2, 2)).look("linear1", (1,))
    with pytest.raises(MoveError, match=r"nothing reads linear1\[1\]: the net ends in it"):
        ascents(state)
