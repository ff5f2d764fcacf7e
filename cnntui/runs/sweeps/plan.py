"""What a sweep trains: the baseline, and what comes of changing it, one variable at a time or all of them crossed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, product

import msgspec

from cnntui.core.analysis import analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.expressions import evaluate
from cnntui.core.layers import Shape, shape_text
from cnntui.core.network import Network
from cnntui.core.notation import network_text, printable
from cnntui.core.vocabulary import NotationError
from cnntui.runs.listing import RunError, find_run
from cnntui.runs.nets import load_any
from cnntui.runs.spec import RECIPES, Settings

Value = int | float | str | bool
Choices = dict[str, Value]  # the values of a variable, by what they are called

MOST_RUNS = 1000
MOST_SEED = 2**32 - 1
NET = "net"
# Where and how it is computed changes no result that is worth another run.
PLACE = ("data_dir", "device", "tensorboard", "seed", "cuda_graphs")
NOT_OURS = ("seed", "tensorboard")
FRACTIONS = ("lr", "backbone_lr", "weight_decay", "label_smoothing")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class SweepError(ValueError):
    """Why something is no sweep, in one line."""


@dataclass(frozen=True)
class Configuration:
    """One thing to train, with every seed: `changes` tells what is not as in the baseline, by variable."""

    label: str
    changes: dict[str, str]
    network: Network
    settings: Settings

    @property
    def written(self) -> list[str]:
        """Its layers, as notation."""
        return network_text(self.network)

    @property
    def params(self) -> int:
        """Its parameters."""
        return analyse(self.network).params

    def key(self, seed: int) -> str:
        """Eight letters that are others for another net, other settings or another seed."""
        plain = Settings()  # only what differs from it counts: a setting that is new one day changes no key
        chosen = msgspec.structs.asdict(self.settings).items()
        settings = [(name, value) for name, value in chosen if value != getattr(plain, name)]
        facts = {
            "layers": self.written,
            "input": self.network.input,
            "blocks": [(block.name, block.arguments, block.layers) for block in self.network.blocks],
            "tables": {name: table.inputs for name, table in self.network.tables.items()},
            "settings": {name: value for name, value in settings if name not in PLACE},
            "seed": seed,
        }
        return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:8]


@dataclass(frozen=True)
class Plan:
    """All that is to be trained. `configurations[baseline]` is what the others are compared with, `base` its values."""

    name: str
    about: str
    variables: tuple[str, ...]
    crossed: bool
    seeds: tuple[int, ...]
    configurations: tuple[Configuration, ...]
    baseline: int = 0
    base: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """How many there are to train."""
        return len(self.configurations) * len(self.seeds)


@dataclass(frozen=True)
class Design:
    """A sweep as it is written: `baseline` has a value for each placeholder of `net`, and settings; `vary` other ones."""

    name: str
    net: str
    input: Shape | None
    seeds: tuple[int, ...]
    baseline: dict[str, Value]
    vary: dict[str, Choices]
    about: str = ""
    crossed: bool = False
    skip: tuple[dict[str, str], ...] = ()  # combinations that are left out, by what their values are called

    def plan(self) -> Plan:
        """What it comes to.

        Raises:
            SweepError: when a configuration cannot be, or there are too many.
        """
        _check(self)
        base = {name: self._label(name, self._base(name)) for name in self.vary}
        chosen = list(islice(self._chosen(base), MOST_RUNS + 1))
        if len(chosen) > MOST_RUNS:
            raise SweepError(f"more than {MOST_RUNS:,} configurations: vary less, or one thing at a time")
        found: dict[str, Configuration] = {}
        problems: dict[str, SweepError] = {}
        for labels in chosen:
            if labels != base and any(left_out.items() <= labels.items() for left_out in self.skip):
                continue
            try:
                made = self._configuration(base, labels)
            except SweepError as error:
                problems[str(error)] = error
                continue
            if made.key(0) not in found or not made.changes:  # what comes to the same as the baseline is the baseline
                found[made.key(0)] = made
        if problems:
            raise SweepError(_all_of(list(problems), self.crossed))
        configurations = tuple(found.values())
        if len(configurations) * len(self.seeds) > MOST_RUNS:
            raise SweepError(
                f"{len(configurations):,} configurations with {len(self.seeds)} seeds are "
                f"{len(configurations) * len(self.seeds):,} runs > {MOST_RUNS:,}"
            )
        at = next(i for i, one in enumerate(configurations) if not one.changes)
        return Plan(self.name, self.about, tuple(self.vary), self.crossed, self.seeds, configurations, at, base)

    def load(self, net: str) -> Network:
        """A net as the sweep names it.

        Raises:
            NotationError, ImpossibleError, ValueError: when it is none.
        """
        return load_any(net, self.input).network

    def settings(self, values: Mapping[str, Value]) -> Settings:
        """The settings among some values.

        Raises:
            SweepError: when one of them is not what a setting takes.
        """
        return settings_of(values)

    def _chosen(self, base: dict[str, str]) -> Iterator[dict[str, str]]:
        """The value of each variable, configuration by configuration; the baseline is among them."""
        if self.crossed:
            values = [
                tuple(choices) if base[name] in choices else (base[name], *choices)
                for name, choices in self.vary.items()
            ]
            for combination in product(*values):
                yield dict(zip(self.vary, combination, strict=True))
            return
        if not (len(self.vary) == 1 and all(base[name] in choices for name, choices in self.vary.items())):
            yield base
        for name, choices in self.vary.items():
            for label in choices:
                yield base | {name: label}

    def _base(self, name: str) -> Value:
        if name == NET:
            return self.net
        value: Value | None = self.baseline.get(name, getattr(Settings(), name, ""))
        return "" if value is None else value

    def _label(self, name: str, value: Value) -> str:
        """What a value is called where the file calls it something."""
        called = (label for label, other in self.vary[name].items() if other == value and type(other) is type(value))
        return next(called, label_of(value))

    def _configuration(self, base: dict[str, str], labels: dict[str, str]) -> Configuration:
        changes = {name: label for name, label in labels.items() if label != base[name]}
        values = self.baseline | {name: self.vary[name][label] for name, label in changes.items()}
        told = labels if self.crossed or len(self.vary) == 1 else changes
        label = ", ".join(name_value(name, label) for name, label in told.items()) or "baseline"
        try:
            return Configuration(label, changes, self._network(values, label), self.settings(values))
        except (NotationError, ImpossibleError, ValueError) as error:
            raise SweepError(f"{label}: {error}") from None

    def _network(self, values: Mapping[str, Value], label: str) -> Network:
        written = str(values.get(NET, self.net))
        text = filled(written, {name: value for name, value in values.items() if name != NET})
        network = self.load(text)
        if is_notation(written):
            network = replace(network, name=slug(label))
        analysis = analyse(network)
        if analysis.error:
            raise SweepError(analysis.error)
        if analysis.output is None or len(analysis.output) != 1:
            raise SweepError(f"the net ends in {shape_text(analysis.output or ())}, not in one score a class")
        return network


def _all_of(problems: list[str], crossed: bool) -> str:
    """Which configurations cannot be, in one line; and how to do without them."""
    more = [problem.partition(": ")[0] for problem in problems[1:]]
    told = problems[0] + (f". So it is with {len(more)} more: {'; '.join(more[:5])}" if more else "")
    leave_out = "leave out a combination with skip = [{ depth = 4, width = 8 }] above the tables"
    return f"{told}; {leave_out}" if crossed else told


def _check(design: Design) -> None:
    """Raise SweepError where the parts of a design do not fit each other."""
    if not design.vary:
        raise SweepError("nothing is varied: [vary] has the values of a placeholder or a setting, depth = [1, 2, 4]")
    seeds = design.seeds
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) > MOST_SEED:
        raise SweepError(f"seeds = {list(seeds)} are not different whole numbers from 0 to {MOST_SEED:,}")
    nets = [design.net, *map(str, design.vary.get(NET, {}).values())]
    placeholders = {
        word for net in nets for part in PLACEHOLDER.findall(net) for word in re.findall(r"[A-Za-z_]\w*", part)
    }
    settings = {name for name in Settings.__struct_fields__ if name not in NOT_OURS} | {"recipe"}
    for name in (*design.baseline, *design.vary):
        if name in NOT_OURS:
            what = (
                "seeds = [0, 1, 2] stands above the tables"
                if name == "seed"
                else "each run would write over the others"
            )
            raise SweepError(f"{name} cannot be set here: {what}")
        if name not in settings | placeholders | {NET} and any(net.endswith(".toml") for net in nets):
            raise SweepError(
                f"{name!r} is no setting, and a net's file has no placeholders: write its layers here, "
                f'net = "conv {{{name}}}; ..."'
            )
        if name not in settings | placeholders | {NET}:
            raise SweepError(
                f"{name!r} is neither a placeholder of the net, {{{name}}}, nor a setting: {', '.join(sorted(settings))}"
            )
    if both := sorted(placeholders & settings):
        raise SweepError(f"the placeholder {{{both[0]}}} has the name of a setting: call it otherwise")
    if missing := sorted(placeholders - design.baseline.keys()):
        raise SweepError(f"the placeholder {{{missing[0]}}} has no value in [baseline]")
    for left_out in design.skip:
        for name, label in left_out.items():
            known = [*design.vary.get(name, ()), design._label(name, design._base(name)) if name in design.vary else ""]
            if label not in known:
                raise SweepError(
                    f"skip: {name} = {label} is no value that {name} has: {', '.join(filter(None, known))}"
                )
    datas = {design.baseline.get("data", "auto"), *design.vary.get("data", {}).values()}
    if "auto" in datas:
        raise SweepError(
            "data must be named in [baseline], digits or mnist for one: auto may be another set in each run"
        )


def first_seeds(count: int) -> tuple[int, ...]:
    """So many seeds, from 0.

    Raises:
        SweepError: when they are more than the runs of any sweep.
    """
    if count > MOST_RUNS:
        raise SweepError(f"{count:,} seeds > {MOST_RUNS:,}")
    return tuple(range(count))


def is_notation(net: str) -> bool:
    """Whether a net is written out in layers, and not named."""
    return ";" in net or "\n" in net or " " in net.strip()


def filled(net: str, values: Mapping[str, Value]) -> str:
    """A net with its placeholders filled in: `{width}` by its value, a text as it is; `{2*width}` is reckoned.

    A text that is empty leaves out its layer.

    Raises:
        SweepError: when something between braces is no name and no expression of whole numbers.
    """
    whole = {name: value for name, value in values.items() if type(value) is int}

    def fill(match: re.Match[str]) -> str:
        inside = match[1].strip()
        if inside in values:
            value = values[inside]
            return f"{value:g}" if isinstance(value, float) else str(value)
        try:
            return str(evaluate(inside, whole))
        except ValueError as error:
            raise SweepError(f"{{{inside}}}: {error}") from None

    text = PLACEHOLDER.sub(fill, net)
    return re.sub(r";(\s*;)+", ";", text) if text != net else net


def weights_of(name: str) -> str | None:
    """The directory of the run whose weights to begin with; an empty name is none.

    Raises:
        SweepError: when there is no such run, or another one each time.
    """
    if name == "last":
        raise SweepError("weights_from: last may be another run each time, name it")
    try:
        return str(find_run(name).resolve()) if name else None
    except RunError as error:
        raise SweepError(f"weights_from: {error}") from None


def settings_of(values: Mapping[str, Value], find: Callable[[str], str | None] = weights_of) -> Settings:
    """The settings among some values; a recipe's, where they are not said. `find` tells where the weights of a run are.

    Raises:
        SweepError: when one of them is not what a setting takes.
    """
    recipe = str(values.get("recipe", "plain"))
    if recipe not in RECIPES:
        raise SweepError(f"recipe {recipe!r} is none of {', '.join(RECIPES)}")
    own: dict[str, Value | None] = {name: value for name, value in values.items() if name in Settings.__struct_fields__}
    if "weights_from" in own:
        own["weights_from"] = find(str(own["weights_from"]))
        if own["weights_from"] is None:
            own.pop("new_head", None)  # all is new in fresh weights, the head as well
    try:
        own |= {name: float(value) for name, value in own.items() if name in FRACTIONS and type(value) is int}
        settings = msgspec.convert({**RECIPES[recipe], **own}, Settings, strict=True)
        settings.check()
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise SweepError(f"{where.rstrip('`')}: {what[0].lower()}{what[1:]}" if where else what) from None
    except (ValueError, OverflowError) as error:
        raise SweepError(str(error)) from None
    return settings


def label_of(value: Value) -> str:
    """What a value is called where nothing else is said."""
    if isinstance(value, bool):
        return "on" if value else "off"
    short = f"{value:g}" if isinstance(value, float) else ""
    text = short if short and float(short) == value else " ".join(str(value).split())
    return printable(text) or "none"


def name_value(name: str, label: str) -> str:
    """depth 4, norm: batch norm; a net's name stands alone."""
    if name == NET:
        return label
    return f"{name.replace('_', ' ')}{' ' if label[:1].isdigit() else ': '}{label}"


def slug(label: str) -> str:
    """A label as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-.")[:40] or "net"
