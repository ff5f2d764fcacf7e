"""What was trained here already: the runs of a net, whoever trained them, and what a lesson's recipes still need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from cnntui.core.network import Network
from cnntui.labs.recipes import RUN, Recipe, Recipes
from cnntui.runs.checkpoints import names
from cnntui.runs.listing import readable_specs
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import Settings, Spec, new_spec
from cnntui.runs.sweeps.plan import Design, Value

AUTO = ("auto", "mnist", "digits")  # what `auto` may come to
ELSEWHERE = ("data_dir", "device", "tensorboard")  # settings that change nothing of what is learned


def newest_trained(network: Network, data: str = "auto", root: Path | None = None) -> Path | None:
    """The newest run of these very layers, from fresh weights, on this data, that was trained to its end."""
    for run, spec in runs_of(network, root):
        with suppress(UnreadableRunError):
            is_meant = spec.weights_from is None and (spec.data in AUTO if data == "auto" else spec.data == data)
            if is_meant and names(run) and RunReader(run).glance().trained:
                return run
    return None


def newest_like(network: Network, settings: Settings, going: bool = False, root: Path | None = None) -> Path | None:
    """The newest run of these very layers with these settings that goes on; if not `going`, or was trained to its end."""
    wanted = _settings(settings)
    for run, spec in runs_of(network, root):
        with suppress(UnreadableRunError):
            view = RunReader(run).glance() if _settings(spec) == wanted else None
            if view is not None and (is_going(view) or (view.trained and not going)):
                return run
    return None


def newest_of(network: Network, root: Path | None = None) -> tuple[Path, RunView] | None:
    """The newest run of these very layers, whatever its settings, with how it stands: it goes on, or was trained."""
    for run, _ in runs_of(network, root):
        with suppress(UnreadableRunError):
            view = RunReader(run).glance()
            if is_going(view) or view.trained:
                return run, view
    return None


def is_going(view: RunView) -> bool:
    """Whether somebody is at it."""
    return view.state != "waiting" and not view.ended and view.alive == "alive"


def runs_of(network: Network, root: Path | None = None) -> Iterator[tuple[Path, Spec]]:
    """The runs that train these very layers on such inputs, newest first."""
    wanted = _net(new_spec(network, Settings()))
    for run, spec in readable_specs(root):
        if _net(spec) == wanted:
            yield run, spec


def _net(spec: Spec) -> tuple[object, ...]:
    return spec.input, spec.layers, spec.blocks, spec.tables


def _settings(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in Settings.__struct_fields__ if name not in ELSEWHERE}


# -- recipes


def run_of(recipe: Recipe, recipes: Recipes) -> Path | None:
    """A run that a recipe has left: with these settings, or if it begins with fresh weights, any that is trained."""
    whole = resolved(recipe, recipes)
    if whole is None:
        return None
    there = newest_like(whole.network, whole.settings)
    if there is not None and not is_going(RunReader(there).glance()):
        return there
    return None if recipe.after else newest_trained(recipe.network, recipe.settings.data)


def resolved(recipe: Recipe, recipes: Recipes) -> Recipe | None:
    """A recipe with the directory of the run whose weights it begins with; None while nobody has trained that."""
    if not recipe.after:
        return recipe
    base = run_of(recipes.runs[recipe.after], recipes)
    return replace(recipe, settings=msgspec.structs.replace(recipe.settings, weights_from=str(base))) if base else None


def needed(recipe: Recipe, recipes: Recipes) -> list[Recipe]:
    """What is still to be trained for a recipe, in order, itself the last; nothing where it was trained here."""
    if run_of(recipe, recipes) is not None:
        return []
    return [*needed_before(recipe, recipes), recipe]


def needed_before(recipe: Recipe, recipes: Recipes) -> list[Recipe]:
    """What is still to be trained before a recipe can be, in order."""
    return needed(recipes.runs[recipe.after], recipes) if recipe.after else []


def needed_for(design: Design, recipes: Recipes) -> list[Recipe]:
    """What is still to be trained before a sweep can be, in order: its `weights_from` may name recipes."""
    found = [one for name in _bases(design) for one in needed(recipes.runs[name], recipes)]
    return list({one.name: one for one in found}.values())


def resolved_design(design: Design, recipes: Recipes) -> Design:
    """A sweep with the directories of the runs that it names; each of them was trained."""

    def of(value: Value) -> Value:
        is_name = isinstance(value, str) and value.startswith(RUN)
        return str(run_of(recipes.runs[str(value).removeprefix(RUN)], recipes)) if is_name else value

    return replace(
        design,
        baseline={name: of(value) for name, value in design.baseline.items()},
        vary={name: {label: of(value) for label, value in one.items()} for name, one in design.vary.items()},
    )


def _bases(design: Design) -> list[str]:
    values = [*design.baseline.values(), *(value for one in design.vary.values() for value in one.values())]
    return [value.removeprefix(RUN) for value in values if isinstance(value, str) and value.startswith(RUN)]
