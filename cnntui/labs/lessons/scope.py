"""What the names in a lesson mean: its values, its nets, and what is on its stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cnntui.core.analysis import Analysis
from cnntui.labs.lessons.expressions import FUNCTIONS
from cnntui.labs.lessons.nets import analysed
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
        if path in self.nets:
            raise WordsError(f"{path} is a net: ask for a fact of it, such as {path}.params")
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
                found = stage(function)
                return found.fact(played(found, found.start(), text), path, index)
            case (str(text), *sizes) if function == NET and len(sizes) in (0, 3):
                shape = [int(size) for size in sizes if isinstance(size, int | float) and size == int(size)]
                if len(shape) == len(sizes):
                    return net_fact(analysed(text, *shape), path, index)
        wanted = '"layers", C, H, W' if function == NET else '"move; move"'
        raise WordsError(f"{function}({', '.join(map(repr, arguments))}) is not understood; write {function}({wanted})")


def _known(names: list[str]) -> str:
    return f"the lesson has {', '.join(names)}" if names else "the lesson has no [values] and no [nets]"


def played(stage: Stage, state: Any, text: str) -> Any:
    """A state after some moves, with `;` between: a part that begins with no verb of the stage belongs to the one before.

    Raises:
        WordsError: when a move is not allowed, or takes more than words, as a training does.
    """
    moves: list[str] = []
    for part in filter(None, map(str.strip, text.split(";"))):
        is_move = part.split()[0] in stage.moves
        if moves and not is_move and moves[-1].split()[0] in stage.moves:
            moves[-1] += f"; {part}"  # layers conv 8; relu
        else:
            moves.append(part)
    for move in moves:
        if move.split()[0] in stage.effects:
            raise WordsError(f"{move!r} takes time: no figure can wait for it")
        state = stage.play(state, move)
    return state
