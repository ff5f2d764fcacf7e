"""The commands. Everything they need is imported when they run, so that each starts at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from cnntui import __version__

if TYPE_CHECKING:
    from rich.table import Table

    from cnntui.core.analysis import Analysis
    from cnntui.core.layers import Shape
    from cnntui.core.nets import NetFile
    from cnntui.core.windows import Array
    from cnntui.labs.convolve import ConvolveState
    from cnntui.runs.reader import RunView

WIDTH = 100  # of printed arithmetic
COLORS = {"truecolor": "truecolor", "256": "256", "16": "standard"}


def main() -> None:
    """Run the command line; what nobody foresaw goes to a log, and one line says where."""
    try:
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # the last resort: no traceback reaches a user
        from cnntui.runs.places import log_traceback

        click.echo(f"Error: {type(error).__name__}: {error}. {log_traceback()}".replace("\n", " "), err=True)
        sys.exit(1)


def fail(message: object, excerpt: str = "") -> NoReturn:
    """One line, under it the place in the text where there is one, and exit status 1."""
    raise click.ClickException(" ".join(str(message).split()) + (f"\n{excerpt}" if excerpt else ""))


def has_terminal() -> bool:
    """Whether there is a person at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1).decode())


def open_app(mode: str, **given: Any) -> None:
    """Open the screens."""
    if not has_terminal():
        fail("the screens need a terminal; cnntui --help lists the commands that print")
    from cnntui.ui.app import CnntuiApp

    app = CnntuiApp(mode, **given)
    app.run()
    if app.going_run and still_going(app.going_run):
        click.echo(f"the run goes on; cnntui attach {app.going_run} shows it again")
    if app.failure:
        click.echo(app.failure, err=True)
    if app.return_code:
        sys.exit(app.return_code)


def still_going(run: str) -> bool:
    """Whether a run that was left has not ended meanwhile."""
    from cnntui.runs.listing import RunError, find_run, row

    try:
        return row(find_run(run)).pid is not None
    except RunError:
        return False


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option(
    "--color", type=click.Choice([*COLORS, "none"]), help="Colours of the screens, where the terminal is not believed."
)
@click.pass_context
def cli(context: click.Context, color: str | None) -> None:
    """See convolutional neural networks work, in a terminal. Without a command: the app."""
    if color == "none":
        os.environ["NO_COLOR"] = "1"
    elif color:
        os.environ["TEXTUAL_COLOR_SYSTEM"] = COLORS[color]
    if context.invoked_subcommand is None:
        open_app("convolve")


# -- networks


def input_option(command: Callable[..., None]) -> Callable[..., None]:
    """`--input C,H,W`."""
    return click.option("--input", "shape", metavar="C,H,W", help="Channels, height, width of the input.")(command)


def read_shape(shape: str | None) -> Shape | None:
    """The value of `--input`."""
    from cnntui.core.nets import parse_input
    from cnntui.core.vocabulary import NotationError

    try:
        return parse_input(shape) if shape else None
    except NotationError as error:
        fail(error)


def the_net(net: str, shape: str | None) -> NetFile:
    """NET, with `--input`; an error in its notation shows the place."""
    from cnntui.core.axis import ImpossibleError
    from cnntui.core.vocabulary import NotationError
    from cnntui.runs.nets import load_any

    try:
        return load_any(net, read_shape(shape))
    except NotationError as error:
        fail(error, f"line {error.line}, column {error.column}:\n{error.excerpt}" if error.excerpt else "")
    except ImpossibleError as error:
        fail(error)


@cli.command()
@click.argument("net")
@input_option
@click.option("--columns", metavar="A,B,…", help="name, text, output, params, share, buffers, macs, memory, field, …")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--markdown", is_flag=True, help="The table in Markdown.")
@click.option("--csv", "as_csv", is_flag=True, help="The table as CSV, plain numbers.")
@click.option("--code", is_flag=True, help="PyTorch source that needs no cnntui.")
@click.option("--toml", is_flag=True, help="A net's file: what was read, in the notation.")
@click.option("--against", metavar="NET", help="Another net beside it, layer by layer.")
def inspect(net: str, shape: str | None, columns: str | None, against: str | None, **forms: bool) -> None:
    """Shapes, parameters, MACs, receptive field and more of NET.

    NET: a zoo name, a .toml or .onnx file, layers with --input, torchvision:NAME, module:callable.
    """
    from cnntui.core.analysis import analyse
    from cnntui.core.vocabulary import NotationError
    from cnntui.labs import tables
    from cnntui.labs.columns import chosen

    if sum(forms.values()) + bool(against) > 1:
        fail("give one of --json, --markdown, --csv, --code, --toml, --against")
    if columns is not None and (against or forms["as_json"] or forms["code"] or forms["toml"]):
        fail("--columns is for the table, --markdown and --csv")
    try:
        names = chosen(columns or "")
    except NotationError as error:
        fail(error)
    file = the_net(net, shape)
    analysis = analyse(file.network)
    if file.source == net and file.idea:
        click.echo(f"{file.network.name}: {file.idea}", err=True)
    if against is not None:
        other = analyse(the_net(against, shape).network)
        print_rich(tables.beside(analysis, other))
        if other.error:
            fail(f"{other.network.name}: {other.error}{fix_text(other)}")
    elif forms["as_json"]:
        from cnntui.labs.documents import inspection

        print_json(inspection(analysis))
    elif forms["toml"]:
        from cnntui.core.nets import to_toml

        click.echo(to_toml(file), nl=False)
    elif forms["markdown"] or forms["as_csv"]:
        click.echo((tables.markdown if forms["markdown"] else tables.csv)(analysis, names), nl=False)
    elif forms["code"]:
        from cnntui.labs.program import pytorch

        if not analysis.error:
            click.echo(pytorch(file), nl=False)
    else:
        print_rich(tables.facts(analysis, names))
    if analysis.error:
        if not forms["as_json"]:
            fail(analysis.error + fix_text(analysis))
        sys.exit(1)


def fix_text(analysis: Analysis) -> str:
    """What would work, behind an error."""
    row = analysis.failing
    fixes = [fix.text for fix in row.problem.fixes] if row and row.problem else []
    return f" (works: {', or '.join(fixes)})" if fixes else ""


def print_rich(table: Table) -> None:
    """A table, as wide as the terminal, or 120 columns where there is none."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


# -- one convolution


@cli.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--input", "grid", metavar="FILE|JSON|NAME", help="(H,W) or (C,H,W): numbers, a picture, or its name.")
@click.option("--kernel", metavar="NAME|JSON|K", help="A name from kernels/, weights, or for pooling a size.")
@click.option(
    "--op", default="conv", show_default=True, help="conv, true-conv, transposed, max, avg, adaptive-max, adaptive-avg."
)
@click.option("--stride", metavar="N|HxW", help="1 by default; for pooling, the kernel's size.")
@click.option(
    "--padding",
    default="0",
    show_default=True,
    metavar="N|HxW|l,r,t,b|WORD",
    help="Cells, or left,right,top,bottom, or valid, same, full.",
)
@click.option("--dilation", default="1", show_default=True, metavar="N|HxW")
@click.option("--groups", default=1, show_default=True)
@click.option("--bias", metavar="B|JSON", help="One number, or a list with one a filter.")
@click.option("--activation", metavar="NAME", help="relu, tanh, ... after it; magnitude joins all filters.")
@click.option("--ceil", is_flag=True, help="A pool's last window may hang over.")
@click.option("--nopad", is_flag=True, help="An average that does not count padding.")
@click.option("--output-padding", default="0", metavar="N|HxW", help="Of a transposed convolution.")
@click.option("--at", metavar="I,J", help="Show what this output cell (of the first filter; or O,I,J) is made of.")
@click.option(
    "--do", "moves", multiple=True, metavar="WORDS", help="A move, as under : on the screen; may be given often."
)
@click.option(
    "--show",
    type=click.Choice(["output", "input", "kernel", "im2col", "matrix"]),
    default="output",
    help="The grid that is printed.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--csv", "as_csv", is_flag=True, help="The grid as CSV, channel under channel.")
@click.option("--code", type=click.Choice(["pytorch", "numpy"]), help="A program that computes the same.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write FILE, which opens again.")
@click.pass_context
def convolve(
    context: click.Context,
    /,
    file: Path | None,
    grid: str | None,
    kernel: str | None,
    at: str | None,
    moves: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    show: str,
    code: str | None,
    save: Path | None,
    **settings: Any,
) -> None:
    """One convolution or pool on your numbers, or on a FILE that was saved. Without options: the Convolve screen."""
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if not given:
        open_app("convolve")
        return
    if as_json + as_csv + bool(code) > 1:
        fail("give one of --json, --csv and --code")
    from cnntui.core.axis import ImpossibleError
    from cnntui.core.images import GridError
    from cnntui.labs.convolve import MoveError
    from cnntui.labs.given import GivenError, convolution, saved_state
    from cnntui.labs.words import play

    try:
        if file is not None:
            if wrong := given & {"grid", "kernel", *settings}:
                fail(
                    f"{file} says it all already: leave out --{sorted(wrong)[0].replace('grid', 'input').replace('_', '-')}"
                )
            state = saved_state(file, at)
        elif grid is None or kernel is None:
            fail("give both --input and --kernel (for a pool its size, for an adaptive one the output's)")
        else:
            state = convolution(grid, kernel, at=at, **settings)
    except (GivenError, GridError, ImpossibleError) as error:
        fail(error)
    for words in moves:
        try:
            state = play(state, words)
        except MoveError as error:
            fail(f"--do {words!r}: {error}")
    if given <= {"file", "moves"} and has_terminal():
        open_app("convolve", convolve=state)
        return
    if state.operation.output is None:
        offers = ", or ".join(words for words, _ in state.mended)
        fail(f"{state.operation.problem}" + (f" (works: {offers})" if offers else ""))
    from cnntui.labs import exports
    from cnntui.labs.documents import convolution_document, grid_shown

    if save is not None:
        try:
            save.write_text(exports.to_toml(state), "utf-8")
        except OSError as error:
            fail(f"{save}: {error.strerror}")
    try:
        shown = grid_shown(state, show)
    except MoveError as error:
        fail(error)
    if as_json:
        print_json(convolution_document(state, at is not None or bool(moves), show))
    elif code:
        click.echo(exports.pytorch(state) if code == "pytorch" else exports.numpy(state), nl=False)
    elif as_csv:
        click.echo("\n".join(exports.csv(channel) for channel in shown), nl=False)
    elif save is None:
        print_convolution(state, shown, at is not None or bool(moves))


def print_convolution(state: ConvolveState, shown: Array, with_cell: bool) -> None:
    """A grid as text, and the arithmetic of what is looked at."""
    from cnntui.core.arithmetic import number
    from cnntui.core.layers import shape_text
    from cnntui.labs.account import account

    output = state.operation.output
    if output is None:
        raise ValueError("the settings are impossible")
    click.echo(f"{shape_text(state.operation.input.shape)} -> {shape_text(output.shape)}")
    for channel in shown:
        texts = [[number(value, 4) for value in row] for row in channel]
        width = max(len(text) for row in texts for text in row)
        click.echo("\n".join("  ".join(text.rjust(width) for text in row) for row in texts) + "\n")
    if with_cell:
        for line in account(state, WIDTH):
            click.echo("".join(piece.text for piece in line).rstrip())


# -- training


@cli.command()
@click.argument("net", required=False)
@input_option
@click.option(
    "--data", default="auto", show_default=True, help="mnist, fashion-mnist, kmnist, cifar10, digits or auto."
)
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), help="A torchvision root. Or CNNTUI_DATA."
)
@click.option("--epochs", default=5, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--lr", default=0.001, show_default=True, help="Learning rate.")
@click.option("--optimizer", default="adam", show_default=True, help="adam, adamw or sgd.")
@click.option("--schedule", default="cosine", show_default=True, help="cosine (to zero at the last step) or constant.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--run-dir", type=click.Path(path_type=Path), help="Where the run is written; a new directory.")
@click.option("--plain", is_flag=True, help="Print lines, open no screen.")
@click.option("--detach", is_flag=True, help="Start, print the run's directory, and return.")
def train(
    net: str | None,
    shape: str | None,
    run_dir: Path | None,
    plain: bool,
    detach: bool,
    data_dir: Path | None,
    **chosen: Any,
) -> None:
    """Train NET, or lenet5, in a process of its own. The screen starts at once with NET, and waits for a key without."""
    from cnntui.core.axis import ImpossibleError
    from cnntui.core.vocabulary import NotationError
    from cnntui.runs.launch import LaunchError, create, launch, start
    from cnntui.runs.spec import Settings, new_spec

    settings = Settings(data_dir=str(data_dir.absolute()) if data_dir else None, **chosen)
    try:
        settings.check()
        network = the_net(net or "lenet5", shape).network
        if not (plain or detach) and has_terminal():
            directory = launch(new_spec(network, settings), run_dir) if net else None
            open_app("train", network=network, settings=settings, run=directory)
            return
        directory = create(new_spec(network, settings), run_dir)
        start(directory)
    except (NotationError, ImpossibleError, LaunchError, ValueError) as error:
        fail(error)
    if detach:
        click.echo(directory)
    else:
        sys.exit(follow_plainly(directory))


def follow_plainly(directory: Path, own: bool = True) -> int:
    """Print a run until it ends; an interrupt stops the run that this command started. Returns the exit status."""
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
    if view.test_accuracy:
        for line in maps(view):
            click.echo(line)
    if view.trained:
        return 0
    return 130 if interrupted and view.state == "finished" else 1


@cli.command()
@click.option("--root", type=click.Path(path_type=Path), help="Another directory of runs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def runs(root: Path | None, as_json: bool) -> None:
    """The runs, newest first."""
    from cnntui.labs.plain import percent
    from cnntui.runs.listing import row, run_directories

    if root is not None and not root.is_dir():
        fail(f"{root} is no directory")
    rows = [row(directory) for directory in run_directories(root)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("no run yet: start one with cnntui train")
    for item in rows:
        accuracy = percent(item.test_accuracy) if item.test_accuracy is not None else "-"
        epoch = f"epoch {item.epoch}" if item.epoch else "-"
        state = "stopped" if item.state == "finished" and item.message else item.state
        click.echo(f"{item.run:<44} {state:<9} {epoch:<9} {accuracy:>8}  {item.data or '-'}  {item.device or '-'}")


def the_run(name: str) -> Path:
    """The directory of RUN."""
    from cnntui.runs.listing import RunError, find_run

    try:
        return find_run(name)
    except RunError as error:
        fail(error)


@cli.command()
@click.argument("run")
@click.option("--plain", is_flag=True, help="Print lines, open no screen.")
def attach(run: str, plain: bool) -> None:
    """Watch RUN: a directory, a name, the beginning of one, or last."""
    directory = the_run(run)
    from cnntui.runs.reader import RunReader, UnreadableRunError

    try:
        RunReader(directory)
    except UnreadableRunError as error:
        fail(error)
    if plain or not has_terminal():
        sys.exit(follow_plainly(directory, own=False))
    open_app("train", run=directory)


def steer(run: str, command: str, **values: float) -> None:
    """Leave a command for a run that is still going."""
    from cnntui.runs.control import send
    from cnntui.runs.reader import RunReader, UnreadableRunError

    directory = the_run(run)
    try:
        view = RunReader(directory).glance()
        if view.ended:
            fail(f"{view.spec.run} has ended ({view.label}): nobody is there to {command} it")
        send(directory, command, **values)
    except UnreadableRunError as error:
        fail(error)
    except OSError as error:
        fail(f"{directory}: {error.strerror}")
    click.echo(f"{command}: asked of {view.spec.run}")


@cli.command()
@click.argument("run")
def pause(run: str) -> None:
    """Pause RUN after its present step."""
    steer(run, "pause")


@cli.command()
@click.argument("run")
def resume(run: str) -> None:
    """Let a paused RUN go on."""
    steer(run, "resume")


@cli.command()
@click.argument("run")
def stop(run: str) -> None:
    """Stop RUN after a checkpoint."""
    steer(run, "stop")


@cli.command(name="set")
@click.argument("run")
@click.argument("setting", metavar="lr=VALUE")
def set_(run: str, setting: str) -> None:
    """Change the learning rate of RUN while it trains."""
    name, _, value = setting.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if name != "lr" or not 0 < number < float("inf"):
        fail(f"{setting!r} is not understood: write lr=0.0005, a number above 0")
    steer(run, "set", lr=number)


@cli.command()
@click.argument("run")
@click.argument("file", type=click.Path(path_type=Path))
def export(run: str, file: Path) -> None:
    """Write the trained net of RUN, its best checkpoint, to FILE.onnx."""
    from cnntui.runs.onnx import OnnxError, export_onnx

    if file.suffix != ".onnx":
        fail(f"{file}: give a name that ends in .onnx")
    try:
        checkpoint = export_onnx(the_run(run), file)
    except OnnxError as error:
        fail(error)
    click.echo(f"{file}: the weights of {checkpoint}")


# -- building, learning, the machine


@cli.command()
@click.argument("net", required=False)
@input_option
def build(net: str | None, shape: str | None) -> None:
    """The Build screen, on NET."""
    from cnntui.labs.build import opened

    name = net or "lenet5"
    open_app("build", build=opened(the_net(name, shape), Path(name) if name.endswith(".toml") else None))


@cli.command()
@click.argument("lesson", required=False)
def learn(lesson: str | None) -> None:
    """The Learn screen, on LESSON: a name from cnntui lessons, or a file."""
    from cnntui.labs.lesson import LessonError, find_lesson

    try:
        found = find_lesson(lesson)
    except LessonError as error:
        fail(error)
    open_app("learn", lesson=found)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--check", is_flag=True, help="Play every lesson's own solutions, and fail if a task does not pass.")
def lessons(as_json: bool, check: bool) -> None:
    """The lessons, and how far you are."""
    from cnntui.labs.lesson import LessonError, check_lesson, load_lessons
    from cnntui.labs.progress import done_tasks

    try:
        found = load_lessons()
    except LessonError as error:
        fail(error)
    problems = {lesson.id: check_lesson(lesson) for lesson in found} if check else {}
    rows = [
        {
            "id": lesson.id,
            "number": lesson.number,
            "title": lesson.title,
            "minutes": lesson.minutes,
            "tasks": len(lesson.tasks),
            "done": len(done_tasks(lesson.id) & {task.id for task in lesson.tasks}),
        }
        | ({"problems": problems[lesson.id]} if check else {})
        for lesson in found
    ]
    if as_json:
        print_json(rows)
    else:
        for line in rows:
            click.echo(f"{line['number']:>3}  {line['id']:<20} {line['done']}/{line['tasks']} tasks  {line['title']}")
            for problem in problems.get(str(line["id"]), ()):
                click.echo(f"     {problem}", err=True)
    if any(problems.values()):
        sys.exit(1)


@cli.command()
def doctor() -> None:
    """What works here, what does not, and what to do."""
    from cnntui.labs.doctor import checks

    for check in checks():
        mark = click.style("ok  ", fg="green") if check.ok else click.style("look", fg="yellow")
        click.echo(f"{mark}  {check.name:<12} {check.found}" + (f"\n{'':19}{check.advice}" if check.advice else ""))
