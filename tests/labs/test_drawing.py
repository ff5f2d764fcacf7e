"""The pad's state: strokes, what is done to a whole picture, undo; and whether a drawn digit is like MNIST's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnntui.core.windows import Array
from cnntui.labs.drawing import BRUSHES, PadState, by_channel, centred, coverage, noisy, rotated, shifted

STEPS = {
    "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1),
    "home": (-1, -1), "pageup": (-1, 1), "end": (1, -1), "pagedown": (1, 1),
}  # fmt: skip
DIGITS = {  # as they are drawn by keys, from the middle of an empty pad
    7: "shift+up*2 shift+left left space right*10" + " down*2 left" * 7,
    1: "shift+up*2 space down*17",
    0: "shift+up*2 space right*2 pagedown*3 down*8 end*3 left*4 home*3 up*8 pageup*3 right*2",
    4: "shift+up*2 shift+left left space down*9 right*11 space left*2 shift+up*2 up space shift+down*4 down*2",
}
# The 5th and the 95th of 100 of MNIST's 10,000 test pictures: see test_the_measures_are_those_of_mnist.
MNIST = {"ink": (0.066, 0.209), "width": (1.67, 3.66), "touched": (0.102, 0.279), "full": (0.377, 0.677)}
MEAN_INK, MEAN_WIDTH = 0.13, 2.5


def blank(side: int = 28) -> PadState:
    return PadState.blank((1, side, side))


def drawn(keys: str) -> Array:
    """A picture drawn by keys: `right*3` is three times."""
    pad = blank()
    for word in keys.split():
        key, _, times = word.partition("*")
        for _ in range(int(times or 1)):
            if key == "space":
                pad = pad.pen_up() if pad.pen else pad.pen_down()
            else:
                by = 4 if key.startswith("shift+") else 1
                rows, columns = STEPS[key.removeprefix("shift+")]
                pad = pad.move(by * rows, by * columns)
    return pad.picture


def measures(picture: Array) -> dict[str, float]:
    """Share of ink; width of the strokes (twice the ink over its outline's length, the total variation);
    share of pixels that are not empty, and of those the share that are nearly full."""
    ink = np.pad(picture[0] / 255, 1)
    outline = np.hypot(ink[1:, :-1] - ink[:-1, :-1], ink[:-1, 1:] - ink[:-1, :-1]).sum()
    touched = (picture > 0).sum()
    return {
        "ink": float(picture.mean() / 255),
        "width": float(2 * ink.sum() / outline),
        "touched": float(touched / picture.size),
        "full": float((picture > 200).sum() / touched),
    }


# -- a digit


def test_the_measures_are_those_of_mnist(mnist_root: Path) -> None:
    raw = (mnist_root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()
    pictures = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    measured = [measures(picture.astype(float)) for picture in pictures]
    for name, bounds in MNIST.items():
        values = [each[name] for each in measured]
        assert np.percentile(values, [5, 95]) == pytest.approx(bounds, rel=0.03), name
    assert np.mean([each["ink"] for each in measured]) == pytest.approx(MEAN_INK, rel=0.03)
    assert np.mean([each["width"] for each in measured]) == pytest.approx(MEAN_WIDTH, rel=0.03)


@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawn_digit_is_like_mnists(digit: int) -> None:
    found = measures(drawn(DIGITS[digit]))
    for name, (least, most) in MNIST.items():
        assert least <= found[name] <= most, (name, found)


def test_drawn_digits_have_mnists_ink_and_width_on_average() -> None:
    found = [measures(drawn(keys)) for keys in DIGITS.values()]
    assert np.mean([each["ink"] for each in found]) == pytest.approx(MEAN_INK, rel=0.2)
    assert np.mean([each["width"] for each in found]) == pytest.approx(MEAN_WIDTH, rel=0.1)


# -- strokes


@pytest.mark.parametrize("brush", BRUSHES)
def test_a_dot_is_round_full_in_the_middle_and_falls_off(brush: int) -> None:
    pad = blank(29).sized(brush - 3).dot()
    picture = pad.picture[0]
    for other in (picture[::-1], picture[:, ::-1], picture.T):
        assert np.array_equal(picture, other)
    middle = picture[14, 14:]
    assert middle[0] == picture.max() > 200
    assert np.all(np.diff(middle) <= 0)
    assert ((picture > 0) & (picture < 200)).sum() > 0
    assert middle[pad.reach] > 50 > middle[pad.reach + 1]


@pytest.mark.parametrize(("rows", "columns"), [(0, 9), (9, 0), (8, 8), (-11, 5), (3, -12)])
def test_a_jump_with_the_pen_down_leaves_a_line_without_gaps(rows: int, columns: int) -> None:
    pad = blank().pen_down().move(rows, columns)
    assert pad.cursor == (14 + rows, 14 + columns)
    for share in np.linspace(0, 1, 40):
        row, column = round(14 + share * rows), round(14 + share * columns)
        assert pad.picture[0, row, column] > 200


def test_steps_of_one_leave_what_a_jump_leaves() -> None:
    jump = blank().pen_down().move(0, 9)
    steps = blank().pen_down()
    for _ in range(9):
        steps = steps.move(0, 1)
    assert steps.picture == pytest.approx(jump.picture)
    assert blank().stroke([(14, 14), (14, 20), (14, 23)]).picture == pytest.approx(jump.picture)


def test_coverage_is_that_of_the_distance_to_the_line() -> None:
    points = [(4.0, 3.0), (9.0, 11.0)]
    found = coverage((16, 16), points, 1.5)
    along = [np.add(points[0], share * np.subtract(points[1], points[0])) for share in np.linspace(0, 1, 2001)]
    for row in range(16):
        for column in range(16):
            distance = min(np.hypot(row - y, column - x) for y, x in along)
            assert found[row, column] == pytest.approx(np.clip((1.5 - distance) / 1.25 + 0.5, 0, 1), abs=0.01)


def test_the_pen_stays_within_the_picture() -> None:
    pad = blank().pen_down().move(-100, 100)
    assert pad.cursor == (0, 27)
    assert pad.move(-1, 0) is pad
    assert blank().stroke([(-5, 50)]).cursor == (0, 27)
    assert blank().stroke([]).picture.max() == 0


def test_the_eraser_takes_away_what_the_brush_drew() -> None:
    pad = blank().pen_down().move(0, 9).pen_up()
    gone = pad.toggled_eraser().sized(1).stroke([(14, 14), (14, 23)])
    assert gone.picture.max() < 60
    assert gone.picture.min() == 0
    right = pad.stroke([(14, 14), (14, 23)], erase=True)
    assert right.picture[0, 14, 14:24].max() == 0
    assert not right.eraser
    assert pad.toggled_eraser().stroke([(3, 3)]).picture == pytest.approx(pad.picture)


def test_ink_is_black_on_a_bright_ground_and_on_every_channel() -> None:
    pad = PadState.blank((3, 32, 32), (200.0, 180.0, 255.0)).dot()
    assert np.array_equal(pad.picture[:, 16, 16], [0, 0, 0])
    assert np.array_equal(pad.picture[:, 0, 0], [200, 180, 255])
    inverted = PadState.blank((3, 8, 8)).invert().dot()
    assert inverted.picture[:, 4, 4].max() < 60
    assert inverted.picture[:, 0, 0].min() == 255


def test_a_brush_fits_its_picture() -> None:
    assert [PadState.blank((1, side, side)).brush for side in (8, 28, 32, 224)] == [1, 3, 3, 3]
    assert [PadState.blank((1, side, side)).unit for side in (8, 28, 32, 224)] == [1, 1, 1, 8]
    assert blank().sized(9).brush == 4
    assert blank().sized(-9).brush == 1


# -- the whole picture


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, 0), (-3, 1), (4, -2), (5, 0), (0, -7), (-50, 50)])
def test_a_shift_moves_every_pixel(rows: int, columns: int) -> None:
    picture = np.random.default_rng(1).uniform(0, 255, (2, 5, 7))
    found = shifted(picture, rows, columns, (9.0, 7.0))
    for channel, row, column in np.ndindex(picture.shape):
        y, x = row - rows, column - columns
        inside = 0 <= y < 5 and 0 <= x < 7
        assert found[channel, row, column] == (picture[channel, y, x] if inside else (9.0, 7.0)[channel])


@pytest.mark.parametrize("degrees", [15, -15, 40, 90])
def test_a_turn_is_bilinear_about_the_middle(degrees: float) -> None:
    picture = np.random.default_rng(2).uniform(0, 255, (3, 12, 12))
    found = rotated(picture, degrees, (10.0, 20.0, 30.0))
    turn = np.deg2rad(degrees)
    for row, column in np.ndindex(12, 12):
        down, right = row - 5.5, column - 5.5
        # Counter-clockwise as it is seen, rows going down: where the pixel was before.
        y, x = 5.5 + np.cos(turn) * down + np.sin(turn) * right, 5.5 - np.sin(turn) * down + np.cos(turn) * right
        top, left = int(np.floor(y + 1e-9)), int(np.floor(x + 1e-9))
        if 0 <= top < 11 and 0 <= left < 11:
            a, b = y - top, x - left
            around = picture[:, top : top + 2, left : left + 2]
            expected = (around * np.outer([1 - a, a], [1 - b, b])).sum((1, 2))
            assert found[:, row, column] == pytest.approx(expected, abs=0.01)
    fill = np.asarray(Image.fromarray(picture[0].astype("f4")).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=10))
    assert np.array_equal(found[0], fill)
    assert np.array_equal(rotated(picture, 90), np.rot90(picture.astype("f4"), axes=(1, 2)))


def test_many_turns_blur_no_more_than_one() -> None:
    pad = blank().pen_down().move(0, 9)
    turned = pad
    for _ in range(6):
        turned = turned.rotate(15)
    assert turned.picture == pytest.approx(np.rot90(pad.picture, axes=(1, 2)), abs=0.01)
    for _ in range(6):
        turned = turned.rotate(-15)
    assert turned.picture is pad.picture
    assert turned.rotate(15).dot().rotate(-15).picture[0, 14, 23] < 255  # what was drawn since then is turned, too


def test_noise_is_of_its_deviation_and_of_its_seed() -> None:
    grey = np.full((1, 100, 100), 128.0)
    assert (noisy(grey, 1, 20) - grey).std() == pytest.approx(20, rel=0.05)
    assert np.array_equal(noisy(grey, 1), noisy(grey, 1))
    assert not np.array_equal(noisy(grey, 1), noisy(grey, 2))
    wild = noisy(grey, 1, 500)
    assert (wild.min(), wild.max()) == (0, 255)


def test_centred_is_where_mnists_makers_put_it(mnist_root: Path) -> None:
    raw = (mnist_root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()
    pictures = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:1000].astype(float)
    assert all(np.array_equal(centred(picture), picture) for picture in pictures)
    moved = np.pad(pictures[:, :, 4:-4, 4:-4], ((0, 0), (0, 0), (1, 7), (7, 1)))  # what is left of them loses nothing
    for picture, there in zip(moved, pictures[:, :, 4:-4, 4:-4], strict=True):
        assert np.array_equal(centred(picture), centred(np.pad(there, ((0, 0), (4, 4), (4, 4)))))


def test_centred_on_other_grounds() -> None:
    dot = blank().stroke([(5, 20)]).picture
    assert np.array_equal(centred(dot), shifted(dot, 9, -6))
    assert np.array_equal(centred(255 - dot, 255.0), 255 - shifted(dot, 9, -6))
    empty = np.zeros((1, 28, 28))
    assert centred(empty) is empty


# -- undo


def test_undo_takes_back_each_thing_done_to_the_picture() -> None:
    pads = [blank()]
    for move in (
        PadState.pen_down,
        lambda pad: pad.move(0, 4),
        lambda pad: pad.shift(1, 1),
        lambda pad: pad.rotate(15),
        lambda pad: pad.noise(3),
        PadState.invert,
        PadState.clear,
        lambda pad: pad.stroke([(2, 2), (6, 9)]),
        PadState.centred,
    ):
        pads.append(move(pads[-1]))
    pad = pads[-1]
    for before in reversed(pads[:-1]):
        pad = pad.undo()
        assert pad.picture is before.picture
        assert pad.background == before.background
    assert pad.cursor == (14, 14)
    assert pad.undo().picture is pad.picture
    for after in pads[1:]:
        pad = pad.redo()
        assert pad.picture is after.picture


def test_a_stroke_that_goes_further_is_undone_as_one() -> None:
    pad = blank().stroke([(3, 3)]).stroke([(3, 3), (3, 9)], further=True).stroke([(3, 9), (9, 9)], further=True)
    assert pad.picture[0, 3, 3:10].min() == 255
    assert not pad.undo().picture.any()


def test_to_move_without_the_pen_or_to_change_nothing_is_nothing_to_undo() -> None:
    pad = blank().move(3, 3).pen_up().sized(1).toggled_eraser().shift(2, 2).centred()
    assert pad.history.past is None
    assert pad.cursor == (17, 17)


def test_bad_input_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="background of 2 values for 3 channels"):
        by_channel((1.0, 2.0), 3)
    with pytest.raises(ValueError, match=r"not \(28, 28\)"):
        PadState.of(np.zeros((28, 28)))
