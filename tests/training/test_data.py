"""Data sets: real loaders on small files in the real format, and pictures made to fit a net."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cnntui.runs.test_pictures import Wanted, kept_gallery
from cnntui.training.data import DataError, DataSet, Fitting, digits, from_torchvision, load, printed, resize
from cnntui.training.gallery import gather
from tests.training.helpers import make_cifar10, make_mnist, values_of


def silence(_: str) -> None:
    pass


def dataset(images: torch.Tensor) -> DataSet:
    labels = torch.zeros(len(images), dtype=torch.int64)
    return DataSet("made up", images, labels, images, labels, ("a", "b"))


@pytest.mark.parametrize(
    ("data", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_the_mnist_family_is_read_through_torchvision(tmp_path: Path, data: str, folder: str) -> None:
    make_mnist(tmp_path, folder)
    found = from_torchvision(data, tmp_path, silence)
    assert found.shape == (1, 28, 28)
    assert (len(found.train_labels), len(found.test_labels)) == (20, 10)
    assert found.train_images.dtype == torch.uint8
    assert found.train_labels.tolist()[:12] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert len(found.classes) == 10
    if data == "mnist":
        assert found.classes == tuple("0123456789")


def test_cifar10_is_read_through_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cifar10(tmp_path, monkeypatch)
    found = from_torchvision("cifar10", tmp_path, silence)
    assert found.shape == (3, 32, 32)
    assert (len(found.train_labels), len(found.test_labels)) == (20, 4)
    assert found.classes[:3] == ("airplane", "automobile", "bird")
    assert found.train_images[0, :, 0, 0].tolist() == [255, 0, 0], "channels first, red before green"


def test_the_digits_are_split_the_same_way_each_time() -> None:
    one, two = digits(), digits()
    assert one.sha256() == two.sha256()
    assert (len(one.train_labels), len(one.test_labels), one.shape) == (1437, 360, (1, 8, 8))
    assert one.train_images.max() == 255
    counts = torch.bincount(one.test_labels)
    assert counts.max() - counts.min() <= 3, "each class alike"
    assert load("digits", Path("/nowhere"), silence).sha256() == one.sha256()


def test_the_printed_digits_are_the_same_each_time_and_like_the_scans() -> None:
    one, scans = printed(), digits()
    assert load("printed", Path("/nowhere"), silence).sha256() == one.sha256()
    assert (len(one.train_labels), len(one.test_labels), one.shape) == (4000, 800, scans.shape)
    assert one.train_images.dtype == torch.uint8
    assert torch.bincount(one.train_labels).tolist() == [400] * 10
    assert torch.bincount(one.test_labels).tolist() == [80] * 10
    assert len({image.numpy().tobytes() for image in one.train_images}) == 4000, "no two are alike"
    for image in (one.train_images.float(), scans.train_images.float()):
        assert 60 < image.mean() < 100
        assert image.amax() == 255
        assert (image[:, 0].mean((0, 2)) > 25).all(), "they fill their square from top to bottom"
    assert one.classes == scans.classes


def test_the_printed_digits_are_kept_for_the_screens() -> None:
    about = gather(Wanted(name="printed", root="/nowhere"))
    gallery = kept_gallery("printed")
    assert gallery is not None
    assert gallery.about == about
    assert (gallery.count, gallery.pictures.shape[1:], about.from_files) == (800, (1, 8, 8), False)


def test_the_hash_notices_one_pixel() -> None:
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    changed = images.clone()
    changed[3, 0, 1, 1] = 1
    assert dataset(images).sha256() != dataset(changed).sha256()


def test_normalisation_is_of_the_training_pictures() -> None:
    images = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    fit = Fitting.of(dataset(images), (3, 8, 8))
    pixels = images.double() / 255
    assert fit.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-6)
    assert fit.deviation == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-6)
    x = fit(images)
    assert x.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_multiplication_and_one_addition_are_the_textbooks_formula(channels: int) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (20, channels, 8, 8), dtype=torch.uint8, generator=generator)
    images[0], images[1] = 0, 255
    fit = Fitting.of(dataset(images), (channels, 8, 8))
    mean, deviation = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (fit.mean, fit.deviation))
    textbook = (images.double() / 255 - mean) / deviation
    assert (fit(images).double() - textbook).abs().max() < 1e-6
    known = Fitting.restored((1, 28, 28), [0.1307], [0.3081])
    levels = torch.arange(256, dtype=torch.uint8).repeat(4)[:784].view(1, 1, 28, 28)
    assert (known(levels).double() - (levels.double() / 255 - 0.1307) / 0.3081).abs().max() < 1e-6


def test_the_border_of_a_picture_is_black_before_it_is_normalised() -> None:
    fit = Fitting.restored((3, 32, 32), [0.25], [0.5])
    x = fit(torch.full((2, 1, 28, 28), 255, dtype=torch.uint8))
    assert x.shape == (2, 3, 32, 32)
    assert values_of(x[:, :, 2:30, 2:30]) == {1.5}
    assert values_of(x[:, :, :2]) == {-0.5}


def test_the_pictures_themselves_are_left_alone() -> None:
    fit = Fitting.restored((1, 4, 4), [0.5], [0.5])
    for dtype in (torch.uint8, torch.float32):
        images = torch.full((2, 1, 4, 4), 255, dtype=dtype)
        assert values_of(fit(images)) == {1.0}
        assert values_of(images) == {255}


def test_a_fitting_is_kept_as_lists() -> None:
    images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    fit = Fitting.of(dataset(images), (3, 8, 8))
    mean, deviation = json.loads(json.dumps([fit.mean, fit.deviation]))
    assert torch.equal(Fitting.restored((3, 8, 8), mean, deviation)(images), fit(images))
    with pytest.raises(DataError, match="takes 1×8×8, but the pictures of the data have 3 channels"):
        Fitting.restored((1, 8, 8), mean, deviation)
    for wrong in ([0.5], [0.5, 0.0, 0.5], [0.5, float("nan"), 0.5]):
        with pytest.raises(DataError, match="do not normalise"):
            Fitting.restored((3, 8, 8), mean, wrong)


def test_fitting_waits_for_no_device() -> None:
    """On torch's meta device there are shapes and no values: whatever looks at a value fails there."""
    for shape in ((3, 28, 28), (3, 32, 32), (3, 60, 60), (3, 20, 20)):
        fit = Fitting.restored(shape, [0.1], [0.3], "meta")
        assert fit(torch.empty(2, 1, 28, 28, dtype=torch.uint8, device="meta")).shape == (2, *shape)


def test_mnists_known_mean_and_deviation(mnist_root: Path) -> None:
    data = from_torchvision("mnist", mnist_root, silence)
    assert (len(data.train_labels), len(data.test_labels)) == (60_000, 10_000)
    fit = Fitting.of(data, (1, 28, 28))
    assert ([round(m, 4) for m in fit.mean], [round(d, 4) for d in fit.deviation]) == ([0.1307], [0.3081])


def test_pictures_of_one_colour_are_no_division_by_zero() -> None:
    fit = Fitting.of(dataset(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)), (1, 4, 4))
    assert torch.isfinite(fit(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))).all()


@pytest.mark.parametrize(
    ("size", "target"),
    [((28, 28), (32, 32)), ((8, 8), (28, 28)), ((28, 28), (28, 28)), ((32, 32), (28, 28)), ((8, 8), (3, 20))],
)
def test_pictures_are_made_to_fit(size: tuple[int, int], target: tuple[int, int]) -> None:
    assert resize(torch.ones(2, 1, *size), *target).shape == (2, 1, *target)


def test_a_border_is_zero_and_even_on_both_sides() -> None:
    x = resize(torch.ones(1, 1, 28, 28), 32, 32)
    assert x[0, 0, 2:30, 2:30].eq(1).all()
    assert float(x.sum()) == 28 * 28


def test_colour_does_not_feed_a_grey_net() -> None:
    colour = dataset(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(DataError, match="takes 1×8×8, but the pictures of made up have 3 channels"):
        Fitting.of(colour, (1, 8, 8))
