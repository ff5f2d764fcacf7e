"""Names and nets as a lesson writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from cnntui.core.analysis import Analysis
from cnntui.core.axis import ImpossibleError
from cnntui.core.nets import load_net, zoo
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.core.vocabulary import NotationError
from cnntui.labs.net_facts import net_fact
from cnntui.labs.stages import Fact, Index, WordsError, nearest

S = TypeVar("S")
SHAPE = (1, 28, 28)  # the input of layers that are written


def named(state: S, name: str) -> S:
    """The state as it is, once the name of a run or a sweep of the lesson can be one.

    Raises:
        WordsError: when it cannot.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise WordsError(f"{name[:20]!r} is no name: it has letters, digits, - and _")
    return state


def asked(state: S) -> S:
    """The state as it is: what is asked for, the widget does."""
    return state


def network_of(*words: str) -> Network:
    """A net of the zoo, or of layers for pictures of 1×28×28; never a file, since a lesson opens none.

    Raises:
        WordsError: when it is none.
    """
    text = " ".join(words)
    try:
        if len(words) > 1 or ";" in text:
            return parse(text, SHAPE)
        if text not in zoo():
            raise WordsError(f"no net is called {text[:40]!r}; the zoo has {', '.join(zoo())}")
        return load_net(text).network
    except (NotationError, ImpossibleError) as error:
        raise WordsError(str(error)) from None


def of_net(stage: str, facts: Iterable[str], analysis: Analysis | None, name: str, index: Index) -> Fact:
    """A fact of the net on a stage, as `net_fact` has them; None while there is no net.

    Raises:
        WordsError: when the stage has no such fact.
    """
    known = list(facts)
    if "." not in name and name not in known:
        raise WordsError(f"no fact of {stage} is called {name!r}; {nearest(name, known)}")
    if "." in name and not any(one.partition(".")[2] == name.rpartition(".")[2] for one in known if one[0].isupper()):
        raise WordsError(f"no fact of {stage} is called {name!r}; {nearest(name, known)}")
    return None if analysis is None else net_fact(analysis, name, index)
