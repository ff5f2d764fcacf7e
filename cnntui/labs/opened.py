"""A network with its weights, from a word: a run, or a net with a file of weights, or one that is not trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnntui.core.analysis import Analysis, analyse
from cnntui.core.axis import ImpossibleError
from cnntui.core.layers import Shape
from cnntui.core.network import Network
from cnntui.core.parameters import Parameters, named, untrained
from cnntui.core.vocabulary import NotationError
from cnntui.runs.checkpoints import CheckpointError, State, demand, read_state
from cnntui.runs.listing import RunError, find_run, name_of, run_directories
from cnntui.runs.nets import load_any
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import Spec, read_json
from cnntui.runs.weights import WeightsError, read_weights


class OpenError(Exception):
    """Why it cannot be opened, in one line."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A network that can be run.

    Args:
        title: of the net or the run.
        analysis: of the network.
        parameters: its weights.
        preparation: how pictures become its input.
        classes: their names, as far as they are known.
        moment: whose weights these are, in words.
        step: of the training; None where it is not known.
        run: the directory, where it is a run.
        refused: checkpoints that were passed over, a line each.
    """

    title: str
    analysis: Analysis
    parameters: Parameters
    preparation: Preparation
    classes: tuple[str, ...] = ()
    moment: str = "untrained"
    step: int | None = None
    run: Path | None = None
    refused: tuple[str, ...] = ()


def open_model(word: str, weights: Path | None = None, shape: Shape | None = None, seed: int = 0) -> Opened:
    """RUN or NET as on the command line; a word that is both is the run only if it is its whole name, `last` or a path.

    Args:
        word: RUN, or NET, which `load_any` reads.
        weights: a safetensors file, or a checkpoint's directory; with those of a run, its preparation counts.
        shape: (C, H, W) of a NET that needs it.
        seed: of the weights of a net that is not trained.

    Raises:
        OpenError: with what is wrong and what to do.
    """
    run = run_named(word)
    if run is not None:
        return _with_file(open_run(run), weights) if weights else open_run(run)
    try:
        network = load_any(word, shape).network
    except (NotationError, ImpossibleError) as error:
        try:
            return _with_file(open_run(find_run(word)), weights) if weights else open_run(find_run(word))
        except RunError:
            raise OpenError(str(error)) from None
    if weights is None:
        return of_network(network, seed)
    owner = run_of_file(weights)
    preparation = open_preparation(owner) if owner else None
    return _with_file(of_network(network, seed, preparation), weights)


def run_named(word: str) -> Path | None:
    """The run that a word can only mean: `last`, its whole name, a directory."""
    if word == "last" or (Path(word) / "spec.json").is_file() or word in {run.name for run in run_directories()}:
        try:
            return find_run(word)
        except RunError as error:
            raise OpenError(str(error)) from None
    return None


def of_network(network: Network, seed: int = 0, preparation: Preparation | None = None) -> Opened:
    """A net that is not trained. Of its pictures nothing is known: they are scaled to 0..1 and no more.

    Raises:
        OpenError: when a layer is impossible, or it has none.
    """
    analysis = analyse(network)
    if analysis.error or not analysis.rows:
        raise OpenError(f"{network.name}: {analysis.error or 'it has no layer'}")
    how = preparation or plain_preparation(network)
    return Opened(network.name, analysis, untrained(analysis, seed), how, moment=f"untrained, seed {seed}")


def plain_preparation(network: Network) -> Preparation:
    """Pictures as large as the input, scaled to 0..1."""
    channels, height, width = network.input
    shape = (channels, height, width)
    return Preparation(shape, shape, (0.0,) * channels, (1.0,) * channels)


def open_run(run: Path, which: str = "best") -> Opened:
    """A run with the weights of a checkpoint.

    Raises:
        OpenError: when it has no spec, or no weights that can be used.
    """
    spec = read_json(run / "spec.json", Spec)
    if spec is None:
        raise OpenError(f"{run} holds no readable spec.json")
    analysis = analyse(spec.network)
    try:
        found = demand(run, which)
        state = read_state(run, found.path)
        parameters = named(analysis, read_weights(found.path))
    except (CheckpointError, WeightsError, ValueError) as error:
        raise OpenError(str(error)) from None
    return Opened(
        f"{spec.net} · {name_of(run)}",
        analysis,
        parameters,
        _known(Preparation.of(spec, state), spec),
        tuple(state.classes),
        f"{which} checkpoint, step {state.step:,}",
        state.step,
        run,
        found.refused,
    )


def open_preparation(run: Path) -> Preparation:
    """How the pictures of a run become inputs, from its newest checkpoint, or its log.

    Raises:
        OpenError: when it has no spec.
    """
    spec = read_json(run / "spec.json", Spec)
    if spec is None:
        raise OpenError(f"{run} holds no readable spec.json")
    try:
        state = read_state(run, demand(run, "last").path)
    except CheckpointError:
        state = State()
    return _known(Preparation.of(spec, state), spec)


def _known(preparation: Preparation, spec: Spec) -> Preparation:
    return preparation if preparation.is_known else plain_preparation(spec.network)


def run_of_file(weights: Path) -> Path | None:
    """The run in whose directory a checkpoint or a snapshot lies."""
    return next((parent for parent in weights.absolute().parents[:3] if (parent / "spec.json").is_file()), None)


def _with_file(model: Opened, weights: Path) -> Opened:
    from dataclasses import replace

    try:
        parameters = named(model.analysis, read_weights(weights))
    except (WeightsError, ValueError) as error:
        raise OpenError(str(error)) from None
    return replace(model, parameters=parameters, moment=f"weights of {weights.name}", step=None)
