"""Arrays in .npy files: what np.save writes is read as np.load reads it, and nothing else is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cnntui.core.npy import read_npy

KINDS = ["?", "|u1", "|i1", *(order + kind for order in "<>" for kind in ("u2", "i4", "i8", "f2", "f4", "f8"))]
VERSIONS = ((1, 0), (2, 0), (3, 0))
NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)


def written(path: Path, array: np.ndarray, version: tuple[int, int] = (1, 0)) -> Path:
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version, allow_pickle=False)
    return path


def with_header(path: Path, header: str, data: bytes = bytes(24)) -> Path:
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data)
    return path


@settings(deadline=None)
@given(
    array=st.sampled_from(KINDS).flatmap(lambda kind: arrays(kind, array_shapes(min_dims=0, max_dims=5, min_side=0))),
    version=st.sampled_from(VERSIONS),
    turned=st.booleans(),
    mapped=st.booleans(),
)
def test_what_numpy_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    array: np.ndarray,
    version: tuple[int, int],
    turned: bool,
    mapped: bool,
) -> None:
    array = array.T if turned else array
    path = written(tmp_path_factory.getbasetemp() / "array.npy", array, version)
    found = read_npy(path, mapped)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert found.flags.f_contiguous == np.load(path).flags.f_contiguous
    assert isinstance(found, np.memmap) == mapped


def test_it_makes_no_syntax_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "array.npy", NUMBERS)
    monkeypatch.setattr(ast, "parse", None)
    with pytest.raises(TypeError):
        np.load(path)
    assert read_npy(path).tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("version", VERSIONS)
def test_cut_off_anywhere_it_is_refused(tmp_path: Path, version: tuple[int, int]) -> None:
    whole = written(tmp_path / "array.npy", NUMBERS, version).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "array.npy").write_bytes(whole[:length])
        for mapped in (False, True):
            with pytest.raises(ValueError, match=r"^[^\n]+$"):
                read_npy(tmp_path / "array.npy", mapped)


def test_with_any_byte_damaged_it_is_refused_or_as_numpy_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path / "array.npy", NUMBERS)
    whole = path.read_bytes()
    for at in range(len(whole)):
        for value in (0, 10, ord("("), ord("9"), whole[at] ^ 1, whole[at] ^ 255):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                found = read_npy(path)
            except ValueError:
                continue
            expected = np.load(path)
            assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def entry(shape: str = "(2, 3)", descr: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (entry("(2, 4)"), "24 bytes of numbers, but its shape (2, 4) needs 32: it is cut off"),
        (entry("(1, 1000000000000)"), "needs 4,000,000,000,000"),
        (entry(f"({'9' * 5000},)"), "its header is not that"),
        (entry("(0, 9999999999999999999)"), " "),
        (entry(f"({'1,' * 100})"), "dim"),
        (entry("(6)"), "its header is not that"),
        (entry("(-1, 3)"), "its header is not that"),
        (entry("[2, 3]"), "its header is not that"),
        (entry(descr="'|O'"), "its dtype is '|O': only bool, whole numbers and float16 to float64"),
        (entry(descr="'<c16'"), "its dtype is '<c16'"),
        (entry(descr="[('x', '<f4')]"), "its header is not that"),
        (entry(order="1"), "its header is not that"),
        (entry(order="'True'"), "its header is not that"),
        (entry("True"), "its header is not that"),
        ("{'descr': '<f4', 'descr': '<f4', 'shape': (2, 3)}", "its header is not that"),
        ("{'descr': '<f4', 'shape': (2, 3)}", "its header is not that"),
        (entry() + "; 1", "its header is not that"),
        ("(" * 9000, "its header is not that"),
        (" " * 10_001, "a header of 10,001 bytes > 10,000"),
    ],
)
def test_a_header_that_lies_or_is_none(tmp_path: Path, header: str, message: str) -> None:
    path = with_header(tmp_path / "array.npy", header)
    for mapped in (False, True):
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            read_npy(path, mapped)
        assert "\n" not in str(error.value)


def test_other_writers_order_and_blanks(tmp_path: Path) -> None:
    header = "{ 'shape':(2,3) ,'descr':'=f4','fortran_order':False }\n"
    assert read_npy(with_header(tmp_path / "array.npy", header, NUMBERS.tobytes())).tolist() == NUMBERS.tolist()


def test_what_is_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "other.npy").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ValueError, match=r"no \.npy file"):
        read_npy(tmp_path / "other.npy")
    with pytest.raises(FileNotFoundError):
        read_npy(tmp_path / "none.npy")
