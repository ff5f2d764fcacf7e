"""What stands in front of a lesson, or in its course's file for all lessons: nets, values, runs, sweeps, controls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cnntui.core.analysis import Analysis
from cnntui.labs.lessons.document import Toml, short
from cnntui.labs.lessons.expressions import parse
from cnntui.labs.lessons.nets import analysed, written_net
from cnntui.labs.lessons.recipe import read_recipes
from cnntui.labs.lessons.scope import LessonScope
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import WordsError, nearest, stage

KEYS = ("show", "nets", "values", "runs", "sweeps")


@dataclass(frozen=True)
class Shared:
    """Nets by their names, analysed; values by theirs; runs and sweeps; `show`: the controls that are left, None: all."""

    nets: Mapping[str, Analysis] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    recipes: Recipes = field(default_factory=Recipes)
    show: tuple[str, ...] | None = None


NOTHING = Shared()


def read_shared(source: Toml, before: Shared = NOTHING) -> Shared:
    """What a file says, added to what was said before. Its controls are left to `check_show`, once the screens are known.

    Raises:
        LessonError: naming file and line.
    """
    nets = _nets(source, before.nets)
    values, recipes = _values(source, nets, before.values), read_recipes(source, before.recipes, nets)
    return Shared(nets, values, recipes, read_show(source, before.show))


def read_show(source: Toml, otherwise: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The controls that are left, `show = [...]` of a lesson, a course or a task.

    Raises:
        LessonError: when it is no list of names.
    """
    given = source.data.get("show", otherwise)
    if "show" in source.data and not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
        raise source.error('show is a list of controls: show = ["stride", "padding"]', "show")
    return None if given is None else tuple(given)


def check_show(source: Toml, screens: Collection[str]) -> None:
    """That `show = [...]` names controls of these screens.

    Raises:
        LessonError: when one of them is none.
    """
    named = source.data.get("show", ())
    known = sorted({control for name in screens if named for control in stage(name).controls})
    for at, one in enumerate(named):
        if one not in known:
            what = f"no control of {', '.join(sorted(screens))} is called {one!r}" if screens else "there is no screen"
            raise source.error(f"{what}; {nearest(one, known)}" if known else what, "show", at)


def _nets(source: Toml, before: Mapping[str, Analysis]) -> dict[str, Analysis]:
    nets = dict(before)
    for name, written in source.table("nets").items():
        try:
            nets[_name(name, "net")] = analysed(*written_net(written))
        except WordsError as error:
            raise source.error(f"net {name}: {error}", "nets", name) from None
    return nets


def _values(source: Toml, nets: Mapping[str, Analysis], before: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(before)
    for name, written in source.table("values").items():
        try:
            if isinstance(written, bool) or not isinstance(written, str | int | float):
                raise WordsError(f"{short(written)} is no expression in quotes")
            values[_name(name, "value")] = parse(str(written)).value(LessonScope(nets, values))
        except WordsError as error:
            raise source.error(f"value {name}: {error}", "values", name) from None
    return values


def _name(name: str, what: str) -> str:
    if not (name.isidentifier() and name.isascii()):
        raise WordsError(f"the name of a {what} has letters, digits and _ only, since figures use it")
    return name
