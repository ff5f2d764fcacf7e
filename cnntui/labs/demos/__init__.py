"""Small labs that each show one idea: an immutable state, its moves, and what can be asked of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from cnntui.labs.stages import Fact, Index, WordsError, nearest


def asked(facts: Mapping[str, Callable[..., Fact]], state: Any, name: str, index: Index) -> Fact:
    """A fact from a table of them: each takes the state, and what stands in brackets behind the fact's name.

    Raises:
        WordsError: when there is no such fact, or nothing of that index.
    """
    if name not in facts:
        raise WordsError(f"no fact is called {name!r}; {nearest(name, facts)}")
    try:
        inspect.signature(facts[name]).bind(state, *index)
    except TypeError:
        told = f"cannot be asked with [{', '.join(map(str, index))}]" if index else "needs an index, as in name[...]"
        raise WordsError(f"{name} {told}") from None
    try:
        return facts[name](state, *index)
    except (ValueError, KeyError, IndexError) as error:
        raise WordsError(f"{name}: {error.args[0] if error.args else 'there is none'}") from None


def switched(text: str) -> bool:
    """`on` or `off`.

    Raises:
        ValueError: when it is neither.
    """
    if text not in ("on", "off"):
        raise ValueError(f"{text!r} is neither on nor off")
    return text == "on"


def known(name: str | int, names: Mapping[str, Any] | tuple[str, ...], what: str) -> str:
    """The name, if it is one of these.

    Raises:
        ValueError: naming what was meant, or all there are.
    """
    if name not in names:
        raise ValueError(f"no {what} is called {name!r}; {nearest(str(name), names)}")
    return str(name)


def plural(count: int, one: str, many: str = "") -> str:
    """`1 layer`, `2 layers`, `1,225 weights`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
