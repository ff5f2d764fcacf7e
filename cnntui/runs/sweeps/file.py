"""A sweep as a TOML file: read, with the key that is wrong; and those that come with cnntui."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnntui.core.notation import printable
from cnntui.runs.sweeps.plan import NET, Choices, Design, SweepError, Value, first_seeds, label_of

KEYS = ("name", "about", "net", "input", "seeds", "crossed", "skip", "baseline", "vary")
DEFAULT_SEEDS = (0, 1, 2)


def ready_directory() -> Path:
    """Where the sweeps that come with cnntui are."""
    return Path(__file__).parents[2] / "sweeps"


def ready() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in ready_directory().glob("*.toml"))


def load_design(sweep: str, overrides: Mapping[str, Value] | None = None) -> Design:
    """SWEEP as on the command line: one that comes with cnntui, or a file; `overrides` replace values of its baseline.

    Raises:
        SweepError: in one line, with the file and the key.
    """
    path = ready_directory() / f"{sweep}.toml"
    if not (re.fullmatch(r"[\w-]+", sweep) and path.is_file()):
        path = Path(sweep)
    if not path.is_file() and path.suffix == ".toml":
        raise SweepError(f"{sweep}: there is no such file")
    if not path.is_file():
        raise SweepError(f"no sweep is called {sweep!r}: there is {', '.join(ready())}, or give a .toml file")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SweepError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    try:
        return parse_design(text, path.stem, overrides or {})
    except SweepError as error:
        raise SweepError(f"{path.name}: {error}") from None


def parse_design(text: str, name: str, overrides: Mapping[str, Value] | None = None) -> Design:
    """The design that a TOML text describes.

    Raises:
        SweepError: naming the key that is wrong, and what it takes.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SweepError(f"not TOML: {error}") from None
    return design_of(data, name, overrides)


def design_of(data: Mapping[str, Any], name: str, overrides: Mapping[str, Value] | None = None) -> Design:
    """The same of what the TOML text holds.

    Raises:
        SweepError: naming the key that is wrong, and what it takes.
    """
    if unknown := sorted(data.keys() - set(KEYS)):
        raise SweepError(f"unknown key {unknown[0]!r}; a sweep has {', '.join(KEYS)}")
    baseline = _values(data.get("baseline", {}), "[baseline]") | dict(overrides or {})
    if NET in baseline:
        raise SweepError("net stands above [baseline], not in it")
    vary = data.get("vary", {})
    if not isinstance(vary, dict):
        raise SweepError("vary is not a table: write [vary]")
    return Design(
        name=_name(data.get("name", name)),
        net=_net(data.get("net")),
        input=_input(data.get("input")),
        seeds=_seeds(data.get("seeds", list(DEFAULT_SEEDS))),
        baseline=baseline,
        vary={key: _choices(values, f"[vary] {key}") for key, values in vary.items()},
        about=printable(str(data.get("about", ""))),
        crossed=_flag(data.get("crossed", False)),
        skip=_skips(data.get("skip", [])),
    )


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", value):
        raise SweepError(f"name = {printable(repr(value))} is not letters, digits, - and _, at most 61 of them")
    return value


def _net(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        value = "; ".join(value)
    if not isinstance(value, str) or not value.strip():
        raise SweepError('net is missing: a net of the zoo, a file, or layers such as "conv {width} same; relu; ..."')
    return value.strip()


def _input(value: object) -> tuple[int, int, int] | None:
    if value is None:
        return None
    if not (isinstance(value, list) and len(value) == 3 and all(type(n) is int and n > 0 for n in value)):
        raise SweepError(f"input = {printable(repr(value))} is not [channels, height, width]")
    return (value[0], value[1], value[2])


def _seeds(value: object) -> tuple[int, ...]:
    if type(value) is int and value > 0:
        return first_seeds(value)
    if not isinstance(value, list) or not all(type(n) is int for n in value):
        raise SweepError(f"seeds = {printable(repr(value))} is neither how many nor a list of whole numbers")
    return tuple(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise SweepError(f"crossed = {printable(repr(value))} is neither true nor false")
    return value


def _skips(value: object) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list) or not all(isinstance(one, dict) and one for one in value):
        raise SweepError("skip is not a list of combinations: skip = [{ depth = 4, width = 8 }]")
    return tuple({name: label_of(_value(one[name], f"skip {name}")) for name in one} for one in value)


def _value(value: Any, where: str) -> Value:
    if not isinstance(value, int | float | str | bool):
        raise SweepError(f"{where}: {printable(repr(value))} is neither a number nor a text")
    return value


def _values(data: object, where: str) -> dict[str, Value]:
    if not isinstance(data, dict):
        raise SweepError(f"{where} is not a table")
    return {key: _value(value, f"{where} {key}") for key, value in data.items()}


def _choices(data: object, where: str) -> Choices:
    """A list of values, or a table of what each is called."""
    if isinstance(data, dict):
        found = {printable(str(label)): _value(value, where) for label, value in data.items()}
    elif isinstance(data, list):
        found = {label_of(_value(value, where)): value for value in data}
    else:
        raise SweepError(
            f"{where}: give a list, [1, 2, 4], or a table of names and values, {{ small = 8, large = 64 }}"
        )
    if not found:
        raise SweepError(f"{where}: an empty list")
    return found
