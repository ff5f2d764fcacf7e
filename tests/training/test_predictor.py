"""What the net of a run makes of picture files: as good as what it makes of the test set itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnntui.core.notation import parse
from cnntui.runs import events
from cnntui.runs.checkpoints import State
from cnntui.runs.events import EventReader
from cnntui.runs.picture_files import PictureError, is_light_outside, opened
from cnntui.runs.predict import PredictError, Predictions, predict
from cnntui.runs.spec import Settings, new_spec
from cnntui.training.data import DataSet, Fitting, digits, from_folder, from_torchvision
from cnntui.training.predictor import Kind
from tests.training.saved import make_run, save

COUNT = 100


def trained(data: str, *more: str) -> Path:
    """A run, as the command makes it."""
    done = subprocess.run(
        [sys.executable, "-m", "cnntui", "train", *more, "--data", data, "--device", "cpu", "--plain"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return Path(done.stdout.splitlines()[1])


def as_files(data: DataSet, directory: Path, count: int = COUNT) -> list[Path]:
    """The first pictures of a test set, without loss."""
    paths = [directory / f"{index}.png" for index in range(count)]
    for path, picture in zip(paths, data.test_images, strict=False):
        Image.fromarray(picture[0].numpy()).save(path)
    return paths


def right(answer: Predictions, data: DataSet) -> int:
    labels = [data.classes[label] for label in data.test_labels[: len(answer.predictions)].tolist()]
    return sum(each.read == label for each, label in zip(answer.predictions, labels, strict=True))


@pytest.fixture(scope="module")
def net() -> str:
    return "conv 8 p1; relu; maxpool 2; flatten; linear 10"


def test_saved_digits_are_read_as_well_as_the_test_set_itself(tmp_path: Path, net: str) -> None:
    run = trained("digits", net, "--input", "1,8,8", "--epochs", "8", "--lr", "0.003")
    data = digits()
    files = as_files(data, tmp_path)
    answer = predict(run, files, range(len(data.test_labels)))
    own = [test.accuracy for test in EventReader(run).poll() if isinstance(test, events.Test)]
    of_files, of_tests = answer.predictions[:COUNT], answer.predictions[COUNT:]
    assert sum(each.read == each.label for each in of_tests) / len(of_tests) == max(own) > 0.8
    assert [each.classes for each in of_files] == [each.classes for each in of_tests[:COUNT]]
    assert not any(each.inverted for each in answer.predictions)
    assert [each.file for each in of_files] == list(map(str, files))
    assert (of_tests[7].file, of_files[7].label) == ("test:7", None)
    for each in answer.predictions[:3]:
        assert sum(one.probability for one in each.classes) == pytest.approx(1, abs=1e-4)
        assert sorted(one.name for one in each.classes) == list("0123456789")
        assert (each.read, each.probability) == (each.classes[0].name, max(one.probability for one in each.classes))

    # Dark on light, on a photograph's larger frame: the same digits, told to be inverted.
    drawn = tmp_path / "drawn.png"
    Image.fromarray(255 - data.test_images[0][0].numpy()).resize((80, 80), Image.Resampling.NEAREST).save(drawn)
    (it,) = predict(run, [drawn]).predictions
    assert (it.inverted, it.read, it.classes) == (True, of_files[0].read, of_files[0].classes)
    (it,) = predict(run, [drawn], invert=False).predictions
    assert not it.inverted
    assert it.classes != of_files[0].classes


def test_real_digits_are_read_as_well_as_the_test_set_itself(tmp_path: Path, mnist_root: Path) -> None:
    run = trained("mnist", "lenet5", "--data-dir", str(mnist_root), "--epochs", "1")
    data = from_torchvision("mnist", mnist_root, lambda said: None)
    answer = predict(run, as_files(data, tmp_path), range(len(data.test_labels)))
    own = [test.accuracy for test in EventReader(run).poll() if isinstance(test, events.Test)]
    of_files, of_tests = answer.predictions[:COUNT], answer.predictions[COUNT:]
    assert sum(each.read == each.label for each in of_tests) / 10_000 == pytest.approx(max(own), abs=1e-4)
    assert [each.read for each in of_files] == [each.read for each in of_tests[:COUNT]]
    assert right(Predictions(of_files, ""), data) >= 95


def test_pictures_by_class_are_read_by_their_names(tmp_path: Path) -> None:
    """Photographs of many sizes in directories: what the test set says of each, its file says too."""
    rng = np.random.default_rng(0)
    for name, level in (("night", 40), ("day", 215)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(18):
            height, width = rng.integers(12, 40, 2)
            saved(tmp_path / "photos" / name / f"{index}.png", rng.normal(level, 15, (height, width, 3)).clip(0, 255))
    net = "conv 4 p1; relu; gap; linear 2"
    run = trained(str(tmp_path / "photos"), net, "--input", "3,16,16", "--epochs", "30", "--lr", "0.03")
    data = from_folder(tmp_path / "photos", lambda said: None, shape=(3, 16, 16))
    files = sorted((tmp_path / "photos").glob("*/*.png"))
    answer = predict(run, files, range(len(data.test_labels)))
    of_files, of_tests = answer.predictions[: len(files)], answer.predictions[len(files) :]
    assert [each.read for each in of_files] == [path.parent.name for path in files]
    assert {each.label for each in of_tests} == {"day", "night"}
    assert {each.classes for each in of_tests} <= {each.classes for each in of_files}


# -- pictures as they come


def kind(name: str = "mnist", shape: tuple[int, int, int] = (1, 28, 28)) -> Kind:
    spec = new_spec(parse("flatten; linear 10", shape), Settings(data=name))
    state = State(data=name, mean=[0.25] * shape[0], deviation=[0.25] * shape[0], shape=shape)
    return Kind.of(spec, state, None)


def saved(path: Path, pixels: Any, mode: str | None = None, **more: Any) -> Path:
    image = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
    (image.convert(mode) if mode else image).save(path, **more)
    return path


def test_a_picture_of_the_right_size_is_not_touched(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28))
    pixels[0] = pixels[-1] = 0
    got, flipped = kind().picture(saved(tmp_path / "a.png", pixels), None)
    assert (got.shape, got.dtype, flipped) == ((1, 28, 28), torch.uint8, False)
    assert (got[0].numpy() == pixels).all()
    got, flipped = kind().picture(saved(tmp_path / "b.png", 255 - pixels), None)
    assert flipped
    assert (got[0].numpy() == pixels).all()


def test_a_picture_keeps_its_proportions(tmp_path: Path) -> None:
    """56×14 becomes 28×7, and the data's background is around it."""
    wide = np.full((14, 56), 100)
    got, _ = kind().picture(saved(tmp_path / "wide.png", wide), None)
    assert (got[0, 10:17] == 100).all()
    assert not got[0, :10].any()
    assert not got[0, 17:].any()
    colors = np.full((7, 28, 3), [10, 20, 30])
    got, _ = kind("cifar10", (3, 28, 28)).picture(saved(tmp_path / "color.png", colors), None)
    assert got[:, 14, 14].tolist() == [10, 20, 30]
    assert got[:, 0, 0].tolist() == [64, 64, 64], "the mean of the training pictures"


def test_pictures_of_a_directory_fill_their_frame_as_in_training(tmp_path: Path) -> None:
    stripes = np.zeros((28, 84))
    stripes[:, 28:56] = 200
    of_data = kind("cifar10", (1, 28, 28))
    of_folder = replace(of_data, how=replace(of_data.how, from_files=True))
    got, flipped = of_folder.picture(saved(tmp_path / "wide.png", stripes), None)
    assert (got[0, :, 2:-2] == 200).all(), "the middle"
    assert not flipped


def test_only_digits_are_inverted_unasked(tmp_path: Path) -> None:
    light = saved(tmp_path / "light.png", np.full((28, 28), 250))
    assert kind("mnist").picture(light, None)[1]
    assert not kind("cifar10").picture(light, None)[1]
    assert (kind("cifar10").picture(light, True)[0] == 5).all()
    assert (kind("mnist").picture(light, False)[0] == 250).all()


@pytest.mark.parametrize("ink", [0, 255])
def test_what_is_transparent_stands_on_paper_that_shows_it(tmp_path: Path, ink: int) -> None:
    pixels = np.zeros((28, 28, 4), dtype=np.uint8)
    pixels[..., :3] = ink
    pixels[8:20, 12:16, 3] = 255
    got, flipped = kind().picture(saved(tmp_path / "a.png", pixels), None)
    assert flipped == (ink == 0)
    assert got[0, 10, 14] == 255
    assert got[0, 0, 0] == 0


def test_files_of_many_kinds(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((28, 28), 257 * 40, dtype=np.uint16))
    deep.save(tmp_path / "deep.png")
    assert np.asarray(opened(tmp_path / "deep.png", "L")).max() == 40
    palette = saved(tmp_path / "palette.gif", np.full((9, 9, 3), 204), "P")
    assert opened(palette, "RGB").getpixel((4, 4)) == (204, 204, 204)
    turned = Image.new("L", (30, 10))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held upright
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert opened(tmp_path / "turned.jpg", "L").size == (10, 30)
    assert is_light_outside(Image.new("L", (1, 1), 200))


def test_what_is_no_picture_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    whole = saved(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 256, (64, 64))).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    for name, message in (
        ("text.png", r"text\.png: no picture that Pillow can read$"),
        ("none.png", r"none\.png: No such file or directory$"),
        (".", r": Is a directory$"),
        ("half.png", r"half\.png: image file is truncated"),
    ):
        with pytest.raises(PictureError, match=message):
            opened(tmp_path / name, "L")


# -- older runs, and none


def test_an_older_run_takes_mean_and_deviation_from_its_data(tmp_path: Path) -> None:
    data = digits()
    fit = Fitting.of(data, (1, 12, 12))
    new, old = make_run(tmp_path / "new"), make_run(tmp_path / "old")
    model = save(new, 1, mean=fit.mean, deviation=fit.deviation, shape=[1, 8, 8])
    save(old, 1, model=model, mean=[], deviation=[])
    files = as_files(data, tmp_path, 3)
    answer = predict(old, files)
    assert answer == predict(new, files)
    assert {one.name for one in answer.predictions[0].classes} == set("abc")


def test_data_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", settings=Settings(data="auto", data_dir=str(tmp_path)))
    save(run, 1, data="digits")
    assert len(predict(run, [], [0]).predictions) == 1, "auto was digits"
    gone = make_run(tmp_path / "gone", settings=Settings(data=str(tmp_path / "pictures")))
    save(gone, 1)
    with pytest.raises(PredictError) as error:
        predict(gone, [], [0])
    assert str(error.value).count("\n") == 0
    assert predict(run, [], [360]).unread == ("test picture 360: there are 0 to 359",)
    (file,) = as_files(digits(), tmp_path, 1)
    save(gone, 2, shape=[1, 8, 8])
    answer = predict(gone, [file], [0], "last")
    assert (len(answer.predictions), len(answer.unread)) == (1, 1), "a file needs no data"
    assert answer.unread[0].startswith("the data of gone is needed for this")


def test_those_that_can_be_read_are_answered(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1, shape=[1, 8, 8])
    good = as_files(digits(), tmp_path, 2)
    (tmp_path / "broken.png").write_text("no picture")
    done = subprocess.run(
        [sys.executable, "-m", "cnntui", "predict", str(run), str(good[0]), str(tmp_path / "broken.png"), str(good[1]),
         "--test", "999", "--test", "3", "--json"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert [each["file"] for each in json.loads(done.stdout)] == [*map(str, good), "test:3"]
    assert done.stderr.splitlines() == [
        f"Error: {tmp_path / 'broken.png'}: no picture that Pillow can read",
        "Error: test picture 999: there are 0 to 359",
    ]


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1)
    with pytest.raises(PredictError, match=r"^no prediction within 0\.1 s; its process was ended$"):
        predict(run, [], [0], seconds=0.1)


def test_the_answer_is_json_for_others(tmp_path: Path, net: str) -> None:
    run = trained("digits", net, "--input", "1,8,8", "--epochs", "1")
    (path,) = as_files(digits(), tmp_path, 1)

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cnntui", "predict", str(run), *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip

    (found,) = json.loads(command(str(path), "--json").stdout)
    assert set(found) == {"file", "read", "probability", "classes", "inverted", "label"}
    assert set(found["classes"][0]) == {"name", "probability"}
    assert (found["file"], found["label"], found["inverted"]) == (str(path), None, False)
    lines = command(str(path), "--test", "7", "--test", "8").stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{path}  {found['read']} ")
    assert lines[1].startswith("test:7 ")
    assert "(labelled " in lines[1]
    for arguments, message in (
        ((), "give a picture file, or --test N"),
        ((str(tmp_path / "none.png"),), "none.png: No such file or directory"),
        ((str(path), "--checkpoint", "step-1"), "has no checkpoint 'step-1': take best, last, step-"),
    ):
        done = command(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert message in done.stderr
