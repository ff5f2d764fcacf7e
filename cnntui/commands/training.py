"""Training, and watching it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cnntui.commands.common import (
    fail,
    has_terminal,
    input_option,
    open_app,
    pipe_broke,
    print_json,
    root_option,
    still_going,
    the_net,
    the_run,
    warn,
)

if TYPE_CHECKING:
    from cnntui.runs.reader import RunView
    from cnntui.runs.spec import Settings, Spec

NO_MAPS = click.option("--no-maps", is_flag=True, help="Where lines are printed: no feature maps at the end.")


@click.command()
@click.argument("net", required=False)
@input_option
@click.option("--from", "source", metavar="RUN", help="Begin with the weights of RUN; without NET, train its net.")
@click.option("--new-head", is_flag=True, help="With --from: the last layer that has weights starts fresh.")
@click.option(
    "--frozen", is_flag=True, help="With --from: train only that layer; the backbone before it stays as it is."
)
@click.option("--backbone-lr", type=float, help="Learning rate of the backbone, below --lr to keep what it knows.")
@click.option("--classes", type=int, help="That layer gets so many outputs: one for each class of the data.")
@click.option(
    "--data",
    default="auto",
    show_default=True,
    help="mnist, fashion-mnist, kmnist, cifar10, digits, printed, auto, or a directory of pictures by class.",
)
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), help="A torchvision root. Or CNNTUI_DATA."
)
@click.option(
    "--recipe",
    type=click.Choice(["plain", "fast"]),
    default="plain",
    show_default=True,
    help="fast: the settings that reach a good accuracy soonest, but for those that are given.",
)
@click.option("--epochs", default=5, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--lr", default=0.001, show_default=True, help="Learning rate.")
@click.option("--optimizer", default="adam", show_default=True, help="adam, adamw or sgd.")
@click.option(
    "--schedule",
    default="cosine",
    show_default=True,
    help="cosine (to zero at the last step), onecycle (up, then down to zero) or constant.",
)
@click.option("--weight-decay", type=float, show_default="the optimizer's own in torch")
@click.option("--label-smoothing", default=0.0, show_default=True, help="The share of a label that all classes get.")
@click.option(
    "--augment",
    default="none",
    show_default=True,
    help="none, shift (by a few pixels), flip (half of them mirrored, too) or auto (what suits the data).",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option(
    "--precision", default="auto", show_default=True, help="float32, bfloat16, or auto: bfloat16 on GPUs that have it."
)
@click.option("--compile/--no-compile", default=False, show_default=True, help="torch.compile, which takes a while.")
@click.option(
    "--cuda-graphs/--no-cuda-graphs", default=True, show_default=True, help="On CUDA, replay a whole step at once."
)
@click.option(
    "--ranks", default=1, show_default=True, help="Processes that train it together, each on a GPU of its own."
)
@click.option("--sync-bn", is_flag=True, help="Batch norm over the pictures of all ranks, which takes GPUs.")
@click.option(
    "--tensorboard", type=click.Path(file_okay=False, path_type=Path), help="Write event files there as well."
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    help="A new directory for the run, which cnntui runs does not list: RUN may be a path, as in cnntui attach DIR.",
)
@click.option("--plain", is_flag=True, help="Print lines, open no screen.")
@NO_MAPS
@click.option("--detach", is_flag=True, help="Start, print the run's directory, and return.")
@click.pass_context
def train(
    context: click.Context,
    /,
    net: str | None,
    shape: str | None,
    source: str | None,
    classes: int | None,
    run_dir: Path | None,
    plain: bool,
    no_maps: bool,
    detach: bool,
    **chosen: Any,
) -> None:
    """Train NET, or lenet5, in a process of its own. The screen starts at once with NET, and waits for a key without.

    Started by torchrun or srun, each process is a rank of one run, and the first prints lines.
    """
    from cnntui.core.axis import ImpossibleError
    from cnntui.core.backbone import with_classes
    from cnntui.core.vocabulary import NotationError
    from cnntui.runs.job import present_job
    from cnntui.runs.launch import LaunchError, create, launch, start
    from cnntui.runs.spec import new_spec

    job = present_job()
    if job is not None:
        from cnntui.commands.job import check, directory_of, follow_as_rank, train_as_first

        check(job, chosen["ranks"] if context.get_parameter_source("ranks") is ParameterSource.COMMANDLINE else None)
        if job.rank:
            follow_as_rank(job, directory_of(job, run_dir))
        chosen["ranks"] = job.size
    given = {name for name in chosen if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    earlier = beginning(source) if source else None
    try:
        settings = settings_of(chosen, given, earlier, net is None)
        settings.check()
        network = earlier[1].network if earlier and not net else the_net(net or "lenet5", shape).network
        network = network if classes is None else with_classes(network, classes)
        if job is not None:
            sys.exit(train_as_first(job, new_spec(network, settings), directory_of(job, run_dir), not no_maps))
        if not (plain or detach) and has_terminal():
            directory = launch(new_spec(network, settings), run_dir) if net or earlier else None
            open_app("train", network=network, settings=settings, run=directory)
            return
        directory = create(new_spec(network, settings), run_dir)
        start(directory)
    except (NotationError, ImpossibleError, LaunchError, ValueError) as error:
        fail(error)
    if detach:
        click.echo(directory)
    else:
        sys.exit(follow_plainly(directory, with_maps=not no_maps))


def beginning(run: str) -> tuple[Path, Spec]:
    """The run whose weights to begin with."""
    from cnntui.runs.checkpoints import WEIGHTS, CheckpointError, demand
    from cnntui.runs.spec import Spec, read_json

    directory = the_run(run)
    spec = read_json(directory / "spec.json", Spec)
    if spec is None:
        fail(f"{directory} holds no readable spec.json")
    try:
        warn(demand(directory, "best", WEIGHTS).refused)
    except CheckpointError as error:
        fail(error)
    return directory, spec


def settings_of(chosen: dict[str, Any], given: set[str], earlier: tuple[Path, Spec] | None, own_net: bool) -> Settings:
    """What was chosen: by an option, else by the recipe; and the data of an earlier run, where its own net is trained on."""
    from cnntui.runs.spec import DATA_SETS, RECIPES, Settings

    recipe = RECIPES[chosen.pop("recipe")]
    chosen |= {name: value for name, value in recipe.items() if name not in given}
    if earlier:
        directory, spec = earlier
        chosen["weights_from"] = str(directory.resolve())
        if own_net and "data" not in given:
            chosen["data"] = spec.data
            chosen["data_dir"] = chosen["data_dir"] or spec.data_dir
    if chosen["data"] not in DATA_SETS and Path(chosen["data"]).is_dir():
        chosen["data"] = str(Path(chosen["data"]).resolve())
    for name in ("data_dir", "tensorboard"):  # the trainer stands elsewhere, and so does a resumed one
        if chosen[name] is not None:
            chosen[name] = str(Path(chosen[name]).resolve())
    return Settings(**chosen)


def follow_plainly(directory: Path, own: bool = True, with_maps: bool = True) -> int:
    """Print a run until it ends; an interrupt stops the run that this command started. Returns the exit status."""
    from cnntui.runs.listing import name_of

    try:
        return _follow(directory, own, with_maps)
    except BrokenPipeError:
        if still_going(directory):
            name = name_of(directory)
            click.echo(f"the run goes on; cnntui attach {name} shows it again, cnntui stop {name} ends it", err=True)
        return pipe_broke()


def _follow(directory: Path, own: bool, with_maps: bool) -> int:
    from cnntui.labs.plain import follow, maps
    from cnntui.runs.control import send
    from cnntui.runs.reader import RunReader

    interrupted = gave_up = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if interrupted or not own:
            sys.exit(130)
        interrupted = True
        send(directory, "stop")
        click.echo("stopping after a checkpoint; interrupt again to leave it to itself", err=True)

    signal.signal(signal.SIGINT, interrupt)
    view: RunView | None = None
    for view, line in follow(RunReader(directory)):
        click.echo(line)
        if own and view.state == "paused" and view.message and not gave_up:
            gave_up = True  # the loss is not finite, and nobody is here to say what next
            send(directory, "stop")
    if view is None:
        return 1
    if with_maps and view.test_accuracy:
        for line in maps(view):
            click.echo(line)
    if view.trained:
        return 0
    return 130 if interrupted and view.state == "finished" else 1


@click.command()
@root_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def runs(root: Path | None, as_json: bool) -> None:
    """The runs, newest first."""
    from cnntui.labs.plain import percent
    from cnntui.runs.listing import row, run_directories

    rows = [row(directory) for directory in run_directories(root)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("no run yet: start one with cnntui train")
    for item in rows:
        accuracy = percent(item.test_accuracy) if item.test_accuracy is not None else "-"
        epoch = f"epoch {item.epoch}" if item.epoch else "-"
        click.echo(f"{item.run:<44} {item.label:<9} {epoch:<9} {accuracy:>8}  {item.data or '-'}  {item.device or '-'}")


@click.command()
@click.argument("run")
@click.option("--plain", is_flag=True, help="Print lines, open no screen.")
@NO_MAPS
@root_option
def attach(run: str, plain: bool, no_maps: bool, root: Path | None) -> None:
    """Watch RUN: a directory, a name, the beginning of one, or last."""
    directory = the_run(run, root)
    from cnntui.runs.reader import RunReader, UnreadableRunError

    try:
        RunReader(directory)
    except UnreadableRunError as error:
        fail(error)
    if plain or not has_terminal():
        sys.exit(follow_plainly(directory, own=False, with_maps=not no_maps))
    open_app("train", run=directory)
