"""What a lesson has trained: `[runs.NAME]` and `[sweeps.NAME]` of its front, or of its course."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.layers import shape_text
from cnntui.core.network import Network
from cnntui.labs.lessons.document import Toml, short
from cnntui.labs.lessons.nets import input_shape, layers_text, network_of
from cnntui.labs.recipes import RUN, Recipe, Recipes
from cnntui.labs.stages import WordsError, nearest
from cnntui.runs.spec import DATA_SETS, Settings
from cnntui.runs.sweeps.file import design_of
from cnntui.runs.sweeps.plan import Design, SweepError, Value, settings_of, weights_of

# Files, and how and where it is computed, are not a lesson's.
FORBIDDEN = ("data_dir", "tensorboard", "device", "ranks", "sync_bn", "compile", "cuda_graphs")
FROM, WEIGHTS = "from", "weights_from"  # the run of the lesson whose weights to begin with: in a run, in a sweep
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}")


class LessonDesign(Design):
    """A sweep whose nets are of the zoo or layers, and whose weights are those of a run of the lesson, `run:NAME`."""

    def load(self, net: str) -> Network:
        """Never a file.

        Raises:
            WordsError: when it is one.
        """
        return network_of(net, self.input)

    def settings(self, values: Mapping[str, Value]) -> Settings:
        """Where the run is not yet trained, its name stands for its directory.

        Raises:
            SweepError: when one of them is not what a setting takes.
        """
        return _settings(values)


def read_recipes(source: Toml, before: Recipes, nets: Mapping[str, Analysis]) -> Recipes:
    """The runs and the sweeps of a file, added to those that were there before.

    Raises:
        LessonError: naming file and line.
    """
    runs, sweeps = dict(before.runs), dict(before.sweeps)
    for name, written in source.table("runs").items():
        try:
            runs[name] = _run(name, _table(name, written, "runs"), runs, nets)
        except (WordsError, SweepError) as error:
            raise source.error(f"run {name}: {error}", "runs", name, *_named(error, written)) from None
    for name, written in source.table("sweeps").items():
        try:
            sweeps[name] = _sweep(name, _table(name, written, "sweeps"), runs)
        except (WordsError, SweepError) as error:
            raise source.error(f"sweep {name}: {error}", "sweeps", name, *_named(error, written)) from None
    return Recipes(runs, sweeps)


def _named(error: Exception, written: object) -> list[str]:
    """The key with which a message begins."""
    said = re.sub(r"^unknown (key|setting) '", "", str(error).replace("learning rate", "lr").replace("_", " "))
    keys = written if isinstance(written, dict) else {}
    found = [key for key in keys if re.match(rf"{re.escape(key.replace('_', ' '))}\b", said)]
    return sorted(found, key=len)[-1:]


def _table(name: str, written: object, kind: str) -> dict[str, Any]:
    if not NAME.fullmatch(name):
        raise WordsError("a name has letters, digits, - and _, at most 41 of them")
    if not isinstance(written, dict):
        raise WordsError(f"write [{kind}.{name}] and a line for each setting")
    return written


def _run(name: str, written: dict[str, Any], runs: Mapping[str, Recipe], nets: Mapping[str, Analysis]) -> Recipe:
    settings = {key: value for key, value in written.items() if key not in ("net", "input", FROM)}
    if WEIGHTS in settings:
        raise WordsError(f'{WEIGHTS} is for sweeps: write from = "NAME", a run above it')
    _check(settings, runs)
    after = written.get(FROM, "")
    if not isinstance(after, str) or (after and after not in runs):
        near = nearest(str(after), runs) if runs else "there is none"
        raise WordsError(f"from = {short(after)} is no run above it; {near}")
    if after:
        settings[WEIGHTS] = f"{RUN}{after}"
    if "net" not in written:
        raise WordsError('net = "..." is missing: one of [nets] or of the zoo, or layers with input = [C, H, W]')
    network = _network(written, nets, name)
    return Recipe(name, network, _settings(settings), after)


def _network(written: dict[str, Any], nets: Mapping[str, Analysis], name: str) -> Network:
    """A net that can be trained."""
    net, shape = layers_text(written["net"]), written.get("input")
    if net in nets and shape is None:
        analysis = nets[net]
    else:
        analysis = analyse(network_of(net, None if shape is None else input_shape(shape), name))
    if analysis.error:
        raise WordsError(f"net: {analysis.error}")
    if analysis.output is None or len(analysis.output) != 1:
        raise WordsError(f"net ends in {shape_text(analysis.output or ())}, not in one score a class")
    return replace(analysis.network, name=name) if net in nets else analysis.network


def _sweep(name: str, written: dict[str, Any], runs: Mapping[str, Recipe]) -> LessonDesign:
    design = design_of(written, name)
    _check(_settings_among(design.baseline), runs)
    for variable, choices in design.vary.items():
        for value in choices.values():
            _check(_settings_among({variable: value}), runs)
    own = LessonDesign(**{field.name: getattr(design, field.name) for field in fields(design)})
    own.plan()
    return own


def _settings(values: Mapping[str, Value]) -> Settings:
    """Settings whose weights may be those of a run of the lesson, by its name."""
    return settings_of(values, lambda name: name if name.startswith(RUN) else weights_of(name))


def _settings_among(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in Settings.__struct_fields__}


def _check(settings: Mapping[str, Any], runs: Mapping[str, Recipe]) -> None:
    for key, value in settings.items():
        if key in FORBIDDEN:
            raise WordsError(f"{key} cannot be set by a lesson: where and how it is computed is the learner's")
        if key not in (*Settings.__struct_fields__, "recipe"):
            raise WordsError(f"unknown setting {key!r}; {nearest(key, Settings.__struct_fields__)}")
        if key == "data" and value not in DATA_SETS:
            raise WordsError(f"data {short(value)} is none of {', '.join(DATA_SETS)}")
        if key == WEIGHTS and value and value not in [f"{RUN}{name}" for name in runs]:
            raise WordsError(f"{WEIGHTS} = {short(value)} is no run of the lesson: write {RUN}NAME, or nothing")
