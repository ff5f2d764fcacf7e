"""Pictures in directories named after their classes: real files, whole and broken."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnntui.training.data import DataError, DataSet, Fitting, facts, folder, from_folder, load
from tests.training.helpers import values_of


def silence(_: str) -> None:
    pass


def save(path: Path, value: int | tuple[int, int, int] = 0, size: tuple[int, int] = (8, 6), **options: object) -> None:
    """A picture of one colour; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(value, int) else "RGB", size, value).save(path, **options)  # type: ignore[arg-type]


def make(root: Path, classes: dict[str, int], value: int | tuple[int, int, int] = 0) -> Path:
    for number, (name, count) in enumerate(classes.items()):
        for i in range(count):
            colour = value + 10 * number + i if isinstance(value, int) else value
            save(root / name / f"{i:03}.png", colour)
    return root


def test_a_sixth_of_each_class_is_kept_for_testing(tmp_path: Path) -> None:
    found = from_folder(make(tmp_path / "pets", {"cat": 12, "dog": 30}), silence)
    assert (found.name, found.classes, found.shape) == ("pets", ("cat", "dog"), (1, 6, 8))
    assert torch.bincount(found.train_labels).tolist() == [10, 25]
    assert torch.bincount(found.test_labels).tolist() == [2, 5]
    assert (found.train_images.dtype, found.train_labels.dtype) == (torch.uint8, torch.int64)
    values = [*found.train_images[:, 0, 0, 0].tolist(), *found.test_images[:, 0, 0, 0].tolist()]
    assert sorted(values) == sorted([*range(12), *range(10, 40)]), "each picture once"


def test_the_split_depends_on_names_alone(tmp_path: Path) -> None:
    one = from_folder(make(tmp_path / "a", {"x": 20, "y": 20}), silence)
    elsewhere = make(tmp_path / "b" / "c", {"y": 20, "x": 20}, 100)
    two = from_folder(elsewhere, silence)
    values = {"x": one.test_images[one.test_labels == 0], "y": one.test_images[one.test_labels == 1]}
    other = {"x": two.test_images[two.test_labels == 0], "y": two.test_images[two.test_labels == 1]}
    assert values_of(other["x"].int() - values["x"].int()) == {110}, "the same files, made in another order"
    assert values_of(other["y"].int() - values["y"].int()) == {90}
    assert from_folder(elsewhere, silence).sha256() == two.sha256()
    assert load(str(elsewhere), Path("/nowhere"), silence).sha256() == two.sha256()


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_split_that_is_made_already_is_kept(tmp_path: Path, test: str) -> None:
    make(tmp_path / "train", {"a": 3, "b": 2})
    make(tmp_path / test, {"a": 1, "b": 4}, 100)
    (tmp_path / "README.txt").write_text("not a picture")
    found = from_folder(tmp_path, silence)
    assert found.train_images[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 11]
    assert found.test_images[:, 0, 0, 0].tolist() == [100, 110, 111, 112, 113]
    assert found.test_labels.tolist() == [0, 1, 1, 1, 1]


def test_a_test_folder_without_classes_does_not_count(tmp_path: Path) -> None:
    make(tmp_path / "train", {"a": 3, "b": 2})
    save(tmp_path / "test" / "unlabelled.png")
    make(tmp_path / "val", {"a": 1, "b": 1}, 100)
    assert from_folder(tmp_path, silence).test_images[:, 0, 0, 0].tolist() == [100, 110]


def test_train_without_test_is_split(tmp_path: Path) -> None:
    make(tmp_path / "train", {"a": 6, "b": 6})
    found = from_folder(tmp_path, silence)
    assert (len(found.train_labels), len(found.test_labels)) == (10, 2)


def test_classes_are_sorted_as_a_person_would(tmp_path: Path) -> None:
    found = from_folder(make(tmp_path, dict.fromkeys(["b", "class10", "A", "class2"], 2)), silence)
    assert found.classes == ("A", "b", "class2", "class10")


def test_grey_stays_one_channel_until_one_picture_has_colours(tmp_path: Path) -> None:
    make(tmp_path, {"a": 6, "b": 6})
    assert from_folder(tmp_path, silence).shape[0] == 1
    save(tmp_path / "a" / "red.png", (200, 10, 20))
    found = from_folder(tmp_path, silence)
    assert found.shape[0] == 3
    everything = torch.cat([found.train_images, found.test_images])[:, :, 0, 0].tolist()
    assert [200, 10, 20] in everything
    assert [10, 10, 10] in everything, "the grey ones are grey in RGB"
    said: list[str] = []
    assert from_folder(tmp_path, said.append, shape=(1, 28, 28)).shape[0] == 1
    assert said == ["the net takes one channel: colours are made grey"]


def test_sizes_that_differ_become_one(tmp_path: Path) -> None:
    """The shorter side fits, and the longer one is cut about the centre."""
    make(tmp_path, {"a": 6, "b": 6})
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "a" / "wide.png")
    assert from_folder(tmp_path, silence).shape == (1, 6, 8), "the median"
    found = from_folder(tmp_path, silence, shape=(1, 20, 20))
    assert found.shape == (1, 20, 20)
    images = torch.cat([found.train_images, found.test_images])
    brightest = images[images.flatten(1).float().mean(1).argmax()]
    assert brightest.float().mean() > 250, "the white third in the middle is what is left"


def test_pictures_of_one_size_are_left_alone_unless_the_net_is_smaller(tmp_path: Path) -> None:
    make(tmp_path, {"a": 6, "b": 6})
    assert from_folder(tmp_path, silence, shape=(1, 28, 28)).shape == (1, 6, 8), "a Fitting makes them larger"
    assert from_folder(tmp_path, silence, shape=(3, 4, 4)).shape == (1, 4, 4)


def test_exif_turns_a_picture_upright(tmp_path: Path) -> None:
    make(tmp_path, {"a": 2})
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    for i in range(2):
        lying = np.zeros((64, 96), np.uint8)
        lying[:, :48] = 255  # white on the left: on top, once it stands
        path = tmp_path / "b" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(lying).save(path, exif=exif, quality=95)
    for path in (tmp_path / "a").iterdir():
        save(path, 0, (64, 96))
    found = from_folder(tmp_path, silence)
    assert found.shape == (1, 96, 64)
    picture = found.test_images[found.test_labels == 1][0, 0].float()
    assert picture[:40].mean() > 250
    assert picture[56:].mean() < 5


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    make(tmp_path, {"a": 2, "b": 2})
    for i in range(2):
        Image.fromarray(np.full((6, 8), 257 * 100, np.uint16)).save(tmp_path / "b" / f"{i:03}.png")
    found = from_folder(tmp_path, silence)
    assert found.shape[0] == 1
    assert values_of(found.test_images[found.test_labels == 1]) == {100}


def bomb(side: int) -> bytes:
    """A few kilobytes that say they are a picture of side × side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    make(tmp_path, {"a": 6, "b": 6})
    whole = from_folder(tmp_path, silence)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 80), np.uint8)).save(tmp_path / "noise.png")
    content = (tmp_path / "noise.png").read_bytes()
    broken = {
        "empty.png": b"",
        "text.jpg": b"not a picture",
        "cut.png": content[: len(content) // 2],
        "bomb.png": bomb(9_000),
        "bigger.png": bomb(30_000),
        "other.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n",
    }
    for name, bytes_ in broken.items():
        (tmp_path / "a" / name).write_bytes(bytes_)
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "a" / "dangling.png").symlink_to(tmp_path / "nowhere")
    said: list[str] = []
    found = from_folder(tmp_path, said.append, shape=(1, 6, 8))
    named = "a/bigger.png, a/bomb.png, a/cut.png and 3 more"
    assert said == [f"6 of 18 pictures in {tmp_path} cannot be read: {named}; they are left out"]
    assert len(found.train_labels) + len(found.test_labels) == 12
    everything = torch.cat([found.train_images, found.test_images])[:, 0, 0, 0].sort().values
    assert torch.equal(everything, torch.cat([whole.train_images, whole.test_images])[:, 0, 0, 0].sort().values)


def test_hidden_files_are_no_part_of_it(tmp_path: Path) -> None:
    make(tmp_path, {"a": 2, "b": 2, ".git": 5})
    save(tmp_path / "a" / "._000.png")
    save(tmp_path / "a" / ".thumbnails" / "000.png")
    found = from_folder(tmp_path, silence)
    assert found.classes == ("a", "b")
    assert len(found.train_labels) + len(found.test_labels) == 4


def test_links_in_a_ring_come_to_an_end(tmp_path: Path) -> None:
    make(tmp_path, {"a/deep/deeper": 3, "b": 3})
    (tmp_path / "a" / "deep" / "ring").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "self").symlink_to(tmp_path / "b")
    (tmp_path / "c").symlink_to(make(tmp_path.with_name("elsewhere"), {"c": 4}) / "c")
    found = from_folder(tmp_path, silence)
    assert found.classes == ("a", "b", "c")
    assert (torch.bincount(found.train_labels) + torch.bincount(found.test_labels)).tolist() == [3, 3, 4]


def test_what_is_no_data_set_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(root: Path) -> str:
        with pytest.raises(DataError) as caught:
            from_folder(root, silence)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert refusal(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'} is not a directory of pictures by class"
    one = make(tmp_path / "one", {"a": 3})
    assert refusal(one).startswith(f"{one} has 1 class, but at least 2 are needed: a directory of pictures for each")
    (one / "empty").mkdir()
    assert refusal(one).startswith(f"class empty has no pictures: {one / 'empty'} holds none of .png .jpg")
    few = make(tmp_path / "few", {"a": 3, "b": 1})
    assert refusal(few) == f"class b in {few} has 1 picture, but at least 2 are needed: to train and to test"
    strange = make(tmp_path / "strange/train", {"a": 3, "b": 1}).parent
    make(strange / "test", {"a": 1, "c": 1})
    assert refusal(strange) == f"{strange / 'test'} has a class that {strange / 'train'} lacks: c"
    bad = make(tmp_path / "bad", {"a": 2, "b": 2})
    for path in bad.rglob("*.png"):
        path.write_bytes(b"rubbish")
    assert refusal(bad) == f"none of the 4 pictures in {bad} can be read"
    monkeypatch.setattr(folder, "MOST_BYTES", 2**10)
    large = make(tmp_path / "large", {"a": 20, "b": 20})
    assert refusal(large).startswith("40 pictures of 1×6×8 are 0.0 GiB, more than 0 GiB: take fewer")


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "TELL_SECONDS", 0.0)
    told: list[str] = []
    from_folder(make(tmp_path, {"a": 6, "b": 6}), silence, told.append)
    assert told[0] == "looking at pictures: 1 of 12"
    assert told[-1] == "reading pictures: 12 of 12"


def test_the_facts_of_a_data_set() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 48, 64), dtype=torch.uint8, generator=generator)
    data = DataSet("made up", images, torch.arange(60) % 5, images, torch.arange(60) % 6, tuple("abcdef"))
    fit = Fitting.of(data, (3, 48, 64))
    found = facts(data, fit)
    assert found.train_counts == [12] * 5 + [0], "a class without pictures counts as well"
    assert found.test_counts == [10] * 6
    assert (found.mean, found.deviation) == (fit.mean, fit.deviation)
    assert found.sample_labels == [label for label in range(6) for _ in range(4)]
    assert found.samples.shape == (24, 3, 24, 32)
    assert found.samples.dtype == np.uint8
    assert found.samples[1, 0, 0, 0] == pytest.approx(images[6, 0, :2, :2].float().mean(), abs=0.5)


@pytest.mark.parametrize(("classes", "samples"), [(2, 8), (20, 60), (64, 64), (100, 64)])
def test_there_are_never_more_than_64_samples(classes: int, samples: int) -> None:
    images = torch.arange(classes * 5).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).to(torch.uint8)
    labels = torch.arange(classes * 5) % classes
    data = DataSet("made up", images, labels, images, labels, tuple(map(str, range(classes))))
    found = facts(data, Fitting.of(data, (1, 8, 8)))
    assert len(found.samples) == len(found.sample_labels) == samples
    assert found.samples[:, 0, 0, 0].tolist()[:2] == [0, classes if samples > classes else 1], (
        "by class, the first of each"
    )
    assert found.samples.shape[2:] == (8, 8)
