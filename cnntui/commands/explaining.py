"""One number of a network, explained."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnntui.commands.common import fail, print_json, read_shape

if TYPE_CHECKING:
    from cnntui.core.explanation import Explanation, Step
    from cnntui.core.forward import Trace
    from cnntui.labs.opened import Opened, Picture

WIDTH = 100
FEW = 3  # products of which it is said where they are from
MANY = 100  # terms, of which only the largest are printed
LARGEST = 12


@click.command()
@click.argument("model", metavar="RUN|NET")
@click.option("--weights", type=click.Path(path_type=Path), help="A checkpoint, snapshot or other .safetensors file.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE|test:N",
    help="The picture: a file, or one of the run's test set. Or C,H,W, the input of a NET that is written as layers.",
)
@click.option("--layer", required=True, help="Its name, as cnntui inspect shows it; input is the picture.")
@click.option("--unit", required=True, metavar="C,Y,X", help="Channel, row, column from 0; N in a vector.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of a net that is not trained.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def explain(
    model: str, weights: Path | None, inputs: tuple[str, ...], layer: str, unit: str, seed: int, as_json: bool
) -> None:
    """One number of a RUN or NET, and what it is made of.

    A RUN is taken with its best weights, a NET untrained unless --weights are given.
    """
    import numpy as np

    from cnntui.core.axis import ImpossibleError
    from cnntui.core.explanation import explain as explained
    from cnntui.core.forward import forward
    from cnntui.core.reads import checked_unit
    from cnntui.core.vocabulary import NotationError
    from cnntui.labs.opened import OpenError, open_model, open_picture

    shapes = [word for word in inputs if re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*){2}", word)]
    pictures = [word for word in inputs if word not in shapes]
    if len(shapes) > 1 or len(pictures) > 1:
        fail("--input is given once: a picture; and once more for layers: C,H,W")
    if not re.fullmatch(r"-?\d{1,12}(,-?\d{1,12})*", unit.replace(" ", "")):
        fail(f"--unit {unit} is not written like 3,12,7 (channel, row, column) or 5")
    try:
        shape = read_shape(shapes[0]) if shapes else None
        opened = open_model(model, weights, shape, seed)
        own = opened.analysis.network.input
        if shape is not None and opened.run is not None and (weights is None or shape != own):
            of_run = ",".join(map(str, own))
            fail(f"--input {shapes[0]}: {opened.title} is a run, and reads {of_run}: give a picture file or test:N")
        asked = checked_unit(opened.analysis, layer, tuple(map(int, unit.split(","))))
        picture = open_picture(opened, pictures[0] if pictures else None)
        with np.errstate(all="ignore"):  # a net that has diverged is explained as it is
            trace = forward(opened.analysis, opened.parameters, opened.preparation.prepared(picture.pixels))
            found = explained(trace, layer, asked)
    except NotationError as error:
        fail(error, f"line {error.line}, column {error.column}:\n{error.excerpt}" if error.excerpt else "")
    except (OpenError, ImpossibleError, ValueError) as error:
        fail(error)
    for note in opened.notes:
        click.echo(note, err=True)
    if as_json:
        print_json(_document(found, opened, picture, trace))
    else:
        for line in _lines(found, opened, picture, trace):
            click.echo(line)


def _document(found: Explanation, opened: Opened, picture: Picture, trace: Trace) -> dict[str, Any]:
    """As the contract has it; from the first to the last row and column, both of them included."""
    terms = [
        {
            "from": {"node": term.source.node, "unit": term.source.unit} if term.source else None,
            "weight": term.weight,
            "value": term.value,
            "product": term.product + 0.0,  # no −0
        }
        for term in found.terms
    ]
    read = _read_as(opened, trace)
    return {
        "value": found.value,
        "terms": terms,
        "bias": found.bias,
        "pre_activation": found.pre_activation,
        "equation": found.equation,
        "pixels": _pixels(found, opened),
        "node": found.node,
        "unit": found.unit,
        "steps": [_step(step) for step in found.steps],
        "net": opened.analysis.network.name,
        "run": str(opened.run) if opened.run else None,
        "weights": opened.moment,
        "input": picture.title,
        "label": _label(opened, picture),
        "read": {"name": read[0], "probability": read[1]} if read else None,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "node": step.node,
        "op": step.op,
        "unit": step.unit,
        "value": step.value,
        "kind": step.kind,
        "equations": list(map(str, step.equations)),
        "bias": step.bias if step.has_bias else None,
        "divisor": step.divisor,
        "facts": dict(step.facts),
        "winner": step.winner,
        "silenced": step.silenced,
    }


def _pixels(found: Explanation, opened: Opened) -> dict[str, list[int]] | None:
    _, height, width = opened.analysis.network.input
    rows, columns = found.pixels.hull if found.pixels else (range(height), range(width))
    return {"rows": [rows[0], rows[-1]], "columns": [columns[0], columns[-1]]} if rows and columns else None


def _read_as(opened: Opened, trace: Trace) -> tuple[str, float] | None:
    """The class that the net is surest of, and how probable it takes it to be."""
    if not opened.classes:
        return None
    shares = trace.probabilities.reshape(-1)
    best = int(shares.argmax())
    return opened.classes[best], float(shares[best])


def _label(opened: Opened, picture: Picture) -> str | None:
    return opened.classes[picture.label] if picture.label is not None and picture.label < len(opened.classes) else None


def _lines(found: Explanation, opened: Opened, picture: Picture, trace: Trace) -> Iterator[str]:
    """For people."""
    from cnntui.core.arithmetic import brief
    from cnntui.core.steps import Source
    from cnntui.labs.plain import percent

    yield f"{opened.title}: {opened.moment}"
    label, read = _label(opened, picture), _read_as(opened, trace)
    yield (
        picture.title
        + (f", labelled {label}" if label else "")
        + (f", read as {read[0]} ({percent(read[1])})" if read else "")
    )
    yield ""
    result = found.steps[0].equations[-1].result if found.steps else brief(found.value)
    yield f"{Source(found.node, found.unit)} = {result}"
    for step in found.steps:
        yield ""
        yield f"{step.node} ({step.op})"
        yield from _arithmetic(step)
    yield ""
    pixels = _pixels(found, opened)
    if pixels is None:
        yield "no pixel can move it"
    else:
        (top, bottom), (left, right) = pixels.values()
        whole = "" if found.pixels else ", the whole picture"
        rows = f"pixel row {top}" if top == bottom else f"pixel rows {top} to {bottom}"
        columns = f"column {left}" if left == right else f"columns {left} to {right}"
        yield f"moved by {rows}, {columns}{whole}"


def _arithmetic(step: Step) -> Iterator[str]:
    from cnntui.core.explanation import largest

    if len(step.terms) <= MANY or step.kind not in ("sum", "mean"):
        lines = list(map(str, step.equations))
    else:
        _, rest = largest(step, LARGEST)
        added = f"the {len(step.channels)} channels" + (" and the bias" if step.bias else "")
        channels = f"{added}: {step.equations[-1]}" if len(step.equations) > 1 else ""
        shown = f"the {LARGEST} largest of {len(step.terms):,} terms: {rest.equation}" if rest else ""
        lines = [line for line in (channels, shown, rest.text if rest else "") if line]
    lines += _largest_products(step)
    for line in lines:
        yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _largest_products(step: Step) -> list[str]:
    """Weight times value of the terms that count most, and where each is from."""
    from cnntui.core.arithmetic import TIMES
    from cnntui.labs.cell_terms import product_text, sorted_terms

    if step.kind != "sum" or step.op == "add" or len(step.terms) <= 1 or step.equations[-1].function:
        return []
    told = []
    for term in (step.terms[index] for index in sorted_terms(step)[:FEW]):
        if term.product:
            value, weight, product = product_text(term)
            told.append(f"({weight}{TIMES}{value}) = {product} from {term.source}")
    return [f"the largest product{'s' * (len(told) > 1)}: {', '.join(told)}"] if told else []
