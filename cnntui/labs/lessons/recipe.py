"""What a lesson has trained: `[runs.NAME]` and `[sweeps.NAME]` of its front, or of its course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnntui.core.nets import zoo
from cnntui.labs.lessons.document import Document
from cnntui.labs.lessons.scope import network_of
from cnntui.labs.recipes import RUN, Recipe, Recipes
from cnntui.labs.stages import WordsError, nearest
from cnntui.runs.spec import DATA_SETS, Settings
from cnntui.runs.sweeps.file import design_of
from cnntui.runs.sweeps.plan import Design, SweepError, is_notation, settings_of

FORBIDDEN = ("data_dir", "tensorboard", "device")  # files and places are not a lesson's
FROM = "from"  # the run of the lesson whose weights to begin with


def read_recipes(document: Document, shared: Mapping[str, Any]) -> Recipes:
    """The runs and the sweeps of a lesson; those of its course are there, too.

    Raises:
        LessonError: naming file and line.
    """
    runs: dict[str, Recipe] = {}
    sweeps: dict[str, Design] = {}
    for source, own in ((shared, False), (document.front, True)):
        for kind, read in (("runs", _run), ("sweeps", _sweep)):
            tables = source.get(kind, {})
            if not isinstance(tables, dict):
                raise document.error(
                    document.line_of(kind), f"{kind} are tables: write [{kind}.NAME] and a line for each"
                )
            for name, written in tables.items():
                line = document.line_of(f"{kind}.{name}") if own else 1
                try:
                    if not isinstance(written, dict):
                        raise WordsError(f"write [{kind}.{name}] and a line for each setting")
                    read(name, written, runs, sweeps)
                except (WordsError, SweepError) as error:
                    raise document.error(line, f"{kind[:-1]} {name}: {error}") from None
    return Recipes(runs, sweeps)


def _run(name: str, written: dict[str, Any], runs: dict[str, Recipe], sweeps: dict[str, Design]) -> None:
    settings = {key: value for key, value in written.items() if key not in ("net", "input", FROM)}
    _check(settings, runs)
    after = written.get(FROM, "")
    if after and after not in runs:
        raise WordsError(
            f"from = {after!r} is no run above it; {nearest(str(after), runs) if runs else 'there is none'}"
        )
    shape = written.get("input")
    if "net" not in written:
        raise WordsError('net = "..." is missing: one of the zoo, or layers with input = [C, H, W]')
    if shape is not None and not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)):
        raise WordsError(f"input = {shape!r} is not [channels, height, width]")
    network = network_of(str(written["net"]), tuple(shape) if shape else None, name)
    runs[name] = Recipe(name, network, settings_of(settings), str(after))


def _sweep(name: str, written: dict[str, Any], runs: dict[str, Recipe], sweeps: dict[str, Design]) -> None:
    design = design_of(written, name)
    for net in (design.net, *map(str, design.vary.get("net", {}).values())):
        if net not in zoo() and not is_notation(net):
            raise WordsError(f"net {net!r} is neither of the zoo nor layers")
    _check(_settings_among(design.baseline), runs)
    for variable, choices in design.vary.items():
        for value in choices.values():
            _check(_settings_among({variable: value}), runs)
    design.plan()
    sweeps[name] = design


def _settings_among(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in Settings.__struct_fields__}


def _check(settings: Mapping[str, Any], runs: Mapping[str, Recipe]) -> None:
    for key, value in settings.items():
        if key in FORBIDDEN:
            raise WordsError(f"{key} cannot be set by a lesson: it names a file or a place on this machine")
        if key not in (*Settings.__struct_fields__, "recipe"):
            raise WordsError(f"unknown setting {key!r}; {nearest(key, Settings.__struct_fields__)}")
        if key == "data" and value not in DATA_SETS:
            raise WordsError(f"data {value!r} is none of {', '.join(DATA_SETS)}")
        if key == "weights_from" and value and value not in [f"{RUN}{name}" for name in runs]:
            raise WordsError(f"weights_from = {value!r} is no run of the lesson: write {RUN}NAME, or nothing")
