"""What was trained here already: the runs of a net, whoever trained them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cnntui.core.network import Network
from cnntui.runs.checkpoints import names
from cnntui.runs.listing import readable_specs
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import Settings, Spec, new_spec

AUTO = ("auto", "mnist", "digits")  # what `auto` may come to
ELSEWHERE = ("data_dir", "device", "tensorboard")  # settings that change nothing of what is learned


def newest_trained(network: Network, data: str = "auto", root: Path | None = None) -> Path | None:
    """The newest run of these very layers, on this data, that was trained to its end and has kept its weights."""
    for run, spec in runs_of(network, root):
        with suppress(UnreadableRunError):
            is_meant = spec.data in AUTO if data == "auto" else spec.data == data
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


def is_going(view: RunView) -> bool:
    """Whether somebody is at it."""
    return view.state != "waiting" and not view.ended and view.alive == "alive"


def runs_of(network: Network, root: Path | None = None) -> Iterator[tuple[Path, Spec]]:
    """The runs that train these very layers on such inputs, newest first."""
    asked = new_spec(network, Settings())
    for run, spec in readable_specs(root):
        if _net(spec) == _net(asked):
            yield run, spec


def _net(spec: Spec) -> tuple[object, ...]:
    return spec.input, spec.layers, spec.blocks, spec.tables


def _settings(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in Settings.__struct_fields__ if name not in ELSEWHERE}
