"""Networks: looked at, built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntui.commands.common import fail, input_option, open_app, print_json, print_rich, the_net

if TYPE_CHECKING:
    from cnntui.core.analysis import Analysis


@click.command()
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


@click.command()
@click.argument("net", required=False)
@input_option
def build(net: str | None, shape: str | None) -> None:
    """The Build screen, on NET."""
    from cnntui.labs.build import opened

    name = net or "lenet5"
    open_app("build", build=opened(the_net(name, shape), Path(name) if name.endswith(".toml") else None))
