"""Runs that a person picks, made groups: those that differ in the seed alone; and what is different between two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path

import msgspec

from cnntui.core.analysis import analyse
from cnntui.core.layers import shape_text
from cnntui.core.notation import network_text
from cnntui.labs.comparison import Comparison, Group, Result
from cnntui.runs.listing import name_of
from cnntui.runs.reader import RunView
from cnntui.runs.spec import Settings, Spec
from cnntui.runs.sweeps.plan import NET, PLACE, label_of, name_value

NETS = (NET, "input", "layers")  # of what two trainings may differ in, those that are not settings
Setting = tuple[str, str, str]  # what it is, as in the baseline, as here


def grouped(views: Sequence[RunView]) -> Comparison:
    """Any runs, in the order in which they are given: those that differ in their seed alone are one group.

    What varies among the groups are the variables: each group is called by its values, the first one, the baseline, too.
    """
    found: dict[str, list[RunView]] = {}
    for view in views:
        found.setdefault(_kind(view.spec), []).append(view)
    specs = [members[0].spec for members in found.values()]
    values = [_values(spec) for spec in specs]
    varied = [name for name in values[0] if len({one[name] for one in values}) > 1]
    if len({one[NET] for one in values}) == len({tuple(one[name] for name in NETS) for one in values}):
        varied = [name for name in varied if name == NET or name not in NETS]  # its name says the rest
    told = [name for name in varied if name == NET or name not in NETS]
    labels = [", ".join(name_value(name, _called(name, one[name])) for name in told) or one[NET] for one in values]
    counts = Counter(labels)
    base = {name: values[0][name] for name in varied}
    groups = tuple(
        Group(
            f"{label} ({spec.run[-6:]})" if counts[label] > 1 else label,
            analyse(spec.network).params,
            tuple(Result(view.spec.seed, view) for view in members),
            {name: one[name] for name in varied if one[name] != base[name]},
        )
        for label, spec, one, members in zip(labels, specs, values, found.values(), strict=True)
    )
    names = [name_of(view.directory) for view in views]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    crossed = len(groups) == prod(len({one[name] for one in values}) for name in varied)
    return Comparison(", ".join(names[:3]) + more, groups, 0, "", tuple(varied), crossed, base)


def _values(spec: Spec) -> dict[str, str]:
    """All that makes another training: the net, its layers and input, the settings; as words."""
    facts = spec.net, shape_text(spec.input), "; ".join(network_text(spec.network))
    values = dict(zip(NETS, facts, strict=True))
    for name in Settings.__struct_fields__:
        if name not in PLACE:
            value = getattr(spec, name)
            values[name] = _text(value) if value is None else label_of(value)
    return values


def _called(name: str, value: str) -> str:
    """A value as it stands in a name: of a path its last part."""
    return Path(value).name if name in ("data", "weights_from") else value


def _kind(spec: Spec) -> str:
    """The same for specs that differ in nothing but the seed, and where they were run."""
    facts = {name: getattr(spec, name) for name in Settings.__struct_fields__ if name not in PLACE}
    return msgspec.json.encode([facts, spec.input, spec.layers, spec.blocks, spec.tables], order="sorted").decode()


def spec_differences(spec: Spec, other: Spec) -> list[Setting]:
    """What `other` has otherwise than `spec`: settings, and layers line by line; (name, in spec, in other)."""
    found: list[Setting] = []
    for name in Settings.__struct_fields__:
        ours, theirs = getattr(spec, name), getattr(other, name)
        if ours != theirs and name not in PLACE:
            found.append((name.replace("_", " "), _text(ours), _text(theirs)))
    if spec.input != other.input:
        found.append(("input", "×".join(map(str, spec.input)), "×".join(map(str, other.input))))
    return found


def _text(value: object) -> str:
    return (
        {True: "on", False: "off", None: "-"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
    )
