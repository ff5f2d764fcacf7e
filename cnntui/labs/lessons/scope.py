"""What the names in a lesson mean: its values, its nets, and what is on its stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Shape
from cnntui.core.nets import load_net, zoo
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.core.vocabulary import NotationError
from cnntui.labs.lessons.expressions import FUNCTIONS
from cnntui.labs.net_facts import net_fact
from cnntui.labs.stages import STAGES, Index, Stage, WordsError, nearest, stage

NET = "net"


@dataclass(frozen=True)
class LessonScope:
    """The names of a lesson, and of a page with its stage in a state.

    Args:
        nets: analysed, by the names that the lesson gives them.
        values: numbers, by name.
        stage, state: what is on the stage; None on a page that has none.
    """

    nets: Mapping[str, Analysis] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    stage: Stage | None = None
    state: Any = None

    def on(self, stage: Stage | None, state: Any) -> LessonScope:
        """The same on a page."""
        return replace(self, stage=stage, state=state)

    def named(self, path: str, index: Index) -> Any:
        """A value of the lesson, a fact of one of its nets, or one of the stage.

        Raises:
            WordsError: when there is none.
        """
        first, _, rest = path.partition(".")
        if path in self.values and not index:
            return self.values[path]
        if first in self.nets and rest:
            return net_fact(self.nets[first], rest, index)
        if self.stage is not None:
            return self.stage.fact(self.state, path, index)
        known = [*self.values, *(f"{name}.params" for name in self.nets)]
        raise WordsError(f"nothing is called {path!r} here: there is no screen on this page, and {_known(known)}")

    def called(self, function: str, arguments: tuple[Any, ...], path: str, index: Index) -> Any:
        """`net("zoo name or layers", C, H, W).params`, `convolve("picture seven; kernel box").output[0,0]`: any stage so.

        Raises:
            WordsError: when it cannot be.
        """
        if function not in (NET, *STAGES):
            raise WordsError(f"no function is called {function!r}; {nearest(function, [*FUNCTIONS, NET, *STAGES])}")
        if not path:
            raise WordsError(f"{function}(...) needs a fact behind it, such as {function}(...).output")
        match arguments:
            case (str(text),) if function != NET:
                return _shown(function, text, path, index)
            case (str(text), *numbers) if function == NET and len(numbers) in (0, 3):
                return net_fact(analysed(text, *numbers), path, index)
        wanted = '"layers", C, H, W' if function == NET else '"move; move"'
        raise WordsError(f"{function}({', '.join(map(repr, arguments))}) is not understood; write {function}({wanted})")


def _known(names: list[str]) -> str:
    return f"the lesson has {', '.join(names)}" if names else "the lesson has no [values] and no [nets]"


def _shown(name: str, moves: str, path: str, index: Index) -> Any:
    found = stage(name)
    state = found.start()
    for move in filter(None, map(str.strip, moves.split(";"))):
        state = found.play(state, move)
    return found.fact(state, path, index)


def network_of(text: str, shape: Shape | None = None, name: str = "net") -> Network:
    """A net of the zoo, or layers: never a file, and nothing that would be imported.

    Raises:
        WordsError: when it is neither.
    """
    try:
        if text in zoo():
            return load_net(text, shape).network
        if shape is None:
            what = (
                f"no net of the zoo is called {text!r}; {nearest(text, zoo())}"
                if text.isidentifier() or "-" in text
                else ""
            )
            raise WordsError(what or f"{text!r} are layers: say for which input, as three numbers C, H, W")
        return parse(text, shape, name)
    except (NotationError, ImpossibleError) as error:
        raise WordsError(str(error)) from None


@cache
def analysed(text: str, *shape: int) -> Analysis:
    """The facts of a net, as `network_of` takes it.

    Raises:
        WordsError: when it is none, or cannot be.
    """
    found = analyse(network_of(text, tuple(shape) or None))
    if found.error:
        raise WordsError(found.error)
    return found
