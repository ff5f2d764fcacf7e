"""Network files: TOML whose `layers` are notation, with blocks and tables of their own; and the zoo of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from cnntui.core.axis import ImpossibleError
from cnntui.core.items import Block
from cnntui.core.layers import Shape, Table
from cnntui.core.network import Network
from cnntui.core.notation import BLOCK_NAME, network_text, parse, printable
from cnntui.core.vocabulary import LARGEST, VOCABULARY, NotationError

KEYS = ("name", "input", "layers", "year", "idea", "source", "block", "table")


@dataclass(frozen=True)
class NetFile:
    """A network with what its file says about it."""

    network: Network
    year: int | None = None
    idea: str = ""
    source: str = ""


def parse_input(text: str) -> Shape:
    """`C,H,W` as on the command line.

    Raises:
        NotationError: when it is not three whole numbers.
    """
    parts = re.split(r"\s*[,x×]\s*", text.strip())
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise NotationError(f"input {text!r} is not channels,height,width such as 1,28,28")
    if max(map(len, parts)) > 9:
        raise NotationError(f"input {text!r}: more than {LARGEST:,}")
    return _checked(tuple(int(part) for part in parts))


def _input_shape(value: object) -> Shape:
    if not isinstance(value, list) or len(value) != 3 or not all(type(n) is int for n in value):
        raise NotationError(f"input = {printable(repr(value))} is not [channels, height, width]")
    return _checked(tuple(value))


def _checked(shape: Shape) -> Shape:
    if max(shape) > LARGEST:
        raise NotationError(f"input {list(shape)}: {max(shape)} > {LARGEST:,}")
    return shape


def _texts(value: object, what: str) -> list[str]:
    if isinstance(value, list) and (
        wrong := next((i for i, item in enumerate(value) if not isinstance(item, str)), None)
    ):
        raise NotationError(f"{what}layers: item {wrong + 1} is no text, but {printable(repr(value[wrong]))}")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise NotationError(f'{what}layers = ["conv 6 k5", "relu", ...] is missing or is not a list of texts')
    return value


def _blocks(data: object) -> Iterator[Block]:
    for name, entry in _entries(data, "block"):
        unknown = sorted(entry.keys() - {"args", "layers"})
        arguments = entry.get("args", [])
        if unknown:
            raise NotationError(f"[block.{name}]: unknown key {unknown[0]!r}; a block has args and layers")
        if not isinstance(arguments, list) or not all(
            isinstance(argument, str) and re.fullmatch(r"[A-Za-z_]\w*", argument) for argument in arguments
        ):
            raise NotationError(f'[block.{name}]: args = ["c", "s"] is a list of names')
        yield Block(name, tuple(arguments), tuple(_texts(entry.get("layers"), f"[block.{name}]: ")))


def _tables(data: object) -> Iterator[tuple[str, Table]]:
    for name, entry in _entries(data, "table"):
        rows = entry.get("inputs")
        if entry.keys() - {"inputs"} or not (
            isinstance(rows, list)
            and rows
            and all(isinstance(row, list) and row and all(type(n) is int and n >= 0 for n in row) for row in rows)
        ):
            raise NotationError(
                f"[table.{name}]: inputs = [[0, 1, 2], [1, 2, 3], ...] says which input channels each output sees"
            )
        if twice := next((row for row in rows if len(set(row)) < len(row)), None):
            raise NotationError(f"[table.{name}]: an input channel stands twice in {twice}")
        yield name, Table(name, tuple(map(tuple, rows)))


def _check_numbers(value: object) -> None:
    """Raise ValueError where a number has more than the 64 bits that TOML gives it."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_numbers(inner)
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("a number of more than 64 bits")


def _entries(data: object, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
    if not isinstance(data, dict):
        raise NotationError(f"{kind} is not a table: write [{kind}.NAME]")
    for name, entry in data.items():
        if not re.fullmatch(BLOCK_NAME, name) or not isinstance(entry, dict):
            raise NotationError(f"[{kind}.{printable(name)}]: not a name, or not a table")
        yield name, entry


def parse_toml(text: str, name: str = "network", shape: Shape | None = None) -> NetFile:
    """A network file; `shape` overrides its input.

    Raises:
        NotationError: naming the key or the layer.
        ImpossibleError: when the input or the names cannot be.
    """
    try:
        data = tomllib.loads(text)
        _check_numbers(data)
    except RecursionError:
        raise NotationError("not TOML of a network: values inside values, too deep") from None
    except ValueError as error:  # TOMLDecodeError, and Python's own for a number of very many digits
        raise NotationError(f"not TOML: {error}") from None
    unknown = sorted(data.keys() - set(KEYS))
    if unknown:
        raise NotationError(f"unknown key {unknown[0]!r}; a network has {', '.join(KEYS)}")
    written = _texts(data.get("layers"), "")
    year = data.get("year")
    if year is not None and type(year) is not int:
        raise NotationError(f"year = {year!r} is not a whole number")
    if shape is None:
        if "input" not in data:
            raise NotationError("input = [channels, height, width] is missing")
        shape = _input_shape(data["input"])
    own, idea, source = (
        printable(str(data.get(key, default))) for key, default in (("name", name), ("idea", ""), ("source", ""))
    )
    blocks, tables = tuple(_blocks(data.get("block", {}))), dict(_tables(data.get("table", {})))
    return NetFile(parse("\n".join(written), shape, own, blocks, tables), year, idea, source)


def to_toml(net: NetFile) -> str:
    """The file that `parse_toml` reads back to an equal network."""
    network = net.network
    data: dict[str, Any] = {"name": network.name}
    data |= {key: value for key in ("year", "idea", "source") if (value := getattr(net, key))}
    data |= {"input": list(network.input), "layers": network_text(network)}
    if network.blocks:
        data["block"] = {
            block.name: {"args": list(block.arguments), "layers": list(block.layers)} for block in network.blocks
        }
    if network.tables:
        data["table"] = {name: {"inputs": list(map(list, table.inputs))} for name, table in network.tables.items()}
    return tomli_w.dumps(data)


def zoo_directory() -> Path:
    """Where the zoo's files are."""
    return Path(__file__).parents[1] / "nets"


def zoo() -> list[str]:
    """The names of the zoo."""
    return sorted(path.stem for path in zoo_directory().glob("*.toml"))


def load_net(net: str, shape: Shape | None = None) -> NetFile:
    """NET as on the command line: a zoo name, a `.toml` path, or notation (which needs `shape`).

    Raises:
        NotationError: with one line that says what is wrong and what to do.
        ImpossibleError: when the input or the names cannot be.
    """
    path = zoo_directory() / f"{net}.toml"
    if re.fullmatch(r"[\w.-]+", net) and path.is_file():
        return parse_toml(path.read_text("utf-8"), net, shape)
    if net.endswith(".toml"):
        return read_net(Path(net), shape)
    if re.fullmatch(r"[\w.~-]*/[\w./~-]*", net):
        raise NotationError(f"{net}: a net's file ends in .toml or .onnx")
    if "." in net and Path(net).is_file():
        raise NotationError(f"{net}: a net's file ends in .toml or .onnx")
    if re.fullmatch(r"[\w.-]+", net) and net not in VOCABULARY:
        raise NotationError(f"no net is called {net!r}; the zoo has {', '.join(zoo())}, or give a .toml file or layers")
    if shape is None:
        raise NotationError("layers need their input: add --input C,H,W, for example --input 1,28,28")
    return NetFile(parse(net, shape))


def read_net(path: Path, shape: Shape | None = None) -> NetFile:
    """The network in a file.

    Raises:
        NotationError: with the path, when it cannot be read or is no network.
    """
    try:
        return parse_toml(path.read_text("utf-8"), path.stem, shape)
    except (OSError, UnicodeDecodeError) as error:
        raise NotationError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    except (NotationError, ImpossibleError) as error:
        raise NotationError(f"{path}: {error}") from None
