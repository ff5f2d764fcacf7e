"""Kernels, pictures and shades."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnntui.core.axis import Axis
from cnntui.core.images import PICTURES, GridError, grid_from_json, grid_from_text, picture, read_grid
from cnntui.core.kernels import Kernel, KernelError, load_kernels, read_kernel, save_kernel
from cnntui.core.shading import LOWERED, RAISED, glyphs, scale_of, shade
from cnntui.core.windows import Window, conv2d

CLASSIC = {
    "sobel-x", "sobel-y", "prewitt-x", "prewitt-y", "gaussian-3", "gaussian-5",
    "box", "sharpen", "emboss", "laplacian", "cross", "vertical-edge",
}  # fmt: skip


def test_the_classic_kernels_load() -> None:
    kernels, errors = load_kernels()
    assert not errors
    assert set(kernels) >= CLASSIC
    for kernel in kernels.values():
        assert kernel.finds
        assert kernel.source
        assert kernel.group


def test_there_are_many_and_each_is_said_to_find_something() -> None:
    kernels, _ = load_kernels()
    assert len(kernels) >= 24
    assert len({kernel.finds for kernel in kernels.values()}) == len(kernels)


def test_a_kernel_is_saved_as_a_new_file(tmp_path: Path) -> None:
    kernel = Kernel("mine", ((1, 0.5), (-2, 0)), 3, "mine", "nothing much", "me")
    assert read_kernel(save_kernel(kernel, tmp_path / "new")) == kernel
    with pytest.raises(KernelError, match="there is a kernel called 'mine' already"):
        save_kernel(kernel, tmp_path / "new")
    with pytest.raises(KernelError, match="is not a name of letters"):
        save_kernel(Kernel("../up", ((1,),)), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(KernelError, match=r"Not a directory|exists"):
        save_kernel(kernel, tmp_path / "file")


def test_blurs_keep_the_mean_and_edges_ignore_flat_ground() -> None:
    kernels, _ = load_kernels()
    for kernel in kernels.values():
        total = sum(map(sum, kernel.weights)) / kernel.divisor
        if kernel.group == "blur":
            assert total == 1
        if kernel.group == "edge":
            assert total == 0


def test_a_bad_kernel_is_named_and_the_rest_load(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text("weights = [[1, 2]]")
    for name, text in {
        "ragged": "weights = [[1], [1, 2]]",
        "words": 'weights = [["a"]]',
        "zero": "weights = [[1]]\ndivisor = 0",
        "infinite": "weights = [[inf]]",
        "huge": f"weights = [[1{'0' * 400}]]",
        "nan-divisor": "weights = [[1]]\ndivisor = nan",
        "large": f"weights = {[[1] * 70]}",
        "named": 'name = "my blur"\nweights = [[1]]',
        "escape": 'name = "a\\u001b]0;b"\nweights = [[1]]',
        "deep": f"weights = {'[' * 3000}",
        "broken": "weights = [",
    }.items():
        (tmp_path / f"{name}.toml").write_text(text)
    kernels, errors = load_kernels([tmp_path])
    assert "good" in kernels
    assert set(kernels) > CLASSIC
    named = sorted(":".join(str(error).split(":")[:2]) for error in errors)
    assert named[0] == "broken.toml:1"
    assert [name.split(".")[0] for name in named] == sorted(
        path.stem for path in tmp_path.glob("*.toml") if path.stem != "good"
    )
    assert "zero.toml:2" in named
    assert all("\n" not in str(error) and "\x1b" not in str(error) for error in errors)
    with pytest.raises(KernelError, match="No such file"):
        read_kernel(tmp_path / "absent.toml")


def test_the_first_cell_of_the_checkerboard_under_the_edge_kernel_is_zero() -> None:
    kernels, _ = load_kernels()
    weight = np.array(kernels["vertical-edge"].weights)[None, None]
    window = Window(Axis(5, 3), Axis(5, 3))
    assert conv2d(picture("checkerboard"), weight, None, window)[0, 0, 0] == 0
    ramp = conv2d(
        picture("ramp"), np.array(kernels["difference"].weights)[None, None], None, Window(Axis(1, 1), Axis(5, 3))
    )
    assert ramp.tolist() == [[[-2, -2, -2]]]


@pytest.mark.parametrize("name", list(PICTURES))
def test_pictures_are_made_at_any_size(name: str) -> None:
    draw, height, width = PICTURES[name]
    assert picture(name).shape == (1, height, width)
    assert draw(28, 20).shape == (1, 28, 20)
    assert draw(28, 28).max() > 0


def test_grids_from_files(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("1,2\n3,4\n")
    (tmp_path / "g.txt").write_text("1 2\n3 4\n")
    (tmp_path / "g.json").write_text("[[1,2],[3,4]]")
    np.save(tmp_path / "g.npy", [[1.0, 2.0], [3.0, 4.0]])
    for suffix in ("csv", "txt", "json", "npy"):
        assert read_grid(tmp_path / f"g.{suffix}").tolist() == [[[1, 2], [3, 4]]]
    Image.new("L", (3, 2), 255).save(tmp_path / "grey.png")
    assert read_grid(tmp_path / "grey.png").tolist() == [[[1] * 3] * 2]
    Image.new("RGB", (3, 2), (255, 0, 0)).save(tmp_path / "red.png")
    assert read_grid(tmp_path / "red.png").shape == (3, 2, 3)


@pytest.mark.parametrize(
    "text",
    [
        "1,2.5\n-3,4e1",
        "1\t2.5\r\n-3\t40\r\n",
        "1 5/2; −3 40",
        "[[ 1.   2.5]\n [-3.  40. ]]",
        "array([[ 1. ,  2.5],\n       [-3. , 40. ]])",
        "tensor([[ 1.0,  2.5], [-3.0, 40.0]], dtype=torch.float64)",
        "[[1, 2.5], [-3, 40]]",
        "np.array([[1, 2.5],[-3, 40]])",
    ],
)
def test_a_block_of_numbers_is_read_however_it_was_copied(text: str) -> None:
    assert grid_from_text(text).tolist() == [[1, 2.5], [-3, 40]]


def test_numpys_and_torchs_own_text_is_read_back() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        grid = rng.normal(size=rng.integers(1, 9, 2)).round(3) * 10.0 ** rng.integers(-2, 5)
        for text in (str(grid), repr(grid), str(grid.tolist())):
            np.testing.assert_allclose(grid_from_text(text), grid, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no number"), ("1 2\n3", "row 2 has 1 numbers, but row 1 has 2"), ("1 b", "row 1: 'b'"), ("1/0", "'1/0'")],
)
def test_a_block_that_is_none_says_where(text: str, message: str) -> None:
    with pytest.raises(GridError, match=message):
        grid_from_text(text)


def test_large_pictures_are_made_smaller_on_request(tmp_path: Path) -> None:
    Image.new("RGB", (600, 300), (255, 0, 0)).save(tmp_path / "large.png")
    assert read_grid(tmp_path / "large.png", most=100).shape == (3, 50, 100)


@pytest.mark.parametrize("text", ["[[1,2],[3]]", "[1,2]", "[]", "{", '[["a"]]', "[[1e999]]", "[[[[1]]]]"])
def test_what_is_no_grid_is_refused(text: str) -> None:
    with pytest.raises(GridError):
        grid_from_json(text)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(GridError, match=r"its dtype is .\|O."):
        read_grid(tmp_path / "bad.npy")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(GridError, match="no picture"):
        read_grid(tmp_path / "bad.png")


HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000, 10000000), }"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.npy", b""),
        ("cut.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran"),
        ("huge.npy", b"\x93NUMPY\x01\x00v\x00" + HUGE.ljust(117) + b"\n"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00"),
        ("deep.json", b"[" * 100_000),
        ("bytes.csv", b"\xff\xfe1,2"),
        ("empty.csv", b""),
        ("gap.csv", b"1,,2\n3,,4"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GridError) as error:
        read_grid(tmp_path / name)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_complex_numbers_and_words_are_no_grid(tmp_path: Path) -> None:
    np.save(tmp_path / "complex.npy", np.ones((2, 2), dtype=complex))
    with pytest.raises(GridError):
        read_grid(tmp_path / "complex.npy")
    for text in ('[["1"]]', "[[true]]", "[[null]]"):
        with pytest.raises(GridError):
            grid_from_json(text)


def test_zero_is_the_same_shade_whatever_the_scale() -> None:
    values = np.array([-2.0, 0.0, 1.0, np.nan, np.inf])
    assert scale_of(values) == 2
    assert shade(values, 2).tolist() == [1, 128, 192, 128, 255]
    assert shade(np.zeros(3), scale_of(np.zeros(3))).tolist() == [128] * 3
    assert glyphs(np.array([[1, 128, 255]])) == [LOWERED[-1] + RAISED[0] + RAISED[-1]]
    assert not set(RAISED[1:]) & set(LOWERED[1:])


def test_sixteen_bits_and_floats_keep_their_values(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert read_grid(tmp_path / "deep.png")[0, 0].round(3).tolist() == [0, 0.5, 1]
    Image.fromarray(np.array([[-2.5, 0.25]], dtype=np.float32)).save(tmp_path / "float.tiff")
    assert read_grid(tmp_path / "float.tiff").tolist() == [[[-2.5, 0.25]]]
