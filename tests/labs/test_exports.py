"""What is written out gives the same output again, executed; what is saved opens again."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from cnntui.core.images import grid_from_text
from cnntui.core.operation import OPERATIONS
from cnntui.labs.convolve import ConvolveState, start
from cnntui.labs.exports import SavedError, csv, from_toml, numpy, pytorch, to_toml
from tests.core.random_operations import random_operation

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def executed(code: str) -> np.ndarray[Any, Any]:
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "exported.py", "exec"), names)  # our own text
    assert printed.getvalue()
    return np.asarray(names["y"])


@pytest.mark.parametrize("seed", range(210))
def test_the_exported_code_of_random_states_gives_the_same_output(seed: int) -> None:
    operation = random_operation(np.random.default_rng([77, seed]), OPERATIONS[seed % len(OPERATIONS)])
    state = ConvolveState(operation)
    assert operation.output is not None
    for code in (pytorch(state), numpy(state)):
        found = executed(code)
        assert found.shape == operation.output.shape, code
        np.testing.assert_allclose(found, operation.output, atol=1e-9, err_msg=code)


@pytest.mark.parametrize("seed", range(100))
def test_a_saved_state_opens_again(seed: int) -> None:
    rng = np.random.default_rng([78, seed])
    operation = random_operation(rng, possible=seed % 4 > 0)
    state = ConvolveState(operation, "mine").look("input", 1, 2).pin().settled()
    again = from_toml(to_toml(state))
    assert to_toml(again) == to_toml(state)
    assert again.operation.problem == operation.problem
    if operation.output is not None:
        np.testing.assert_array_equal(again.operation.output, operation.output)
    assert (again.name, again.looking, again.pixel, again.pinned) == ("mine", "input", state.pixel, state.pinned)


def test_a_saved_state_is_read_by_people_too() -> None:
    text = to_toml(start())
    assert "            [-1, 0, 1],\n            [-2, 0, 2],\n" in text
    assert 'kernel = "sobel-x"' in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("op =", "opp ="), "opp"),
        (('op = "conv"', 'op = "fft"'), "op = 'fft' is none of conv, true-conv"),
        (('op = "conv"', "op = "), "Invalid value"),
        (("[-1, 0, 1]", "[-1, 1]"), "not all of one length"),
        (("[-1, 0, 1]", '["a", 0, 1]'), r"Expected `float`, got `str`"),
        (('op = "conv"', "divisor = 0"), "divisor = 0"),
        (('op = "conv"', 'activation = "tan"'), "'tan' is none of"),
        (("stride = [1, 1]", "stride = [1, 2, 3]"), "stride"),
    ],
)  # fmt: skip
def test_a_bad_file_says_what_is_wrong(change: tuple[str, str], message: str) -> None:
    text = 'op = "conv"\n' + to_toml(start())
    assert change[0] in text
    with pytest.raises(SavedError, match=message) as error:
        from_toml(text.replace(*change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        "divisor = nan", "bias = [nan]", "stride = [-1, 1]", "dilation = [1000000000000000000000, 1]",
        "output_size = [100000000, 1]", "groups = -3", "filter = 99999", "padding = [[1, 1], [1, 1000000]]",
        f"stride = {'[' * 3000}", 'padding = "some"', 'looking = "away"', "input = 3",
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_in_one_line(line: str) -> None:
    saved = "".join(row + "\n" for row in to_toml(start()).splitlines() if not row.startswith(line.split(" ")[0]))
    with pytest.raises(SavedError) as error:
        from_toml(f"{line}\n{saved}")
    assert "\n" not in str(error.value)


def test_names_are_cleaned_and_kept() -> None:
    state = ConvolveState(start().operation, "naïve ☂")
    assert from_toml(to_toml(state)).name == "naïve ☂"
    hostile = to_toml(state).replace("naïve ☂", "a\\u001b]0;b\\u0007漢")
    assert from_toml(hostile).name == "a]0;b"


def test_csv_keeps_every_digit() -> None:
    grid = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(grid_from_text(csv(grid)), grid)


def test_what_is_impossible_has_no_code() -> None:
    state = start().with_(dilation=(9, 9))
    for export in (pytorch, numpy):
        with pytest.raises(SavedError, match="kernel 3 with dilation 9 covers 19 > 7"):
            export(state)
